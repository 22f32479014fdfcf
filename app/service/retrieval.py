"""Finding the passages that may answer a question: in the indexes by vectors and, if asked for, in the catalogue by
words, fused.

It knows nothing of who asks, of how an index came to be, or of answers.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from app.service.question_subject import asks_of_another, helped_by, names_in, said_kind, said_to_be
from app.service.results import TOLD, Result, Subject
from common.passage import Evidence, Passage
from common.problems import Unreachable
from generator.words import STOP_WORDS, words
from kb.catalogue import Catalogue
from retriever.encoders.base import QueryVectors, Recognition
from retriever.index import Index, OutOfReach
from retriever.search.explain import Alignment, align
from retriever.search.fusion import fuse

RERANKED = 30  # passages nearest to a question about a photo that are put in order anew, at least
FUSED = 200  # passages each of the two searches contributes to a fused one, at least
LEXICAL_WEIGHT = 0.25  # what a place among the passages found by words counts, of one among those found by vectors
FUSION_CONSTANT = 20.0

Ranking = list[tuple[str, float]]  # passage ids and their late-interaction scores, best first


def find(
    catalogue: Catalogue, indexes: Mapping[str, Index], query: QueryVectors, k: int, question: str = ""
) -> Ranking:
    """More than k passages of the corpora whose indexes are given, in case the catalogue lacks some.

    By score; with a question that has words other than stop words, by that order and the catalogue's own fused."""
    depth = 2 * k + 10
    telling = _telling(question)
    if not telling:
        return ask_indexes(indexes, query, depth)
    depth = max(depth, FUSED)
    found = ask_indexes(indexes, query, depth)
    texts = [hit for name in indexes for hit in catalogue.search_text(telling, depth, name)]
    texts.sort(key=lambda hit: -hit.score)
    lexical = [hit.passage.id for hit in texts[:depth]]
    scores = dict(found)
    missing = set(lexical) - scores.keys()
    if missing:
        scores.update(ask_indexes(indexes, query, len(missing), missing))
    # What no index holds yet has no score and is left out, as it is without the words.
    order = fuse(
        [[name for name, _ in found], [name for name in lexical if name in scores]],
        (1.0, LEXICAL_WEIGHT),
        FUSION_CONSTANT,
    )
    return [(name, scores[name]) for name in order]


def find_asked(
    catalogue: Catalogue,
    indexes: Mapping[str, Index],
    query: QueryVectors,
    k: int,
    words: str,
    question: str,
    subject: Subject | None,
) -> tuple[Ranking, Subject | None]:
    """What was found and, for a question about a photo, what the photo shows, also by what the question says. words:
    as the question of `find`, where no subject is given."""
    if subject is None:
        return find(catalogue, indexes, query, k, words), None
    subject = said_to_be(question, subject)
    nearest = ask_indexes(indexes, query, max(2 * k + 10, RERANKED))
    passages, scores = _about_shown(catalogue, indexes, query, subject, nearest)
    if subject.word not in TOLD:
        texts = [(each.title, each.text) for each in sorted(passages, key=lambda each: -scores[each.id])]
        helped = said_kind(question, helped_by(question, subject, texts), texts)
        if helped is not subject:
            subject = helped
            passages, scores = _about_shown(catalogue, indexes, query, subject, nearest)
    return [(each.id, scores[each.id]) for each in passages], subject


def _about_shown(
    catalogue: Catalogue,
    indexes: Mapping[str, Index],
    query: QueryVectors,
    subject: Subject,
    nearest: Ranking,
) -> tuple[list[Passage], dict[str, float]]:
    """Of a question about what a photo shows, the passages nearest to it and those of the titles that may be shown:
    those about what is shown first, then by score and what the photo's classes add to it. With their scores."""
    found = dict(nearest)
    seen = query.recognition.titles if query.recognition is not None else {}
    of_titles = catalogue.titled([*subject.leading, *seen], list(indexes))
    for titles in (subject.leading, seen):  # those that lead by themselves, lest many others crowd them out
        missing = {each for title in titles for each in of_titles.get(title, ())} - found.keys()
        if missing:
            found.update(ask_indexes(indexes, query, len(nearest), missing))
    place = {title: number if subject.word else 0 for number, title in enumerate(subject.leading)}

    def order(passage: Passage) -> tuple[float, float]:
        return place.get(passage.title, math.inf), -found[passage.id] - seen.get(passage.title, 0.0)

    return sorted(catalogue.passages(list(found)), key=order), found


def most_likely(catalogue: Catalogue, query: QueryVectors, question: str, corpus: str, count: int) -> list[str]:
    """Passages of the corpus that most likely answer, by what the catalogue alone tells: at most `count` of titles that
    the photo's classes speak for, and as many with words of the question, which of one about a photo tell something
    only where it has names."""
    titles = list(query.recognition.titles) if query.recognition is not None else []
    of_titles = catalogue.titled(titles, [corpus])
    ids = [each for title in titles for each in of_titles.get(title, ())][:count]
    telling = _telling(question) if not titles or names_in(question) else ""
    hits = catalogue.search_text(telling, count, corpus) if telling else []
    return list(dict.fromkeys([*ids, *(hit.passage.id for hit in hits)]))


def evidence_of(
    catalogue: Catalogue,
    found: Sequence[tuple[str, float]],
    k: int,
    subject: Subject | None = None,
    recognition: Recognition | None = None,
) -> tuple[Evidence, ...]:
    """The first k of those found that the catalogue has, with what it says of them and, for a question about a photo,
    what the photo says of them."""
    scores = dict(found)
    passages = catalogue.passages([name for name, _ in found[:k]])
    if len(passages) < k < len(found):  # some have left it
        passages = catalogue.passages([name for name, _ in found])[:k]
    seen = recognition.titles if recognition is not None and subject is not None else {}
    return tuple(
        Evidence(
            **vars(passage),
            rank=rank,
            score=min(1.0, max(0.0, scores[passage.id])),
            seen=seen.get(passage.title, 0.0),
            shown=None if subject is None else subject.shows(passage.title),
        )
        for rank, passage in enumerate(passages, start=1)
    )


def heard_of(catalogue: Catalogue, said: Collection[str], names: Sequence[str]) -> bool:
    """Whether of each of these words some passage of these corpora speaks."""
    return all(any(catalogue.search_text(word, 1, name) for name in names) for word in said)


def of_another(catalogue: Catalogue, question: str, subject: Subject | None, names: Sequence[str]) -> bool:
    """Whether the question names a subject of its own, which those corpora have, beside what the photo shows."""
    if subject is None:
        return False

    def beginning(title: str) -> str:
        ids = catalogue.titled([title], names).get(title, ())[:1]
        return " ".join(f"{each.description} {each.text}" for each in catalogue.passages(ids))

    return asks_of_another(question, subject, lambda titles: catalogue.titled(titles, names), beginning)


def still_so(catalogue: Catalogue, result: Result) -> bool:
    """Whether the catalogue says the same of the passages of a result, or cannot be reached just now."""
    found = [(passage.id, passage.score) for passage in result.passages]
    try:
        now = evidence_of(catalogue, found, len(found), result.subject, result.query.recognition)
    except Unreachable:
        return True
    return now == tuple(replace(passage, was=None, alike=None, by="") for passage in result.passages)


def alignments_of(
    indexes: Mapping[str, Index], query: QueryVectors, passages: Sequence[Evidence]
) -> tuple[Alignment | None, ...]:
    """How the query's vectors match each of the passages; None for one that left its index or is out of reach."""
    found: list[Alignment | None] = []
    for passage in passages:
        try:
            found.append(align(query, indexes[passage.corpus].vectors(passage.id)))
        except (KeyError, OutOfReach):
            found.append(None)
    return tuple(found)


def with_likeness(
    passages: Sequence[Evidence], query: QueryVectors, alignments: Sequence[Alignment | None]
) -> tuple[Evidence, ...]:
    """The passages, those with pictures with how like the photo these are."""
    whole = float(query.weights[query.picture_rows].sum())
    return tuple(
        replace(passage, alike=float(aligned.contributions[query.picture_rows].sum()) / whole)
        if whole and passage.pictures and aligned is not None
        else passage
        for passage, aligned in zip(passages, alignments, strict=True)
    )


def _telling(question: str) -> str:
    """The words of the question that are no stop words, as typed."""
    return " ".join(
        word
        for word in question.split()
        if any(part not in STOP_WORDS for part in words(word.replace("'", " ").replace("’", " ")))
    )


def ask_indexes(
    indexes: Mapping[str, Index], query: QueryVectors, count: int, within: set[str] | None = None
) -> Ranking:
    """The best `count` of each index."""
    hits = [
        hit
        for index in indexes.values()
        for hit in index.search(query.vectors, k=count, weights=query.weights, within=within)
    ]
    hits.sort(key=lambda hit: -hit.score)
    return [(hit.id, hit.score) for hit in hits]
