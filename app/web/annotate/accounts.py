"""Signing in with a Hugging Face account, on a Space: to Hugging Face and back, with a sentence for what goes wrong.

    GET  annotation/sign-in/huggingface?invitation=CODE
    GET  login/callback              where Hugging Face leads back to

What is kept in the browser after that is a session of this program's own. Knows nothing of who may what.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.service.annotating import Annotating
from app.settings import Settings
from app.web.annotate.door import BACK
from app.web.annotate.openid import Account, Attempt, Provider
from app.web.annotate.who import is_secure, remember
from app.web.escaping import escape
from app.web.languages import in_words, say, speaking
from common.problems import BadRequest, Problem
from kb.annotations.identities import sign_in_as

START = "/annotation/sign-in/huggingface"
_ATTEMPT = "citesight_sign_in"
_SECONDS = 600  # that somebody may take at Hugging Face
_LONGEST = 100  # characters of an invitation's code


class Accounts:
    """From any thread."""

    def __init__(self, desk: Annotating) -> None:
        self._desk = desk
        self._settings = settings = desk.settings
        self._provider = Provider(
            settings.openid_provider_url, settings.oauth_client_id, settings.oauth_client_secret,
            settings.oauth_scopes, settings.space_address + BACK,
        )  # fmt: skip

    def start(self, request: Request, _: bytes) -> Response:
        code = request.query_params.get("invitation", "")
        try:
            address, attempt = self._provider.begin(code if _is_code(code) else "")
        except Problem as problem:
            return _told(problem)
        answer = RedirectResponse(address, 303)
        answer.set_cookie(
            _ATTEMPT, attempt.as_text(), max_age=_SECONDS, httponly=True, samesite="lax", secure=is_secure(request),
            path=BACK,
        )  # fmt: skip
        return answer

    def back(self, request: Request, _: bytes) -> Response:
        attempt = Attempt.of(request.cookies.get(_ATTEMPT, ""))
        try:
            account = self._provider.finish(request.query_params, attempt)
            token = sign_in_as(
                self._desk.database, account.subject, account.name, owns(account, self._settings), attempt.code
            )
        except Problem as problem:
            answer = _told(problem)
        else:
            answer = RedirectResponse("/#annotate", 303)
            remember(answer, request, token=token)
        answer.delete_cookie(_ATTEMPT, path=BACK)
        answer.headers["Cache-Control"] = "no-store"
        return answer


def owns(account: Account, settings: Settings) -> bool:
    """Whether it is of whose Space this is: the user, or who runs the organisation."""
    return bool(settings.space_author) and settings.space_author in (account.name, *account.runs)


def _is_code(text: str) -> bool:
    return len(text) <= _LONGEST and text.replace("-", "").replace("_", "").isalnum() and text.isascii()


def _told(problem: Problem) -> Response:
    """As a page of its own: the browser went here, and not the page's script."""
    status = 400 if isinstance(problem, BadRequest) else 502
    here, heading = speaking(), say("page.not_signed_in")
    again, page = say("page.sign_in_again"), say("page.to_page")
    return HTMLResponse(
        f'<!doctype html><html lang="{here.code}" dir="{here.direction}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{heading}</title>'
        "<style>body{font:1.1rem/1.5 system-ui;max-width:34rem;margin:4rem auto;"
        "padding:0 1rem;color-scheme:light dark}</style>"
        f'<h1>{heading}</h1><p>{escape(in_words(str(problem)))}</p><p><a href="{START}">{again}</a> · '
        f'<a href="/#annotate">{page}</a></p></html>',
        status,
    )
