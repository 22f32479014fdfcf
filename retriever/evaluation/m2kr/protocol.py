"""M2KR's ranks: by the ids of positive passages for Recall@K, by the authors' string match for Pseudo Recall@K.

A ranking is an array of passage numbers (the row in the passages' files), best first. Knows nothing of files,
encoders or indexes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

DEPTH = 500  # passages looked at for a question
DEPTHS = (1, 5, 10, 20, 50, 100, 500)


def positive_ranks(rankings: Sequence[np.ndarray], positives: Sequence[Iterable[int]]) -> list[int | None]:
    """For each question the first place at which one of its positive passages stands."""
    ranks: list[int | None] = []
    for ranking, wanted in zip(rankings, positives, strict=True):
        places = np.flatnonzero(np.isin(ranking, list(wanted)))
        ranks.append(int(places[0]) + 1 if len(places) else None)
    return ranks


def answer_ranks(
    rankings: Sequence[np.ndarray], answers: Sequence[Sequence[str]], texts: Iterable[str]
) -> list[int | None]:
    """For each question the first place of a passage in which one of its answers stands.

    That is: the answer, stripped and lower-cased, is a substring of the lower-cased text. texts: those of all passages
    in the order of their numbers; they are gone through once, and none is kept."""
    wanted = [{answer.strip().lower() for answer in some} for some in answers]
    # Turned round: for each passage the (question, place) pairs it was found at.
    lengths = [len(ranking) for ranking in rankings]
    passages = np.concatenate([np.empty(0, np.int32), *rankings])
    order = np.argsort(passages, kind="stable")
    numbers = passages[order]
    questions = np.repeat(np.arange(len(rankings), dtype=np.int32), lengths)[order]
    places = np.concatenate([np.empty(0, np.int32), *(np.arange(1, n + 1, dtype=np.int32) for n in lengths)])[order]

    best: list[int | None] = [None] * len(rankings)
    for number, text in enumerate(texts):
        first, last = np.searchsorted(numbers, (number, number + 1))
        if first == last:
            continue
        text = text.lower()
        for question, place in zip(questions[first:last].tolist(), places[first:last].tolist(), strict=True):
            so_far = best[question]
            if (so_far is None or place < so_far) and any(answer in text for answer in wanted[question]):
                best[question] = place
    return best
