"""What people judged in Label Studio or Argilla, as the lines that importing.py makes a project of.

Of a record the fields `question`, `image`, `kind`, `references` and `title` say what is asked, and `answer`, else
`passage`, `text` or `context`, what is judged. Records of one question and photo are one item. A choice is a grade by
its key or its label. Files are untrusted; what is wrong with them is a sentence here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs, urlsplit

from common.problems import BadRequest, Problem, unreadable
from common.text import shown
from kb.annotations.exporting import FORMAT
from kb.annotations.importing import import_project
from kb.annotations.photos import Check, Photos, read_photo
from kb.annotations.projects import MAX_JUDGES
from kb.annotations.records import Act, Project, What
from kb.annotations.texts import named
from kb.catalogue.database import Database
from kb.records import clean_text

MAX_BYTES = 500 << 20  # of a file, which is read whole
_PASSAGES = ("passage", "text", "context")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._@-]")


@dataclass(frozen=True)
class _Choice:
    """What somebody chose; `of` is what the other program calls the question with choices."""

    person: str
    of: str
    value: str
    at: str


@dataclass(frozen=True)
class _Record:
    where: str
    fields: Mapping[str, Any]
    choices: tuple[_Choice, ...]


def import_foreign(
    database: Database, path: Path, kind: str, photos: Photos, check: Check, project: Project,
    folder: Path | None = None,
) -> int:  # fmt: skip
    """Make a project like the one given, with as many judges as judged a candidate at most, of a file of this kind (one
    of KINDS); how many judgments there are. Photographs are found by the names of their files in `folder` (by itself,
    beside the file). All of it or nothing; raises Problem."""
    records = _records(path, KINDS[kind])
    of = _question(records, project, path)
    with TemporaryDirectory(prefix="annotations-") as place:
        items, judged = _items(records, of, project, kind, _Taken(folder or path.parent, Path(place)))
        judges = max((len({entry["person"] for entry in each["log"]}) for each in items), default=1)
        told = asdict(project) | {"type": "project", "format": FORMAT, "judges": min(max(judges, 1), MAX_JUDGES)}
        lines = Path(place) / named(path)
        lines.write_text("".join(json.dumps(each) + "\n" for each in [told, *items]), encoding="utf-8")
        import_project(database, lines, photos, check, folder=Path(place))
    return judged


def _records(path: Path, read: Callable[[str, Mapping[str, Any]], _Record]) -> list[_Record]:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadRequest(f"{named(path)} has more than {MAX_BYTES >> 20} MB; export it in parts.")
        rows = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise unreadable(path, problem) from None
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list) or not rows:
        raise BadRequest(f"{named(path)} is not a JSON list of records; export them as JSON.")
    found = []
    for number, row in enumerate(rows, 1):
        where = f"{named(path)}, record {number}"
        try:
            found.append(read(where, row))
        except (KeyError, TypeError, AttributeError, ValueError):
            raise BadRequest(f"{where} is not as the program writes it; export it as plain JSON.") from None
    return found


def _of_label_studio(where: str, row: Mapping[str, Any]) -> _Record:
    choices = []
    for each in row["annotations"]:
        if each.get("was_cancelled"):
            continue
        by = each["completed_by"]
        person = by.get("email") or by["id"] if isinstance(by, dict) else by
        for result in each["result"]:
            if result["type"] == "choices" and len(result["value"]["choices"]) == 1:
                [value] = result["value"]["choices"]
                choices.append(_choice(person, "label-studio", result["from_name"], value, each.get("created_at")))
    return _Record(where, dict(row["data"]), tuple(choices))


def _of_argilla(where: str, row: Mapping[str, Any]) -> _Record:
    choices = [
        _choice(each["user_id"], "argilla", of, each["value"], row.get("updated_at"))
        for of, given in dict(row["responses"] or {}).items()
        for each in given
        if isinstance(each["value"], str | int) and each.get("status") in (None, "submitted")
    ]
    return _Record(where, dict(row.get("metadata") or {}) | dict(row["fields"]), tuple(choices))


KINDS = {"label-studio": _of_label_studio, "argilla": _of_argilla}


def _choice(person: str | int, program: str, of: str, value: str | int, at: str | None) -> _Choice:
    name = f"{program}-{person}" if isinstance(person, int) else _NOT_IN_NAMES.sub("-", str(person))[:64]
    moment = datetime.now(UTC) if at is None else datetime.fromisoformat(at)
    return _Choice(name, str(of), str(value), moment.isoformat())


def _what(record: _Record) -> What:
    return What.ANSWER if record.fields.get("answer") else What.PASSAGE


def _grade(project: Project, what: What, value: str) -> str | None:
    said = value.strip().casefold()
    scale = project.scale(what)
    return next((each.key for each in scale if said in (each.key.casefold(), each.label.casefold())), None)


def _question(records: list[_Record], project: Project, path: Path) -> str:
    """The question with choices that are all grades. Raises BadRequest unless it is one."""
    values: dict[str, set[tuple[What, str]]] = {}
    for record in records:
        for each in record.choices:
            values.setdefault(each.of, set()).add((_what(record), each.value))
    fits = [of for of, given in values.items() if all(_grade(project, *each) for each in given)]
    if len(fits) == 1:
        return fits[0]
    if fits:
        several = shown(", ".join(fits))
        raise BadRequest(f"Several questions of {named(path)} have grades as choices, {several}; export one of them.")
    if not values:
        raise BadRequest(f"Nobody chose anything in {named(path)}; there is no judgment to take.")
    seen = sorted({value for given in values.values() for _, value in given})
    raise BadRequest(
        f"The choices of {named(path)}, {shown(', '.join(seen))}, are no grades; give grades with --scales that have "
        "them as keys or labels."
    )


@dataclass(frozen=True)
class _Taken:
    """Copies photographs from one folder to another, where they are named by their hashes."""

    folder: Path
    place: Path

    def photo(self, record: _Record) -> str | None:
        said = record.fields.get("image") or record.fields.get("photo")
        if not said:
            return None
        if not isinstance(said, str):
            raise BadRequest(f"{record.where} has an image that is no name of a file; export the names.")
        parts = urlsplit(said)
        name = PurePosixPath(parse_qs(parts.query).get("d", [parts.path])[0]).name
        try:
            data = read_photo(self.folder, name)
        except Problem as problem:
            raise BadRequest(f"{record.where} cannot be taken: {problem}") from None
        photo = hashlib.sha256(data).hexdigest()
        (self.place / photo).write_bytes(data)
        return photo


def _items(
    records: list[_Record], of: str, project: Project, kind: str, taken: _Taken
) -> tuple[list[dict[str, Any]], int]:
    """Items as an export has them, and how many judgments."""
    items: dict[tuple[str, str | None], dict[str, Any]] = {}
    numbers: Counter[str] = Counter()
    for record in records:
        question, photo = clean_text(str(record.fields.get("question") or "")), taken.photo(record)
        if not question:
            raise BadRequest(f"{record.where} has no field `question`; add one, or leave the record out.")
        item = items.setdefault((question, photo), {
            "type": "item", "id": "", "photo": photo, "question": question, "references": _references(record),
            "kind": str(record.fields.get("kind") or ""), "candidates": [], "log": [],
        })  # fmt: skip
        _judge(item, record, of, project, kind, numbers)
    return list(items.values()), sum(numbers.values())


def _judge(
    item: dict[str, Any], record: _Record, of: str, project: Project, kind: str, numbers: Counter[str]
) -> None:
    """Adds what is judged to an item, and what was said of it to its log."""
    what, candidate = _what(record), _candidate(record, kind)
    if candidate not in item["candidates"]:
        item["candidates"].append(candidate)
    place = item["candidates"].index(candidate)
    for each in record.choices:
        if each.of == of:
            before = [e["number"] for e in item["log"] if (e["person"], e["candidate"]) == (each.person, place)]
            numbers[each.person] += 1
            number = numbers[each.person]
            item["log"].append({
                "person": each.person, "number": number, "at": each.at, "act": Act.JUDGE, "candidate": place,
                "grade": _grade(project, what, each.value), "before": before[-1] if before else None,
                "earlier": number - 1 or None,
            })  # fmt: skip


def _candidate(record: _Record, kind: str) -> dict[str, Any]:
    fields, what = record.fields, _what(record)
    names = ("answer",) if what == What.ANSWER else _PASSAGES
    text = next((fields[name] for name in names if fields.get(name)), None)
    if not isinstance(text, str):
        raise BadRequest(f"{record.where} has no text in a field answer, {', '.join(_PASSAGES)}; call one so.")
    if what == What.ANSWER:
        return {"what": what, "text": text, "found": {str(fields.get("answerer") or kind): 1}}
    return {"what": what, "text": text, "title": str(fields.get("title") or ""), "found": {}}


def _references(record: _Record) -> list[str]:
    given = record.fields.get("references") or []
    return [str(each) for each in given] if isinstance(given, list) else [str(given)]
