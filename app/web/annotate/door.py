"""The way to what answers the Annotate tab, which comes with the catalogue: until that is loaded, it says so.

Knows nothing of what is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.web.ask.shown import ShownAnswers
from app.web.languages import in_words

if TYPE_CHECKING:  # it comes with the models, which take seconds to import
    from app.service.annotating import Annotating

BACK = "/login/callback"  # where Hugging Face leads back to, which it lets a Space have nowhere else
STARTING = "The program is still starting; wait a moment."


class Door:
    """desk: gives None as long as the program is starting. shown: answers of the Ask page, by their buttons' keys."""

    def __init__(self, desk: Callable[[], Annotating | None], shown: ShownAnswers) -> None:
        self._desk = desk
        self._shown = shown
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        desk = self._desk()
        if desk is None:
            await JSONResponse({"problem": in_words(STARTING)}, 503)(scope, receive, send)
            return
        if self._app is None:
            from app.web.annotate.routes import annotation_app

            self._app = annotation_app(desk, self._shown)
        await self._app(scope, receive, send)
