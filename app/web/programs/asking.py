"""The way of a program's question: whether it may be asked now, its turn in the line that the page's questions wait in
too, the steps of its answer, and its end when nobody listens any more.

Knows nothing of how it was sent or of how an answer comes about.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from starlette.types import Scope

from app.service.job_states import IndexState
from app.service.results import EvidenceFound, Result, Step
from app.service.stepwise import first_of, stepwise
from app.web.clients import client_of, key_of
from app.web.metrics import LEFT
from app.web.rates import Askings
from app.web.waiting_line import Place
from common.following import Followed, Hears, following
from common.problems import Problem
from common.worker_thread import PAUSE

if TYPE_CHECKING:
    from app.service.ask import AnswerService
    from app.service.starting_service import StartingService


@dataclass(frozen=True)
class Waits:
    """The question waits for its turn; so many come before it."""

    before: int


@dataclass(frozen=True)
class Working:
    """Nothing new yet. said: what is waited for, a sentence; "" where that is just the work."""

    said: str = ""


Told = Waits | Working | Step


class Asking:
    """service: which answers. enter: gives a place in the line that all questions wait in. askings: how much who asks.
    counted: what counts the steps of one. hears: who follow questions."""

    def __init__(
        self,
        service: AnswerService | StartingService,
        enter: Callable[[str], Place],
        askings: Askings,
        counted: Callable[[Iterator[Step], Followed], Iterator[Step]],
        hears: Sequence[Hears] = (),
    ) -> None:
        self._service = service
        self._enter = enter
        self._askings = askings
        self._counted = counted
        self._hears = hears

    def steps(self, scope: Scope, *given: Any, **how: Any) -> AsyncGenerator[Told, None]:
        """What is told of a question, with the arguments of `AnswerService.ask`, the Result last. scope: of the request
        that asks it. Closing it ends the question. Raises Problem, when iterated."""
        about = {"asked": how.get("question", given[1] if len(given) > 1 else "")}
        return self._in_turn(scope, about, lambda question: self._counted(self._service.ask(*given, **how), question))

    async def evidence(self, scope: Scope, *given: Any, **how: Any) -> EvidenceFound:
        """The passages for a question alone; as `steps`."""
        steps = self._in_turn(scope, {}, lambda question: self._service.ask(*given, **how))
        return await first_of(steps, EvidenceFound)

    async def answer(self, scope: Scope, *given: Any, **how: Any) -> Result:
        """The whole result alone; as `steps`."""
        return await first_of(self.steps(scope, *given, **how), Result)

    async def _in_turn(
        self, scope: Scope, content: dict[str, object], begin: Callable[[Followed], Generator[Step, None, None]]
    ) -> AsyncGenerator[Told, None]:
        status = await to_thread.run_sync(self._service.status)
        if status.state == IndexState.STARTING:
            raise Problem(status.message)
        payers = self._askings.payers(scope)
        with ExitStack() as held:
            followed = Followed(self._hears, {"way": "api"}, content | {"client": client_of(scope)}, LEFT)
            held.enter_context(followed.asked())
            held.enter_context(self._askings.asking(payers))
            await self._askings.count(payers)
            place = held.enter_context(self._enter(person_of(scope)))
            began = perf_counter()
            while before := place.before():
                yield Waits(before)
                await place.turn(PAUSE)
            followed.stage("wait", began, perf_counter())
            async with aclosing(stepwise(_followed(followed, begin))) as steps:
                async for step in steps:
                    yield Working(self._service.loading()) if step is None else step


def _followed(
    question: Followed, begin: Callable[[Followed], Generator[Step, None, None]]
) -> Generator[Step, None, None]:
    with following(question):
        yield from begin(question)


def person_of(scope: Scope) -> str:
    """Who waits in line: the key, or the address where there is none."""
    key = key_of(scope)
    return f"key {key}" if key else client_of(scope)
