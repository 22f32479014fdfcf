"""Rows with named columns, from whatever file, as records of documents.

Columns: text; and where they are there id, title, url, language, licence, topic, description, and those of
kb/sources/row_pictures.py. Knows nothing of files: readers give (where, row), what is wrong with a row comes back as
Skipped, and a Note as it is.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from common.problems import BadRequest, Problem
from common.text import shown
from kb.records import (
    UNKNOWN_LANGUAGE,
    UNKNOWN_LICENCE,
    DocumentRecord,
    Item,
    Note,
    Section,
    Skipped,
    Source,
    clean_text,
)
from kb.sources.encodings import spoilt
from kb.sources.kinds import FETCH_IMAGES, LANGUAGE, LICENCE, NAMED, Field, SourceKind, Values, first_documents
from kb.sources.lines import MOST_CHARACTERS
from kb.sources.picture_fetching import PictureFetcher, with_fetched
from kb.sources.row_pictures import pictures_in, web_address

_MOST = {"title": 1000, "licence": 64, "topic": 1000, "description": 10_000}  # characters
_LONGEST_KEY = 400  # leaves room for the corpus and the position in the 512 characters of a passage's name
_LANGUAGE = re.compile(r"(?=.{1,16}\Z)[A-Za-z]+(?:[-_][A-Za-z0-9]+)*")  # BCP 47 and the like
# A corpus's name is part of its passages' ids and of the names of index folders.
_CORPUS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def make_source(
    corpus: str,
    title: str,
    licence: str,
    language: str,
    homepage: str,
    read: Callable[[Path], tuple[int | None, Iterator[Item]]],
) -> Source:
    """A Source of what a person named. Raises Problem for names that the catalogue cannot keep."""
    if not _CORPUS.fullmatch(corpus):
        raise BadRequest(
            f"A corpus cannot be called {shown(corpus, 80)!r}; its name has up to 64 letters from A to Z, digits, "
            "dots, dashes and underscores."
        )
    if not clean_text(licence) or len(licence) > _MOST["licence"]:
        raise BadRequest(f"The licence {shown(licence)!r} does not have 1 to {_MOST['licence']} characters.")
    if not is_language(language):
        raise BadRequest(f"{shown(language)!r} is not the code of a language; give one such as en, de or zh.")
    return Source(corpus, clean_text(title)[:255] or corpus, clean_text(licence), language, homepage, read)


def made_by(source: Callable[..., Source], *flags: str) -> Callable[[Values], Source]:
    """What makes the Source of a path, a corpus, the licence and language of documents that name none, and flags."""
    return lambda values: source(
        Path(values["what"]),
        values["corpus"],
        licence=values["licence"] or UNKNOWN_LICENCE,
        language=values["language"] or UNKNOWN_LANGUAGE,
        **{name: bool(values[name]) for name in flags},
    )


def file_kind(name: str, source: Callable[..., Source], endings: tuple[str, ...] = ()) -> SourceKind:
    """The kind of a source that reads a file of rows, which `source` makes; see SourceKind for the endings."""
    what = Field(
        "what", "File", "FILE", "Its path there. It has text, and perhaps id, title, url, language and licence.",
        value="path", required=True, where=True,
    )  # fmt: skip
    make = made_by(source, FETCH_IMAGES.name)
    return SourceKind(
        name,
        "A JSONL or CSV file on that machine",
        (what, NAMED, LICENCE, LANGUAGE, FETCH_IMAGES),
        make,
        in_words="the file",
        cut=True,
        preview=first_documents(make),
        endings=endings,
    )


def rows_source(
    cache_dir: Path, given: Iterator[Item], fetch_images: bool
) -> tuple[None, Iterator[Item]]:
    """What the source of a file of rows gives: its documents, whose number nobody knows, with the pictures on the web
    that they name where these are to be fetched."""
    return None, with_fetched(given, PictureFetcher(cache_dir)) if fetch_images else given


def safe_key(name: str) -> str:
    """`name` itself where it can be a key; else like it and told apart from other names by part of its SHA-256."""
    if name and len(name) <= _LONGEST_KEY and name.isprintable() and not any(c.isspace() for c in name):
        return name
    like = key_like(name)[: _LONGEST_KEY - 20]
    return f"{like}~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


def key_like(name: str) -> str:
    """What the safe_key of a name begins with."""
    return "".join(c if c.isprintable() and not c.isspace() else "_" for c in name)


def is_language(code: str) -> bool:
    """Whether it can be the code of a language, as en, zh-Hant or und."""
    return bool(_LANGUAGE.fullmatch(code))


def paragraphs(text: str) -> str:
    """The lines of `text`, cleaned, without empty ones."""
    return "\n".join(line for part in text.splitlines() if (line := clean_text(part)))


def records(
    rows: Iterable[tuple[str, Mapping[str, object] | str] | Note],
    make: Callable[[Mapping[str, object]], DocumentRecord],
) -> Iterator[Item]:
    """What `make` makes of each (where, row), or Skipped where it raises Problem, where there is a fault in place
    of the row, and where a key has come before. Holds about 80 bytes a document."""
    seen: set[int] = set()
    for each in rows:
        if isinstance(each, Note):
            yield each
            continue
        where, row = each
        try:
            if isinstance(row, str):
                raise Problem(row)
            record = make(row)
            mark = hash(record.key)
            if mark in seen:
                raise Problem(f"The id {shown(record.key)} came before; the first of them is kept.")
            seen.add(mark)
        except Problem as problem:
            yield Skipped(where, str(problem))
        else:
            yield record


def document(
    row: Mapping[str, object], licence: str, language: str, folder: Path | None = None
) -> DocumentRecord:
    """The document that a row tells of; `licence` and `language` are for rows that name none. Raises Problem. Files of
    pictures that it names are read from `folder`; None: from nowhere.

    Without an id the key comes from what the row says. An address that is not one of the web is left out.
    """
    told = {name: clean_text(_text(row, name)) for name in _MOST}
    for name, most in _MOST.items():
        if len(told[name]) > most:
            raise Problem(f"Its {name} has more than {most:,} characters.")
    found = _text(row, "language").strip() or language
    if not is_language(found):
        raise Problem(f"Its language {shown(found)!r} is not the code of one.")
    raw = _long_text(row, "text")
    text = paragraphs(raw)
    if not text:
        raise Problem("It has no text.")
    if fault := spoilt(f"{_text(row, 'title')}\n{raw}"):
        raise Problem(fault)
    key = _text(row, "id").strip()
    record = DocumentRecord(
        key=safe_key(key) if key else "",
        title=told["title"],
        url=web_address(_text(row, "url")),
        language=found,
        licence=told["licence"] or licence,
        texts=(),
        description=told["description"],
        topic=told["topic"],
        sections=(Section((), text),),
        pictures=pictures_in(row, folder),
    )
    if key:
        return record
    # Whatever is given for rows that name neither, a row stays the same document.
    language = _text(row, "language").strip() or UNKNOWN_LANGUAGE
    plain = replace(record, language=language, licence=told["licence"] or UNKNOWN_LICENCE)
    return replace(record, key=f"sha256-{plain.content_hash[:32]}")


def passage(row: Mapping[str, object], id: str, text: str, licence: str, language: str) -> DocumentRecord:
    """The document that is one passage, its text as it is, from the columns called `id` and `text`. Raises Problem.

    Its title is empty: such rows have none."""
    key = _text(row, id).strip()
    if not key:
        raise Problem(f"It has no {id}.")
    kept = _long_text(row, text).replace("\0", "").encode("utf-8", "ignore").decode()
    if not kept.strip():
        raise Problem(f"It has no {text}.")
    return DocumentRecord(safe_key(key), "", "", language, licence, (kept,))


def _long_text(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str | None):
        raise Problem(f"Its {name} is {_kind(value)} and not a text.")
    if value and len(value) > MOST_CHARACTERS:
        raise Problem(f"Its {name} has more than {MOST_CHARACTERS:,} characters.")
    return value or ""


def _text(row: Mapping[str, object], name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise Problem(f"Its {name} is {_kind(value)} and not a text.")


def _kind(value: object) -> str:
    kinds = {bool: "true or false", list: "a list", dict: "an object", int: "a number", float: "a number"}
    return kinds.get(type(value), f"of the type {type(value).__name__}")
