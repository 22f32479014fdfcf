"""Judgments by CiteSight's HTTP API, for programs and notebooks: what a person is to judge, what they say of it and,
for owners, what all have said, as files. It needs app/client.py, beside which it can be copied.

    from app.judging_client import JudgingClient

    with JudgingClient("http://127.0.0.1:7860", key="cs_...") as citesight:
        while (item := citesight.next("herons")) is not None:
            for candidate in item.candidates:
                citesight.judge("herons", item.id, candidate.id, grade=ask_somebody(item, candidate))

The key has the right to judge, and is one person's. Knows nothing of what becomes of judgments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import httpx

from app.client import CiteSightError, Client, Region, all_made, check, made, understood

Format = Literal["jsonl", "zip", "qrels", "runs"]

KEEP: Any = object()  # of what a judgment leaves as it was


@dataclass(frozen=True)
class Listed:
    """A project. finished: items that all have judged who are to. mine: items that the person has."""

    name: str
    items: int
    finished: int
    mine: int


@dataclass(frozen=True)
class Grade:
    """A step of a scale: `key` is what is given, `label` what people read."""

    key: str
    label: str


@dataclass(frozen=True)
class Project:
    """guidelines: as HTML. passages, answers: the scales that they are judged by. judges: how many judge each item.
    blind: whether they see what found a candidate."""

    name: str
    guidelines: str
    passages: tuple[Grade, ...]
    answers: tuple[Grade, ...]
    judges: int
    blind: bool


@dataclass(frozen=True)
class Judgment:
    """What the person said of a candidate, or of the whole item where that is None. number: counts what they said in
    the project. at: when, as ISO 8601. citations: by number, whether each is supported. skipped: why the item was put
    aside. Of one that is looked up, position, question, what, title and beginning say of what."""

    item: int
    candidate: str | None
    number: int
    at: str
    grade: str | None = None
    comment: str = ""
    span: tuple[int, int] | None = None
    citations: Mapping[int, bool] = field(default_factory=dict)
    correction: str = ""
    region: Region | None = None
    skipped: str = ""
    position: int = 0
    question: str = ""
    what: str = ""
    title: str = ""
    beginning: str = ""


@dataclass(frozen=True)
class Candidate:
    """A passage or an answer to judge: `what` says which. link: where the passage is from. citations: of an answer,
    each with number, title and quotes. found: who found it at which rank, empty for those who judge blind. said: what
    the person said of it."""

    id: str
    what: str
    text: str
    title: str = ""
    section: str = ""
    corpus: str = ""
    link: str = ""
    citations: tuple[Mapping[str, Any], ...] = ()
    found: Mapping[str, int] = field(default_factory=dict)
    said: Judgment | None = None


@dataclass(frozen=True)
class Item:
    """A question with what was found for it. photo: whether there is one. position: in the project, from 1. top: the
    number of what `undo` would undo, None for nothing."""

    id: int
    key: str
    position: int
    question: str
    photo: bool
    candidates: tuple[Candidate, ...]
    kind: str = ""
    references: tuple[str, ...] = ()
    said: Judgment | None = None
    top: int | None = None


@dataclass(frozen=True)
class Saved:
    """What holds now. done: whether the person is done with the item. top: the number of what `undo` would undo."""

    said: Judgment
    done: bool
    top: int | None


class JudgingClient(Client):
    """A Client that judges too."""

    def projects(self) -> list[Listed]:
        return understood(self._get("projects"), partial(all_made, Listed))

    def project(self, name: str) -> Project:
        return understood(self._get(_at(name)), _project)

    def next(self, project: str) -> Item | None:
        """The next item, which is the person's for half an hour; None where nothing is left for them."""
        return understood(self._post(_at(project, "next"), {}), _item)

    def item(self, project: str, item: int) -> Item:
        """An item by its `id`, held for nobody."""
        return understood(self._get(_at(project, "items", item)), lambda told: _there(told["item"], told))

    def photo(self, project: str, item: int) -> bytes:
        """The photo of an item, as a JPEG."""
        return check(self._get(_at(project, "items", item, "photo")), "image/").content

    def judge(
        self,
        project: str,
        item: int,
        candidate: str | None = None,
        *,
        grade: str | None = KEEP,
        comment: str = KEEP,
        span: Sequence[int] | None = KEEP,
        citations: Mapping[int, bool] = KEEP,
        correction: str = KEEP,
        region: Region | None = KEEP,
    ) -> Saved:
        """Say something of a candidate by its `id`; without one, of the whole item. What is left out stays as it was,
        and the same once more changes nothing. grade: of the project's scale, None takes it back. span: where in the
        text the answer stands. citations: by number, whether it is supported. correction: an answer in the person's
        words. region: the part of the photo that matters."""
        given = {
            "grade": grade, "comment": comment, "span": span, "citations": citations, "correction": correction,
            "region": region,
        }  # fmt: skip
        said = {name: value for name, value in given.items() if value is not KEEP}
        if "citations" in said:
            said["citations"] = {str(number): good for number, good in citations.items()}
        sent = {"item": item, "candidate": candidate} | said
        return understood(self._post(_at(project, "judgments"), sent), _saved)

    def skip(self, project: str, item: int, reason: str) -> Saved:
        """Put an item aside; somebody else gets it."""
        return understood(self._post(_at(project, "skip"), {"item": item, "reason": reason}), _saved)

    def undo(self, project: str, number: int) -> Saved | None:
        """Undo what the person did last, by the `top` that was told; None where that is not the last any more."""
        reply = self._post(_at(project, "undo"), {"number": number})
        return understood(reply, lambda told: None if told is None else _saved(told))

    def judgments(self, project: str) -> Iterator[Judgment]:
        """All that the person said that holds, newest first."""
        before: dict[str, int] = {}
        while True:
            judged, more = understood(self._get(_at(project, "judgments"), **before), _page)
            yield from judged
            if not more:
                return
            before = {"before": judged[-1].number}

    def export(self, project: str, file: str | Path, format: Format = "jsonl") -> Path:
        """Write all that was judged in a project into a file, which is there whole or not at all; for its owners. jsonl
        has everything but the photographs, zip those too, qrels the passages' grades, runs the rankings."""
        file = Path(file)
        part = file.with_name(f"{file.name}.part")
        try:
            with closing(self._reply("GET", _at(project, "export"), stream=True, params={"format": format})) as reply:
                with part.open("wb") as written:
                    for each in reply.iter_bytes():
                        written.write(each)
            return part.replace(file)
        except httpx.HTTPError as problem:
            raise self._unreached(problem) from problem
        except OSError as problem:
            raise CiteSightError(f"The file {file} cannot be written ({problem.strerror}); choose another.") from None
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


def _at(project: str, *more: object) -> str:
    # What no name of a project has is a question mark.
    return "/".join(["projects", quote(project, safe="", errors="replace"), *map(str, more)])


def _project(told: Mapping[str, Any]) -> Project:
    passages, answers = (tuple(made(Grade, each) for each in told["scales"][what]) for what in ("passage", "answer"))
    return made(Project, {**told, "passages": passages, "answers": answers})


def _page(told: Mapping[str, Any]) -> tuple[list[Judgment], bool]:
    """Some of the judgments, and whether there are more."""
    judged = [_judgment(each) for each in told["judged"]]
    return judged, bool(judged and told["more"])


def _item(told: Mapping[str, Any]) -> Item | None:
    return None if told["item"] is None else _there(told["item"], told)


def _there(item: Mapping[str, Any], told: Mapping[str, Any]) -> Item:
    candidates = tuple(_candidate(each) for each in item["candidates"])
    also = {"photo": item["photo"] is not None, "references": tuple(item["references"]), "top": told["top"]}
    return made(Item, {**item, **also, "candidates": candidates, "said": _said(item["said"])})


def _candidate(told: Mapping[str, Any]) -> Candidate:
    link = told["link"] or ""
    return made(Candidate, {**told, "link": link, "citations": tuple(told["citations"]), "said": _said(told["said"])})


def _said(told: Mapping[str, Any] | None) -> Judgment | None:
    return None if told is None else _judgment(told)


def _judgment(told: Mapping[str, Any]) -> Judgment:
    as_tuples = {name: tuple(told[name]) for name in ("span", "region") if name in told}
    citations = {int(number): good for number, good in told.get("citations", {}).items()}
    return made(Judgment, {**told, **as_tuples, "citations": citations})


def _saved(told: Mapping[str, Any]) -> Saved:
    return made(Saved, {**told, "said": _judgment(told["said"])})
