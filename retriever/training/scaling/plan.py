"""A plan of a scaling study: recipes with values laid over them, as a grid of cells, each trained with several seeds.

    name = "pre-training-data"
    recipes = ["../preflmr/stage-2.toml", "../preflmr/stage-3.toml"]  # each goes on from the best model before it
    size = "L"                          # of recipes that have sizes
    seeds = [0, 1, 2]
    measure = "recall@5"                # of the last recipe's held-out sets, after its last step
    [[axes]]                            # the first axis is the one that curves are fitted along
    name = "questions"
    sizes = [1e3, 1e4]                  # what its values are worth in a fit; the values where not given
    recipe = 1                          # the recipe whose keys these are, counted from 1; `size` is that of all
    set = { "data[0].questions" = [1000, 10000], "train.steps" = [125, 1250] }

A cell takes the n-th value of every key of an axis. Knows recipes and nothing of training.
"""

from __future__ import annotations

import itertools
import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.problems import Problem
from retriever.training.reading import read_recipe
from retriever.training.recipe import Recipe, unknown_key

_AXIS = {"name": str, "sizes": list, "recipe": int, "set": dict}
_PLAN = {"name": str, "recipes": list, "size": str, "seeds": list, "measure": str, "axes": list}
_NAME = r"[A-Za-z0-9][\w.+-]*"
_LARGEST = 1e18  # more than any size, and far from what fits cannot hold


@dataclass(frozen=True)
class Axis:
    """name: as tables and pictures call it. sizes: of its values, over 0, each larger than the one before. recipe:
    whose keys are set, from 1. set: full name of a key -> its values, as many as sizes."""

    name: str
    sizes: tuple[float, ...]
    recipe: int
    set: dict[str, list[Any]]


@dataclass(frozen=True)
class Plan:
    """recipes: files, one after another in each cell. size: of those that have sizes; "" for none or where an axis says
    it. measure: "recall@K"."""

    name: str
    recipes: tuple[Path, ...]
    size: str
    seeds: tuple[int, ...]
    measure: str
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class Cell:
    """One place of the grid with one seed. name: of its folder. places: the size on each axis. recipes: resolved."""

    name: str
    places: tuple[float, ...]
    seed: int
    recipes: tuple[Recipe, ...]


def read_plan(path: Path) -> Plan:
    """Raises Problem with the full name of the key that is wrong; recipes are not read yet."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise Problem(f"The plan {path} cannot be read: {problem.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise Problem(f"The plan {path} is not TOML: {problem}.") from None
    _check_keys(table, _PLAN, "")
    for key in ("name", "recipes", "measure", "axes"):
        if not table.get(key):
            raise Problem(f"{key} is missing; every plan says it.")
    if not re.fullmatch(_NAME, table["name"]):
        raise Problem(f"name is {table['name']!r}, and a folder is called so; use letters, digits and dashes.")
    if not all(isinstance(each, str) for each in table["recipes"]):
        raise Problem("recipes must be a list of files, beside the plan or by their paths from there.")
    seeds = table.get("seeds", [0, 1, 2])
    if not seeds or not all(type(each) is int for each in seeds) or len(set(seeds)) < len(seeds):
        raise Problem("seeds must be a list of whole numbers, each once, such as [0, 1, 2].")
    if not re.fullmatch(r"recall@[1-9]\d*", table["measure"]):
        raise Problem(f'measure is {table["measure"]!r}; it must be recall at some depth, such as "recall@5".')
    recipes = tuple(path.parent / each for each in table["recipes"])
    axes = tuple(_axis(each, f"axes[{number}]", len(recipes)) for number, each in enumerate(table["axes"]))
    if len({axis.name for axis in axes}) < len(axes):
        raise Problem("axes has a name twice; tables and folders go by them.")
    for one, other in itertools.combinations(axes, 2):
        twice = [key for key in one.set if key in other.set and (key == "size" or one.recipe == other.recipe)]
        if twice:
            raise Problem(f"{twice[0]} is set by the axes {one.name} and {other.name}; leave it to one of them.")
    return Plan(table["name"], recipes, table.get("size", ""), tuple(seeds), table["measure"], axes)


def cells_of(plan: Plan, output: Path) -> list[Cell]:
    """All cells, seed by seed, so that a study that is stopped has whole seeds. output: the folder that will hold them,
    which later recipes of a cell begin from. Raises Problem for a key that the recipes do not have."""
    cells = []
    for seed in plan.seeds:
        for points in itertools.product(*(range(len(axis.sizes)) for axis in plan.axes)):
            name = "_".join(
                [*(f"{axis.name}-{axis.sizes[n]:g}" for axis, n in zip(plan.axes, points, strict=True)), f"seed-{seed}"]
            )
            places = tuple(axis.sizes[n] for axis, n in zip(plan.axes, points, strict=True))
            cells.append(Cell(name, places, seed, _recipes(plan, points, seed, output / "cells" / name)))
    return cells


def run_folder(cell: Path, number: int) -> Path:
    """Of a cell's recipe, counted from 0."""
    return cell / f"{number + 1}"


def _recipes(plan: Plan, points: Sequence[int], seed: int, cell: Path) -> tuple[Recipe, ...]:
    size, over = plan.size, [{"seed": seed} for _ in plan.recipes]
    for axis, point in zip(plan.axes, points, strict=True):
        for key, values in axis.set.items():
            if key == "size":
                size = values[point]
            else:
                over[axis.recipe - 1][key] = values[point]
    found: list[Recipe] = []
    for number, (path, values) in enumerate(zip(plan.recipes, over, strict=True)):
        recipe = read_recipe(path, size, values)
        if found:
            if not recipe.model.start:
                raise Problem(f"recipes[{number}] has no model.start, and each but the first goes on from one before.")
            before = run_folder(cell, number - 1) / "best"
            recipe = replace(recipe, model=replace(recipe.model, start=str(before)))
        found.append(recipe)
    if int(plan.measure.partition("@")[2]) not in found[-1].depths:
        raise Problem(f"measure is {plan.measure}, and depths of {plan.recipes[-1]} has no such K; add it there.")
    if not found[-1].held_out:
        raise Problem(f"{plan.recipes[-1]} has no [[held_out]] table, and nothing would be measured; add one.")
    return tuple(found)


def _axis(table: Any, where: str, recipes: int) -> Axis:
    if not isinstance(table, dict):
        raise Problem("axes must be tables, [[axes]].")
    _check_keys(table, _AXIS, f"{where}.")
    keys = table.get("set")
    if not keys or not all(isinstance(values, list) and values for values in keys.values()):
        raise Problem(f'{where}.set must have keys of a recipe, each with a list of values, "train.batch" = [8, 16].')
    recipe = table.get("recipe", 1)
    if not 1 <= recipe <= recipes:
        raise Problem(f"{where}.recipe is {recipe}, and there are {recipes}; they are counted from 1.")
    if "seed" in keys:
        raise Problem(f"{where}.set has seed; the plan's seeds are those of each cell.")
    if not all(isinstance(each, str) for each in keys.get("size", ())):
        raise Problem(f"{where}.set.size must be names of the recipes' sizes.")
    name, first = table.get("name", next(iter(keys))), next(iter(keys.values()))
    if not re.fullmatch(_NAME, name):
        raise Problem(f"{where}.name is {name!r}, and folders are called so; use letters, digits and dashes.")
    sizes = table.get("sizes", first)
    if not all(type(each) in (int, float) and 0 < each <= _LARGEST for each in sizes):
        if "sizes" not in table:
            raise Problem(f"{where} needs sizes, what its values are worth in a fit: they are no numbers over 0.")
        raise Problem(f"{where}.sizes must be numbers over 0 and not over {_LARGEST:g}.")
    if any(one >= two for one, two in itertools.pairwise(sizes)):
        raise Problem(f"{where}.sizes must rise: {json.dumps(sizes)}.")
    for key, values in keys.items():
        if len(values) != len(sizes):
            raise Problem(f"{where}.set.{key} has {len(values)} values, and there are {len(sizes)} sizes.")
    return Axis(name, tuple(map(float, sizes)), recipe, keys)


def _check_keys(table: dict, known: dict[str, type], where: str) -> None:
    for key, value in table.items():
        if key not in known:
            raise Problem(unknown_key(where, key, known).replace("a recipe", "a plan"))
        if type(value) is not known[key]:
            words = {str: "a text", list: "a list", int: "a whole number", dict: "a table"}
            raise Problem(f"{where}{key} must be {words[known[key]]}.")
