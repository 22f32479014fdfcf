"""What a photo shows: found from the photo alone, whatever is asked of it, and how sure that is.

A title's score is its best passage's late interaction with the rows that the photo alone makes, and what the model's
own classes of the photo add. Knows nothing of questions or answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    titles = list(query.recognition.titles) if query.recognition is not None else []
    of_titles = catalogue.titled(titles, list(indexes))
    missing = {each for ids in of_titles.values() for each in ids} - found.keys()
    if missing:
        found.update(ask_indexes(indexes, rows, len(missing), missing))
    scores: dict[str, float] = {}
    for passage in catalogue.passages(list(found)):
        scores[passage.title] = max(scores.get(passage.title, 0.0), found[passage.id])
    if not scores:
        return None
    added = {title: query.recognition.titles.get(title, 0.0) if query.recognition else 0.0 for title in scores}
    ranked = sorted(scores, key=lambda title: (-scores[title] - added[title], title))[:GUESSES]
    totals = [scores[title] + added[title] for title in ranked]
    # Only where what the classes speak for most is there, and indexed, is it known how often the first title is right.
    if query.recognition is None or not titles or titles[0] not in scores:
        return _unmeasured(ranked, totals)
    if query.recognition.of_text:
        return Subject(tuple(Guess(*each, None, False) for each in zip(ranked, totals, strict=True)), UNKNOWN)
    return _measured(ranked, totals, added, query.recognition)


def _unmeasured(ranked: Sequence[str], totals: Sequence[float]) -> Subject:
    ranks = zip(ranked, totals, strict=True)
    return Subject(tuple(Guess(title, total, None, total >= NEAR * totals[0]) for title, total in ranks))


def _measured(
    ranked: Sequence[str], totals: Sequence[float], added: Mapping[str, float], recognition: Recognition
) -> Subject:
    """The other titles share what the first one leaves, as the classes speak for them, and are no more probable."""
    lead = totals[0] - totals[1] if len(totals) > 1 else totals[0]
    undecided = confidence.entropy(recognition.classes)
    first = confidence.probability(lead, undecided)
    rest = sum(added[title] for title in ranked[1:]) or 1.0
    chances = [first, *(min(first, (1 - first) * added[title] / rest) for title in ranked[1:])]
    word = LIKELY if first >= confidence.LIKELY else MAY_BE if first >= confidence.MAY_BE else UNKNOWN
    guesses = tuple(
        Guess(title, total, chance, word != UNKNOWN and (place == 0 or chance >= confidence.LOOK_ALIKE))
        for place, (title, total, chance) in enumerate(zip(ranked, totals, chances, strict=True))
    )
    return Subject(guesses, word, lead, undecided)
