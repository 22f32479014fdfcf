"""Recipes: what is refused and how it is said, what a file becomes, and that those in the repository can be read."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import MISSING, fields, replace
from pathlib import Path

import pytest

from common.problems import Problem
from retriever.training.reading import differences, keys_of, read_recipe, recipe_text
from retriever.training.recipe import (
    M2KR,
    DataSet,
    Distil,
    HeldOut,
    Lora,
    Model,
    Negatives,
    NewModel,
    Recipe,
    Train,
    When,
    project_of,
)
from tests import ROOT

LEAST = """
name = "one"
[model]
start = "some/checkpoint"
[learn]
mapping = 1e-4
[train]
steps = 10
batch = 4
[[data]]
jsonl = "questions.jsonl"
"""


def written(folder: Path, text: str, name: str = "recipe.toml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def refusal(folder: Path, text: str, size: str = "") -> str:
    with pytest.raises(Problem) as problem:
        read_recipe(written(folder, text), size)
    return str(problem.value)


def test_the_least_recipe(tmp_path):
    recipe = read_recipe(written(tmp_path, LEAST))
    assert recipe.train.steps == 10 and recipe.learn == {"mapping": 1e-4} and recipe.data[0].share == 1


def test_a_mark_of_the_order_of_bytes_at_the_beginning(tmp_path):
    path = written(tmp_path, LEAST)
    path.write_text(LEAST, encoding="utf-8-sig")
    assert read_recipe(path) == read_recipe(written(tmp_path, LEAST, "plain.toml"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("steps = 10", "step = 10", "train.step is no key of a recipe; did you mean train.steps?"),
        ("mapping", "maping", "learn.maping is no key of a recipe; did you mean learn.mapping?"),
        ("jsonl =", "json =", "data[0].json is no key of a recipe; did you mean data[0].jsonl?"),
        ("[model]", "[modell]", "modell is no key of a recipe; did you mean model?"),
        ("steps = 10\n", "", "train.steps is missing"),
        ("steps = 10", 'steps = "ten"', 'train.steps is "ten"; it must be a whole number.'),
        ("steps = 10", "steps = true", "train.steps is true; it must be a whole number."),
        ("steps = 10", "steps = 0", "train.steps is 0; it must be 1 or more."),
        ("batch = 4", "batch = 1", "train.batch is 1, which leaves a question no negative"),
        ("batch = 4", "batch = 4\nprecision = 'float16'", "train.precision is 'float16'; it can be float32, bfloat16."),
        ("batch = 4", "batch = 4\nwarmup = 10", "train.warmup is 10 and train.steps 10"),
        ("1e-4", "3", "learn.mapping is 3.0; a learning rate lies between 0 and 1."),
        ("mapping = 1e-4", "", "learn is empty"),
        ('start = "some/checkpoint"', "", "model.start and model.new: give one of them"),
        ('start = "some/checkpoint"', 'start = "mini"', "model.start cannot be mini"),
        ("[learn]", '[model.new]\ntext = "bert"\n[learn]', "model.start and model.new: give one of them"),
        ("[learn]", 'query_vectors = ["text"]\n[learn]', "learn.mapping cannot learn while model.query_vectors"),
        ("[learn]", 'query_vectors = ["words"]\n[learn]', "model.query_vectors has ['words']; it can have"),
        ("[learn]", "query_vectors = []\n[learn]", "model.query_vectors has nothing"),
        ("[learn]", "separate = false\n[learn]\nquery_text = 1e-5", "learn.query_text and learn.document_text differ"),
        ("jsonl =", 'task = "WIT"\njsonl =', "data[0].task, data[0].jsonl, data[0].photos, data[0].source"),
        ("jsonl =", "drawn = 5\njsonl =", "data[0].photos, data[0].source, data[0].drawn: give one of them."),
        ('jsonl = "questions.jsonl"', "drawn = -1", "data[0].passages is missing: photos have the passages"),
        ('jsonl = "questions.jsonl"', 'drawn = -1\npassages = "x"', "data[0].drawn is -1; it must be 0 or more."),
        ("[train]", '[[held_out]]\ndrawn = 5\npassages = "x"\n[train]', "held_out[0].drawn is no key of a recipe"),
        ('jsonl = "questions.jsonl"', 'photos = "photos"', "data[0].passages is missing: photos have the passages"),
        ("jsonl =", 'ask = ["what"]\njsonl =', "data[0].ask goes with photos"),
        ('jsonl = "questions.jsonl"', 'photos = "x"\npassages = "y"\nask = [" "]', "data[0].ask has an empty question"),
        ('jsonl = "questions.jsonl"', 'task = "WIT"', "m2kr.folder is missing, and data[0].task is a task of M2KR"),
        ("jsonl =", "share = 0\njsonl =", "data[0].share is 0.0"),
        ("jsonl =", "questions = -1\njsonl =", "data[0].questions is -1; it must be 0 or more."),
        ("jsonl =", 'instructions = [1]\njsonl =', "data[0].instructions[0] is 1; it must be a text."),
        ('jsonl = "questions.jsonl"', 'source = "cats"', "data[0].source is 'cats'; it names judgments, as in"),
        ('jsonl = "questions.jsonl"', 'source = "annotations:cats"\nimages = "x"', "data[0].images goes with jsonl;"),
        ("jsonl =", "held_out = 0.3\njsonl =", "data[0].held_out is 0.3; it is a share of a source"),
        ('jsonl = "questions.jsonl"', 'source = "annotations:cats"\nheld_out = 1.0', "data[0].held_out is 1.0; it is"),
        ("[train]", '[[held_out]]\nsource = "annotations:cats"\n[train]', "and there is none that leaves any; add"),
        ("jsonl =", "share = inf\njsonl =", "data[0].share is inf; it must be a finite number."),
        ("jsonl =", "share = nan\njsonl =", "data[0].share is nan; it must be a finite number."),
        ("jsonl =", "share = 1e12\njsonl =", "data[0].share is 1000000000000.0; it is over 0, 1,000 at most"),
        ("jsonl =", "share = 1001\njsonl =", "data[0].share is 1001.0; it is over 0, 1,000 at most"),
        ("jsonl =", f"share = 1{'0' * 400}\njsonl =", "data[0].share is 100000"),
        ("1e-4", "nan", "learn.mapping is nan; it must be a finite number."),
        ("[train]", "[distil]\nweight = inf\n[train]", "distil.weight is inf; it must be a finite number."),
        ("[train]", "[distil]\ntemperature = nan\n[train]", "distil.temperature is nan; it must be a finite number."),
        ("[train]", "[lora]\nrank = 4\nalpha = inf\n[train]", "lora.alpha is inf; it must be a finite number."),
        ("[train]", "[lora]\nrank = 4\ndropout = nan\n[train]", "lora.dropout is nan; it must be a finite number."),
        ("[train]", "[lora]\nrank = 1000000\n[train]", "lora.rank is 1000000; it must be 65,536 or less."),
        ("steps = 10", "steps = 1_000_000_000_000", "train.steps is 1000000000000; it must be 1,000,000,000 or less."),
        ("steps = 10", f"steps = 0x{'f' * 9000}", "is not TOML"),
        ("steps = 10", f"steps = {'9' * 9000}", "is not TOML"),
        ("steps = 10", f"steps = {'[' * 5000}", "is not TOML"),
        ("batch = 4", "batch = 4\naccumulate = 10_000_000_000", "train.accumulate is 10000000000; it must be"),
        ("[train]", "[negatives]\nsampled = 100_000\n[train]", "negatives.sampled is 100000; it must be 65,536 or"),
        ("[train]", "[when]\nsave = 10_000_000_000\n[train]", "when.save is 10000000000; it must be"),
        ("name =", "depths = [5, 100_000_000]\nname =", "depths[1] is 100000000; it must be 10,000,000 or less."),
        ("[learn]", "query_tokens = 100_000\n[learn]", "model.query_tokens is 100000; it must be 65,536 or less."),
        ('"one"', f'"{"x" * 300}"', "200 at most."),
        ('"one"', '"a\\u0000b"', "name is 'a\\x00b', and the run's folder"),
        ('"one"', '".."', "name is '..', and the run's folder"),
        ('"some/checkpoint"', '"a\\u0000b"', "model.start is 'a\\x00b', which can be no path"),
        ('"some/checkpoint"', '"~nobody-here/model"', "nobody on this machine is called so"),
        ('"questions.jsonl"', '"a\\u0000b"', "data[0].jsonl is 'a\\x00b', which can be no path"),
        ('"questions.jsonl"', f'"{"x" * 256}"', "which can be no path; correct it."),
        ('"questions.jsonl"', f'"{"x/" * 3000}"', "which can be no path; correct it."),
        ("jsonl =", 'images = "a\\u0000"\njsonl =', "data[0].images is"),
        ("jsonl =", 'passages = "a\\u0000"\njsonl =', "data[0].passages is"),
        ('jsonl = "questions.jsonl"', 'task = "../WIT"', "data[0].task is '../WIT', and files of M2KR are called so"),
        ('jsonl =', 'split = "a/b"\njsonl =', "data[0].split is 'a/b', and files of M2KR are called so"),
        ("[train]", '[m2kr]\nfolder = "a\\u0000"\n[train]', "m2kr.folder is"),
        ('jsonl = "questions.jsonl"', 'source = "annotations:../cats"', "data[0].source is 'annotations:../cats'; it"),
        ('name = "one"', 'name = "one"\nextends = "a\\u0000"', "must be the name of a recipe beside it"),
        ("name =", "best = 3\nname =", "best is 3 and depths has no 3; write best = 1, or another of the depths."),
        ("name =", "depths = [1000]\nname =", "best is 5, as where a recipe does not say it, and depths has no 5;"),
        ("name =", "seed = -1\nname =", "seed is -1"),
        ('"one"', '"../one"', "name is '../one'"),
        ("[train]", "[distil]\nweight = 1.0\n[train]", "distil.weight needs negatives with scores"),
        ("[train]", "[lora]\nrank = 4\n[train]", "lora has nothing to adapt: none of query_text,"),
        ("mapping = 1e-4", "vision = 1e-4\n[lora]\nrank = 0", "lora.rank is 0; it must be 1 or more."),
        ("mapping = 1e-4", "vision = 1e-4\n[lora]\nrank = 4\ndropout = 1", "lora.dropout lies between 0 and 1"),
        ("[train]", "train", "is not TOML"),
        ("[learn]", '[[held_out]]\njsonl = "x"\n[[held_out]]\njsonl = "x"\n[learn]', "held_out has a set twice"),
        ('name = "one"', 'name = "one"\nextends = "none.toml"', "none.toml cannot be read"),
        ('name = "one"', 'name = "one"\nextends = "recipe.toml"', "extends itself"),
    ],
)
def test_what_is_wrong_is_said_with_its_full_name(tmp_path, old, new, said):
    assert old in LEAST
    assert said in refusal(tmp_path, LEAST.replace(old, new))


@pytest.mark.parametrize(
    ("data", "said"), [("data = []", "data is missing: add"), ("data = 1", "data must be a list."), ("", "data is")]
)
def test_data_must_be_there(tmp_path, data, said):
    assert said in refusal(tmp_path, f"{data}\n{LEAST.partition('[[data]]')[0]}")


@pytest.mark.parametrize(
    ("new", "said"),
    [
        ("text = {hidden_size = 8}", "model.new.vocabulary is missing"),
        ('text = {hiden_size = 8}\nvocabulary = "x"\nvision = "clip"', "did you mean model.new.text.hidden_size?"),
        ('text = "bert"', "model.new.vision is missing"),
        ('text = "bert"\nvision = "clip"\nmapping_layers = 0', "learn.mapping has nothing to learn"),
        ('text = "bert"\nvision = "clip"\ndim = 0', "model.new.dim is 0"),
        ('text = 3\nvision = "clip"', "model.new.text is 3; it must be a text."),
        ('text = "bert"\nvision = "clip"\ntext_layers = -1', "model.new.text_layers is -1"),
        ('text = {}\nvision = "clip"\ntext_layers = 1\nvocabulary = "x"', "model.new.text_layers goes with a text"),
        ('text = "bert"\nvision = "clip"\ndim = 1_000_000', "model.new.dim is 1000000; it must be 65,536 or less."),
        ('text = "bert"\nvision = "clip"\nmapping_layers = 5000', "model.new.mapping_layers is 5000; it must be 1,000"),
        ('text = "a\\u0000b"\nvision = "clip"', "model.new.text is"),
        ('text = {}\nvocabulary = "a\\u0000b"\nvision = "clip"', "model.new.vocabulary is"),
        ('text = {hidden_size = 1e9}\nvision = "clip"', "model.new.text.hidden_size is 1000000000.0; it"),
        ('text = {hidden_size = 1_000_000_000}\nvision = "clip"', "model.new.text.hidden_size is 1000000000; it"),
        ('text = {hidden_dropout_prob = nan}\nvision = "clip"', "model.new.text.hidden_dropout_prob is nan; it"),
        ('text = "bert"\nvision = {hidden_act = 3}', "model.new.vision.hidden_act is 3; it must be a text"),
        ('text = "bert"\nvision = "clip"\nimage_size = 100', "model.new.image_size is 100; it is a multiple of 32"),
        ('text = "bert"\nvision = "clip"\nimage_size = 0', "model.new.image_size is 0; it is a multiple of 32"),
    ],
)
def test_what_is_wrong_with_a_new_model(tmp_path, new, said):
    assert said in refusal(tmp_path, LEAST.replace('start = "some/checkpoint"', f"[model.new]\n{new}"))


class TestExtending:
    def test_a_file_is_laid_over_another_table_by_table(self, tmp_path):
        written(tmp_path, LEAST, "below.toml")
        recipe = read_recipe(written(tmp_path, 'extends = "below.toml"\nname = "two"\n[train]\nbatch = 8\n'))
        assert (recipe.name, recipe.train.steps, recipe.train.batch) == ("two", 10, 8)

    def test_a_size_is_laid_over_the_rest(self, tmp_path):
        text = LEAST.replace('"one"', '"one-{size}"') + "[sizes.B.train]\nbatch = 8\n[sizes.L]\n"
        assert read_recipe(written(tmp_path, text), "B").train.batch == 8
        assert read_recipe(written(tmp_path, text), "L").name == "one-L"
        assert "a size is missing; choose one with --size: B, L." in refusal(tmp_path, text)
        assert "there is no size 'G'" in refusal(tmp_path, text, "G")
        assert "has no sizes" in refusal(tmp_path, LEAST, "G")


class TestHere:
    def test_not_more_processes_than_the_machine_has_room_for(self, tmp_path, monkeypatch):
        text = LEAST.replace("batch = 4", "batch = 4\nworkers = {}")
        for processors, most in ((2, 16), (None, 16), (12, 48)):
            monkeypatch.setattr("os.cpu_count", lambda count=processors: count)
            assert read_recipe(written(tmp_path, text.format(most))).train.workers == most
            said = refusal(tmp_path, text.format(most + 1))
            assert f"train.workers is {most + 1}, each a process" in said and f"make it {most} or less" in said

    @pytest.mark.parametrize(
        ("data", "held"),
        [
            ('jsonl = "{0}/a.jsonl"', 'jsonl = "{0}/a.jsonl"'),
            ('jsonl = "{0}/a.jsonl"', 'jsonl = "{0}/../{0.name}/a.jsonl"\npassages = "p.jsonl"'),
            ('jsonl = "{0}/a.jsonl"', 'jsonl = "{0}/link.jsonl"'),
            ('photos = "{0}/a.json"\npassages = "p"', 'photos = "{0}/a.json"\npassages = "p"'),
            ('task = "WIT"', 'task = "WIT"\nsplit = "train"'),
        ],
    )
    def test_what_is_learned_from_is_not_held_out(self, tmp_path, data, held):
        (tmp_path / "link.jsonl").symlink_to(tmp_path / "a.jsonl")
        sets = f'[m2kr]\nfolder = "m2kr"\n[[data]]\n{data}\n[[held_out]]\n{held}\n'.format(tmp_path)
        text = LEAST.partition("[[data]]")[0] + sets
        assert "the questions of data[0]" in refusal(tmp_path, text)
        assert read_recipe(tmp_path / "recipe.toml", recorded=True).held_out  # a run that there is can be told of

    @pytest.mark.parametrize(
        ("data", "held"),
        [
            ('jsonl = "a.jsonl"', 'jsonl = "b.jsonl"'),
            ('jsonl = "a.jsonl"\nquestions = 5', 'jsonl = "a.jsonl"'),
            ('task = "WIT"', 'task = "WIT"'),
            ('source = "annotations:cats"\nheld_out = 0.3', 'source = "annotations:cats"'),
        ],
    )
    def test_other_questions_may_be(self, tmp_path, data, held):
        sets = f'[m2kr]\nfolder = "m2kr"\n[[data]]\n{data}\n[[held_out]]\n{held}\n'
        assert read_recipe(written(tmp_path, LEAST.partition("[[data]]")[0] + sets)).held_out


class TestOver:
    def test_values_are_laid_over_it_by_their_full_names(self, tmp_path):
        over = {"seed": 7, "data[0].share": 0.5, "train.batch": 8, "negatives.sampled": 2, "learn.mapping": 1e-3}
        recipe = read_recipe(written(tmp_path, LEAST), over=over)
        assert (recipe.data[0].share, recipe.train.batch, recipe.negatives.sampled) == (0.5, 8, 2)
        assert recipe.learn == {"mapping": 1e-3} and recipe.seed == 7 and recipe.train.steps == 10

    @pytest.mark.parametrize(
        ("key", "said"),
        [
            ("train.stepps", "train.stepps is no key of a recipe; did you mean train.steps?"),
            ("data[1].share", "data[1].share is no key of this recipe"),
            ("data[one].share", "data[one].share is no key of this recipe"),
            ("data.share", "data.share is no key of this recipe"),
            ("name.first", "name.first is no key of this recipe"),
        ],
    )
    def test_what_is_no_key_is_refused(self, tmp_path, key, said):
        with pytest.raises(Problem) as problem:
            read_recipe(written(tmp_path, LEAST), over={key: 1})
        assert said in str(problem.value)


STAGES = sorted((ROOT / "recipes" / "preflmr").glob("stage-*.toml"))


@pytest.mark.parametrize("size", ["B", "L", "G"])
@pytest.mark.parametrize("stage", STAGES, ids=lambda path: path.stem)
class TestOfThePaper:
    def test_it_reads_and_writes_as_the_same(self, stage, size, tmp_path):
        recipe = read_recipe(stage, size)
        again = read_recipe(written(tmp_path, recipe_text(recipe)))
        assert again == recipe and differences(keys_of(again), keys_of(recipe)) == []

    def test_it_begins_where_the_one_before_ended(self, stage, size):
        names = [read_recipe(each, size).name for each in STAGES]
        model, number = read_recipe(stage, size).model, STAGES.index(stage)
        begins = model.new.text if model.new else model.start
        assert number == 0 or begins == f"runs/{names[number - 1]}/best"


def test_the_stages_are_the_papers():
    parts = [set(read_recipe(stage, "L").learn) for stage in STAGES]
    assert parts[0] == {"query_text", "document_text"} and parts[1] == {"projection", "mapping"}
    assert parts[2] == parts[3] == {"query_text", "document_text", "projection", "mapping"}
    assert read_recipe(STAGES[1], "L").model.query_vectors == ("vision",)
    assert [each.task for each in read_recipe(STAGES[2], "L").data] == ["EVQA"]
    assert len(read_recipe(STAGES[3], "L").data) == 9 and read_recipe(STAGES[3], "L").model.separate


@pytest.mark.parametrize("file", sorted((ROOT / "recipes" / "mini").glob("*.toml")), ids=lambda path: path.stem)
def test_the_small_models_recipes_can_be_read(file, tmp_path):
    recipe = read_recipe(file)
    assert read_recipe(written(tmp_path, recipe_text(recipe))) == recipe


def test_judgments_are_held_out_in_a_share(tmp_path):
    sets = '[[data]]\nsource = "annotations:cats"\nheld_out = 0.25\n[[held_out]]\nsource = "annotations:cats"\n'
    recipe = read_recipe(written(tmp_path, LEAST.partition("[[data]]")[0] + sets))
    assert project_of(recipe.data[0]) == "cats" == project_of(recipe.held_out[0])
    assert recipe.held_out[0].name == "annotations:cats" and recipe.data[0].held_out == 0.25
    twice = LEAST.partition("[[data]]")[0] + sets + '[[data]]\nsource = "annotations:cats"\n'
    assert "data has a source twice with different held_out" in refusal(tmp_path, twice)


def test_differences_name_the_keys(tmp_path):
    recipe = read_recipe(written(tmp_path, LEAST))
    other = replace(recipe, seed=3, data=(replace(recipe.data[0], share=0.5),))
    assert differences(keys_of(recipe), keys_of(other)) == ["data[0].share", "seed"]
    # What a program wrote that did not know a key yet.
    older = {key: value for key, value in keys_of(recipe).items() if key != "data[0].source"}
    assert differences(older, keys_of(recipe)) == []
    assert differences(older, keys_of(recipe) | {"data[0].source": "annotations:x"}) == ["data[0].source"]


def test_nothing_heavy_is_imported_to_refuse_a_recipe():
    code = "import sys, retriever.training.reading; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_recipe_in_the_documents_can_be_read(tmp_path):
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    recipe = read_recipe(written(tmp_path, text.partition("```toml\n")[2].partition("```")[0]))
    assert recipe.negatives.mined == 2 and recipe.held_out


TABLES = {
    "": Recipe, "`[model]`": Model, "`[model.new]`": NewModel, "`[m2kr]`": M2KR, "`[[data]]`": DataSet,
    "`[[held_out]]`": HeldOut, "`[negatives]`": Negatives, "`[distil]`": Distil, "`[lora]`": Lora, "`[train]`": Train,
    "`[when]`": When,
}  # fmt: skip


@pytest.mark.parametrize("table", TABLES)
def test_the_documents_name_every_key_with_what_it_is_where_nothing_is_said(table):
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8").partition("## All keys")[2]
    row = next(line for line in text.splitlines() if line.startswith(f"| {table} |".replace("|  |", "| |")))
    for key in fields(TABLES[table]):
        said = "" if key.default in (MISSING, None, "", ()) else f" = {json.dumps(key.default)}"
        assert f"`{key.name}{said}`" in row or f"[{key.name}]" in "".join(TABLES) or key.name in ("learn", "new")
