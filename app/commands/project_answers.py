"""`python -m generator eval --project NAME`: the answers of an annotation project by what people judged of them.

Knows the command line, joins what kb/annotations/ keeps to generator/evaluation/judged.py, and computes nothing.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from app.commands.annotation_exports import photos_in
from app.commands.printing import printable, table
from app.settings import Settings, load_settings
from common.passage import Evidence
from common.problems import BadRequest, Problem
from generator.answers import Answer, Citation
from generator.evaluation import comparing
from generator.evaluation.comparing import as_json, cell
from generator.evaluation.judged import JudgedAnswer, JudgedReport, judged_report, with_same_text
from generator.evaluation.measuring import KINDS, PASSAGES, SCORES, Asked, Outcome, Report
from kb.annotations.photos import Photos
from kb.annotations.projects import project_called
from kb.annotations.records import What
from kb.annotations.settled import SettledCandidate, SettledItem, settled_items
from kb.catalogue import Catalogue

# Of questions, their passages and their photographs: the report on each answerer, and what became of each question.
Evidences = Callable[[], Sequence[Sequence[Evidence]]]
Ask = Callable[[Sequence[Asked], Evidences, Callable[[int], Any]], list[tuple[Report, list[Outcome]]]]


def add_arguments(evaluate: argparse.ArgumentParser, source: Any) -> None:
    """source: the group of options of which one says what is measured."""
    source.add_argument(
        "--project", metavar="NAME", help="an annotation project: its answers by what people judged of them"
    )
    evaluate.add_argument(
        "--anew", action="store_true",
        help="with --project: answer its judged items again from their passages, and look for the same words judged",
    )  # fmt: skip
    evaluate.add_argument("--data-dir", metavar="DIR", help="with --project: folder of everything that is kept")
    evaluate.add_argument("--database-url", metavar="URL", help="with --project: SQLAlchemy URL of the catalogue")


@dataclass(frozen=True)
class _Project:
    """The answers of each answerer, the items of which one is judged, the grades of the scale."""

    answers: dict[str, list[JudgedAnswer]]
    items: list[SettledItem]
    grades: tuple[str, ...]


def run(args: argparse.Namespace, ask: Ask) -> None:
    """Measures and prints. ask: only called with --anew. Raises Problem."""
    if args.model is not None and not args.anew:
        raise Problem("A model answers a project's items with --anew only; add it, or leave out --model.")
    if args.images is not None or args.photo:
        raise Problem("--images and --photo go with --data; a project has its own photographs.")
    settings = load_settings(data_dir=args.data_dir, database_url=args.database_url)
    with _catalogue(settings) as catalogue:
        project = _read(catalogue, args.project, args.anew)
    reports = [judged_report(name, project.answers[name], project.grades) for name in sorted(project.answers)]
    told = {"project": args.project, "judged": as_json(reports)}
    if not args.anew:
        print(json.dumps(told, ensure_ascii=False, indent=2)) if args.json else _print(reports)
        return
    again, measured = _anew(project, ask, photos_in(settings))
    if args.json:
        told["anew"] = {"judged": as_json(again), "measured": as_json(measured)}
        print(json.dumps(told, ensure_ascii=False, indent=2))
        return
    _print(reports)
    print("\nAnswered anew from the passages; grades are those of the same words judged, the others are not judged.\n")
    _print(again)
    print()
    print(comparing.table(measured))


@contextmanager
def _catalogue(settings: Settings) -> Iterator[Catalogue]:
    catalogue = Catalogue(settings.catalogue_place)
    try:
        yield catalogue
    finally:
        catalogue.close()


def _read(catalogue: Catalogue, name: str, with_items: bool) -> _Project:
    grades = tuple(grade.key for grade in project_called(catalogue.database, name).answer_scale)
    answers: dict[str, list[JudgedAnswer]] = defaultdict(list)
    items = []
    for item in settled_items(catalogue.database, name, None if with_items else What.ANSWER, texts=True):
        own = [each for each in item.candidates if each.what == What.ANSWER]
        for each in own:
            for answerer in each.found:
                answers[answerer].append(_judged(item, each))
        if with_items and any(each.grade is not None for each in own):
            items.append(item)
    if not any(each.grade is not None or each.supported for some in answers.values() for each in some):
        raise BadRequest(
            f"Nobody has judged an answer of {name}; pool some with python -m app pool {name} --answers and judge them."
        )
    return _Project(answers, items, grades)


def _judged(item: SettledItem, each: SettledCandidate) -> JudgedAnswer:
    citations = [
        Citation(cited["number"], str(cited.get("passage", "")), str(quote), 0, 0)
        for cited in each.citations
        for quote in cited.get("quotes") or [""]
    ]
    answer = Answer(each.text, tuple(citations), answered=True)
    return JudgedAnswer(item.key, item.kind, _asked(item), answer, each.grade, each.supported or {})


def _asked(item: SettledItem) -> Asked:
    kind = item.kind if item.kind in KINDS else "string"
    return Asked(item.question, None, item.references, kind, item.photo)


def _anew(project: _Project, ask: Ask, photos: Photos) -> tuple[list[JudgedReport], list[Report]]:
    items = project.items

    def photo(number: int) -> Any:
        hash = items[number].photo
        if hash is None:
            return None
        from common.images import load_image

        return load_image(photos.path(hash))

    judged = [each for some in project.answers.values() for each in some]
    again, measured = [], []
    asked = [_asked(item) for item in items]
    for report, outcomes in ask(asked, lambda: [_evidence(item) for item in items], photo):
        told = [(item.key, item.kind, outcome) for item, outcome in zip(items, outcomes, strict=True)]
        again.append(judged_report(f"{report.answerer}, anew", with_same_text(told, judged), project.grades))
        measured.append(report)
    return again, measured


def _evidence(item: SettledItem) -> list[Evidence]:
    """The passages of an item by the best rank that any gave them, as a retriever would give them."""
    passages = [each for each in item.candidates if each.what == What.PASSAGE]
    best = sorted(passages, key=lambda each: min(each.found.values(), default=len(passages)))[:PASSAGES]
    return [
        Evidence(
            each.passage_id or each.content_hash, each.title, each.text, each.url, corpus=each.corpus,
            section=each.section, rank=rank, score=0.71 - 0.01 * rank,
        )
        for rank, each in enumerate(best, 1)
    ]  # fmt: skip


def _print(reports: Sequence[JudgedReport]) -> None:
    rows = [["", *(printable(each.answerer) for each in reports)]]
    rows += [[name, *(str(getattr(each, name)) for each in reports)] for name in ("answers", "unjudged")]
    rows += [[grade, *(cell(each.grades[grade]) for each in reports)] for grade in reports[0].grades]
    rows.append(["citations supported", *(cell(each.supported) for each in reports)])
    for form in ("whole", "short"):
        for name in SCORES:
            if any(getattr(each, form)[name].count for each in reports):
                rows.append([f"{name} ({form} answer)", *(cell(getattr(each, form)[name]) for each in reports)])
    for kind in dict.fromkeys(kind for each in reports for kind in each.kinds):
        rows.append([printable(kind) or "no kind", *("" for _ in reports)])
        of_kind = [each.kinds.get(kind, {}) for each in reports]
        names = dict.fromkeys(name for figures in of_kind for name in figures)
        rows += [[f"  {name}", *(cell(figures.get(name)) for figures in of_kind)] for name in names]
    table(rows)
