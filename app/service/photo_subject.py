"""What a photo shows: found from the photo alone, whatever is asked of it, and how sure that is.

A title's score is its best passage's late interaction with the rows that the photo alone makes, and what the model's
own classes of the photo add. How sure it is, the classes tell, and how like the photo the title's pictures are. Knows
nothing of questions or answers.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from app.service.results import LIKELY, MAY_BE, UNKNOWN, Guess, Subject
from app.service.retrieval import ask_indexes
from kb.catalogue import Catalogue
from retriever.encoders.base import QueryVectors, Recognition
from retriever.encoders.mini.recognition import confidence
from retriever.index import Index

LOOKED_THROUGH = 30  # passages nearest to the photo, beside those of the titles that its classes speak for
GUESSES = 30
NEAR = 0.9  # without classes, what may be shown has this share of the first title's score


def find_subject(
    catalogue: Catalogue, indexes: Mapping[str, Index], query: QueryVectors
) -> Subject | None:
    """What the photo of the query shows, by the corpora whose indexes are given; None where they have no passage."""
    rows = query.of_photo()
    found = dict(ask_indexes(indexes, rows, LOOKED_THROUGH))
    alike = _alike(indexes, query, found)
    titles = list(query.recognition.titles) if query.recognition is not None else []
    of_titles = catalogue.titled(titles, list(indexes))
    missing = {*alike, *(each for ids in of_titles.values() for each in ids)} - found.keys()
    if missing:
        found.update(ask_indexes(indexes, rows, len(missing), missing))
    scores: dict[str, float] = {}
    likeness: dict[str, float] = {}
    for passage in catalogue.passages(list(found)):
        scores[passage.title] = max(scores.get(passage.title, 0.0), found[passage.id])
        if passage.pictures and passage.id in alike:
            likeness[passage.title] = max(likeness.get(passage.title, 0.0), alike[passage.id])
    if not scores:
        return None
    added = {title: query.recognition.titles.get(title, 0.0) if query.recognition else 0.0 for title in scores}
    ranked = sorted(scores, key=lambda title: (-scores[title] - added[title], title))[:GUESSES]
    totals = [scores[title] + added[title] for title in ranked]
    by_likeness = _by_likeness(ranked, totals, likeness)
    awaited = titles[0] if titles and titles[0] in of_titles and titles[0] not in scores else ""
    if awaited or (query.recognition is not None and query.recognition.of_text):
        guesses = tuple(Guess(*each, None, False) for each in zip(ranked, totals, strict=True))
        recognised = by_likeness is not None and by_likeness.word != UNKNOWN
        return by_likeness if recognised else Subject(guesses, UNKNOWN, awaited=awaited)
    # Only where what the classes speak for most is in the collection do they tell how often the first title is right.
    if query.recognition is None or not titles or titles[0] not in scores:
        return by_likeness or _unmeasured(ranked, totals)
    by_classes = _by_classes(ranked, totals, added, query.recognition)
    return max(by_classes, by_likeness or by_classes, key=lambda subject: subject.probability)


def _alike(indexes: Mapping[str, Index], query: QueryVectors, found: Collection[str]) -> dict[str, float]:
    """How like the photo the pictures of those found, and of the passages with the likest, are, by passage."""
    rows = query.of_pictures()
    if rows is None:
        return {}
    alike = dict(ask_indexes(indexes, rows, LOOKED_THROUGH))
    missing = set(found) - alike.keys()
    return alike | dict(ask_indexes(indexes, rows, len(missing), missing)) if missing else alike


def _unmeasured(ranked: Sequence[str], totals: Sequence[float]) -> Subject:
    ranks = zip(ranked, totals, strict=True)
    return Subject(tuple(Guess(title, total, None, total >= NEAR * totals[0]) for title, total in ranks))


def _by_classes(
    ranked: Sequence[str], totals: Sequence[float], added: Mapping[str, float], recognition: Recognition
) -> Subject:
    """The other titles share what the first one leaves, as the classes speak for them."""
    lead = totals[0] - totals[1] if len(totals) > 1 else totals[0]
    undecided = confidence.entropy(recognition.classes)
    first = confidence.by_classes(lead, undecided)
    return replace(_said(ranked, totals, first, [added[title] for title in ranked[1:]]), lead=lead, undecided=undecided)


def _by_likeness(ranked: Sequence[str], totals: Sequence[float], likeness: Mapping[str, float]) -> Subject | None:
    """The other titles share what the first one leaves, as their pictures speak for them. None where most titles have
    no pictures and those of the first one do not tell: what it shows may be something that has none."""
    alike = [likeness.get(title, 0.0) for title in ranked]
    first = confidence.by_likeness(alike[0], alike[0] - max(alike[1:], default=0.0))
    if not alike[0] or (first < confidence.MAY_BE and sum(each > 0 for each in alike) < len(alike) / 2):
        return None
    return _said(ranked, totals, first, [math.exp(confidence.BY_LIKENESS[1] * each) for each in alike[1:]])


def _said(ranked: Sequence[str], totals: Sequence[float], first: float, shares: Sequence[float]) -> Subject:
    """first: the probability of the first title. shares: of the others in what that leaves, in proportion; none is more
    probable than the first."""
    rest = sum(shares) or 1.0
    chances = [first, *(min(first, (1 - first) * share / rest) for share in shares)]
    word = LIKELY if first >= confidence.LIKELY else MAY_BE if first >= confidence.MAY_BE else UNKNOWN
    guesses = tuple(
        Guess(title, total, chance, word != UNKNOWN and (place == 0 or chance >= confidence.LOOK_ALIKE))
        for place, (title, total, chance) in enumerate(zip(ranked, totals, chances, strict=True))
    )
    return Subject(guesses, word)
