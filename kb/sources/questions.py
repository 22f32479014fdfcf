"""Files of questions, one a line or as JSON, for sources that search for each. Knows nothing of searches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.problems import Problem
from kb.records import clean_text
from kb.sources.encodings import decoded
from kb.sources.lines import json_value

MAX_FILE = 10_000_000  # bytes
MAX_QUESTION = 1_000  # characters


def read_questions(path: Path) -> list[str]:
    """The different questions of a file, in order: one a line, or JSON, where a question is a text or an object with
    a `question`: a list of them, or one a line. Raises Problem with a sentence."""
    questions = [_question(entry, where) for entry, where in read_entries(path)]
    if not questions:
        raise Problem(f"The file {path} holds no question; write one on each line.")
    return list(dict.fromkeys(questions))


def read_entries(path: Path) -> list[tuple[Any, str]]:
    """(entry, where it stands) of a file: the texts of its lines, the objects of its lines, or a JSON list. Raises
    Problem with a sentence."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as problem:
        raise Problem(f"The file {path} cannot be read: {problem.strerror or problem}.") from None
    if len(data) > MAX_FILE:
        raise Problem(f"The file {path} is larger than {MAX_FILE // 10**6} MB; split it.")
    try:
        text, encoding = decoded(data)
    except Problem as problem:
        raise Problem(f"The file {path} cannot be used. {problem}") from None
    if encoding.guessed:  # nobody would see what was guessed
        raise Problem(f"The file {path} is not text in UTF-8; save it as that and try again.")
    begin = text.lstrip()[:1]
    if begin == "[":
        entries = _parsed(text, f"The file {path}")
        return [(entry, f"entry {number} of {path}") for number, entry in enumerate(entries, 1)]
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if begin == "{":
        return [(_parsed(line, f"Line {number} of {path}"), f"line {number} of {path}") for number, line in lines]
    return [(line, f"line {number} of {path}") for number, line in lines]


def _parsed(text: str, what: str) -> Any:
    try:
        return json_value(text)
    except (ValueError, RecursionError):
        raise Problem(f"{what} begins like JSON and cannot be read as such; correct it.") from None


def _question(entry: Any, where: str) -> str:
    said = entry.get("question") if isinstance(entry, dict) else entry
    question = clean_text(said) if isinstance(said, str) else ""
    if not question:
        raise Problem(f"There is no question in {where}; it must be a text or an object with a `question`.")
    if len(question) > MAX_QUESTION:
        raise Problem(f"The question in {where} has more than {MAX_QUESTION} characters; shorten it.")
    return question
