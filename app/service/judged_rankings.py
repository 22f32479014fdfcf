"""Rankings of an annotation project's items against what holds of the passages: gathered for measures, and two of them
side by side. Knows nothing of how anything is printed or drawn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from common.problems import BadRequest
from kb.annotations.projects import project_called
from kb.annotations.records import What
from kb.annotations.settled import SettledCandidate, SettledItem, best_gain, settled_items
from kb.catalogue.database import Database
from retriever.evaluation.judged import MEASURES, by_item

_AT_ONCE = 500  # items
SHOWN = 10  # passages of a ranking side by side
_NDCG = MEASURES.index("nDCG@10")

Rankings = Mapping[str, Mapping[str, Sequence[str]]]  # name -> item -> content hashes, best first


@dataclass
class Gathered:
    """Values by item of each ranking, the kinds of the judged items, how many items nobody judged. `answer`: names of
    those that gave answers, whose passages are those cited and no ranking. `relevant`: the gain that a passage must
    have to be relevant."""

    relevant: int
    values: dict[str, dict[str, Sequence[float]]] = field(default_factory=lambda: defaultdict(dict))
    kinds: dict[str, str] = field(default_factory=dict)
    unjudged: int = 0
    answer: set[str] = field(default_factory=set)

    @property
    def retrievers(self) -> list[str]:
        return sorted(self.values.keys() - self.answer)


@dataclass(frozen=True)
class Side:
    """Of an item what one gave: the first passages of a ranking, or an answer, best first, each with its rank by the
    other (None: the other has it not); `value`: its nDCG@10, None where there is none."""

    found: tuple[tuple[SettledCandidate, int | None], ...]
    value: float | None


@dataclass(frozen=True)
class Beside:
    """An item of which two gave different things; number, position: as a settled item has them. photo: what they gave
    are passages, found with one; pictured: it has one, whatever they gave."""

    number: int
    position: int
    key: str
    question: str
    photo: bool
    pictured: bool
    one: Side
    other: Side

    @property
    def apart(self) -> tuple[float, int]:
        """How far: by what the measure says, then by how much only one of them has."""
        values = [side.value for side in (self.one, self.other)]
        difference = abs(values[0] - values[1]) if None not in values else 0.0
        return difference, sum(rank is None for side in (self.one, self.other) for _, rank in side.found)


def gathered(database: Database, project: str, anew: Rankings | None = None) -> Gathered:
    """anew: rankings that were asked for beside those that are kept. Raises BadRequest where nobody judged what could
    measure."""
    relevant = best_gain(project_called(database, project).passage_scale)
    if not relevant:
        raise BadRequest(f"No grade of the passages of {project} has a gain over 0; there is nothing to find.")
    found, items = Gathered(relevant), settled_items(database, project)
    while some := list(islice(items, _AT_ONCE)):
        _add(found, some, anew or {})
    if not found.kinds:
        raise BadRequest(
            f"Nobody has judged a passage of {project} by a grade with a gain; there is nothing to measure by."
        )
    return found


def side_by_side(database: Database, project: str, one: str, other: str, most: int) -> list[Beside]:
    """The items on which two retrievers or answerers, by their names in the pool, differ most, at most so many."""
    relevant = best_gain(project_called(database, project).passage_scale)
    items, differing = settled_items(database, project, texts=True), []
    while some := list(islice(items, _AT_ONCE)):
        values = [_ndcg(some, name, relevant) for name in (one, other)]
        found = (_beside(item, (one, other), [of.get(item.key) for of in values]) for item in some)
        differing.extend(each for each in found if each is not None)
        differing = sorted(differing, key=lambda each: each.apart, reverse=True)[:most]
    return differing


def _add(gathered: Gathered, items: list[SettledItem], anew: Rankings) -> None:
    qrels: dict[str, dict[str, int]] = {}
    rankings: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for item in items:
        gathered.answer.update(*(each.found for each in item.candidates if each.what == What.ANSWER))
        for name in {name for each in _passages(item) for name in each.found}:
            rankings[name][item.key] = [each.content_hash for each in ranked(item, name)]
        gains = _gains(item)
        if gains:
            qrels[item.key], gathered.kinds[item.key] = gains, item.kind
        else:
            gathered.unjudged += 1
    for name, of_items in (*rankings.items(), *anew.items()):
        gathered.values[name].update(by_item(qrels, of_items, gathered.relevant))


def _passages(item: SettledItem) -> Iterator[SettledCandidate]:
    return (each for each in item.candidates if each.what == What.PASSAGE)


def ranked(item: SettledItem, name: str) -> list[SettledCandidate]:
    """The passages that a retriever found, best first."""
    found = (each for each in _passages(item) if name in each.found)
    return sorted(found, key=lambda each: (each.found[name], each.content_hash))


def _gains(item: SettledItem) -> dict[str, int]:
    return {each.content_hash: each.gain for each in _passages(item) if each.gain is not None}


def _beside(item: SettledItem, names: tuple[str, str], values: list[float | None]) -> Beside | None:
    """None where they gave the same."""
    answers = [each for each in item.candidates if each.what == What.ANSWER]
    answered = any(name in each.found for each in answers for name in names)
    if answered:
        given = [[each for each in answers if name in each.found] for name in names]
        values = [None, None]
    else:
        given = [ranked(item, name) for name in names]
    hashes = [[each.content_hash for each in side] for side in given]
    if hashes[0][:SHOWN] == hashes[1][:SHOWN]:
        return None
    sides = []
    for mine, theirs, value in zip(given, reversed(hashes), values, strict=True):
        places = {each: place for place, each in enumerate(theirs, 1)}
        sides.append(Side(tuple((each, places.get(each.content_hash)) for each in mine[:SHOWN]), value))
    pictured = item.photo is not None
    return Beside(
        item.number, item.position, item.key, item.question, pictured and not answered, pictured, *sides
    )


def _ndcg(items: Sequence[SettledItem], name: str, relevant: int) -> dict[str, float]:
    """By item the nDCG@10 of what one retriever found, where there is one."""
    gains = {item.key: _gains(item) for item in items}
    rankings = {item.key: [each.content_hash for each in ranked(item, name)] for item in items}
    judged = {key: of for key, of in gains.items() if of}
    values = {key: found[_NDCG] for key, found in by_item(judged, rankings, relevant).items()}
    return {key: value for key, value in values.items() if value == value}
