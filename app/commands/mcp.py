"""`python -m app mcp`: the tools for agents over standard input and output, for a host that starts the program itself.

Knows nothing of what the tools do (app/mcp_tools.py), and imports what they need when it begins.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app.options import add_answer_options, add_common_options, settings_from
from common.problems import problem_sentence

if TYPE_CHECKING:
    from app.service.ask import AnswerService
    from app.service.results import EvidenceFound, Result
    from common.passage import Passage


def add_command(commands: Any) -> None:
    """Adds it to the parser of `python -m app`."""
    parser = commands.add_parser(
        "mcp",
        help="the tools for agents, over standard input and output",
        description="Serve the tools for agents over standard input and output, until that ends. The collection is "
        "fetched and indexed the first time; what is there already can be asked meanwhile.",
    )
    parser.add_argument("--corpus", metavar="NAME", help="the collection (default: wikipedia-vital)")
    add_common_options(parser)
    add_answer_options(parser)
    parser.set_defaults(run=_run)


class _Here:
    """As app.mcp_tools.Desk, for who has started this program."""

    def __init__(self, service: AnswerService) -> None:
        self._service = service

    async def answer(self, request: None, *given: Any, **how: Any) -> Result:
        from app.service.results import Result

        return await self._first(Result, given, how)

    async def evidence(self, request: None, *given: Any, **how: Any) -> EvidenceFound:
        from app.service.results import EvidenceFound

        return await self._first(EvidenceFound, given, how)

    async def passage(self, request: None, id: str) -> Passage | None:
        return await asyncio.to_thread(self._service.passage, id)

    async def _first(self, kind: type, given: Sequence[Any], how: Mapping[str, Any]) -> Any:
        """The first step of that kind."""
        from app.service.stepwise import first_of, stepwise

        return await first_of(stepwise(self._service.ask(*given, **how)), kind)

    def sentence(self, problem: Exception) -> str:
        return problem_sentence(problem, "answering")


def _run(args: argparse.Namespace) -> int:
    from app.service.assembly import build_service
    from app.service.opening import check_beginning

    settings = settings_from(args)
    check_beginning(settings)
    service = build_service(settings)
    try:
        service.start()
        asyncio.run(_serve(service))
    finally:
        service.close()
    return 0


async def _serve(service: AnswerService) -> None:
    from mcp.server.stdio import stdio_server  # here, since the other commands need not wait for its import

    from app.mcp_tools import tools_server

    server = tools_server(_Here(service), paths=True)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())
