"""Every kind of source there is, and from what is asked for to the source that is meant.

The kinds come from the modules of this folder: each that has a `KIND` (kb/sources/kinds.py) adds one. Knows nothing of
the database.
"""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

from common.problems import BadRequest, Problem
from kb import sources
from kb.records import Source
from kb.sources.kinds import CORPUS, Previewed, SourceKind, Values


def collected() -> dict[str, SourceKind]:
    """The kinds by name, those first that can be previewed."""
    modules = [import_module(f"{sources.__name__}.{found.name}") for found in pkgutil.iter_modules(sources.__path__)]
    kinds = [kind for module in modules if isinstance(kind := vars(module).get("KIND"), SourceKind)]
    ordered = sorted(kinds, key=lambda kind: (kind.preview is None, kind.label.casefold(), kind.name))
    return {kind.name: kind for kind in ordered}


KINDS = collected()


@dataclass(frozen=True)
class Asked:
    """What was asked for: the kind of source, and its fields that were filled in, by name."""

    kind: str
    values: Mapping[str, str] = field(default_factory=dict)


def kind_called(name: str) -> SourceKind:
    """The kind of that name. Raises Problem where there is none."""
    if name not in KINDS:
        raise Problem(f"There is no source called {name!r}; the sources are: {', '.join(sorted(KINDS))}.")
    return KINDS[name]


def settled(asked: Asked) -> Asked:
    """The same with its paths made absolute, so that it means the same when another process asks for it again."""
    values = dict(asked.values)
    for each in kind_called(asked.kind).fields:
        if value := values.get(each.name):
            path = Path(value).expanduser()
            if each.value == "path" or (each.value == "place" and path.exists()):
                values[each.name] = str(path.absolute())
    return replace(asked, values=values)


def missing_path(asked: Asked) -> Path | None:
    """A path that is asked for and is not there, if any."""
    for each in kind_called(asked.kind).fields:
        value = asked.values.get(each.name)
        if each.value == "path" and value and not Path(value).exists():
            return Path(value)
    return None


def as_request(asked: Asked) -> str:
    """What was asked for, as JSON for the record of the run."""
    told = {"kind": asked.kind} | {name: value for name, value in asked.values.items() if value}
    return json.dumps(told, sort_keys=True)  # in ASCII, since a path may hold what is not UTF-8


def from_request(request: str) -> Asked:
    """What `as_request` wrote down. Raises Problem for what it did not write."""
    try:
        told = {name: value for name, value in json.loads(request).items() if isinstance(value, str)}
        kind = told.pop("kind")
        fields = KINDS[kind].fields if kind in KINDS else ()
        return Asked(kind, {each.name: told[each.name] for each in fields if each.name in told})
    except (ValueError, LookupError, AttributeError):
        raise Problem("The run does not say what it read; start a new one from its source.") from None


def same_place(asked: Asked, corpus: str, request: str) -> bool:
    """Whether a run of a corpus with that request, "" where there is none to be known, read the same place."""
    if not request:
        return asked.kind == corpus  # the program itself fetched it
    before = from_request(request)
    places = [each.name for each in kind_called(asked.kind).fields if each.where]
    return asked.kind == before.kind and all(asked.values.get(n) == before.values.get(n) for n in places)


def in_words(asked: Asked) -> str:
    """Where the documents come from, for people."""
    kind = KINDS.get(asked.kind)
    if kind is None or not kind.fields:
        return asked.kind
    paths = [asked.values.get(each.name, "") for each in kind.fields if each.where or each.value == "path"]
    return " ".join(filter(None, (kind.in_words, *paths)))


def source_for(asked: Asked, settings: Mapping[str, str] | None = None) -> Source:
    """The source that is meant; `settings` are those that its kind names. A corpus that was given a name is listed
    under it. Raises Problem with a sentence on what is missing or makes no sense."""
    kind = kind_called(asked.kind)
    source = kind.make(_checked(kind, asked, settings or {}))
    named_so = KINDS.get(source.name)
    if kind.fixed is None and named_so is not None and named_so.fixed is not None:
        raise BadRequest(f"{source.name} is the name of a collection that the program fetches; choose another name.")
    return replace(source, title=source.name) if asked.values.get("corpus") else source


def previewed(asked: Asked, count: int) -> Previewed | None:
    """The first of what a source gives, or None where its kind has no preview; a name may be missing. Raises
    Problem."""
    kind = kind_called(asked.kind)
    if kind.preview is None:
        return None
    if any(each.name == CORPUS.name for each in kind.fields):
        asked = replace(asked, values={CORPUS.name: "preview"} | dict(asked.values))
    values = _checked(kind, asked, {})
    kind.make(values)  # which refuses more
    return kind.preview(values, count)


def _checked(kind: SourceKind, asked: Asked, settings: Mapping[str, str]) -> Values:
    given = {name: value for name, value in asked.values.items() if value}
    for name in given.keys() - {each.name for each in kind.fields}:
        what = repr(given[name][:80]) if name == "what" else f"--{name.replace('_', '-')}"
        raise Problem(f"{kind.name} does not ask for it: leave {what} out.")
    for each in kind.fields:
        if each.required and each.name not in given:
            what = each.missing or "Say what to read"
            raise Problem(f"{what}: python -m kb ingest {kind.name} {kind.usage}.")
    told = dict.fromkeys((*(each.name for each in kind.fields), *kind.settings), "")
    return told | {name: settings.get(name, "") for name in kind.settings} | given
