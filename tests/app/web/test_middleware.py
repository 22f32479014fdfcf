"""What a request passes before Gradio: hosts and origins, closed routes, headers, and how much is uploaded."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from app.hosts import host_is_right, origin_is_right
from app.settings import Settings, load_settings
from app.web.middleware import TOO_LONG, Origins, Routes, SafeHeaders
from app.web.page import MAX_REQUEST, build_page, launch
from app.web.proxies import Proxies
from app.web.upload_limits import LEFT_OLD, PATH, Ages, LimitedUploads, UploadLimits, make_room, own_folder
from tests.app.web.test_request_files import Reader
from tests.support.page import awaited
from tests.support.ports import free_port

NAMES = frozenset({"photos.example"})


@pytest.mark.parametrize(
    ("host", "right"),
    [
        ("127.0.0.1:7860", True), ("192.168.1.7", True), ("[::1]:7860", True), ("[fe80::1]", True), ("localhost", True),
        ("LOCALHOST:1", True), ("localhost.:1", True), ("me.localhost", True), ("photos.example", True),
        ("Photos.Example:80", True), ("evil.example", False), ("127.0.0.1.evil.example", False), ("", False),
        ("[", False), ("photos.example.evil.example", False), ("photos.example@evil", False), ("a b", False),
        ("photos.example:99999999", False), ("127.0.0.1:7860:1", False), ("notlocalhost", False),
    ],
)  # fmt: skip
def test_the_names_that_a_server_is_asked_by(host: str, right: bool) -> None:
    assert host_is_right(host, NAMES) is right


@pytest.mark.parametrize(
    ("origin", "host", "right"),
    [
        ("http://127.0.0.1:7860", "127.0.0.1:7860", True), ("http://localhost:7860", "localhost:7860", True),
        ("https://photos.example", "photos.example", True), ("https://photos.example", "127.0.0.1:7860", True),
        ("http://a.example:80", "a.example", True), ("https://a.example", "a.example:443", True),
        ("http://[::1]:7860", "[::1]:7860", True),
        # Another server of the same machine is another site, and so is the same name by another way.
        ("http://localhost:3000", "localhost:7860", False), ("http://localhost:7860", "127.0.0.1:7860", False),
        ("https://evil.example", "127.0.0.1:7860", False), ("null", "127.0.0.1:7860", False), ("", "a.example", False),
        ("file://", "127.0.0.1", False), ("http://127.0.0.1:x", "127.0.0.1", False),
        ("chrome-extension://abc", "127.0.0.1", False), ("https://photos.example.evil.example", "127.0.0.1", False),
    ],
)  # fmt: skip
def test_the_pages_that_may_ask(origin: str, host: str, right: bool) -> None:
    assert origin_is_right(origin, host, NAMES) is right


@pytest.fixture(scope="module", params=["127.0.0.1", "127.0.0.2", "0.0.0.0"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Where a page is served that listens there."""
    settings = load_settings(host=request.param)
    service = Reader()
    service.settings = settings
    page = build_page(service)
    port = free_port()
    launch(page, settings.model_copy(update={"port": port}))
    yield f"http://{request.param.replace('0.0.0.0', '127.0.0.1')}:{port}"
    page.close(verbose=False)


def asks(address: str) -> list[Callable[[dict[str, str]], httpx.Response]]:
    """A request of every kind that does or tells something."""
    joined = {"data": [], "fn_index": 0, "session_hash": "x"}
    files = {"files": ("a.png", b"x" * 100)}
    return [
        lambda headers: httpx.get(f"{address}/", headers=headers),
        lambda headers: httpx.get(f"{address}/config", headers=headers),
        lambda headers: httpx.get(f"{address}/gradio_api/info", headers=headers),
        lambda headers: httpx.post(f"{address}/gradio_api/upload", files=files, headers=headers),
        lambda headers: httpx.post(f"{address}/gradio_api/queue/join", json=joined, headers=headers),
        lambda headers: httpx.post(f"{address}/gradio_api/run/predict", json=joined, headers=headers),
        lambda headers: httpx.post(f"{address}/gradio_api/call/ask", json={"data": []}, headers=headers),
    ]


def test_other_sites_and_other_names_get_nothing(address: str) -> None:
    own = {"Origin": address}
    foreign = [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"}, {"Origin": "http://localhost:1"},
        {"Origin": f"{address.rpartition(':')[0]}:1"},  # another server of this machine
    ]  # fmt: skip
    for ask in asks(address):
        assert ask({}).status_code != 403 and ask(own).status_code != 403
        for headers in foreign:
            reply = ask(headers)
            assert reply.status_code == 403 and len(reply.text) < 200 and reply.text.endswith(".")
    # What is the same for everybody may be had from anywhere.
    assert httpx.get(f"{address}/theme.css", headers=foreign[3]).status_code == 200
    assert httpx.get(f"{address}/static/../config", headers=foreign[3]).status_code == 403


def test_a_name_that_is_set_is_answered() -> None:
    settings = load_settings(allowed_hosts="photos.example photos.example.org:8080", host="0.0.0.0")
    asked = app_of(Origins, names=settings.names, pages=settings.other_names)
    for host in ("photos.example", "photos.example.org", "10.0.0.1:7860"):
        assert request(asked, "GET", "/", host=host, origin=f"https://{host}").status_code == 200
    assert request(asked, "GET", "/", host="b.example").status_code == 403
    assert request(asked, "GET", "/", **{"x-forwarded-host": "b.example"}).status_code == 403
    space = Settings(SPACE_HOST="me-citesight.hf.space")
    assert request(app_of(Origins, names=space.names), "GET", "/", host="me-citesight.hf.space").status_code == 200


def test_a_long_request_is_refused_before_it_is_read(address: str) -> None:
    """All wait while Gradio takes one apart."""
    long = b'{"data": [' + b"[]," * (MAX_REQUEST // 3) + b"1]}"

    def pieces():
        yield from (long[at : at + 50_000] for at in range(0, len(long), 50_000))

    for path in ("call/ask", "reset", "queue/join", "run/predict"):
        for content in (long, pieces()):
            headers = {"Content-Type": "application/json"}
            reply = httpx.post(f"{address}/gradio_api/{path}", content=content, headers=headers)
            assert reply.status_code == 413 and reply.text == TOO_LONG
    short = {"data": [{"path": "/x"}, "How tall?", [], 5, None, [], False, False, None]}
    assert httpx.post(f"{address}/gradio_api/call/ask", json=short).status_code == 200


def test_every_answer_has_its_headers(address: str) -> None:
    for reply in (*(ask({}) for ask in asks(address)), httpx.get(f"{address}/theme.css"), httpx.get(f"{address}/no")):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["referrer-policy"] == "same-origin"
        assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("given", "ancestors"),
    [
        ({}, ()), ({"framed_by": "https://a.example"}, ()), ({"manage": True, "host": "0.0.0.0"}, ()),
        ({"manage": False, "framed_by": "https://a.example  https://*.b.example"},
         ("https://a.example", "https://*.b.example")),
        ({"manage": False, "SPACE_HOST": "a.hf.space"}, ("https://huggingface.co", "https://*.hf.space")),
        ({"manage": True, "SPACE_HOST": "a.hf.space", "framed_by": "https://a.example"},
         ("https://huggingface.co", "https://*.hf.space")),
    ],
)  # fmt: skip
def test_who_may_frame_the_page(given: dict, ancestors: tuple[str, ...]) -> None:
    settings = Settings(**given)
    assert settings.frame_ancestors == ancestors
    said = request(app_of(SafeHeaders, framed_by=settings.frame_ancestors), "GET", "/").headers
    assert f"frame-ancestors {' '.join(ancestors) or chr(39) + 'none' + chr(39)};" in said["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    ["process_recording", "proxy=http://127.0.0.1/x", "component_server", "stream/x", "deep_link", "vibe-edit",
     "Proxy=https://a.example", "monitoring", "run-history/records", "file=http://127.0.0.1/x", "file= https://a"],
)  # fmt: skip
def test_routes_that_nobody_needs_are_closed(address: str, path: str) -> None:
    for method in ("GET", "POST"):
        reply = httpx.request(method, f"{address}/gradio_api/{path}")
        assert reply.status_code in (403, 404)
        assert reply.text in ("There is nothing here.", "Addresses are not fetched.")


def test_the_page_is_compressed(address: str) -> None:
    for path in ("/", "/config"):
        reply = httpx.get(f"{address}{path}", headers={"Accept-Encoding": "gzip"})
        assert reply.headers["content-encoding"] == "gzip" and "cs-photo" in reply.text
    with httpx.stream("GET", f"{address}/gradio_api/heartbeat/x", headers={"Accept-Encoding": "gzip"}) as beat:
        assert "content-encoding" not in beat.headers and next(beat.iter_lines()) == "data: ALIVE"


def app_of(kind: type, **options: object) -> object:
    """The middleware around what says that it was reached."""

    async def reached(scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b'["a", "b"]'})

    return kind(reached, **options)


def request(app: object, method: str, path: str, client: str = "10.0.0.9", content: object = None, **headers: str):
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app, client=(client, 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as asking:
            return await asking.request(method, path, content=content, headers=headers)

    return awaited(ask())


LIMITS = UploadLimits(request=1000, client_bytes=2500, client_files=9, client_requests=20, share=0.5)


def test_an_upload_may_have_so_many_bytes(tmp_path: Path) -> None:
    app = app_of(LimitedUploads, folder=tmp_path, limits=LIMITS)

    async def pieces(count: int):
        for _ in range(count):
            yield b"x" * 100

    assert request(app, "POST", PATH, content=b"x" * 1000).status_code == 200
    for content in (b"x" * 1001, pieces(11), pieces(1000)):  # said beforehand, and found on the way
        reply = request(app, "POST", PATH, content=content)
        assert reply.status_code == 413 and "choose less" in reply.text
    assert request(app, "POST", PATH, content=pieces(10)).status_code == 200
    # What was refused does not count.
    assert request(app, "POST", PATH, content=b"x" * 500).status_code == 200
    reply = request(app, "POST", PATH, content=b"x")
    assert reply.status_code == 429 and "try again later." in reply.text
    assert request(app, "POST", PATH, client="10.0.0.8", content=b"x").status_code == 200
    assert request(app, "POST", "/gradio_api/queue/join", content=b"x" * 5000).status_code == 200  # not an upload


def test_behind_a_proxy_clients_are_told_apart(tmp_path: Path) -> None:
    for trusted, last in (("10.0.0.9", 200), ("10.0.0.8", 429)):
        uploads = app_of(LimitedUploads, folder=tmp_path, limits=LIMITS)
        app = Proxies(uploads, load_settings(trusted_proxies=trusted).proxies)
        for client, status in (("1.2.3.4", 200), ("9.9.9.9, 1.2.3.4", 200), ("1.2.3.4", 429), ("5.6.7.8", last)):
            reply = request(app, "POST", PATH, content=b"x" * 1000, **{"x-forwarded-for": client})
            assert reply.status_code == status


def test_a_client_may_upload_so_often_and_so_many_files(tmp_path: Path) -> None:
    app = app_of(LimitedUploads, folder=tmp_path, limits=LIMITS)  # each answer names two files
    replies = [request(app, "POST", PATH, content=b"x").status_code for _ in range(6)]
    assert replies == [200] * 5 + [429]
    forgetful = UploadLimits(request=1000, client_bytes=2500, client_files=9, window=0.0)
    app = app_of(LimitedUploads, folder=tmp_path, limits=forgetful)
    assert {request(app, "POST", PATH, content=b"x" * 900).status_code for _ in range(9)} == {200}


def test_a_client_may_upload_so_much_at_a_time(tmp_path: Path) -> None:
    async def together() -> list[int]:
        there, going = asyncio.Semaphore(0), asyncio.Event()

        async def held(scope: Scope, receive: Receive, send: Send) -> None:
            there.release()
            await going.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"[]"})

        transport = httpx.ASGITransport(LimitedUploads(held, tmp_path, LIMITS), client=("10.0.0.9", 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as asking:
            first = [asyncio.create_task(asking.post(PATH, content=b"x")) for _ in range(LIMITS.at_once)]
            for _ in first:
                await there.acquire()
            another = await asking.post(PATH, content=b"x")
            going.set()
            replies = [await each for each in first]
            return [each.status_code for each in (another, *replies, await asking.post(PATH, content=b"x"))]

    assert awaited(together()) == [429, *[200] * (LIMITS.at_once + 1)]


def test_there_is_room_for_uploads_on_a_share_of_the_disk(tmp_path: Path) -> None:
    def kept(name: str, age: float) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (time.time() - age, time.time() - age))

    def room(need: int, free: int) -> bool:
        return make_room(tmp_path, need, 0.5, 3600.0, lambda folder: free)

    for name, age in (("oldest", 3000.0), ("older", 2000.0), ("old", 1000.0), ("young", 0.0), (".own", 9000.0)):
        kept(name, age)
    assert room(100, 10_000) and len(list(tmp_path.iterdir())) == 5
    # 400 bytes are taken and 100 are free, of which 250 are for uploads.
    assert room(50, 100)
    assert sorted(each.name for each in tmp_path.iterdir()) == [".own", "old", "young"]
    assert not room(10_000, 100)
    assert sorted(each.name for each in tmp_path.iterdir()) == [".own", "young"]  # which somebody may be using


def test_uploads_go_when_they_are_old_whatever_is_done_to_the_clock(tmp_path: Path) -> None:
    now, clock = [time.time()], [500.0]  # the system's, which is set, and the process's
    ages = Ages(lambda: now[0], lambda: clock[0])

    def there() -> set[str]:
        assert make_room(tmp_path, 1, 0.5, 3600.0, lambda folder: 10_000, ages)
        return {each.name for each in tmp_path.iterdir()}

    def came(name: str) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.jpg").write_bytes(b"x")
        os.utime(tmp_path / name, (now[0], now[0]))

    def goes_on(seconds: float) -> None:
        now[0], clock[0] = now[0] + seconds, clock[0] + seconds

    came("one")
    assert there() == {"one"}
    goes_on(3000)
    came("two")
    assert there() == {"one", "two"}
    goes_on(700)
    assert there() == {"two"}
    now[0] += 86_400 * 365  # it is put far ahead, and nothing is older for that
    assert there() == {"two"}
    now[0] -= 86_400 * 730  # and far back, and nothing is kept for good
    came("three")
    assert there() == {"two", "three"}
    goes_on(3000)
    assert there() == {"three"}
    goes_on(700)
    assert there() == set()
    # What a process finds when it begins is kept for that much longer.
    came("left")
    goes_on(3500)
    ages = Ages(lambda: now[0], lambda: clock[0])
    assert there() == {"left"}
    goes_on(3500)
    assert there() == {"left"}
    goes_on(200)
    assert there() == set()


def test_without_room_an_upload_is_refused_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.upload_limits.make_room", lambda folder, need, share, keep: need <= 600)
    app = app_of(LimitedUploads, folder=tmp_path, limits=LIMITS)
    assert request(app, "POST", PATH, content=b"x" * 600).status_code == 200
    reply = request(app, "POST", PATH, content=b"x" * 601)
    assert reply.status_code == 507 and "no room" in reply.text
    assert request(app, "POST", PATH, content=b"x" * 600).status_code == 200  # nothing is left counted as coming


def test_the_folder_of_uploads_is_this_process_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one, other = own_folder(), own_folder()
    assert one != other and one.stat().st_mode & 0o077 == 0
    (one / "a").mkdir()
    os.utime(one, (time.time() - LEFT_OLD - 60,) * 2)
    os.utime(other, (time.time() - LEFT_OLD + 600,) * 2)
    again = own_folder()
    assert not one.exists() and other.exists() and again.exists()


def test_routes_are_let_through() -> None:
    app = app_of(Routes)
    for path in ("/", "/config", "/gradio_api/queue/join", "/gradio_api/file=/tmp/proxy=x.png", "/gradio_api/upload"):
        assert request(app, "GET", path).status_code == 200
