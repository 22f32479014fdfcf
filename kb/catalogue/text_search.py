"""Finding passages by their words: FTS5 in SQLite, tsvector in PostgreSQL, plain comparing elsewhere.

Words are joined with OR and the best come first, so a whole question may be given. What was typed is always
data: every word becomes a quoted phrase or a bound value, never query syntax. Knows nothing of who asks.
"""

from __future__ import annotations

import unicodedata
from functools import reduce

from sqlalchemy import ColumnElement, Select, bindparam, case, func, literal_column, or_, select, text

from kb.catalogue.tables import PassageRow
from kb.records import clean_text

_MOST_WORDS = 64
_MOST_CHARACTERS = 10_000
_BETWEEN = frozenset('/|\\:;,()[]{}<>"')
_TITLE_WEIGHT = 4.0


def split_words(typed: str) -> list[str]:
    """The different words of `typed`, at most 64, as typed but without characters no database can take.

    A word may hold marks, as in AT&T or lion's; a database takes its parts for a phrase.
    """
    kept = (" " if c in _BETWEEN else c for c in clean_text(typed[:_MOST_CHARACTERS]))
    words = [word for word in "".join(kept).split() if any(unicodedata.category(c)[0] in "LN" for c in word)]
    return list({word.lower(): word for word in words}.values())[:_MOST_WORDS]


def ranked(dialect: str, words: list[str]) -> Select[tuple[int, float]]:
    """A SELECT of (passage id, score) of the passages with any of `words` (one or more), not yet ordered."""
    if dialect == "sqlite":
        return _sqlite(words)
    if dialect == "postgresql":
        return _postgresql(words)
    return plain(words)


def _sqlite(words: list[str]) -> Select[tuple[int, float]]:
    query = " OR ".join('"' + word.replace('"', '""') + '"' for word in words)
    # bm25 is negative, better is lower.
    score = literal_column(f"-bm25(passage_words, {_TITLE_WEIGHT}, 1.0)").label("score")
    matches = text("passage_words MATCH :fts").bindparams(bindparam("fts", query))
    return (
        select(literal_column("passage_words.rowid").label("id"), score)
        .select_from(text("passage_words"))
        .where(matches)
    )


def _postgresql(words: list[str]) -> Select[tuple[int, float]]:
    column = literal_column("passage.words")
    english, plainly = (
        reduce(lambda left, right: left.op("||")(right), [func.phraseto_tsquery(how, word) for word in words])
        for how in ("english", "simple")
    )
    # When all words are too common for English ("The Who"), they may still be a title, which is kept as is.
    query = case((func.numnode(english) == 0, plainly), else_=english)
    # The weights are those of the letters D, C, B, A that the migration gave to text (B) and title (A).
    score = func.ts_rank(literal_column("'{0.1, 0.2, 0.25, 1.0}'::real[]"), column, query).label("score")
    return select(PassageRow.id, score).where(column.op("@@")(query))


def plain(words: list[str]) -> Select[tuple[int, float]]:
    """The same without full-text search: a word found anywhere counts 1 in the text and 4 in the title."""
    score: ColumnElement = literal_column("0.0")
    found = []
    for column, weight in ((PassageRow.title, _TITLE_WEIGHT), (PassageRow.text, 1.0)):
        for word in words:
            found.append(func.lower(column).contains(word.lower(), autoescape=True))
            score = score + case((found[-1], weight), else_=0.0)
    return select(PassageRow.id, score.label("score")).where(or_(*found))
