"""Texts from people, files and models, made fit to be kept: bounded, and as they are but for what no database keeps.

Markup and scripts are text like any other; whoever shows one escapes it. Knows nothing of tables.
"""

from __future__ import annotations

import re
from pathlib import Path

from common.problems import BadRequest
from common.text import shown
from kb.records import clean_text

MAX_QUESTION = 2_000  # characters, as on the Ask page
MAX_GUIDELINES = 100_000
MAX_TEXT = 100_000  # of a passage or an answer
MAX_COMMENT = 10_000
_MAX_TITLE = 1_000

_NOT_KEPT = re.compile("[\x00\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_MARK = re.compile("[0-9a-f]{32}")
_KEY = re.compile(r"[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,200}")


def kept(text: object, what: str, most: int = MAX_TEXT) -> str:
    """A text as it can be kept. Raises BadRequest for what is none or too long; what: "The comment"."""
    if not isinstance(text, str):
        raise BadRequest(f"{what} is not a text; give one.")
    if len(text) > most:
        raise BadRequest(f"{what} has {len(text):,} characters, and {most:,} is the most; shorten it.")
    return storable(text)


def storable(text: str) -> str:
    """A text with U+FFFD in place of NUL and of halves of characters, which no database keeps."""
    return _NOT_KEPT.sub("\ufffd", text)


def title(text: object, what: str) -> str:
    return kept(text, what, _MAX_TITLE)


def checked_question(text: object) -> str:
    question = clean_text(kept(text, "The question", MAX_QUESTION))
    if not question:
        raise BadRequest("There is no question; every item needs one.")
    return question


def checked_name(name: str, what: str) -> str:
    """The name of a project or a person (what: "A project"), which stands in commands, files and addresses."""
    if not is_name(name):
        raise BadRequest(
            f"{what} cannot be called {shown(name, 80)!r}; a name has up to 64 letters from A to Z, digits, "
            "dots, dashes, underscores and @, and begins with a letter or digit."
        )
    return name


def is_name(name: object) -> bool:
    """Whether a project or a person could be called so."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def checked_key(key: str) -> str:
    """An item's key, which stands in files of qrels, where white space parts the fields."""
    if not _KEY.fullmatch(key):
        raise BadRequest(f"The id {shown(key, 80)!r} has white space, or more than 200 characters; choose another.")
    return key


def checked_mark(mark: object) -> str:
    """What says which candidate a gold grade is of."""
    if not isinstance(mark, str) or not _MARK.fullmatch(mark):
        raise BadRequest(f"{shown(mark, 80)!r} is not the content hash of a candidate.")
    return mark


def named(path: Path) -> str:
    return shown(path.name, 100)
