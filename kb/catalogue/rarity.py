"""Finding passages by their words in PostgreSQL, the rarest words first, so that among millions few are ranked.

PostgreSQL ranks every passage with any of the words, and to it all words are alike. Here those with the rarest words
are ranked, and of those with common ones as many as can be in moments: first those that have them in their titles, then
those that have all of them, two, or one. Of small corpora all are ranked, and where their passages are fewer than those
with the words, they are gone through one document after another: an index of words knows nothing of corpora. A word
counts as BM25 has it, the more the fewer passages have it. How common the common ones are PostgreSQL knows from its
statistics of the column; the passages with another are counted. Knows nothing of who asks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from sqlalchemy import ColumnElement, Float, Integer, column, select, text, values
from sqlalchemy.orm import Session

from kb.catalogue.spaceless import term
from kb.catalogue.tables import Base, CorpusRow, PairsRow, PassageRow
from kb.catalogue.text_search import Scores, cut

_RANKED = 10_000  # passages with rare words, all of which are ranked
_SAMPLED = 5_000  # passages with common words, at each step
_SMALL = 100_000  # passages of the corpora that are searched, of which all with any of the words are ranked
_WEIGHED = 64  # words and pairs of letters that count, the rarest; a ranking takes the longer the more do
_TOGETHER = 8  # common words of which two are looked for together
_ONCE = 1.64493406685 / 0.7  # makes of ts_rank 1 for a word that comes once in a text, 2.1 at most
_WEIGHTS = "'{0, 0, 0.7, 1}'"  # of the letters D, C, B, A, of which the migrations gave B to texts and A to titles

_TERMS = text(
    "SELECT CAST(phraseto_tsquery(CAST(:how AS regconfig), word) AS text),"
    " tsvector_to_array(to_tsvector(CAST(:how AS regconfig), word))"
    " FROM unnest(CAST(:words AS text[])) WITH ORDINALITY AS typed(word, place)"
    " WHERE numnode(phraseto_tsquery(CAST(:how AS regconfig), word)) > 0 ORDER BY place"
)
_COMMON = text(
    "SELECT said, share FROM pg_stats, unnest(CAST(CAST(most_common_elems AS text) AS text[]), most_common_elem_freqs)"
    " AS common(said, share)"
    " WHERE schemaname = ANY(current_schemas(false)) AND tablename = :table AND attname = 'words'"
    " AND said = ANY(:words)"
)


@dataclass(frozen=True)
class _Term:
    """A query of one word, or of one pair of letters, as PostgreSQL writes it; how many passages have it."""

    query: str
    passages: int


def searches(session: Session, words: list[str], corpora: Sequence[ColumnElement[bool]], limit: int) -> list[Scores]:
    """As text_search.searches: of the passages of those corpora, the at most `limit` best."""
    # The same passages each time, wherever others are reading; nothing is compiled, which takes longer than it saves.
    for setting in ("synchronize_seqscans = off", "max_parallel_workers_per_gather = 0", "jit = off"):
        session.execute(text(f"SET LOCAL {setting}"))
    others, pairs = cut(words)
    among = _Among(session, corpora)
    found: dict[int, float] = {}
    for rows, some in ((PassageRow, []), (PairsRow, pairs)):
        terms = _terms(session, rows, others, some, among.all_passages)
        for number, score in _found(session, rows, terms, among, limit):
            found[number] = max(score, found.get(number, 0.0))
    best = sorted(found.items(), key=lambda each: (-each[1], each[0]))[:limit]
    match = values(column("id", Integer), column("score", Float), name="best").data(best)
    return [select(match.c.id, match.c.score)] if best else []


class _Among:
    """Which corpora are searched, and how many passages there are."""

    def __init__(self, session: Session, corpora: Sequence[ColumnElement[bool]]) -> None:
        every = session.execute(select(CorpusRow.id, CorpusRow.passages, CorpusRow.text_bytes)).all()
        self.numbers = list(session.scalars(select(CorpusRow.id).where(*corpora)))
        self.all_passages = sum(passages for _, passages, _ in every)
        self.mean_bytes = max(1.0, sum(octets for *_, octets in every) / max(1, self.all_passages))
        self.are_all = len(self.numbers) == len(every)
        self.passages = sum(passages for number, passages, _ in every if number in self.numbers)

    def matching(self, rows: type[Base], said: str) -> str:
        """SELECT of the ids, words and lengths (1 for the mean) of passages whose words, `said`, match, found by the
        words; names :query and :corpora."""
        document = "document_id"
        if rows is not PassageRow:
            document = "(SELECT document_id FROM passage WHERE passage.id = passage_id)"
        # A join would read all documents to find those of few passages.
        theirs = f"(SELECT corpus_id FROM document WHERE document.id = {document}) = ANY(:corpora)"
        match = f"{self._kept(rows)} FROM {rows.__tablename__} WHERE {said} @@ CAST(:query AS tsquery)"
        return match if self.are_all else f"{match} AND {theirs}"

    def gone_through(self, rows: type[Base]) -> str:
        """The same, found by their documents."""
        theirs = "passage" if rows is PassageRow else "passage JOIN passage_pairs ON passage_id = passage.id"
        # OFFSET 0 has the words compared afterwards, so that an index of them, or all passages, cannot be taken.
        each = f"{self._kept(rows)} FROM {theirs} WHERE document_id = document.id OFFSET 0"
        return (
            f"SELECT searched.* FROM document, LATERAL ({each}) AS searched"
            " WHERE corpus_id = ANY(:corpora) AND said @@ CAST(:query AS tsquery)"
        )

    def _kept(self, rows: type[Base]) -> str:
        # An array holds a copy of the words, lest each comparison unpack them again, which is most of the time.
        said = f"(ARRAY[{rows.__tablename__}.words])[1] AS said"
        if rows is PassageRow:
            return f"SELECT passage.id, {said}, text_bytes / {self.mean_bytes} AS long"
        return f"SELECT passage_id AS id, {said}, 1.0 AS long"


def _terms(
    session: Session, rows: type[Base], words: Sequence[str], pairs: Sequence[str], all_passages: int
) -> list[_Term]:
    """Those that passages have, the rarest first."""
    queries: dict[str, list[str]] = {}
    # When all words are too common for English ("The Who"), they may still be a title, which is kept as is.
    for how in ("english", "simple"):
        if not queries:
            queries = {query: said for query, said in session.execute(_TERMS, {"how": how, "words": list(words)})}
    for said, begins in map(term, pairs):
        queries[f"'{said}'{':*' * begins}"] = [] if begins else [said]
    known = {"table": rows.__tablename__, "words": [each for said in queries.values() for each in said]}
    common = {said: share for said, share in session.execute(_COMMON, known)}
    terms = []
    for query, said in queries.items():
        if said and all(each in common for each in said):
            passages = round(min(common[each] for each in said) * all_passages)
        else:
            passages = _count(session, rows, query)
        terms.append(_Term(query, passages))
    return sorted((each for each in terms if each.passages), key=lambda each: each.passages)[:_WEIGHED]


def _count(session: Session, rows: type[Base], query: str) -> int:
    """How many passages match; of very many, only that they are."""
    some = f"SELECT 1 FROM {rows.__tablename__} WHERE words @@ CAST(:query AS tsquery) LIMIT {_RANKED + 1}"
    return session.scalar(text(f"SELECT count(*) FROM ({some}) AS candidate"), {"query": query}) or 0


def _found(
    session: Session, rows: type[Base], terms: list[_Term], among: _Among, limit: int
) -> Iterator[tuple[int, float]]:
    """Passages and their scores, the best of each step; a passage may come several times."""
    counted = list(accumulate(each.passages for each in terms))
    if not among.are_all and among.passages <= _SMALL and sum(counted[-1:]) > min(among.passages, _RANKED):
        yield from _ranked(session, among.gone_through(rows), _any(terms), terms, among, limit, _SMALL)[0]
        return
    every = among.passages <= _RANKED
    rare = [each for each, so_far in zip(terms, counted, strict=True) if every or so_far <= _RANKED]
    if rare:
        found = among.matching(rows, "words")
        yield from _ranked(session, found, _any(rare), terms, among, limit, _RANKED)[0]
    common = terms[len(rare) :]
    for said in ("ts_filter(words, '{a}')", "words") if common else ():
        for query in _steps(common):
            found = among.matching(rows, said)
            best, ranked = _ranked(session, found, query, terms, among, limit, _SAMPLED)
            yield from best
            if ranked == _SAMPLED:
                break


def _steps(terms: Sequence[_Term]) -> Iterator[str]:
    """Queries that ask for all of the terms, for any two, and for any one."""
    if len(terms) > 2:
        yield " & ".join(f"({each.query})" for each in terms)
    if len(terms) > 1:
        some = terms[:_TOGETHER]
        yield " | ".join(f"(({each.query}) & ({_any(some[place:])}))" for place, each in enumerate(some[:-1], 1))
    yield _any(terms)


def _any(terms: Iterable[_Term]) -> str:
    return " | ".join(f"({each.query})" for each in terms)


def _ranked(
    session: Session,
    candidates: str,
    query: str,
    terms: Sequence[_Term],
    among: _Among,
    limit: int,
    most: int,
) -> tuple[list[tuple[int, float]], int]:
    """The best of the first `most` `candidates`, and how many were ranked."""
    ranks, scores = [], []
    for place in range(len(terms)):
        said_once = f"ts_rank({_WEIGHTS}, said, CAST(:term_{place} AS tsquery)) * {_ONCE}"
        rank = f"rank_{place}"
        ranks.append(f"least({said_once}, 2.1) AS {rank}")
        scores.append(f"CAST(:rarity_{place} AS float) * 2.64 * {rank} / (1.2 * {rank} + long * (2.2 - {rank}))")
    # OFFSET 0 has each rank computed once.
    statement = (
        f"SELECT id, {' + '.join(scores)} AS score, count(*) OVER () FROM ("
        f"SELECT id, 0.3 + 0.9 * long AS long, {', '.join(ranks)} FROM ("
        f"{candidates} LIMIT {most}) AS candidate OFFSET 0) AS ranked ORDER BY score DESC, id LIMIT {limit}"
    )
    told = {"query": query, "corpora": among.numbers}
    for place, each in enumerate(terms):
        told |= {f"term_{place}": each.query, f"rarity_{place}": _rarity(each.passages, among.all_passages)}
    found = session.execute(text(statement), told).all()
    return [(passage, value) for passage, value, _ in found], found[0][2] if found else 0


def _rarity(passages: int, of: int) -> float:
    return math.log(1 + (max(of - passages, 0) + 0.5) / (passages + 0.5))
