"""Plans: what is refused and how it is said, what a grid becomes, and that those in the repository are in order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from common.problems import Problem
from retriever.training.scaling.plan import Cell, cells_of, read_plan
from tests import ROOT

RECIPE = """
name = "one"
depths = [1, 5]
[model]
start = "some/checkpoint"
[learn]
mapping = 1e-4
[train]
steps = 10
batch = 4
[[data]]
jsonl = "questions.jsonl"
[[held_out]]
jsonl = "held-out.jsonl"
"""
PLAN = """
name = "small"
recipes = ["one.toml", "two.toml"]
seeds = [0, 3]
measure = "recall@5"
[[axes]]
name = "questions"
recipe = 1
set = { "data[0].questions" = [10, 100], "train.steps" = [2, 20] }
[[axes]]
name = "batch"
sizes = [1, 2, 3]
recipe = 2
set = { "train.batch" = [4, 8, 16] }
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "one.toml").write_text(RECIPE)
    (tmp_path / "two.toml").write_text('extends = "one.toml"\nname = "two"')
    return tmp_path


def cells(folder: Path, text: str = PLAN) -> list[Cell]:
    (folder / "plan.toml").write_text(text)
    return cells_of(read_plan(folder / "plan.toml"), Path("out"))


def test_a_grid_with_each_seed(folder):
    found = cells(folder)
    assert len(found) == len({cell.name for cell in found}) == 2 * 3 * 2
    assert [cell.seed for cell in found] == [0] * 6 + [3] * 6
    one = next(cell for cell in found if cell.name == "questions-100_batch-3_seed-3")
    assert one.places == (100, 3) and [recipe.seed for recipe in one.recipes] == [3, 3]
    first, second = one.recipes
    assert (first.data[0].questions, first.train.steps, first.train.batch) == (100, 20, 4)
    assert (second.data[0].questions, second.train.steps, second.train.batch) == (0, 10, 16)
    assert first.model.start == "some/checkpoint"
    assert second.model.start == "out/cells/questions-100_batch-3_seed-3/1/best"


def test_the_recipes_sizes_are_an_axis(folder):
    (folder / "two.toml").write_text('extends = "one.toml"\nname = "{size}"\n[sizes.B]\n[sizes.L.train]\nbatch = 8')
    text = 'name = "v"\nrecipes = ["two.toml"]\nmeasure = "recall@1"\n[[axes]]\nname = "vision"\n'
    found = cells(folder, text + 'sizes = [86e6, 304e6]\nset = { size = ["B", "L"] }')
    assert [(cell.recipes[0].name, cell.recipes[0].train.batch) for cell in found[:2]] == [("B", 4), ("L", 8)]
    assert found[1].name == "vision-3.04e+08_seed-0" and len(found) == 6


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seeds =", "seed =", "seed is no key of a plan; did you mean seeds?"),
        ('name = "questions"', 'nam = "questions"', "axes[0].nam is no key of a plan; did you mean axes[0].name?"),
        ("data[0].questions", "data[0].question", "data[0].question is no key of a recipe; did you mean"),
        ("data[0].questions", "data[1].questions", "data[1].questions is no key of this recipe"),
        ("train.batch", "train.bach", "train.bach is no key of a recipe; did you mean train.batch?"),
        ("[4, 8, 16]", '[4, 8, "x"]', 'train.batch is "x"; it must be a whole number.'),
        ("[4, 8, 16]", "[4, 8]", "axes[1].set.train.batch has 2 values, and there are 3 sizes."),
        ("[4, 8, 16]", "4", "axes[1].set must have keys of a recipe, each with a list of values"),
        ("[1, 2, 3]", "[1, 3, 2]", "axes[1].sizes must rise: [1, 3, 2]."),
        ("[1, 2, 3]", "[0, 1, 2]", "axes[1].sizes must be numbers over 0"),
        ("[1, 2, 3]", "2", "axes[1].sizes must be a list."),
        ("[1, 2, 3]", "[1, 2, inf]", "axes[1].sizes must be numbers over 0 and not over 1e+18."),
        ("[1, 2, 3]", f"[1, 2, 1{'0' * 400}]", "axes[1].sizes must be numbers over 0 and not over 1e+18."),
        ("[10, 100]", "[-1, 100]", "axes[0] needs sizes, what its values are worth in a fit"),
        ("[10, 100]", '["a", "b"]', "axes[0] needs sizes, what its values are worth in a fit"),
        (
            "recipe = 2\nset = { ",
            'set = { "train.steps" = [1, 2, 3], ',
            "train.steps is set by the axes questions and batch; leave it to one of them.",
        ),
        ("recipe = 2", "recipe = 3", "axes[1].recipe is 3, and there are 2"),
        ("train.batch", "seed", "axes[1].set has seed"),
        ('name = "batch"', 'name = "questions"', "axes has a name twice"),
        ('name = "batch"', 'name = "../batch"', "axes[1].name is '../batch'"),
        ('"small"', '"sm/all"', "name is 'sm/all'"),
        ('name = "small"', "", "name is missing; every plan says it."),
        ("[0, 3]", "[0, 0]", "seeds must be a list of whole numbers, each once"),
        ("recall@5", "recall", "measure is 'recall'; it must be recall at some depth"),
        ("recall@5", "recall@10", "measure is recall@10, and depths of"),
        ('"two.toml"', '"three.toml"', "three.toml cannot be read"),
        ('["one.toml", "two.toml"]', "[1]", "recipes must be a list of files"),
        ("[[axes]]", "[[axes]", "is not TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_full_name(folder, old, new, said):
    assert old in PLAN
    with pytest.raises(Problem) as problem:
        cells(folder, PLAN.replace(old, new))
    assert said in str(problem.value)


def test_each_recipe_but_the_first_goes_on_from_a_model(folder):
    new = '[model.new]\ntext = "bert"\nvision = "clip"\n'
    (folder / "two.toml").write_text(RECIPE.replace('start = "some/checkpoint"', "") + new)
    with pytest.raises(Problem, match=r"recipes\[1\] has no model.start"):
        cells(folder)


def test_the_plan_in_the_documents_is_that_of_the_repository(tmp_path):
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "plan.toml").write_text(text)
    there = read_plan(ROOT / "recipes" / "scaling" / "pre-training-data.toml")
    assert replace(read_plan(tmp_path / "plan.toml"), recipes=there.recipes) == there


PLANS = sorted((ROOT / "recipes" / "scaling").rglob("*.toml"))


@pytest.mark.parametrize("path", PLANS, ids=lambda path: "-".join(path.parts[-2:]))
def test_every_cell_of_those_in_the_repository_is_in_order(path):
    plan = read_plan(path)
    found = cells_of(plan, Path("runs") / plan.name)
    assert plan.name == f"{'mini-' if path.parent.name == 'mini' else ''}{path.stem}" and len(plan.seeds) >= 3
    assert len(found) == len(plan.seeds) * len(plan.axes[0].sizes)


class TestOfThePaper:
    def test_vision_encoders(self):
        found = cells_of(read_plan(ROOT / "recipes" / "scaling" / "vision-encoder.toml"), Path("out"))
        assert [cell.places for cell in found[:3]] == [(86e6,), (304e6,), (1.8e9,)]
        assert "bigG" in found[2].recipes[0].model.new.vision and found[2].recipes[0].train.checkpointing
        assert [len(cell.recipes) for cell in found[:3]] == [3, 3, 3]

    def test_mapping_layers(self):
        found = cells_of(read_plan(ROOT / "recipes" / "scaling" / "mapping-layers.toml"), Path("out"))
        new = [cell.recipes[0].model.new for cell in found[:5]]
        assert [each.mapping_layers for each in new] == [1, 2, 4, 6, 12]
        assert {each.cross_attention for each in new} == {32}

    def test_text_encoders(self):
        found = cells_of(read_plan(ROOT / "recipes" / "scaling" / "text-encoder.toml"), Path("out"))
        assert [cell.recipes[0].model.new.text_layers for cell in found[:5]] == [2, 4, 6, 8, 12]
        assert found[0].recipes[0].held_out[0].task == "MSMARCO"

    def test_pre_training_data(self):
        found = cells_of(read_plan(ROOT / "recipes" / "scaling" / "pre-training-data.toml"), Path("out"))
        sets = [cell.recipes[0].data for cell in found[:6]]
        assert [each[0].questions for each in sets] == [1000, 10000, 100000, 0, 0, 0]
        assert {each[0].task for each in sets} == {"EVQA"} and [len(each) for each in sets] == [1, 1, 1, 1, 2, 2]
        assert [each[1].questions + 212_000 for each in sets[4:]] == [500_000, 1_000_000]
        assert {each[1].task for each in sets[4:]} == {"WIT"}
        assert len({cell.recipes[1].train.steps for cell in found}) == 1


class TestOfMini:
    def test_each_drawn_photo_is_seen_once(self):
        found = cells_of(read_plan(ROOT / "recipes" / "scaling" / "mini" / "drawn-photos.toml"), Path("out"))
        for cell in found:
            first = cell.recipes[0]
            assert abs(first.train.steps * first.train.batch - first.data[0].drawn) < first.train.batch
        assert len({cell.recipes[1].train for cell in found}) == 1

    def test_what_is_measured_with_is_not_learned_from(self):
        found = cells_of(read_plan(ROOT / "recipes" / "scaling" / "mini" / "image-size.toml"), Path("out"))
        recipe = found[0].recipes[1]
        assert not {each.name for each in recipe.data} & {each.name for each in recipe.held_out}
