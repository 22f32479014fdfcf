"""Reading recipes from TOML, and writing one as it was resolved; what this machine and its files make impossible.

`extends = "other.toml"` puts a file under another, table by table; it is looked for beside the file that names it. The
tables in `[sizes]` are variants: one, chosen by name, is laid over the rest, and `{size}` in any text becomes that
name. Knows what recipe.py says and nothing of training.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import sys
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path

from common.problems import Problem
from common.text import shown
from retriever.training.recipe import PARTS, DataSet, HeldOut, Recipe, check, unknown_key

_DEEPEST = 8  # files that extend one another
# Processes that read ahead, whatever the machine, and for each of its processors: more of them would only fill it.
_WORKERS, _WORKERS_EACH = 16, 4
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text", dict: "a table"}


def read_recipe(
    path: Path, size: str = "", over: Mapping[str, typing.Any] | None = None, recorded: bool = False
) -> Recipe:
    """The recipe in a file, resolved and checked. over: values by the full names of their keys, such as
    "data[0].share", that are laid over it. recorded: of a run that there is, maybe from another machine, so that it is
    not asked whether one could begin here. Raises Problem with the full name of the key that is wrong."""
    table = _with_size(_read(path), size, path)
    for key, value in (over or {}).items():
        _set(table, key, value)
    recipe = _build(Recipe, table, "")
    check(recipe)
    if not recorded:
        _check_here(recipe)
    return recipe


def recipe_text(recipe: Recipe) -> str:
    """The recipe as TOML that reads as the same recipe; what is not set is left out."""
    return "\n".join(_lines(_plain(recipe), "")).strip() + "\n"


def keys_of(recipe: Recipe) -> dict[str, typing.Any]:
    """What a recipe says as JSON has it, by the full names of its keys; what is not set is left out."""
    return _flat(_plain(recipe), "")


def differences(first: Mapping[str, typing.Any], second: Mapping[str, typing.Any]) -> list[str]:
    """Full names of the keys in which two recipes differ, each by its keys. A key that one of them lacks, because a
    program wrote it that did not know it yet, is no difference where it says nothing in the other."""
    both = first.keys() & second.keys()
    lacking = [key for key in first.keys() ^ second.keys() if first.get(key) or second.get(key)]
    return sorted(lacking + [key for key in both if first[key] != second[key]])


# What is here


def _check_here(recipe: Recipe) -> None:
    """Raises Problem for what cannot begin on this machine, or with its files."""
    most = max(_WORKERS, _WORKERS_EACH * (os.cpu_count() or 1))
    if recipe.train.workers > most:
        raise Problem(
            f"train.workers is {recipe.train.workers}, each a process that reads ahead, and this machine has room for "
            f"{most}; make it {most} or less."
        )
    learned = {_rows_of(each): number for number, each in enumerate(recipe.data) if not each.questions}
    for number, each in enumerate(recipe.held_out):
        if not each.source and _rows_of(each) in learned:
            raise Problem(
                f"held_out[{number}] is {shown(each.name)}, the questions of data[{learned[_rows_of(each)]}], so that "
                "it would only say how well they were learned by heart; hold others out, or leave it out."
            )


def _rows_of(each: DataSet | HeldOut) -> tuple[str, ...]:
    """What says which rows a set has, so that another has the same."""
    files = [os.path.realpath(os.path.expanduser(file)) if file else "" for file in (each.jsonl, each.photos)]
    return each.task, each.split if each.task else "", *files


# Files


def _read(path: Path, depth: int = 0) -> dict:
    if depth > _DEEPEST:
        raise Problem(f"The recipe {path} extends itself, or files more than {_DEEPEST} deep; mend `extends`.")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        str(table)  # which a number of thousands of digits in another base refuses: no message could say it
    except OSError as problem:
        raise Problem(f"The recipe {path} cannot be read: {problem.strerror}.") from None
    except (ValueError, RecursionError) as problem:  # more than TOMLDecodeError: a number of thousands of digits
        raise Problem(f"The recipe {path} is not TOML: {shown(problem)}.") from None
    below = table.pop("extends", None)
    if below is None:
        return table
    if not isinstance(below, str) or "\0" in below:
        raise Problem(f"extends in {path} must be the name of a recipe beside it.")
    return _over(_read(path.parent / below, depth + 1), table)


def _over(below: Mapping, above: Mapping) -> dict:
    """Tables key by key; anything else, lists too, is replaced whole."""
    result = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _over(result[key], value) if both else value
    return result


def _with_size(table: dict, size: str, path: Path) -> dict:
    sizes = table.pop("sizes", {})
    if not isinstance(sizes, dict) or not all(isinstance(each, dict) for each in sizes.values()):
        raise Problem("sizes must be tables, such as [sizes.B].")
    if not sizes and not size:
        return table
    if not sizes:
        raise Problem(f"The recipe {path} has no sizes, so that --size {size} chooses nothing; leave it out.")
    if size not in sizes:
        which = f"there is no size {size!r}" if size else "a size is missing"
        raise Problem(f"In the recipe {path} {which}; choose one with --size: {', '.join(sizes)}.")
    return _named(_over(table, sizes[size]), size)


def _set(table: dict, key: str, value: typing.Any) -> None:
    """Puts a value where a full name leads; a table on the way that is not there is made, an item of a list is not."""
    place: typing.Any = table
    try:
        parts = key.replace("[", ".[").split(".")
        names = [int(part[1:-1]) if part.startswith("[") else part for part in parts]
        for part, inner in itertools.pairwise(names):
            place = place.setdefault(part, {}) if isinstance(place, dict) and isinstance(inner, str) else place[part]
        last = names[-1]
        if isinstance(last, int):
            place[last]
        elif not isinstance(place, dict):
            raise TypeError
        place[last] = value
    except (IndexError, KeyError, TypeError, ValueError):
        raise Problem(f"{key} is no key of this recipe; name it as in [[data]] share: data[0].share.") from None


def _named(value: typing.Any, size: str) -> typing.Any:
    if isinstance(value, str):
        return value.replace("{size}", size)
    if isinstance(value, dict):
        return {key: _named(each, size) for key, each in value.items()}
    return [_named(each, size) for each in value] if isinstance(value, list) else value


# Tables to dataclasses


def _build(kind: type, table: dict, where: str) -> typing.Any:
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for key in table:
        if key not in fields:
            raise Problem(unknown_key(where, key, fields))
    for key, field in fields.items():
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        if key not in table and not has_default:
            raise Problem(f"{where}{key} is missing; every recipe says it.")
    return kind(**{key: _value(hints[key], value, f"{where}{key}") for key, value in table.items()})


def _value(kind: typing.Any, value: typing.Any, where: str) -> typing.Any:
    """A value of TOML as the kind that a field wants; `where` is the field's full name."""
    if isinstance(kind, types.UnionType):
        kinds = [each for each in typing.get_args(kind) if each is not type(None)]
        chosen = [each for each in kinds if type(value) is each]
        return value if chosen else _value(kinds[0], value, where)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise Problem(f"{where} must be a list.")
        inner = typing.get_args(kind)[0]
        return tuple(_value(inner, each, f"{where}[{number}]") for number, each in enumerate(value))
    if dataclasses.is_dataclass(kind):
        if not isinstance(value, dict):
            raise Problem(f"{where} must be a table, [{where}].")
        return _build(kind, value, f"{where}.")
    if typing.get_origin(kind) is dict:  # learning rates by part
        for part in _value(dict, value, where):
            if part not in PARTS:
                raise Problem(unknown_key(f"{where}.", part, PARTS))
        return {part: _value(float, rate, f"{where}.{part}") for part, rate in value.items()}
    if kind is float and type(value) in (int, float):
        if not abs(value) <= sys.float_info.max:  # nor is nan; a whole number may have any length
            raise Problem(f"{where} is {shown(value, 80)}; it must be a finite number.")
        return float(value)
    if type(value) is not kind:  # bool is an int to isinstance
        raise Problem(f"{where} is {json.dumps(value, default=str)}; it must be {_WORDS[kind]}.")
    return value


# And back


def _plain(value: typing.Any) -> typing.Any:
    if dataclasses.is_dataclass(value):
        pairs = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: _plain(each) for name, each in pairs if each is not None}
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def _flat(value: typing.Any, where: str) -> dict[str, typing.Any]:
    if isinstance(value, dict):
        items = [(f"{where}.{key}" if where else key, each) for key, each in value.items()]
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        items = [(f"{where}[{number}]", each) for number, each in enumerate(value)]
    else:
        return {where: value}
    return {key: each for name, inner in items for key, each in _flat(inner, name).items()}


def _lines(table: dict, where: str) -> list[str]:
    """Plain values first, as TOML wants; JSON's texts, numbers and lists of them are TOML's too."""
    inner = {key: each for key, each in table.items() if isinstance(each, dict)}
    lists = {key: each for key, each in table.items() if isinstance(each, list) and each and isinstance(each[0], dict)}
    lines = [
        f"{key} = {json.dumps(each, ensure_ascii=False)}".replace("\x7f", "\\u007f")
        for key, each in table.items()
        if key not in inner and key not in lists
    ]
    for key, each in inner.items():
        lines += ["", f"[{where}{key}]", *_lines(each, f"{where}{key}.")]
    for key, each in lists.items():
        for item in each:
            lines += ["", f"[[{where}{key}]]", *_lines(item, f"{where}{key}.")]
    return lines
