"""The loop of annotation whole, over labelled photographs: questions about them are pooled, judged by two people who
err, settled, and learned from; what was held out is measured before and after.

The people are made up: they know from the labels what is right, and each says something else now and then. So figures
say whether the loop works and what it could give, not what people's judgments do give. Knows the parts of the loop and
nothing of command lines.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.service.ask import AnswerService
from common.images import load_image
from common.passage import Passage
from common.problems import Problem
from kb.annotations.adjudicating import adjudicate, disagreements
from kb.annotations.agreement import Agreed, agreement
from kb.annotations.asking import next_item
from kb.annotations.items import add_items
from kb.annotations.judging import judge
from kb.annotations.people import add_person
from kb.annotations.photos import Photos
from kb.annotations.pools import add_pool
from kb.annotations.projects import create_project
from kb.annotations.records import PASSAGE_SCALE, Candidate, NewItem, PooledPassage, Project, Role, What
from kb.catalogue.database import Database

PROJECT = "bench"
QUESTIONS = (
    "What is this?", "Where does this come from?", "What is this used for?", "How is this made or grown?",
    "What is the history of this?", "Which kinds of this are there?",
)  # fmt: skip
JUDGES, SETTLES = ("one", "two"), "three"
Right = Callable[[str, Candidate], str]  # an item's key and a passage: the grade that this deserves
_POOLED = 10  # passages that the retriever gives an item


@dataclass(frozen=True)
class Labelled:
    """A photograph and the title of the article that it shows the subject of."""

    photo: Path
    title: str


def judged_by_two(database: Database, project: str, right: Right, errors: float, seed: int) -> Agreed:
    """Two people judge all passages of a project, each saying another grade than the right one in this share of
    judgments; a third settles where they differ. How the two agree."""
    chance = random.Random(seed)
    grades = [grade.key for grade in PASSAGE_SCALE if grade.gain is not None]
    for person in JUDGES:
        add_person(database, person)
        while item := next_item(database, project, person):
            for each in item.candidates:
                grade = right(item.key, each)
                if chance.random() < errors:
                    grade = chance.choice([other for other in grades if other != grade])
                judge(database, project, person, item.id, each.id, grade=grade)
    agreed = agreement(database, project, What.PASSAGE).overall
    add_person(database, SETTLES, Role.ADJUDICATOR)
    while some := disagreements(database, project, SETTLES):
        for each in some:
            adjudicate(database, project, SETTLES, each.item, each.candidate.id, right(each.key, each.candidate))
    return agreed


def judged_project(
    database: Database, photos: Photos, service: AnswerService, labelled: Sequence[Labelled], errors: float, seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Agreed:  # fmt: skip
    """Makes PROJECT with an item for each photograph, pools and judges it; how the two people agree. Raises Problem."""
    create_project(database, Project(PROJECT, judges=len(JUDGES)))
    titles: dict[str, str] = {}
    for number, each in enumerate(labelled):
        kept = photos.keep(each.photo.read_bytes(), load_image)
        question, key = QUESTIONS[number % len(QUESTIONS)], f"item-{number}"
        add_items(database, PROJECT, [NewItem(question, kept, key)])
        add_pool(database, PROJECT, key, _found(service, photos.path(kept), question, each.title))
        titles[key] = each.title
        progress(number + 1, len(labelled))
    return judged_by_two(database, PROJECT, lambda key, each: _right(titles[key], each), errors, seed)


def chosen(labelled: Sequence[Labelled], count: int, seed: int) -> list[Labelled]:
    """So many, in turn of each title, drawn by the seed. Raises Problem where there are too few."""
    if len(labelled) < count:
        raise Problem(f"There are {len(labelled):,} photographs, fewer than {count:,}; take fewer --items.")
    chance = random.Random(seed)
    by_title: dict[str, list[Labelled]] = {}
    for each in chance.sample(list(labelled), len(labelled)):
        by_title.setdefault(each.title, []).append(each)
    turns = [(turn, each) for of_title in by_title.values() for turn, each in enumerate(of_title)]
    return [each for _, each in sorted(turns, key=lambda one: one[0])][:count]


def _found(service: AnswerService, photo: Path, question: str, title: str) -> list[PooledPassage]:
    """What the retriever gives, and the label's own article, as a second one that knows would."""
    name = service.settings.profile
    found = {each.id: (each, {name: each.rank}) for each in service.find(photo, question, _POOLED).passages}
    own = service.catalogue.titled([title], [service.settings.corpus]).get(title, [])[:1]
    for each in service.catalogue.passages(own):
        known = found.get(each.id, (each, {}))[1]
        found[each.id] = (each, known | {"labels": 1})
    return [_pooled(*each) for each in found.values()]


def _pooled(passage: Passage, found: dict[str, int]) -> PooledPassage:
    return PooledPassage(
        passage.text, found, passage.title, passage.section, passage.id, passage.document_id, passage.corpus,
        passage.url,
    )  # fmt: skip


def _right(title: str, passage: Candidate) -> str:
    """The article of the label answers; one that names it has the right subject."""
    if passage.title == title:
        return "answers"
    return "subject" if title.split(" (")[0].casefold() in passage.text.casefold() else "wrong"
