"""One request of the annotation pages: who asks, of what, with which values, each checked when it is taken.

Knows nothing of HTTP beyond what was said, nor of what is done with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.service.annotating import Annotating
from app.web.annotate.who import Who
from app.web.ask.shown import ShownAnswers
from common.problems import BadRequest
from kb.annotations.asking import number_at
from kb.annotations.records import Role
from kb.annotations.texts import storable
from kb.catalogue.database import Database

MOST_NUMBER = 2**53  # that a browser has


class BadFields(BadRequest):
    """What is wrong with the fields of a form: a sentence for each, by its name."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = dict(fields)


@dataclass(frozen=True)
class Asked:
    """answers: that the Ask page showed lately, by the keys that their buttons have. signed: filled by operations that
    change who asks: a token and a name, for the browser to keep. client: the address that it comes from."""

    desk: Annotating
    who: Who
    told: Mapping[str, Any]
    answers: ShownAnswers
    signed: dict[str, str]
    client: str

    @property
    def database(self) -> Database:
        return self.desk.database

    @property
    def name(self) -> str:
        """Of the person; operations that ask for it are for those who are signed in."""
        assert self.who.person is not None
        return self.who.person.name

    def text(self, name: str, default: str | None = None) -> str:
        value = self.told.get(name, default)
        if not isinstance(value, str):
            raise BadRequest(f"The page did not say {name}; reload it.")
        return storable(value)

    def number(self, name: str, default: int | None = None) -> int:
        value = self.told.get(name, default)
        if type(value) is not int or abs(value) > MOST_NUMBER:
            raise BadRequest(f"The page did not say {name} as a number; reload it.")
        return value

    def flag(self, name: str) -> bool:
        return self.told.get(name) is True

    @property
    def project(self) -> str:
        return self.text("project")

    @property
    def item(self) -> int:
        """The number of the item, which may be asked for by its position in the project."""
        if "position" in self.told:
            return number_at(self.database, self.project, self.number("position"))
        return self.number("item")


@dataclass(frozen=True)
class Operation:
    """What a page may ask for; `role` is the least that it is for, None: anybody."""

    do: Callable[[Asked], Any]
    role: Role | None
