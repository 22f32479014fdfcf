"""The names and arguments of Wikipedia's templates, as their writers gave them. Knows nothing of what they mean."""

from __future__ import annotations

import re
from collections.abc import Callable

Saying = Callable[[list[str], dict[str, str], str], str]  # of the arguments by place, those by name, the language

_KEY = re.compile(r"[\w -]{1,40}")


def template_name(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).lower()


def template_arguments(rest: str) -> tuple[list[str], dict[str, str]]:
    """(those by place, those by name) of what follows a template's name."""
    placed: list[str] = []
    named: dict[str, str] = {}
    for part in rest.split("|"):
        key, given, value = part.partition("=")
        key = key.strip()
        if given and key.isdecimal() and int(key[:4]) == len(placed) + 1:
            placed.append(value.strip())
        elif given and _KEY.fullmatch(key):
            named[key.lower()] = value.strip()
        else:
            placed.append(part.strip())
    return placed, named
