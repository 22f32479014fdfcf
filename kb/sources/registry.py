"""From what is written on a command line to the source that it means.

Knows the sources and which of them want a file, a folder or a name; it knows nothing of the database.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from kb.records import CatalogueProblem, Source
from kb.sources import SOURCES, csv_file, folder, google_search, jsonl, okvqa, parquet, wikipedia_dump
from kb.sources.rows import UNKNOWN_LANGUAGE, UNKNOWN_LICENCE

# A corpus's name is part of its passages' ids and of the names of index folders.
_CORPUS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_OWN = {"jsonl": jsonl.source, "csv": csv_file.source, "folder": folder.source}
_LICENSED = frozenset(("m2kr", "okvqa-google", *_OWN))  # give documents that may not say under what licence they are
CUT = frozenset(("wikipedia-dump", "wikipedia-hub", "google-search", *_OWN))  # give documents that must be cut
READS_PATH = frozenset(("wikipedia-dump", "okvqa-google", *_OWN))  # what is asked for is a file or folder
KINDS = {
    **{name: "" for name in SOURCES},
    "wikipedia-dump": "FILE --corpus NAME",
    "wikipedia-hub": "CONFIG, such as 20231101.en",
    "okvqa-google": "FILE, or nothing for the Hub's",
    "google-search": "--questions FILE",
    "m2kr": "DATASET [--data DIR-or-Hub-id]",
    "folder": "DIR --corpus NAME",
    "jsonl": "FILE --corpus NAME",
    "csv": "FILE --corpus NAME",
}


@dataclass(frozen=True)
class Asked:
    """What was asked for: the kind of source, what it is to read, and what else is known of it."""

    kind: str
    what: str | None = None
    corpus: str | None = None
    data: str | None = None
    questions: Path | None = None
    licence: str | None = None
    language: str | None = None
    google_key: str = ""
    google_engine: str = ""


def settled(asked: Asked) -> Asked:
    """The same with its paths made absolute, so that it means the same when another process asks for it again."""
    what, questions, data = asked.what, asked.questions, asked.data
    if asked.kind in READS_PATH and what is not None:
        what = str(Path(what).expanduser().absolute())
    if data is not None and isinstance(_folder_or_name(data), Path):
        data = str(Path(data).expanduser().absolute())
    questions = None if questions is None else questions.expanduser().absolute()
    return replace(asked, what=what, data=data, questions=questions)


def as_request(asked: Asked) -> str:
    """What was asked for, as JSON for the record of the run. It never holds a key."""
    told = {name: str(value) for name, value in vars(asked).items() if value and not name.startswith("google_")}
    return json.dumps(told, sort_keys=True)  # in ASCII, since a path may hold what is not UTF-8


def from_request(request: str) -> Asked:
    """What `as_request` wrote down. Raises CatalogueProblem for what it did not write."""
    try:
        told = json.loads(request)
        known = {name: told[name] for name in told if name in Asked.__annotations__ and isinstance(told[name], str)}
        asked = Asked(**known)
    except (ValueError, TypeError):
        raise CatalogueProblem("The run does not say what it read; start a new one from its source.") from None
    return asked if asked.questions is None else replace(asked, questions=Path(asked.questions))


def same_place(asked: Asked, corpus: str, request: str) -> bool:
    """Whether a run of a corpus with that request, "" where there is none to be known, read the same place."""
    if not request:
        return asked.kind == corpus  # the program itself fetched it
    before = from_request(request)
    return (asked.kind, asked.what, asked.data) == (before.kind, before.what, before.data)


def source_for(asked: Asked) -> Source:
    """The source that is meant. Raises CatalogueProblem with a sentence on what is missing or makes no sense."""
    kind, what = asked.kind, asked.what
    if kind not in KINDS and kind not in SOURCES:
        known = ", ".join(sorted(KINDS))
        raise CatalogueProblem(f"There is no source called {kind!r}; the sources are: {known}.")
    if asked.licence and kind not in _LICENSED:
        raise CatalogueProblem(f"{kind} says itself under what licence its documents are; leave --licence out.")
    if asked.language and kind not in _OWN:
        raise CatalogueProblem(f"{kind} says itself in what language its documents are; leave --language out.")
    if kind in SOURCES:
        if asked.corpus not in (None, kind):
            raise CatalogueProblem(f"The corpus of {kind} is always called that; leave --corpus out.")
        return SOURCES[kind]
    if asked.corpus is not None and not _CORPUS.fullmatch(asked.corpus):
        raise CatalogueProblem(
            f"A corpus cannot be called {asked.corpus[:80]!r}; its name has up to 64 letters, digits, dots, dashes and "
            "underscores."
        )
    licence = asked.licence or UNKNOWN_LICENCE
    if kind == "google-search":
        return _google(asked)
    if kind == "okvqa-google":
        corpus = asked.corpus or "okvqa-google"
        if what is None:
            return parquet.okvqa_google_search(corpus, licence=licence)
        return okvqa.source(Path(what), corpus, licence=licence)
    if what is None:
        raise CatalogueProblem(f"Say what to read: python -m kb ingest {kind} {KINDS[kind]}.")
    if kind == "wikipedia-hub":
        return parquet.wikipedia(what, asked.corpus or f"wikipedia-{what}")
    if kind == "m2kr":
        place = asked.data or parquet.M2KR
        return parquet.m2kr(_folder_or_name(place), asked.corpus or f"m2kr-{what.lower()}", what, licence=licence)
    if asked.corpus is None:
        raise CatalogueProblem(f"Give the corpus a name: python -m kb ingest {kind} {KINDS[kind]}.")
    if kind == "wikipedia-dump":
        return wikipedia_dump.source(Path(what), asked.corpus)
    language = asked.language or UNKNOWN_LANGUAGE
    return _OWN[kind](Path(what), asked.corpus, licence=licence, language=language)


def _google(asked: Asked) -> Source:
    if asked.questions is None:
        raise CatalogueProblem("Say what to search for: python -m kb ingest google-search --questions FILE.")
    if not asked.google_key or not asked.google_engine:
        raise CatalogueProblem(
            "Google's search needs a key and an engine: set CITESIGHT_GOOGLE_KEY and CITESIGHT_GOOGLE_ENGINE."
        )
    questions = google_search.read_questions(asked.questions)
    return google_search.source(questions, asked.google_key, asked.google_engine, asked.corpus or "google-search")


def _folder_or_name(place: str) -> Path | str:
    """A folder where there is one, else the name of a data set on the Hub."""
    path = Path(place).expanduser()
    return path if path.exists() else place
