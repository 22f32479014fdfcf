"""From judgments to a better model, by commands: what is held out, learned and measured, and what is refused.

The people are made up (benchmarks/judging.py), and so are the questions: each names two things and means the first,
with a photo that says nothing. A model that has not been told counts both things and the photo.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from app.commands.annotation_exports import photos_in
from app.commands.kb import main as kb
from app.commands.retriever import main
from app.settings import load_settings
from benchmarks.judging import judged_by_two
from common.images import load_image
from kb.annotations.adjudicating import adjudicate
from kb.annotations.asking import item_for
from kb.annotations.items import add_items
from kb.annotations.people import add_person
from kb.annotations.pools import add_pool
from kb.annotations.projects import create_project
from kb.annotations.records import Candidate, NewItem, PooledPassage, Project, Role
from kb.catalogue import Catalogue
from retriever.training.recipe import DataSet
from retriever.training.runs import read_metrics
from retriever.training.sources import open_set
from tests.support.checkpoints import write_checkpoint

THINGS = (
    "mango violin anchor tulip hammer falcon candle glacier pepper saddle turtle rocket basket walnut lantern dolphin "
    "carpet garlic trumpet beaver ladder orchid sparrow compass kettle lemon tractor pillow salmon whistle cactus "
    "scissors pumpkin drum camel helmet bridge onion flute spider wheel cherry piano shovel parrot bottle lily harp"
).split()
PAIRS = list(zip(THINGS[::2], THINGS[1::2], strict=True))


def thing(name: str) -> PooledPassage:
    return PooledPassage(
        f"A {name} is known to nearly everybody.", {"mini": 1}, name.capitalize(), document_id=f"own:{name}"
    )


def noise(number: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(number).integers(0, 255, (64, 64, 3)).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def settings(tmp_path, wheel_cache):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cache").symlink_to(wheel_cache)
    return load_settings(data_dir=tmp_path / "data")


@pytest.fixture
def database(settings):
    catalogue = Catalogue(settings.catalogue_place)
    yield catalogue.database
    catalogue.close()


@pytest.fixture
def judged(settings, database):
    """The project `pairs`, with how its people agree."""
    create_project(database, Project("pairs"))
    photos = photos_in(settings)
    for number, (meant, other) in enumerate(PAIRS):
        photo = photos.keep(noise(number), load_image)
        add_items(database, "pairs", [NewItem(f"About the {meant}, and nothing about any {other}", photo, meant)])
        add_pool(database, "pairs", meant, [thing(meant), thing(other)])

    def right(key: str, passage: Candidate) -> str:
        return "answers" if passage.title == key.capitalize() else "wrong"

    return judged_by_two(database, "pairs", right, errors=0.1, seed=1)


@pytest.fixture
def command(settings, capsys):
    """Run a command; (exit code, stdout, stderr)."""

    def run(*argv: object) -> tuple[int, str, str]:
        capsys.readouterr()  # what was said before
        code = main([*map(str, argv), "--data-dir", str(settings.data_dir)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.mark.slow
def test_what_people_judged_makes_mini_better_on_what_was_held_out(command, judged, tmp_path):
    assert 0.5 < judged.nominal.value < 1  # they err
    output = tmp_path / "pairs.safetensors"
    code, said, _ = command("finetune-judged", "pairs", "--output", output, "--held-out", 0.4, "--json")
    told = json.loads(said)
    assert code == 0 and told["learned"] + told["held"] + told["without"] == 24
    assert told["last_loss"] < told["first_loss"]
    folder = tmp_path / "pairs.judged"
    code, said, _ = command("eval-judged", folder, "--before", "mini", "--after", output, "--json")
    found = json.loads(said)
    assert found["questions"] == told["held"] == 10 and found["passages"] > 40
    change = found["measures"]["mrr"]["change"]
    assert change["value"] > 0.1 and change["low"] > 0 and found["measures"]["recall@1"]["before"]["value"] < 0.6


RECIPE = """
name = "judged"
best = 1
[model]
start = "{root}/model"
query_tokens = 16
document_tokens = 16
[learn]
mapping = 1e-3
projection = 1e-3
[negatives]
mined = 1
[train]
steps = {steps}
batch = 4
[when]
log = 1
measure = 2
save = 1
[[data]]
source = "annotations:pairs"
held_out = 0.3
[[held_out]]
source = "annotations:pairs"
pool = 40
"""


@pytest.fixture
def recipe(tmp_path):
    """Writes a recipe of so many steps; its file."""
    write_checkpoint(tmp_path / "model")

    def write(steps: int = 2):
        file = tmp_path / "recipe.toml"
        file.write_text(RECIPE.format(root=tmp_path, steps=steps))
        return file

    return write


def judge_anew(database) -> None:
    """Somebody says of every passage that it is wrong."""
    add_person(database, "zoe", Role.ADJUDICATOR)
    for position in range(1, len(PAIRS) + 1):
        item = item_for(database, "pairs", "zoe", position)
        for each in item.candidates:
            adjudicate(database, "pairs", "zoe", item.id, each.id, "wrong")


def test_a_run_learns_from_judgments_as_they_were_when_it_began(command, judged, database, recipe, tmp_path):
    run = tmp_path / "run"
    code, said, told = command("train", recipe(), "--output", run)
    assert code == 0 and "pairs: 17 items to learn from, 7 held out; 0 without a passage that answers" in told
    assert f"{run}/judged/pairs/held-out.jsonl: recall@1" in said
    about = json.loads((run / "judged" / "pairs" / "about.json").read_text())
    for name, digest in about["sha256"].items():
        assert hashlib.sha256((run / "judged" / "pairs" / name).read_bytes()).hexdigest() == digest
    learned, held = (
        [json.loads(line) for line in (run / "judged" / "pairs" / name).read_text().splitlines()]
        for name in ("train.jsonl", "held-out.jsonl")
    )
    both = [{each for row in rows for each in row["positives"] + row["negatives"]} for rows in (learned, held)]
    assert len(learned) == 17 and len(held) == 7 and not both[0] & both[1]
    begun = json.loads((run / "run.json").read_text())["data"]
    assert [each["questions"] for each in begun] == [17, 7] and all(each["key"] for each in begun)

    judge_anew(database)
    code, _, told = command("train", recipe(), "--output", run, "--resume")
    assert code == 0 and "items to learn from" not in told
    assert json.loads((run / "judged" / "pairs" / "about.json").read_text()) == about
    code, said, _ = command("eval-judged", run, "--json")
    found = json.loads(said)
    assert code == 0 and found["before"] == str(tmp_path / "model") and found["after"] == str(run / "best")
    assert found["questions"] == 7 and found["about"] == about

    refused = command("train", recipe(), "--output", tmp_path / "other")[2]
    assert refused.startswith("error: None of the 24 items judged in pairs has a passage of the top grade")
    assert not (tmp_path / "other").exists()
    shutil.rmtree(run / "judged")
    assert "is not in" in command("train", recipe(), "--output", run, "--resume")[2]


def test_the_recipe_of_a_run_is_the_same_run(command, judged, database, recipe, tmp_path):
    command("train", recipe(1), "--output", tmp_path / "one")
    judge_anew(database)
    assert command("train", tmp_path / "one" / "recipe.toml", "--output", tmp_path / "two")[0] == 0
    losses = [read_metrics(tmp_path / name)[-1]["recall"] for name in ("one", "two")]
    assert losses[0] == losses[1]


def test_what_cannot_be_learned_from_is_a_sentence(command, settings, database, recipe, tmp_path):
    output = ("--output", tmp_path / "pairs.safetensors")

    def refused(*argv: object) -> str:
        code, _, said = command(*argv)
        assert code == 2 and said.startswith("error: ") and said.count("\n") == 1
        return said

    assert "There is no project called pairs" in refused("finetune-judged", "pairs", *output)
    assert "There is no project called pairs" in refused("train", recipe(), "--output", tmp_path / "run")
    create_project(database, Project("pairs", judges=1))
    photo = photos_in(settings).keep(noise(0), load_image)
    for name in ("mango", "violin"):
        add_items(database, "pairs", [NewItem("What is it?", photo, name)])
        add_pool(database, "pairs", name, [thing(name)])
    assert "Nobody has judged a passage in pairs yet" in refused("train", recipe(), "--output", tmp_path / "run")
    judged_by_two(database, "pairs", lambda key, each: "subject", errors=0, seed=0)
    assert "None of the 2 items judged in pairs" in refused("finetune-judged", "pairs", *output)
    for position in (1, 2):
        item = item_for(database, "pairs", "one", position)
        adjudicate(database, "pairs", "three", item.id, item.candidates[0].id, "answers")
    assert "All 2 questions hang together by the documents" in refused("finetune-judged", "pairs", *output)
    photos_in(settings).delete(photo)
    assert f"The photo of the item mango, {photo}, is not in" in refused("finetune-judged", "pairs", *output)
    assert "it is known for a profile" in refused("finetune-judged", "pairs", "--output", "mine.bin")
    assert "not flmr" in refused("finetune-judged", "pairs", *output, "--profile", "flmr")
    assert "holds no judgments" in refused("eval-judged", tmp_path / "none")
    assert not any((tmp_path / name).exists() for name in ("run", "pairs.safetensors", "pairs.judged"))


def test_judgments_are_exported_with_their_photographs(settings, judged, capsys, tmp_path):
    file = tmp_path / "pairs.jsonl"
    assert kb(["annotations", "export", "pairs", "--format", "pairs", "--output", str(file)], settings=settings) == 0
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(rows) == 24 and all((tmp_path / "pairs.jsonl.photos" / row["image"]).is_file() for row in rows)
    found = open_set(DataSet(jsonl=str(file), images=f"{file}.photos"), None, tmp_path / "cache")
    assert len(found.rows) == 24 and found.rows[0]["negative_gains"] == [0]


def test_what_lies_in_the_way_stays(command, judged, recipe, tmp_path):
    for place in (tmp_path / "run" / "judged" / "pairs", tmp_path / "pairs.judged"):
        place.mkdir(parents=True)
        (place / "mine.txt").write_text("mine")
    assert "holds something else; move it away" in command("train", recipe(), "--output", tmp_path / "run")[2]
    output = tmp_path / "pairs.safetensors"
    assert "holds something else; move it away" in command("finetune-judged", "pairs", "--output", output)[2]
    assert len(list(tmp_path.rglob("mine.txt"))) == 2
