"""What is counted of grades as they are given: patterns, from which agreement follows, and how much people differ.

Knows nothing of agreement itself; see kb/annotations/agreement.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations

from sqlalchemy.orm import Session

from kb.annotations.records import Scale
from kb.annotations.tables import TallyRow
from kb.catalogue.upserts import put

EVERYBODY = 0  # of TallyRow.of_id: the grades of all people together
_UNORDERED = 0.5  # what two grades differ by of which one has no gain, or whose gains are equal


def patterns(scale: Scale, grades: Mapping[int, str]) -> Counter[tuple[int, str]]:
    """(whose, pattern) of a candidate with these grades, by person; see TallyRow."""
    found: Counter[tuple[int, str]] = Counter()
    if len(grades) < 2:
        return found
    place = {grade.key: number for number, grade in enumerate(scale)}

    def pattern(people: Iterable[int]) -> str:
        given = Counter(place[grades[person]] for person in people)
        return ".".join(str(given[number]) for number in range(len(scale)))

    found[EVERYBODY, pattern(grades)] += 1
    for pair in combinations(grades, 2):
        both = pattern(pair)
        for person in pair:
            found[person, both] += 1
    return found


def count(
    session: Session,
    project: int,
    writer: int,
    what: str,
    kind: str,
    scale: Scale,
    before: Mapping[int, str],
    after: Mapping[int, str],
) -> None:
    """Count that the grades of a candidate were those before and are those after."""
    change = patterns(scale, after)
    change.subtract(patterns(scale, before))
    add_tallies(session, project, writer, {(what, kind, *mark): units for mark, units in change.items() if units})


def add_tallies(
    session: Session, project: int, writer: int, units: Mapping[tuple[str, str, int, str], int]
) -> None:
    """Add to the tallies of (what, kind, whose, pattern), in one order, so that nobody waits in a circle."""
    rows = [
        {
            "project_id": project, "writer_id": writer, "what": what, "kind": kind, "of_id": whose,
            "pattern": pattern, "units": number,
        }
        for (what, kind, whose, pattern), number in sorted(units.items())
    ]  # fmt: skip
    put(session, TallyRow.__table__, rows, adding=("units",))


def matters(scale: Scale, grades: Iterable[str], weight: float) -> float:
    """How much it matters for the measures that these grades of a candidate differ: by what gain, at what rank."""
    given = set(grades)
    if len(given) < 2:
        return 0.0
    gains = [grade.gain for grade in scale if grade.key in given and grade.gain is not None]
    apart = max(gains) - min(gains) if gains else 0
    return weight * max(apart, _UNORDERED)
