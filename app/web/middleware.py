"""What every request passes before Gradio sees it: where it comes from, which routes there are, what is said with it.

Knows Gradio's routes by their names, and nothing of questions, photos or corpora.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import quote, urlsplit, urlunsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.hosts import host_is_right, origin_is_right
from app.web.page_policy import POLICY, ancestors, of_files
from app.web.receiving import again, whole

# The page's own script, style, icons and fonts, the same for everybody.
_STATIC = re.compile(r"/(?:assets|static|svelte)/[^\\]*|/(?:favicon\.ico|robots\.txt|theme\.css)")
# Routes of Gradio's that the page has no use for: they run a video converter on what is uploaded, call other servers,
# or are for who develops with Gradio.
_CLOSED = re.compile(
    r"/(?:gradio_api/)?(?:process_recording|proxy=|component_server|custom_component/|stream/|deep_link|runs|run-history/"
    r"|monitoring|profiling/|vibe-|undo-vibe|dev/|login|logout|token|user).*",
    re.IGNORECASE | re.DOTALL,
)
# Of Gradio's ways to call a handler those that name it.
ENDPOINT = re.compile(r"/gradio_api/(?P<way>call/v2|call|run|api)/(?P<name>[^/]+)/?")
TOO_LONG = "This request is too long."
_ADDRESS = re.compile(r".*/file=\s*https?:.*", re.IGNORECASE | re.DOTALL)


class SubPath:
    """Takes the path below which a proxy serves the page off the paths of requests, where the proxy has not: what comes
    after looks at them as they are without. root: "/citesight", or "" for none."""

    def __init__(self, app: ASGIApp, root: str) -> None:
        self.app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if not self._root or scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif path == self._root:  # the page's own addresses are relative
            await RedirectResponse(f"{self._root}/", 308)(scope, receive, send)
        else:
            below = path.removeprefix(self._root) if path.startswith(f"{self._root}/") else path
            bare = {**scope, "root_path": "", "path": below, "raw_path": quote(below).encode("ascii")}
            host = Headers(scope=scope).get("host", "")

            async def within(message: Message) -> None:
                if message["type"] == "http.response.start":
                    headers = MutableHeaders(scope=message)
                    if "location" in headers:
                        headers["location"] = self._within(headers["location"], host)
                await send(message)

            await self.app(bare, receive, within)

    def _within(self, location: str, host: str) -> str:
        """Where what knows nothing of the path sends somebody to, below it again: to the name with a slash or without,
        as a path alone, so that it is also right where a proxy has another name and scheme."""
        parts = urlsplit(location)
        own = parts.path.startswith("/") and parts.netloc in ("", host)
        if not own or f"{parts.path}/".startswith(f"{self._root}/"):
            return location
        return urlunsplit(("", "", f"{self._root}{parts.path}", parts.query, parts.fragment))


class Origins:
    """Refuses what comes by a name that is not the server's, or from a page that is not its own (app/hosts.py).

    names: under which the page is served, beside addresses and loopback's names. pages: the names whose pages may ask
    too, at any port: not those of this machine, where anything may run. in_json: where that is told as JSON."""

    def __init__(
        self, app: ASGIApp, names: Collection[str], pages: Collection[str] = (), in_json: tuple[str, ...] = ()
    ) -> None:
        self.app = app
        self._in_json = in_json
        self._names = names
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = "" if scope["type"] == "lifespan" else self._problem(scope)
        if problem and scope["type"] == "http":
            as_json = scope["path"].startswith(self._in_json)
            answer = JSONResponse({"problem": problem}, 403) if as_json else PlainTextResponse(problem, 403)
            await answer(scope, receive, send)
        elif not problem:
            await self.app(scope, receive, send)

    def _problem(self, scope: Scope) -> str:
        if scope["type"] != "http":
            return "Only HTTP is spoken here."
        if scope["method"] in ("GET", "HEAD") and _STATIC.fullmatch(scope["path"]):
            return ""
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        told = headers.getlist("x-forwarded-host")  # which Gradio believes
        if len(hosts) != 1 or not all(host_is_right(host, self._names) for host in (*hosts, *told)):
            return (
                "This page is not served under this name. Open it by the address of its machine, or have its name put "
                "into CITESIGHT_ALLOWED_HOSTS where it runs."
            )
        if not all(origin_is_right(origin, hosts[0], self._pages) for origin in origins):
            return "Pages of other sites may ask nothing here."
        return ""


class Routes:
    """Leaves out routes of Gradio's that are not needed, and keeps it from fetching a web address for anybody, as it
    does under the path of its files."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _ADDRESS.fullmatch(scope["path"]):
            await PlainTextResponse("Addresses are not fetched.", 403)(scope, receive, send)
        elif scope["type"] == "http" and _CLOSED.fullmatch(scope["path"]):
            await PlainTextResponse("There is nothing here.", 404)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class Endpoints:
    """Tells programs in a sentence what Gradio fails at: an endpoint that is none, arguments that are not its own.

    names: of the endpoints for programs."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = ENDPOINT.fullmatch(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if asked is None:
            await self.app(scope, receive, send)
            return
        if asked["name"] not in self._names and not (asked["way"] in ("run", "api") and asked["name"] == "predict"):
            known = " and ".join(f"/{name}" for name in sorted(self._names))
            said = f"There is no endpoint called {asked['name'][:80]} here; {known} is the one."
            await PlainTextResponse(said, 404)(scope, receive, send)
            return
        try:
            await self.app(scope, receive, send)
        except TypeError as problem:  # Gradio's word for them, before it has begun to answer
            if asked["way"] != "call/v2":
                raise
            await PlainTextResponse(f"{str(problem).partition('. ')[0].rstrip('.')}.", 422)(scope, receive, send)


class Bodies:
    """Refuses long requests other than uploads, before anybody reads them: all wait while one is taken apart."""

    def __init__(self, app: ASGIApp, most: int, but: str) -> None:
        self.app = app
        self._most = most
        self._but = but

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].rstrip("/") == self._but:
            await self.app(scope, receive, send)
            return
        said = Headers(scope=scope).get("content-length", "0")
        has_body = scope["method"] not in ("GET", "HEAD")
        body, more = b"", has_body
        if not said.isdigit() or len(said) > 15 or int(said) > self._most:
            await PlainTextResponse(TOO_LONG, 413, {"Connection": "close"})(scope, receive, send)
            return
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._most:
                await PlainTextResponse(TOO_LONG, 413, {"Connection": "close"})(scope, receive, send)
                return
        await self.app(scope, again(whole(body), receive) if has_body else receive, send)


class Beside:
    """Hands what lies under a path to an application of its own."""

    def __init__(self, app: ASGIApp, path: str, beside: ASGIApp) -> None:
        self.app = app
        self._path = path
        self._beside = beside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        own = scope["type"] == "http" and scope["path"].startswith(self._path)
        await (self._beside if own else self.app)(scope, receive, send)


class SafeHeaders:
    """What browsers are told with every answer; a page's own policy stays, see app/web/page_policy.py.

    framed_by: the origins whose pages may show this one within them, as in Content-Security-Policy; none by default."""

    def __init__(self, app: ASGIApp, framed_by: Collection[str] = ()) -> None:
        self.app = app
        self._policy, self._ancestors = of_files(framed_by), ancestors(framed_by)
        self._headers = {
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                own = headers.get(POLICY)  # browsers keep to both
                headers[POLICY] = f"{own}, {self._ancestors}" if own else self._policy
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)
