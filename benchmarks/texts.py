"""How much of what texts say is read, and how much that they do not say: on texts whose readings people have marked.

    python -m kb eval html DIR      DIR/NAME.html.gz, and DIR/truth.json: {NAME: the text of the article}
    python -m kb eval pdf DIR       DIR/NAME.pdf, and DIR/NAME.txt, what pdftotext says of each

Of pages, a sentence counts as read when its words follow each other in what was read, and a word as too much for each
time that it stands there more often than in the article; marks, spaces and capitals are left aside. Beside ours stands
what trafilatura gives by itself. The title is left out on both sides, and headings within the text are in. Of the words
that head a table's columns, ours says each in every row: for what is missed they count once, for what is too much each
time.

Of PDFs, words are those that both readers find, and pairs those that follow each other in both, which says how alike
the order is: twice their number in common divided by the sum of both. In writings without spaces every letter is a
word. pdftotext is not always right: what differs is to be looked at.
"""

from __future__ import annotations

import gzip
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from common.passage import says_rows
from common.problems import Problem, unreadable
from generator.sentences import MAX_TEXT, split_sentences
from kb.sources.file_text import parse

_WORD = re.compile(r"\w+")
_SPACELESS = "\u0e01-\u0eff\u3041-\u30ff\u3400-\u9fff"
_WORD_OR_LETTER = re.compile(rf"[{_SPACELESS}]|(?:(?![{_SPACELESS}])\w)+")
_DIVIDED = re.compile(r"(?<=[^\W\d_])[-\u00ad\u2010]\n(?=[a-zß-ÿ])")  # a word, by the end of a line
_HEAD = re.compile(r"(?:^|(?<=; ))([^:;]+): ")  # of a cell in a row


@dataclass(frozen=True)
class Reading:
    """Of all texts together. sentences, words: of the articles; missed: sentences; too_much: words. refused: texts of
    which nothing was read."""

    reader: str
    texts: int
    sentences: int
    missed: int
    words: int
    too_much: int
    refused: int


@dataclass(frozen=True)
class Common:
    """What two readers of a text have in common. words: that the other finds; missed, too_much: by ours; in_common,
    pairs_in_common: shares; refused: why ours reads nothing."""

    text: str
    words: int
    missed: int
    too_much: int
    in_common: float
    pairs_in_common: float
    refused: str = ""


def measure_pdf(folder: Path) -> list[Common]:
    """Of each PDF, and of all together. Raises Problem when the folder does not hold what is described above."""
    try:
        texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.txt"))}
        files = {name: (folder / f"{name}.pdf").read_bytes() for name in texts}
    except (OSError, UnicodeDecodeError) as problem:
        raise unreadable(folder, problem) from None
    if not texts:
        raise Problem(f"{folder} holds no NAME.txt beside a NAME.pdf.")
    found: list[Common] = []
    all_ours, all_theirs = [], []
    for name, text in texts.items():
        why, said = "", ""
        try:
            said = "\n".join(section.text for section in parse("pdf", files[name]).sections)
        except Problem as problem:
            why = str(problem)
        ours, theirs = _words_or_letters(said), _words_or_letters(text)
        found.append(_common(name, ours, theirs, why))
        all_ours += [*ours, ""]
        all_theirs += [*theirs, ""]
    return [*found, _common("all", all_ours, all_theirs, "")]


def _common(name: str, ours: Sequence[str], theirs: Sequence[str], why: str) -> Common:
    """An empty word stands between two texts, and counts for nothing."""
    one, other = (Counter(filter(None, words)) for words in (ours, theirs))
    pairs = [Counter(pair for pair in pairwise(words) if all(pair)) for words in (ours, theirs)]
    missed, too_much = (other - one).total(), (one - other).total()
    return Common(name, other.total(), missed, too_much, _share(one, other), _share(*pairs), why)


def _share(one: Counter, other: Counter) -> float:
    return round(2 * (one & other).total() / max(1, one.total() + other.total()), 4)


def _words_or_letters(text: str) -> list[str]:
    return _WORD_OR_LETTER.findall(unicodedata.normalize("NFKC", _DIVIDED.sub("", text)).casefold())


def measure_html(folder: Path) -> list[Reading]:
    """Raises Problem when the folder does not hold what is described above."""
    try:
        truth = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
        pages = {name: gzip.decompress((folder / f"{name}.html.gz").read_bytes()) for name in truth}
    except OSError as problem:
        raise unreadable(folder, problem) from None
    except ValueError:
        raise Problem(f"{folder / 'truth.json'} is not JSON, which names each page with its article's text.") from None
    return [_measured(name, read, pages, truth) for name, read in {"ours": _ours, "trafilatura": _plain}.items()]


def _measured(
    reader: str, read: Callable[[bytes], tuple[str, str]], pages: Mapping[str, bytes], truth: Mapping[str, str]
) -> Reading:
    sentences = missed = words = too_much = refused = 0
    for name, data in pages.items():
        whole, heads_once = read(data)
        found, meant = _words(whole), _words(truth[name])
        there = f" {' '.join(_words(heads_once))} "
        said = [" ".join(own) for each in _sentences(truth[name]) if (own := _words(each))]
        sentences += len(said)
        missed += sum(f" {each} " not in there for each in said)
        words += len(meant)
        too_much += (Counter(found) - Counter(meant)).total()
        refused += not found
    return Reading(reader, len(pages), sentences, missed, words, too_much, refused)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _sentences(text: str) -> list[str]:
    return [each.text for line in text.split("\n") for each in split_sentences(line[:MAX_TEXT])]


def _ours(data: bytes) -> tuple[str, str]:
    """What is said, and the same with the words over the columns of tables once."""
    try:
        found = parse("html", data)
    except Problem:
        return "", ""
    above = [(), *(section.path for section in found.sections)]
    said, once = [], []
    for before, section in zip(above, found.sections, strict=False):
        names = [name for place, name in enumerate(section.path) if before[: place + 1] != section.path[: place + 1]]
        said += [*names, section.text]
        once += [*names, _heads_once(section.text) if section.path and says_rows(section.path[-1]) else section.text]
    return "\n".join(said), "\n".join(once)


def _heads_once(rows: str) -> str:
    lines = rows.split("\n")
    return "\n".join([" ".join(_HEAD.findall(lines[0])), *(_HEAD.sub("", line) for line in lines)])


def _plain(data: bytes) -> tuple[str, str]:
    from trafilatura import extract

    text = extract(data, include_comments=False) or ""
    return text, text
