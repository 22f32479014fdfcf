"""What people judged as questions to learn from: passages of the top grade answer them, those of less gain do not.

Of what holds (settled.py), as qrels have it; what nobody judged, or only by a grade without a gain, such as "cannot
tell", is neither. Knows nothing of training beyond the names that its rows of JSON have.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from common.passage import Passage
from common.problems import BadRequest
from kb.annotations.projects import project_called
from kb.annotations.records import What
from kb.annotations.settled import SettledCandidate, SettledItem, best_gain, settled_items
from kb.catalogue.database import Database


@dataclass(frozen=True)
class JudgedPassage(Passage):
    """A passage with the gain of the grade that holds of it. Its id is its content hash."""

    gain: int = 0

    @property
    def said(self) -> str:
        """The text with its heading in front, as indexes learn it."""
        return f"{self.heading}: {self.text}"


@dataclass(frozen=True)
class JudgedQuestion:
    """An item with passages of which a grade with a gain holds; negatives have the hardest, of most gain, first."""

    key: str
    question: str
    photo: str | None
    positives: tuple[JudgedPassage, ...]
    negatives: tuple[JudgedPassage, ...]


def judged_questions(database: Database, project: str) -> Iterator[JudgedQuestion]:
    """The items of a project of which some passage is judged, in order, those without a positive too. All of one
    moment, while people go on. Raises BadRequest."""
    best = best_gain(project_called(database, project).passage_scale)
    for item in settled_items(database, project, What.PASSAGE, texts=True):
        found = _question(item, best)
        if found.positives or found.negatives:
            yield found


def learnable(questions: Iterable[JudgedQuestion], project: str) -> tuple[list[JudgedQuestion], int]:
    """Those with a positive, and how many have none. Raises BadRequest where nothing can be learned from any."""
    judged = list(questions)
    if not judged:
        raise BadRequest(
            f"Nobody has judged a passage in {project} yet, so there is nothing to learn from; judge some first."
        )
    kept = [each for each in judged if each.positives]
    if not kept:
        raise BadRequest(
            f"None of the {len(judged):,} items judged in {project} has a passage of the top grade; judge more, or "
            "pool more passages with python -m app pool."
        )
    return kept, len(judged) - len(kept)


def pair_row(question: JudgedQuestion, image: str | None) -> dict[str, Any]:
    """As training reads it. image: the photo's path below the folder of photographs."""
    told: dict[str, Any] = {"id": question.key, "question": question.question}
    if image is not None:
        told["image"] = image
    told["positives"] = [each.said for each in question.positives]
    told["negatives"] = [each.said for each in question.negatives]
    told["gains"] = [each.gain for each in question.negatives]
    passages = (*question.positives, *question.negatives)
    return told | {"documents": [each.document_id or each.id for each in passages]}


def pair_lines(database: Database, project: str) -> Iterator[str]:
    """An export in JSON lines of what can be learned from; photographs go by their hashes. Raises BadRequest."""
    questions, _ = learnable(judged_questions(database, project), project)
    yield from (json.dumps(pair_row(each, each.photo), ensure_ascii=False) for each in questions)


def _question(item: SettledItem, best: int) -> JudgedQuestion:
    passages = [_passage(each) for each in item.candidates if each.gain is not None]
    positives = tuple(each for each in passages if each.gain == best)
    negatives = sorted((each for each in passages if each.gain < best), key=lambda each: -each.gain)
    return JudgedQuestion(item.key, item.question, item.photo, positives, tuple(negatives))


def _passage(of: SettledCandidate) -> JudgedPassage:
    return JudgedPassage(
        of.content_hash, of.title, of.text, of.url, corpus=of.corpus, document_id=of.document_id, section=of.section,
        content_hash=of.content_hash, gain=of.gain,
    )  # fmt: skip
