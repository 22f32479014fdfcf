"""Who somebody is by a provider of OpenID Connect, such as Hugging Face: the authorization code flow, with PKCE.

The provider is asked for its user information over TLS, and what it gives is forgotten but for who it is: no token of
the provider's is kept, logged or handed to a browser. What an attempt needs to be ended is in the browser that began
it (`Attempt`). Knows nothing of people, of roles or of cookies.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
from pydantic import SecretStr

from app.hosts import is_loopback
from common.problems import BadRequest, Problem
from common.proxies import told_of_proxies

SECONDS = 10.0  # for each of the provider's answers
_MOST_BYTES = 200_000
_KEPT = 3600.0  # seconds that the provider's addresses are
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
_LONGEST = 200  # characters of a subject or a name


@dataclass(frozen=True)
class Attempt:
    """What the browser keeps of a sign-in that it began: `state` comes back with the answer, `verifier` proves that who
    ends it began it; `code` is that of an invitation, or ""."""

    state: str
    verifier: str
    code: str

    def as_text(self) -> str:
        return ".".join((self.state, self.verifier, self.code))

    @classmethod
    def of(cls, text: str) -> Attempt | None:
        parts = text.split(".")
        return cls(*parts) if len(parts) == 3 and parts[0] and parts[1] else None


@dataclass(frozen=True)
class Account:
    """An account of the provider's: its subject, which never changes, its name, and the organisations that it runs."""

    subject: str
    name: str
    runs: frozenset[str]


class Provider:
    """issuer: its address; back: where it leads back to, which it must know. From any thread."""

    def __init__(self, issuer: str, client_id: str, secret: SecretStr, scopes: str, back: str) -> None:
        self._issuer = issuer.rstrip("/")
        self._client = (client_id, secret)
        self._scopes = scopes
        self._back = back
        self._found: tuple[float, dict[str, str]] | None = None
        self._finding = threading.Lock()

    def begin(self, code: str = "") -> tuple[str, Attempt]:
        """Where the browser is to go, and what it is to keep. Raises Problem where the provider is not there."""
        attempt = Attempt(secrets.token_urlsafe(32), secrets.token_urlsafe(48), code)
        proof = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code", "client_id": self._client[0], "redirect_uri": self._back, "scope": self._scopes,
            "state": attempt.state, "code_challenge": proof, "code_challenge_method": "S256",
        }  # fmt: skip
        return f"{self._endpoints()['authorization_endpoint']}?{urlencode(asked)}", attempt

    def finish(self, told: Mapping[str, str], attempt: Attempt | None) -> Account:
        """Whose account it is. told: what the provider had the browser say. Raises BadRequest where that belongs to no
        attempt of this browser's or was refused, and Problem where the provider is not there."""
        if attempt is None or not hmac.compare_digest(told.get("state", "").encode(), attempt.state.encode()):
            raise BadRequest("This browser did not begin to sign in here, or that was too long ago; sign in again.")
        if told.get("error") == "access_denied":
            raise BadRequest("Hugging Face was not allowed to say who you are; sign in again to allow it.")
        if "error" in told or not told.get("code"):
            raise BadRequest("Hugging Face did not sign you in; try again.")
        endpoints, (client_id, secret) = self._endpoints(), self._client
        given = {
            "grant_type": "authorization_code", "code": told["code"], "redirect_uri": self._back,
            "client_id": client_id, "code_verifier": attempt.verifier,
        }  # fmt: skip
        auth = httpx.BasicAuth(client_id, secret.get_secret_value())
        answer = _asked("POST", endpoints["token_endpoint"], data=given, auth=auth)
        token = answer.get("access_token")
        if not isinstance(token, str) or not token.isascii():
            raise _strange()
        return _account(_asked("GET", endpoints["userinfo_endpoint"], headers={"Authorization": f"Bearer {token}"}))

    def _endpoints(self) -> dict[str, str]:
        with self._finding:
            if self._found is None or time.monotonic() - self._found[0] > _KEPT:
                told = _asked("GET", f"{self._issuer}/.well-known/openid-configuration")
                found = {name: told.get(name) for name in _ENDPOINTS}
                if not all(map(_safe, found.values())):
                    raise _strange()
                self._found = time.monotonic(), found
            return self._found[1]


def _asked(method: str, url: str, **more: Any) -> dict[str, Any]:
    """The object that an address answers with. What is sent and what comes back is in no message."""
    body = b""
    with told_of_proxies():
        made = httpx.Client(timeout=SECONDS, headers={"Accept": "application/json"})
    try:
        with (
            made as client,
            client.stream(method, url, **more) as reply,
        ):
            for piece in reply.iter_bytes():
                body += piece
                if len(body) > _MOST_BYTES:
                    raise _strange()
        status = reply.status_code
    except (httpx.HTTPError, httpx.InvalidURL):
        raise Problem("Hugging Face does not answer just now, so nobody can sign in; try again in a minute.") from None
    if method == "POST" and status in (400, 401, 403):
        raise BadRequest("Hugging Face did not take the answer that it gave; sign in again.")
    if status != 200:
        raise Problem("Hugging Face has trouble just now, so nobody can sign in; try again in a minute.")
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise _strange() from None
    if not isinstance(told, dict):
        raise _strange()
    return told


def _account(told: Mapping[str, Any]) -> Account:
    subject, name, orgs = told.get("sub"), told.get("preferred_username"), told.get("orgs")
    for text in (subject, name):
        if not isinstance(text, str) or not 0 < len(text) <= _LONGEST or not text.isprintable():
            raise _strange()
    known = [each for each in orgs if isinstance(each, dict)] if isinstance(orgs, list) else []
    run = frozenset(str(each.get("preferred_username")) for each in known if each.get("roleInOrg") == "admin")
    return Account(subject, name, run)


def _safe(address: object) -> bool:
    """Whether secrets may be sent there: nobody between reads them."""
    try:
        url = httpx.URL(address) if isinstance(address, str) else None
    except httpx.InvalidURL:
        return False
    return url is not None and (url.scheme == "https" or (url.scheme == "http" and is_loopback(url.host)))


def _strange() -> Problem:
    return Problem("Hugging Face answered in a way that is not understood; try again in a minute.")
