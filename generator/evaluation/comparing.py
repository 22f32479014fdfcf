"""Asks answerers the same questions and puts what is measured of them into one table.

Knows nothing of the catalogue, the encoder or how a photo is read: these are handed in.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from common.passage import Evidence
from common.problems import Problem
from common.text import shown
from generator.answers import Anew, Answer, Answerer, said_with
from generator.evaluation.measuring import SCORES, Asked, Mean, Outcome, Report, final, report
from generator.grounding.citations import cited_answer

if TYPE_CHECKING:
    from PIL.Image import Image

Ask = Callable[[str, "Image | None", Sequence[Evidence]], Answer]


@dataclass(frozen=True)
class Contender:
    """What is measured, under the name it has in the table. Without retrieval it gets no passages."""

    name: str
    retrieval: bool
    ask: Ask


def from_passages(name: str, answerer: Answerer) -> Contender:
    return Contender(name, True, lambda question, image, passages: final(answerer, question, image, passages))


def from_nothing(name: str, own_answer: Callable[[str, Image | None], Iterable[str | Anew]]) -> Contender:
    """own_answer gives pieces of text; one that says that it cannot tell counts as silence."""

    def ask(question: str, image: Image | None, _: Sequence[Evidence]) -> Answer:
        return cited_answer(reduce(said_with, own_answer(question, image), ""), ())

    return Contender(name, False, ask)


def photo_paths(asked: Sequence[Asked], folder: Path | None) -> list[Path | None]:
    """Where each question's photo lies. Raises ValueError for a path to no file or out of the folder."""
    paths: list[Path | None] = []
    for question in asked:
        if question.image is None:
            paths.append(None)
            continue
        if folder is None:
            raise Problem("The records name images; say with --images in which folder they are.")
        root = folder.resolve()
        try:
            path = (root / question.image).resolve()
            inside, there = path.is_relative_to(root), path.is_file()
        except (OSError, ValueError, RuntimeError):  # a name that no file can have, links in a ring
            inside = there = False
        if not inside or not there:
            problem = "leads to no file of the folder given with --images"
            raise Problem(f"The image {shown(question.image)!r} {problem}.")
        paths.append(path)
    return paths


def measure(
    contender: Contender,
    asked: Sequence[Asked],
    evidence: Sequence[Sequence[Evidence]],
    photo: Callable[[int], Image | None],
    told: Callable[[int], None] = lambda done: None,
) -> tuple[Report, list[Outcome]]:
    """Ask a contender all questions. photo gives the image that goes with the question of that number, from 0.

    A question whose photo or answer raises Problem becomes an error; told is called after each."""
    outcomes, spent = [], 0.0
    for number, (question, all_passages) in enumerate(zip(asked, evidence, strict=True)):
        passages = tuple(all_passages) if contender.retrieval else ()
        answer, problem = None, ""
        try:
            image = photo(number)
            started = perf_counter()
            try:
                answer = contender.ask(question.question, image, passages)
            finally:
                spent += perf_counter() - started
        except Problem as caught:
            problem = str(caught)
        outcomes.append(Outcome(question, passages, answer, problem))
        told(number + 1)
    return report(contender.name, contender.retrieval, outcomes, spent), outcomes


def show_progress(name: str, total: int) -> Callable[[int], None]:
    """For a person at a terminal; nothing where stderr is none."""

    def told(done: int) -> None:
        if sys.stderr.isatty():
            end = "\n" if done == total else ""
            print(f"\r{name}: {done} of {total} questions", end=end, file=sys.stderr, flush=True)

    return told


def first_problem(name: str, outcomes: Sequence[Outcome]) -> str:
    """A sentence on the errors among them; "" where there are none."""
    problems = [o.problem for o in outcomes if o.answer is None]
    if not problems:
        return ""
    return f"{name}: {len(problems)} of {len(outcomes)} questions ended in an error; the first: {problems[0]}"


# --- Showing


def as_json(reports: Sequence[Report]) -> list[dict[str, Any]]:
    """A row for each report; NaN, which is not JSON, as None."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(each) for key, each in value.items()}
        return None if isinstance(value, float) and math.isnan(value) else value

    return [plain(asdict(each)) for each in reports]


def table(reports: Sequence[Report]) -> str:
    """One column for each report, one line for each figure: its mean, the 95 % interval and over how many."""
    lines = [["", *(f"{each.answerer}, {'with' if each.retrieval else 'no'} passages" for each in reports)]]
    lines += [[name, *(str(getattr(each, name)) for each in reports)] for name in ("questions", "errors")]
    for form in ("whole", "short"):
        for name in SCORES:
            lines.append([f"{name} ({form} answer)", *(cell(getattr(each, form)[name]) for each in reports)])
    kinds = list(dict.fromkeys(kind for each in reports for kind in each.kinds))
    for kind in kinds if len(kinds) > 1 else ():
        lines.append([f"infoseek, {kind} (short answer)", *(cell(each.kinds.get(kind)) for each in reports)])
    for name in ("answered", "wrong", "precision", "wrong_abstention", "right_abstention", "citation_precision",
                 "citation_recall"):  # fmt: skip
        lines.append([name.replace("_", " "), *(cell(getattr(each, name)) for each in reports)])
    lines.append(["milliseconds", *(str(each.milliseconds) for each in reports)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def cell(figure: Mean | None) -> str:
    """A figure in a table: its mean, the interval and over how many; "-" where there is none."""
    if figure is None or not figure.count:
        return "-"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}) of {figure.count}"
