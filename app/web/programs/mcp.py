"""The tools for agents over streamable HTTP, at /mcp: each request stands alone, so that any process answers any.

Knows the protocol's package and the keys; nothing of what the tools do (app/mcp_tools.py).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.mcp_tools import tools_server
from app.service.results import EvidenceFound, Result
from app.web.programs.api import loaded
from app.web.programs.asking import Asking
from app.web.programs.bodies import MAX_PHOTO_REQUEST
from app.web.programs.keys import check_right
from app.web.programs.problems import Refused, said, told
from app.web.receiving import json_object, while_there
from common.passage import Passage
from common.worker_thread import Gone
from kb.keys.records import Right

if TYPE_CHECKING:
    from app.service.ask import AnswerService
    from app.service.starting_service import StartingService


class AtDesk:
    """As app.mcp_tools.Desk, for who asks over HTTP, with the rights of their key."""

    def __init__(self, service: AnswerService | StartingService, asking: Asking) -> None:
        self._service, self._asking = service, asking

    async def answer(self, request: Any, *given: Any, **how: Any) -> Result:
        check_right(request.scope, Right.ASK)
        return await self._asking.answer(request.scope, *given, **how)

    async def evidence(self, request: Any, *given: Any, **how: Any) -> EvidenceFound:
        check_right(request.scope, Right.RETRIEVE)
        return await self._asking.evidence(request.scope, *given, **how)

    async def passage(self, request: Any, id: str) -> Passage | None:
        check_right(request.scope, Right.ASK, Right.RETRIEVE)
        return await run_in_threadpool(loaded(self._service).passage, id)

    def sentence(self, problem: Exception) -> str:
        return said(problem)[1]


class ToolsOverHttp:
    """What answers at /mcp. It begins with the first request, in the loop that serves."""

    def __init__(self, desk: AtDesk) -> None:
        server = tools_server(desk, paths=False)
        # Whose page asks, and by which name, was looked at before (app/web/middleware.py).
        self._manager = StreamableHTTPSessionManager(
            server, stateless=True, max_request_body_size=MAX_PHOTO_REQUEST, security_settings=None
        )
        self._running: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":  # nothing is told but what was asked for
            refused = Refused(405, "Tools are called by POST here; see docs/programs.md.")
            await told(refused, {"Allow": "POST"})(scope, receive, send)
            return
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await self._begun.wait()
        body = await receive()  # all of it, see bodies.py
        if not await run_in_threadpool(_is_a_message, body.get("body", b"")):
            wrong = Refused(400, "This is no message of the Model Context Protocol; send one of JSON-RPC 2.0.")
            await told(wrong)(scope, receive, send)
            return
        given = False

        async def received() -> Message:
            nonlocal given
            if given:
                await asyncio.Event().wait()  # that the client has gone ends all of this
            given = True
            return body

        with suppress(Gone):
            await while_there(receive, self._manager.handle_request(scope, received, send))

    async def _run(self) -> None:
        async with self._manager.run():
            self._begun.set()
            await asyncio.Event().wait()


def _is_a_message(body: bytes) -> bool:
    """What is not is said in a sentence here, where the protocol's package lists what it would take."""
    message = json_object(body)
    return message.get("jsonrpc") == "2.0" and not message.keys().isdisjoint(("method", "result", "error"))


def at_mcp(service: AnswerService | StartingService, asking: Asking) -> ASGIApp:
    return ToolsOverHttp(AtDesk(service, asking))
