"""Lines of a text file that nobody vouches for, in bounded memory: plain or packed with gzip, in whatever encoding.

A line that cannot be taken comes with its fault in its place, so that the rest can still be read. Knows nothing of what
the lines mean.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from common.problems import Problem, unreadable
from common.text import shown
from kb.sources.encodings import NOT_TEXT, SAMPLE, Encoding, encoding_of, guess_told

MOST_CHARACTERS = 8_000_000  # of a line
MOST_UNPACKED = 256 << 30  # bytes that a packed file may hold
MOST_RATIO = 200  # of its size, once it has unpacked to more than FREE; text packs to a tenth, a bomb to a thousandth
FREE = 32 << 20
_BLOCK = 1 << 16
_BAD = "\udcff"  # stands for bytes that are no text; no decoder gives it for bytes that are
_SURROGATE = re.compile("[\ud800-\udfff]")


class Line(NamedTuple):
    """A line without its end. fault: "", or why its text is not to be used, as a sentence."""

    number: int
    text: str
    fault: str


def check_file(path: Path) -> None:
    """Raises Problem unless `path` is a file."""
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise Problem(f"{shown(path)} {what}; give the path of a file that can be read.")


def read_lines(path: Path) -> tuple[str, Iterator[Line]]:
    """A sentence where nothing but its letters says how the file is to be read, "" elsewhere; and its lines, counted
    from 1. Raises Problem where it is damaged, unreadable or a bomb, the iterator too.

    A line of more than MOST_CHARACTERS is never held; at most that many characters are.
    """
    blocks = _blocks(path)
    first, encoding = next(blocks)
    return guess_told(encoding), _lines(_decoded(chain([first], (block for block, _ in blocks)), encoding))


def _lines(texts: Iterable[str]) -> Iterator[Line]:
    number, parts, size = 1, [], 0
    for text in texts:
        for place, piece in enumerate(text.split("\n")):
            if place:
                yield _line(number, parts, size)
                number, parts, size = number + 1, [], 0
            size += len(piece)
            if size <= MOST_CHARACTERS:
                parts.append(piece)
            else:
                parts.clear()
    if size:
        yield _line(number, parts, size)


def check_no_list(path: Path, line: str) -> None:
    """Raises Problem where what should be the first of JSON lines begins a list, which all of the file is then."""
    if line.lstrip().startswith("["):
        raise Problem(
            f"{shown(path.name)} is a list of JSON and not JSON lines; write each of its objects on a line of its own, "
            "as `jq -c '.[]'` does."
        )


def json_value(text: str) -> Any:
    """What a line of JSON holds. Raises ValueError, for NaN and Infinity too, which JSON does not know and databases do
    not keep, and RecursionError."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no number of JSON; write null, or leave it out")

    return json.loads(text, parse_constant=refuse)


def _line(number: int, parts: list[str], size: int) -> Line:
    if size > MOST_CHARACTERS:
        return Line(number, "", f"It has more than {MOST_CHARACTERS:,} characters.")
    text = "".join(parts)
    fault = ""
    if "\0" in text:
        fault = NOT_TEXT
    elif not text.isascii() and _SURROGATE.search(text):
        fault = "It is not UTF-8."
    return Line(number, text, fault)


def _decoded(blocks: Iterable[bytes], encoding: Encoding) -> Iterator[str]:
    # Bytes that are no text become lone surrogates, which text never holds.
    wide = encoding.name.startswith(("utf-16", "utf-32"))
    plain = codecs.getincrementaldecoder(encoding.name)("surrogatepass" if wide else "surrogateescape")
    decoder = io.IncrementalNewlineDecoder(plain, translate=True)
    for block in blocks:
        try:
            yield decoder.decode(block, final=not block)
        except UnicodeDecodeError:  # UTF-16 that ends within a character
            yield _BAD


def _blocks(path: Path) -> Iterator[tuple[bytes, Encoding]]:
    """(block, encoding of the file); the last block is empty."""
    try:
        with path.open("rb") as file:
            packed = file.peek(2)[:2] == b"\x1f\x8b"
            stream = gzip.GzipFile(fileobj=file) if packed else file
            encoding, size = None, 0
            while True:
                block = stream.read(_BLOCK if encoding else SAMPLE)
                size += len(block)
                if packed and (size > MOST_UNPACKED or size > max(FREE, MOST_RATIO * file.tell())):
                    raise Problem(
                        f"{shown(path.name)} unpacks to far more than a text of its size does and is not read on; "
                        "unpack it yourself if you trust it."
                    )
                encoding = encoding or _encoding(block)
                yield block, encoding
                if not block:
                    return
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise Problem(
            f"{shown(path.name)} is damaged: it cannot be unpacked to its end; get it again."
        ) from None
    except OSError as problem:
        raise unreadable(path, problem) from None


def _encoding(block: bytes) -> Encoding:
    try:
        return encoding_of(block)
    except Problem:  # its lines are told one by one
        return Encoding("utf-8")
