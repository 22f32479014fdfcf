"""Measures what many people at once get of a server of the page, over HTTP, beside what one of them gets alone.

First one user asks every question, then so many users ask the same for some minutes, then one again. A server keeps the
last answers, so that there are more questions than it keeps, each about a photo of its own, and every user asks the one
that was asked longest ago. Every answer is compared with that to the same question asked alone. Knows nothing of how a
server answers, or how one is started.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from app.limits import ANSWERS_KEPT
from benchmarks.http_user import Failed, User
from benchmarks.server import Server

SAME = 1e-4  # between two scores of a passage
AGAIN = 20  # questions that one user asks after the many
Asked = tuple[Path, str]


def questions_for(users: int) -> int:
    """How many different ones keep so many users from meeting an answer that is still kept."""
    return ANSWERS_KEPT + 2 * users + AGAIN


@dataclass(frozen=True)
class Answer:
    """number: of the question. waited: seconds from the sending of the photo to the answer."""

    number: int
    user: int
    waited: float
    said: Mapping[str, Any]


@dataclass
class _Phase:
    """What a server said to some users while they asked."""

    answers: list[Answer] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    processor_seconds: float = 0.0

    def waited(self, share: float = 0.5) -> float:
        waits = sorted(each.waited for each in self.answers)
        return waits[min(len(waits) - 1, int(share * len(waits)))]


def wait_until_ready(server: Server, asked: Asked, patience: float = 3600.0) -> None:
    """Asks until the whole collection is indexed, which builds the index the first time. Raises Failed."""
    until = time.monotonic() + patience
    with User(server.address, 0) as user:
        while True:
            try:
                said = user.ask(*asked)
                # All are searchable before the index is put in order, after which scores are others.
                if said["indexed"] >= said["total"] > 0 and user.index_state() == "ready":
                    return
                problem = "the index was not ready"
            except (Failed, httpx.HTTPError) as failed:
                problem = str(failed)
            if server.process.poll() is not None or time.monotonic() > until:
                raise Failed(problem)
            time.sleep(1)


def measure_many(
    server: Server, asked: Sequence[Asked], users: int, seconds: float, tell: Callable[[str], None] = lambda line: None
) -> dict[str, Any]:
    """The figures, by name; times in seconds, memory in bytes. The server must be ready. asked: questions_for(users)
    photos and questions, no two the same. tell: hears what is done now."""
    turn, turns = count(), threading.Lock()

    def following() -> int:
        with turns:
            return next(turn) % len(asked)

    begun = server.memory()
    tell(f"one user asks {len(asked)} questions")
    before = _phase(server, asked, [User(server.address, 1)], following, until=lambda done: done >= len(asked))
    alone = {each.number: each.said for each in before.answers}
    tell(f"{users} users ask for {seconds / 60:g} minutes")
    ends, told = time.monotonic() + seconds, []
    everybody = [User(server.address, 2 + number) for number in range(users)]
    with ThreadPoolExecutor(2, "watching") as watching:
        watching.submit(_visit, server, asked[0], ends, seconds, told)
        weighing = watching.submit(_weigh, server, ends, seconds)
        many = _phase(server, asked, everybody, following, until=lambda done: time.monotonic() > ends)
    memory = weighing.result()
    fifth = max(1, len(memory) // 5)
    tell(f"one user asks {AGAIN} more")
    after = _phase(server, asked, [User(server.address, 1)], following, until=lambda done: done >= AGAIN)
    differing = [
        each.number
        for each in (*many.answers, *after.answers)
        if each.number in alone and not same_answer(alone[each.number], each.said)
    ]
    one = _Phase([*before.answers, *after.answers])
    each_user = [sum(answer.user == user.number for answer in many.answers) for user in everybody]
    waits = [each.waited for each in many.answers]
    return {
        "questions": len(asked),
        "users": users,
        "answered": len(many.answers),
        "answered_a_second": len(many.answers) / many.seconds,
        "processor_seconds_a_question": many.processor_seconds / max(1, len(many.answers)),
        "one_user_processor_seconds_a_question": before.processor_seconds / max(1, len(before.answers)),
        "one_user_median": one.waited(),
        "one_user_95": one.waited(0.95),
        "median": many.waited(),
        "95": many.waited(0.95),
        "longest_of_mean": max(waits) / statistics.fmean(waits),
        "fewest_of_a_user": min(each_user),
        "most_of_a_user": max(each_user),
        "from_the_cache": sum(each.said["cached"] for each in (*many.answers, *before.answers, *after.answers)),
        "differing": len(differing),
        "errors": len(problems := [*before.problems, *many.problems, *after.problems, *_problems(told)]),
        "first_error": next(iter(problems), ""),
        "places_told": sum(each for each in told if isinstance(each, int)),
        "memory_start": begun,
        # What a question holds while it is answered comes and goes, so of a fifth of the time the middle.
        "memory_middle": statistics.median(memory[2 * fifth : 3 * fifth] or memory),
        "memory_end": statistics.median(memory[-fifth:]),
    }


def _problems(told: Sequence[int | str]) -> list[str]:
    return [each for each in told if isinstance(each, str)]


def _phase(
    server: Server,
    asked: Sequence[Asked],
    users: Sequence[User],
    following: Callable[[], int],
    until: Callable[[int], bool],
) -> _Phase:
    """Each user asks the following question as soon as theirs is answered; until(how many were answered) ends it."""
    phase = _Phase()

    def go_on(user: User) -> None:
        while not until(len(phase.answers) + len(phase.problems)):
            number, began = following(), time.monotonic()
            try:
                said = user.ask(*asked[number])
            except (Failed, httpx.HTTPError, KeyError, ValueError) as problem:
                phase.problems.append(f"{type(problem).__name__}: {problem}")
            else:
                phase.answers.append(Answer(number, user.number, time.monotonic() - began, said))

    worked, began = server.processor_seconds(), time.monotonic()
    with ExitStack() as connected, ThreadPoolExecutor(len(users), "user") as threads:
        list(threads.map(go_on, [connected.enter_context(user) for user in users]))
    phase.seconds, phase.processor_seconds = time.monotonic() - began, server.processor_seconds() - worked
    if not phase.answers:
        raise Failed(phase.problems[0])
    return phase


def _visit(server: Server, asked: Asked, ends: float, seconds: float, told: list[int | str]) -> None:
    """Asks on the page meanwhile, and notes what is told of the place in the queue, or what goes wrong. Each question
    is a new one, so that the users never meet its answer among those that are kept."""
    photo, question = asked
    with User(server.address, 0) as visitor:
        for number in count(1):
            if time.monotonic() >= ends:
                break
            try:
                told.append(visitor.ask_on_the_page(photo, f"{question} ({number})"))
            except (Failed, httpx.HTTPError, KeyError, ValueError) as problem:
                told.append(f"on the page: {problem}")
            time.sleep(max(0.0, min(seconds / 10, ends - time.monotonic())))


def _weigh(server: Server, ends: float, seconds: float) -> list[int]:
    """The server's memory, a hundred times until it ends."""
    weighed = []
    while (left := ends - time.monotonic()) > 0:
        weighed.append(server.memory())
        time.sleep(min(left, seconds / 100))
    return weighed


def same_answer(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two answers say and cite the same, from the same passages; those whose scores are SAME may have changed
    places."""
    texts = ("answer", "answered", "reason", "citations", "searched")
    if any(one[text] != other[text] for text in texts) or len(one["passages"]) != len(other["passages"]):
        return False
    for mine, theirs in zip(one["passages"], other["passages"], strict=True):
        if abs(mine["score"] - theirs["score"]) > SAME:
            return False
        if mine["id"] != theirs["id"] and not any(
            each["id"] == theirs["id"] and abs(each["score"] - theirs["score"]) <= SAME for each in one["passages"]
        ):
            last = one["passages"][-1]["score"]  # of two alike at the end of the list, one may have been left out
            if abs(theirs["score"] - last) > SAME:
                return False
    return True


def lines(figures: Mapping[str, Any]) -> list[str]:
    """The figures as a person reads them."""
    f = figures
    megabytes = [f"{f[f'memory_{when}'] / 1e6:,.0f}" for when in ("start", "middle", "end")]
    return [
        f"{f['users']} users, {f['questions']} different questions, each about a photo of its own; "
        f"{f['from_the_cache']} answers were known from before",
        f"answered                {f['answered']}, {f['answered_a_second']:.2f} a second; {f['errors']} errors",
        f"unlike when asked alone {f['differing']}",
        f"answered after          {f['median']:.2f} s (median), {f['95']:.2f} s (95 %)",
        f"alone                   {f['one_user_median']:.2f} s (median), {f['one_user_95']:.2f} s (95 %)",
        f"longest wait            {f['longest_of_mean']:.2f} times the mean; "
        f"{f['fewest_of_a_user']} to {f['most_of_a_user']} answers a user",
        f"processor               {f['processor_seconds_a_question']:.3f} s a question; "
        f"{f['one_user_processor_seconds_a_question']:.3f} s of one alone",
        f"memory of the server    {' / '.join(megabytes)} MB at the start, in the middle, at the end",
        f"places in the queue     told {f['places_told']} times to who asked on the page",
    ]
