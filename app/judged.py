"""What people judged as files that training and measuring read, as it was at one moment, and a part of it held out.

    train.jsonl     questions to learn from, with the passages that answer them and hard negatives
    passages.jsonl  the passages that those name
    held-out.jsonl  questions to measure with
    pool.jsonl      the passages that they are asked of: all that were judged, then others of the same collections
    about.json      how many of each, and the SHA-256 of each file

Joins kb/annotations/ to retriever/training/, which know nothing of one another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from common.passage import Passage
from common.problems import Problem
from common.text import shown
from kb.annotations.pairs import JudgedPassage, JudgedQuestion, judged_questions, learnable
from kb.annotations.photos import Photos
from kb.catalogue import Catalogue
from kb.catalogue.database import Database
from retriever.encoders.base import passage_text
from retriever.training.files import whole
from retriever.training.holding_out import held_out
from retriever.training.recipe import DataSet, HeldOut, Recipe, project_of

TRAIN, LEARNED, HELD, POOL, ABOUT = "train.jsonl", "passages.jsonl", "held-out.jsonl", "pool.jsonl", "about.json"


@dataclass(frozen=True)
class Written:
    """What lies in a folder. learned, held: questions. without: items left out since no passage judged answers them.
    apart: negatives left out since what is on the other side answers from their document, or learns from it. passages:
    in the pool."""

    project: str
    learned: int
    held: int
    without: int
    apart: int
    passages: int

    def __str__(self) -> str:
        left = f"{self.without:,} without a passage that answers them were left out"
        apart = f", and {self.apart:,} negatives whose documents are on the other side" if self.apart else ""
        return f"{self.project}: {self.learned:,} items to learn from, {self.held:,} held out; {left}{apart}."


def write_judged(
    database: Database, catalogue: Catalogue, photos: Photos, project: str, share: float, seed: int, folder: Path,
    most: int = HeldOut.pool,
) -> Written:  # fmt: skip
    """Writes what people judged in a project to a folder, in the place of what was there, about `share` of the items
    held out: no document and no photo of theirs is among what is learned from. catalogue: of the collections that the
    passages are from. most: passages in the pool, but for what was judged. Raises Problem."""
    if folder.exists() and not (folder / ABOUT).is_file():
        raise Problem(f"{shown(folder)} holds something else; move it away, or choose another place with --output.")
    questions, without = learnable(judged_questions(database, project), project)
    _check_photos(questions, photos)
    held = held_out({each.key: _shared(each) for each in questions}, share, seed) if share else frozenset()
    learned, left = _apart(questions, held)
    pool = {each.id: each for each in _passages([*left, *learned])}
    for each in _others(catalogue, {each.corpus for each in pool.values()}, most):
        if len(pool) >= most:
            break
        pool.setdefault(each.id, each)
    count = sum(len(each.negatives) for each in questions) - sum(len(each.negatives) for each in [*learned, *left])
    told = Written(project, len(learned), len(left), without, count, len(pool))
    with whole(folder, "run it again") as place:
        place.mkdir()
        _write(place / TRAIN, (_row(each, photos) for each in learned))
        _write(place / LEARNED, map(_told, {each.id: each for each in _passages(learned)}.values()))
        _write(place / HELD, (_row(each, photos) for each in left))
        _write(place / POOL, map(_told, pool.values()))
        sums = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(place.iterdir())}
        about = asdict(told) | {"held_out": share, "seed": seed, "sha256": sums}
        (place / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    return told


def resolved(recipe: Recipe, folder: Path, photos: Photos) -> Recipe:
    """The recipe with the files in the folder, one of each project, in the place of what people judged. Raises Problem
    where some is gone."""

    def of(each: DataSet | HeldOut) -> DataSet | HeldOut:
        if not each.source:
            return each
        place, learns = folder / project_of(each), isinstance(each, DataSet)
        if not (place / ABOUT).is_file():
            raise Problem(
                f"What the run began with of {each.source} is not in {place} any more; put it back, or begin another "
                "run with --output."
            )
        rows, passages = (TRAIN, LEARNED) if learns else (HELD, POOL)
        files = {"jsonl": str(place / rows), "passages": str(place / passages), "images": str(photos.folder)}
        return replace(each, source="", **files, **({"held_out": 0.0} if learns else {}))

    return replace(recipe, data=tuple(map(of, recipe.data)), held_out=tuple(map(of, recipe.held_out)))


def write_for(recipe: Recipe, catalogue: Catalogue, photos: Photos, folder: Path) -> list[Written]:
    """Writes what people judged in each project that the recipe names, in the folder. Raises Problem."""
    found = []
    for source, share in {each.source: each.held_out for each in recipe.data if each.source}.items():
        pools = [each.pool for each in recipe.held_out if each.source == source]
        project = project_of(DataSet(source=source))
        place = folder / project
        most = max(pools, default=0)
        found.append(write_judged(catalogue.database, catalogue, photos, project, share, recipe.seed, place, most))
    return found


def _check_photos(questions: Sequence[JudgedQuestion], photos: Photos) -> None:
    gone = [each for each in questions if each.photo is not None and not photos.there(each.photo)]
    if gone:
        raise Problem(
            f"The photo of the item {shown(gone[0].key, 80)}, {gone[0].photo}, is not in {photos.folder} any more "
            f"({len(gone):,} items have lost theirs); put it back, or add the items again."
        )


def _shared(question: JudgedQuestion) -> set[str]:
    """What no item on the other side may have in common with this one."""
    photo = {f"photo {question.photo}"} if question.photo else set()
    return photo | _marks(question.positives)


def _marks(passages: Collection[JudgedPassage]) -> set[str]:
    """Documents and texts: the same text may stand in two documents."""
    texts = {f"text {each.text}" for each in passages}
    return texts | {f"document {each.document_id}" for each in passages if each.document_id}


def _apart(
    questions: Sequence[JudgedQuestion], held: Collection[str]
) -> tuple[list[JudgedQuestion], list[JudgedQuestion]]:
    """Those to learn from and those held out, without the negatives that are of a document on the other side: what
    answers there is learned as wrong nowhere, and what is learned is measured with nowhere."""
    learned = [each for each in questions if each.key not in held]
    left = [each for each in questions if each.key in held]
    answers = {mark for each in left for mark in _marks(each.positives)}
    learned = [_without(each, answers) for each in learned]
    known = _marks(list(_passages(learned)))
    return learned, [_without(each, known) for each in left]


def _without(question: JudgedQuestion, marks: set[str]) -> JudgedQuestion:
    return replace(question, negatives=tuple(each for each in question.negatives if not _marks([each]) & marks))


def _passages(questions: Sequence[JudgedQuestion]) -> Iterator[JudgedPassage]:
    for each in questions:
        yield from each.positives
        yield from each.negatives


def _others(catalogue: Catalogue, corpora: set[str], most: int) -> Iterator[Passage]:
    """Passages of collections, known by what they say as those that were judged are; of ones that are gone, none."""
    for corpus in sorted(corpora - {""}) if most else ():
        for page in catalogue.stream(corpus):
            yield from (replace(each, id=each.content_hash) for each in page)


def _row(question: JudgedQuestion, photos: Photos) -> dict[str, object]:
    told: dict[str, object] = {"id": question.key, "question": question.question}
    if question.photo is not None:
        told["image"] = photos.path(question.photo).relative_to(photos.folder).as_posix()
    told |= {name: [each.id for each in getattr(question, name)] for name in ("positives", "negatives")}
    return told | {"gains": [each.gain for each in question.negatives]}


def _told(passage: Passage) -> dict[str, str]:
    return {"id": passage.id, "text": passage_text(passage)}


def _write(file: Path, rows: Iterator[dict]) -> None:
    with file.open("w", encoding="utf-8", newline="\n") as lines:
        for row in rows:
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
