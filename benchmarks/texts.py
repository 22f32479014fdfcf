"""How much of what texts say is read, and how much that they do not say: on texts whose readings people have marked.

    python -m kb eval html DIR      DIR/NAME.html.gz, and DIR/truth.json: {NAME: the text of the article}

A sentence counts as read when its words follow each other in what was read, and a word as too much for each time that
it stands there more often than in the article; marks, spaces and capitals are left aside. Beside ours stands what
trafilatura gives by itself. The title is left out on both sides, and headings within the text are in.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from common.problems import Problem, unreadable
from generator.sentences import MAX_TEXT, split_sentences
from kb.sources.file_text import parse

_WORD = re.compile(r"\w+")


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
    reader: str, read: Callable[[bytes], str], pages: Mapping[str, bytes], truth: Mapping[str, str]
) -> Reading:
    sentences = missed = words = too_much = refused = 0
    for name, data in pages.items():
        found, meant = _words(read(data)), _words(truth[name])
        there = f" {' '.join(found)} "
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


def _ours(data: bytes) -> str:
    try:
        found = parse("html", data)
    except Problem:
        return ""
    above = [(), *(section.path for section in found.sections)]
    said = []
    for before, section in zip(above, found.sections, strict=False):
        said += [name for place, name in enumerate(section.path) if before[: place + 1] != section.path[: place + 1]]
        said.append(section.text)
    return "\n".join(said)


def _plain(data: bytes) -> str:
    from trafilatura import extract

    return extract(data, include_comments=False) or ""
