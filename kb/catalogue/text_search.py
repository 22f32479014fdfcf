"""Finding passages by their words: FTS5 in SQLite, plain comparing elsewhere; PostgreSQL's is kb/catalogue/rarity.py.

Words are joined with OR and the best come first, so a whole question may be given. What was typed is always
data: every word becomes a quoted phrase or a bound value, never query syntax. Passages in writings without spaces are
searched in a table of their own, in pairs of letters (kb/catalogue/spaceless.py). Knows nothing of who asks.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Select, bindparam, case, delete, func, literal_column, or_, select, text
from sqlalchemy.orm import Session

from kb.catalogue.bulk import at_once, insert_many
from kb.catalogue.spaceless import parts, spelt, term
from kb.catalogue.tables import Base, PairsRow, PassageRow
from kb.records import clean_text

_MOST_WORDS = 64
_MOST_PAIRS = 128
_MOST_CHARACTERS = 10_000
_BETWEEN = frozenset('/|\\:;,()[]{}<>"')
_CLINGING = re.compile(r"^[cdjlmnst]['’](?=\w)|(?<=\w)['’]s$", re.IGNORECASE)  # l'homme, keeper's
_TITLE_WEIGHT = 4.0

Scores = Select[tuple[int, float]]  # passage ids and their scores, not yet ordered


def split_words(typed: str) -> list[str]:
    """The different words of `typed`, at most 64, as typed but without characters no database can take.

    A word may hold marks, as in AT&T or O'Brien; a database takes its parts for a phrase. What clings to one with an
    apostrophe, as in lion's or l'homme, is left out: texts have the word without it too.
    """
    kept = (" " if c in _BETWEEN else c for c in clean_text(typed[:_MOST_CHARACTERS]))
    words = [_CLINGING.sub("", word) for word in "".join(kept).split()]
    words = [word for word in words if any(unicodedata.category(c)[0] in "LN" for c in word)]
    return list({word.lower(): word for word in words}.values())[:_MOST_WORDS]


def cut(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What is looked for as words, and what as pairs of letters."""
    each = [parts(word) for word in words]
    pairs = list(dict.fromkeys(pair for found, _ in each for pair in found))[:_MOST_PAIRS]
    return list(dict.fromkeys(rest for _, round_them in each for rest in round_them)), pairs


def searches(dialect: str, words: list[str]) -> list[Scores]:
    """SELECTs of the passages with any of `words` (one or more), in SQLite and in databases without full-text search.
    A passage may come from several: then its best score counts."""
    others, pairs = cut(words)
    if dialect != "sqlite":
        return [plain([*others, *pairs])]
    return [_sqlite(PassageRow, others, []) for _ in others[:1]] + [_sqlite(PairsRow, others, pairs)]


def learn_pairs(session: Session, passages: Iterable[tuple[str, str, str]]) -> None:
    """Have these passages, (name, title, text), which are written but not learnt yet, found also where they are in a
    writing without spaces."""
    found = {name: pairs for name, title, said in passages if (pairs := spelt(title, said))}
    for names in at_once(list(found)):
        rows = session.execute(select(PassageRow.id, PassageRow.name).where(PassageRow.name.in_(names))).all()
        values = [{"passage_id": number, "title": found[name][0], "text": found[name][1]} for number, name in rows]
        insert_many(session, PairsRow.__table__, values)


def learn_pairs_anew(session: Session, numbers: Sequence[int]) -> None:
    """The same for passages by their ids that may have been learnt otherwise."""
    session.execute(delete(PairsRow).where(PairsRow.passage_id.in_(numbers)))
    theirs = select(PassageRow.name, PassageRow.title, PassageRow.text).where(PassageRow.id.in_(numbers))
    learn_pairs(session, session.execute(theirs).all())


def _sqlite(rows: type[Base], words: Sequence[str], pairs: Sequence[str]) -> Scores:
    table = "passage_words" if rows is PassageRow else "pair_words"
    phrases = ['"' + word.replace('"', '""') + '"' for word in words]
    phrases += [f'"{said}"{" *" * begins}' for said, begins in map(term, pairs)]
    # bm25 is negative, better is lower.
    score = literal_column(f"-bm25({table}, {_TITLE_WEIGHT}, 1.0)").label("score")
    matches = text(f"{table} MATCH :fts").bindparams(bindparam("fts", " OR ".join(phrases)))
    return select(literal_column(f"{table}.rowid").label("id"), score).select_from(text(table)).where(matches)


def plain(words: list[str]) -> Scores:
    """The same without full-text search: a word found anywhere counts 1 in the text and 4 in the title."""
    score: ColumnElement = literal_column("0.0")
    found = []
    for column, weight in ((PassageRow.title, _TITLE_WEIGHT), (PassageRow.text, 1.0)):
        for word in words:
            found.append(func.lower(column).contains(word.lower(), autoescape=True))
            score = score + case((found[-1], weight), else_=0.0)
    return select(PassageRow.id, score.label("score")).where(or_(*found))
