"""The words of the catalogue as plain values: what goes in (records of a source) and what comes out.

Knows nothing of SQL, of files or of where a source gets its text.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from common.passage import Passage, Picture

UNKNOWN_LICENCE = "unknown"
UNKNOWN_LANGUAGE = "und"  # BCP 47: undetermined

_NEWER = ("pictures", "whole", "places")  # than catalogues that know a section by the hash of what it says
_CONTROL_SPACE = re.compile(r"[\t-\r\x85]")
# Other control characters and lone surrogates cannot be stored everywhere; the last four only tell a
# typesetter where a line may break, and would split words that look whole.
_UNWANTED = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\u00ad\\u200b\\u2060\\ufeff]")
# Ligatures of letters, and letters and digits as wide as ideographs, or half as wide: forms of type, not of writing.
_FORMS = re.compile("[\ufb00-\ufb06\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff66-\uff9d][\uff9e\uff9f]?")
MAX_MARKS = 30  # combining characters in a row, as Unicode's stream-safe format has it (UAX #15)
_NO_LETTERS = re.compile(rf"[^\w\s\x00-\u02ff]{{{MAX_MARKS + 1},}}")  # where there may be more


@dataclass(frozen=True)
class Document:
    """What is known of a whole document; `id` is `<corpus>:<key>`. `description` and `topic` may be empty."""

    id: str
    corpus: str
    title: str
    url: str
    language: str
    licence: str
    description: str
    topic: str
    content_hash: str
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class CorpusInfo:
    """A corpus and how much of it is in the catalogue; `version` counts how often it was cut into passages anew."""

    name: str
    title: str
    licence: str
    language: str
    documents: int
    passages: int
    version: int = 1


@dataclass(frozen=True)
class TextHit:
    """A passage found by its words; a higher score is better, scores compare within one search only."""

    passage: Passage
    score: float


@dataclass(frozen=True)
class Section:
    """A part of a document's text: the titles of the sections it lies in, outermost first (none for what stands before
    the first title), and its paragraphs, a line each. `pictures`: those of the document's that stand in it, by their
    numbers from 0. `whole`: it is one passage, as a page with its picture is. `places`: the character of the text that
    each picture stands at, -1 where that is not known; none where it is known of no picture."""

    path: tuple[str, ...]
    text: str
    pictures: tuple[int, ...] = ()
    whole: bool = False
    places: tuple[int, ...] = ()


@dataclass(frozen=True)
class GivenPicture(Picture):
    """A picture as a source gives it. `read` gives the bytes of its file, or raises Problem; None where the source
    knows no more than its name."""

    read: Callable[[], bytes] | None = field(default=None, compare=False, repr=False)

    @property
    def told(self) -> str | dict[str, object]:
        """What a record says of it: its name alone, as it was before pictures had more, where that and an address are
        all that is known."""
        more = {name: said for name, said in vars(self).items() if name not in ("name", "url", "read") and said}
        return {"name": self.name, "url": self.url} | more if more else self.name


@dataclass(frozen=True)
class Skipped:
    """Something in a source that could not be taken: where ("corpus.jsonl, line 12") and why, as a sentence; `key` is
    the document's, where it is known, or what the keys of all it holds begin with, up to a slash."""

    where: str
    why: str
    key: str = ""


@dataclass(frozen=True)
class Note:
    """What is to be known of something that was taken, such as a guess, or what of a document was left out: where, and
    a sentence. `whole`: it sums up all of the source, at its end, and is recorded however many others are."""

    where: str
    said: str
    whole: bool = False


@dataclass(frozen=True)
class DocumentRecord:
    """One document as a source gives it. `key` is its stable name within the source, without white space.

    `texts` are its passages where the source says what they are; else `sections` hold its text, to be cut into
    passages. Those of its `pictures` that stand in no section stand beside all of it.
    """

    key: str
    title: str
    url: str
    language: str
    licence: str
    texts: tuple[str, ...]
    description: str = ""
    topic: str = ""
    sections: tuple[Section, ...] = ()
    pictures: tuple[GivenPicture, ...] = ()

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 in hexadecimal of everything the record says."""
        told: dict[str, object] = dict(vars(self))  # asdict would copy all of it
        # What there is none of is not told, as it was not before records could have it.
        told["sections"] = [
            {name: said for name, said in vars(section).items() if said or name not in _NEWER}
            for section in self.sections
        ]
        told["images"] = [picture.told for picture in self.pictures]
        del told["pictures"]
        for name in ("sections", "images"):
            if not told[name]:
                del told[name]
        said = json.dumps(told, ensure_ascii=True, sort_keys=True)
        return hashlib.sha256(said.encode("ascii")).hexdigest()


Item = DocumentRecord | Skipped | Note  # what a source gives


@dataclass(frozen=True)
class Source:
    """Where a corpus comes from.

    `read(cache_dir)` gives (number of documents or None, iterator over them), always the same documents in the same
    order, and may keep fetched files in `cache_dir`. What cannot be taken comes as `Skipped` in its place, and what is
    to be known of what was as `Note` beside it; a source that cannot be read at all raises Problem. A corpus has the
    name of its source, without a colon.
    `whole` says that a document it does not give any more, nor skips by its key, is no more. `nothing`, where it is not
    "", is why it should not give none at all, as a sentence.
    """

    name: str
    title: str
    licence: str
    language: str
    homepage: str
    read: Callable[[Path], tuple[int | None, Iterator[Item]]]
    whole: bool = False
    nothing: str = ""


class RunState(StrEnum):
    """Of an ingestion run, as it is written down: RUNNING, or how it ended; INTERRUPTED did not end by itself."""

    RUNNING = "running"
    FINISHED = "finished"
    PAUSED = "paused"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True)
class RunReport:
    """What one ingestion did: `seen` = `added` + `updated` + `unchanged` documents; `skipped` is what it could not
    take, `noted` what is to be known of what it took, `removed` the documents that are no more. A `paused` one stopped
    before its end because it was asked to, and `why`, if that was said."""

    run_id: int
    source: str
    seen: int
    added: int
    updated: int
    unchanged: int
    skipped: int
    noted: int
    seconds: float
    removed: int = 0
    paused: bool = False
    why: str = ""


def version_name(corpus: str, version: int) -> str:
    """What the ids of the documents of a corpus's version begin with."""
    return corpus if version == 1 else f"{corpus}@{version}"


def passage_hash(title: str, section: str, text: str, pictures: Sequence[str] = ()) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of all that an index keeps of a passage; its pictures are given by
    their hashes."""
    return hashlib.sha256("\0".join((title, section, text, *pictures)).encode()).hexdigest()[:32]


def _fewer_marks(run: re.Match[str]) -> str:
    kept, marks = [], 0
    for character in run[0]:
        # Some that are no marks are made of nothing else.
        marks = marks + 1 if unicodedata.combining(unicodedata.normalize("NFD", character)[0]) else 0
        if marks <= MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def clean_text(text: str) -> str:
    """`text` in Unicode form NFC, ligatures and wide letters as plain ones, runs of white space made one space, without
    stray invisible ones, nor more than MAX_MARKS marks on one letter: putting a run of them into order takes time
    quadratic in its length."""
    if text.isascii() and text.isprintable():  # most of what comes in English
        return " ".join(text.split())
    normal = unicodedata.normalize("NFC", _NO_LETTERS.sub(_fewer_marks, text))
    plain = _FORMS.sub(lambda form: unicodedata.normalize("NFKC", form[0]), normal)
    if not plain.isprintable():
        plain = _UNWANTED.sub("", _CONTROL_SPACE.sub(" ", plain))
    return " ".join(plain.split())
