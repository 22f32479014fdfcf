"""A small provider of OpenID Connect, for tests: discovery, authorize, token, user information, all checked as a strict
one does.

    with OpenIdServer("client", "secret") as provider:
        provider.account = {"sub": "1", "preferred_username": "ann"}

Whoever comes to authorize is at once sent back as the account, or refused (`denies`). It knows nothing of this project.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.fakes.local_server import Handler, LocalServer, Server


class OpenIdServer(LocalServer):
    """denies: whoever is asked says no. broken: paths that answer with this status, or with these bytes."""

    def __init__(self, client: str, secret: str) -> None:
        super().__init__(Server(("127.0.0.1", 0), type("Bound", (_Handler,), {"provider": self})))
        self.client, self.secret = client, secret
        self.account: dict[str, Any] = {}
        self.denies = False
        self.broken: dict[str, int | bytes] = {}
        self.asked: list[str] = []
        self.codes: dict[str, dict[str, str]] = {}
        self.tokens: dict[str, dict[str, Any]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class _Handler(Handler):
    provider: OpenIdServer

    def do_GET(self) -> None:  # noqa: N802
        path, told = self._asked()
        if path == "/.well-known/openid-configuration":
            names = ("authorization", "token", "userinfo")
            self._say({f"{name}_endpoint": f"{self.provider.url}/oauth/{name}" for name in names})
        elif path == "/oauth/authorization":
            self._authorize(told)
        elif path == "/oauth/userinfo":
            account = self.provider.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
            self._say(account or {"error": "invalid_token"}, 200 if account else 401)
        else:
            self._say({}, 404)

    def do_POST(self) -> None:  # noqa: N802
        _, _ = self._asked()
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        told = {name: value for name, [value] in parse_qs(body).items()}
        given = self.provider.codes.pop(told.get("code", ""), None)
        ours = base64.b64encode(f"{self.provider.client}:{self.provider.secret}".encode()).decode()
        right = (
            given is not None
            and self.headers.get("Authorization") == f"Basic {ours}"
            and told["redirect_uri"] == given["redirect_uri"]
            and _challenge(told["code_verifier"]) == given["code_challenge"]
        )
        if not right:
            return self._say({"error": "invalid_grant"}, 400)
        token = secrets.token_urlsafe(16)
        self.provider.tokens[token] = dict(self.provider.account)
        return self._say({"access_token": token, "token_type": "bearer", "id_token": "x.y.z"})

    def _authorize(self, told: dict[str, str]) -> None:
        assert (told["response_type"], told["client_id"]) == ("code", self.provider.client)
        assert told["code_challenge_method"] == "S256" and told["scope"].split()[0] == "openid"
        back = {"state": told["state"]}
        if self.provider.denies:
            back["error"] = "access_denied"
        else:
            back["code"] = secrets.token_urlsafe(16)
            self.provider.codes[back["code"]] = told
        self.send_response(302)
        self.send_header("Location", f"{told['redirect_uri']}?{urlencode(back)}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _asked(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        self.provider.asked.append(parts.path)
        return parts.path, {name: value for name, [value] in parse_qs(parts.query).items()}

    def _say(self, told: dict[str, Any], status: int = 200) -> None:
        broken = self.provider.broken.get(urlsplit(self.path).path)
        status = broken if isinstance(broken, int) else status
        body = broken if isinstance(broken, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
