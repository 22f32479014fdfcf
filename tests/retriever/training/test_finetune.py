"""Fine-tuning `mini` on photographs: what is learned, what stays, what a person is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.commands import mini as command
from app.commands import retriever as command_line
from app.web.request_files import EXAMPLES
from common.passage import Passage
from common.problems import Problem
from kb.catalogue import Catalogue
from kb.ingest import ingest
from kb.records import DocumentRecord, Source
from retriever.encoders.base import Query
from retriever.encoders.mini.model import learned_titles, load_mini, save_weights
from retriever.encoders.mini.recognition.recogniser import Recogniser
from retriever.encoders.registry import load_encoder
from retriever.training.mini import finetune
from retriever.training.mini.questions import Article

ARTICLES = [
    Article("Poncho", "A poncho is a garment of wool with a hole for the head.", ""),
    Article("Quilt", "A quilt is a blanket sewn of patches of cloth.", ""),
]


def stripes(number: int) -> Image.Image:
    """A picture that no two numbers share: stripes across, or with an odd number, down."""
    draw = np.random.default_rng(number)
    rows = np.repeat(draw.integers(0, 255, (8, 1, 3)), 32, 0).repeat(256, 1).astype(np.uint8)
    return Image.fromarray(rows if number % 2 == 0 else rows.transpose(1, 0, 2))


@pytest.fixture(autouse=True, scope="module")
def soon() -> Iterator[None]:
    """Few steps, at a higher rate, which so little is learned in."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(finetune, "STEPS", 60)
        patched.setattr(finetune, "RATE", 5e-3)
        yield


@pytest.fixture(scope="module")
def tuned(wheel_cache, tmp_path_factory) -> Path:
    """The file of a model that has learned stripes across as ponchos and stripes down as quilts."""
    model, tokenizer = load_mini(wheel_cache)
    model.requires_grad_(False)
    photos = [(ARTICLES[number % 2].title, stripes(number)) for number in range(12)]
    seen = finetune.see(model, photos, seed=1)
    assert seen[0].views.shape == (finetune.VIEWS, 1280)
    before = learned_titles()
    learned, report = finetune.finetune(model, tokenizer, ARTICLES, seen, before, seed=1)
    assert learned == [*before, "Poncho", "Quilt"] and report["last_loss"] < report["first_loss"]
    output = tmp_path_factory.mktemp("tuned") / "mine.safetensors"
    save_weights(model, output, learned)
    return output


def test_titles_learned_are_recognised_in_photos_never_seen(tuned, wheel_cache):
    encoder = load_encoder(str(tuned), wheel_cache)
    for number in range(20, 26):
        [query] = encoder.encode_queries([Query("What is this?", stripes(number))])
        assert next(iter(query.recognition.titles)) == ARTICLES[number % 2].title
        assert query.recognition.classes.sum() == pytest.approx(1, abs=1e-4)
        # The first prefix vectors are the article's beginning.
        starts = [encoder.encode_passages([Passage("", each.title, each.text)])[0][:6] for each in ARTICLES]
        near = [(query.vectors[query.prefix_rows][:6] * start).sum(1).mean() for start in starts]
        assert near[number % 2] > near[1 - number % 2]


def test_what_was_known_stays(tuned, wheel_cache, mini):
    encoder = load_encoder(str(tuned), wheel_cache)
    cheetah = Image.open(EXAMPLES[0][1]).convert("RGB")
    for query, least in ((Query("How fast is a cheetah?"), 1.0), (Query("What is this?", cheetah), 0.99)):
        after, before = (each.encode_queries([query])[0] for each in (encoder, mini))
        assert (after.vectors * before.vectors).sum(1).min() >= least - 1e-5
    assert next(iter(after.recognition.titles)) == "Cheetah"
    assert after.recognition.titles["Cheetah"] == pytest.approx(before.recognition.titles["Cheetah"], abs=0.02)


def test_a_title_learned_speaks_for_itself_alone():
    recogniser = Recogniser(["Poncho", "Banana"])
    known = Recogniser()
    assert len(recogniser.titles) == len(known.titles) + 1 and recogniser._says.shape[1] == 1002
    for number, title in ((1000, "Poncho"), (1001, "Banana")):
        assert recogniser.recognise(np.eye(1002, dtype=np.float32)[number]).titles == {title: pytest.approx(1.5)}
    for number in range(0, 1000, 97):
        one = np.eye(1002, dtype=np.float32)[number]
        assert recogniser.recognise(one).titles == pytest.approx(known.recognise(one[:1000]).titles)


def test_the_last_third_of_each_series_is_held_out():
    pears = [(f"Pear_{number}.jpg", "Pear") for number in (10, 0, 1, 2, 3, 4)]
    files = [*pears, ("a.jpg", "Fig"), ("b.jpg", "Fig")]
    kept, held = command.last_thirds([{"file": file, "title": title} for file, title in files])
    assert [each["file"] for each in kept] == ["Pear_0.jpg", "Pear_1.jpg", "Pear_2.jpg", "Pear_3.jpg", "a.jpg"]
    assert [each["file"] for each in held] == ["Pear_4.jpg", "Pear_10.jpg", "b.jpg"]


@pytest.fixture
def asked(wheel_cache, tmp_path, capsys) -> Callable[..., str]:
    """What finetune-mini says of labels and further arguments; its data folder has the two articles."""
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    records = [DocumentRecord(a.title, a.title, "", "en", "CC0", (a.text,)) for a in ARTICLES]
    ingest(catalogue, Source("own", "Own", "CC0", "en", "", lambda _: (len(records), iter(records))), wheel_cache)
    catalogue.close()
    (tmp_path / "cache").symlink_to(wheel_cache)

    def ask(labels: list[dict], *more: str) -> str:
        file = tmp_path / "labels.json"
        file.write_text(json.dumps(labels))
        how = ["--data-dir", str(tmp_path), "--corpus", "own", *more]
        code = command_line.main(["finetune-mini", str(file), *how])
        said = capsys.readouterr()
        return said.out if code == 0 else said.err

    return ask


def test_the_command_learns_and_holds_out(asked, tmp_path):
    labels = [{"file": f"{ARTICLES[n % 2].title}_{n}.png", "title": ARTICLES[n % 2].title} for n in range(6)]
    for number, each in enumerate(labels):
        stripes(number).save(tmp_path / each["file"])
    broken = {"file": "broken.png", "title": "Quilt"}
    (tmp_path / "broken.png").write_text("no photo")
    held = tmp_path / "held.json"
    output = tmp_path / "mine.safetensors"
    said = json.loads(asked([*labels, broken], "--output", str(output), "--hold-out", str(held)))
    assert said["photographs"] == 4 and said["titles"] == 2
    assert learned_titles(output)[-2:] == ("Poncho", "Quilt")
    assert [Path(each["file"]).name for each in json.loads(held.read_text())] == ["Poncho_4.png", "Quilt_5.png"]


def test_what_cannot_be_learned_is_said(asked, tmp_path):
    output = ("--output", str(tmp_path / "mine.safetensors"))
    assert "no article of 1 of the titles, such as: Sari" in asked([{"file": "a.jpg", "title": "Sari"}], *output)
    assert "None of the photographs can be read" in asked([{"file": "a.jpg", "title": "Quilt"}], *output)
    assert "ends in .safetensors" in asked([{"file": "a.jpg", "title": "Quilt"}], "--output", "mine.bin")
    assert "not flmr" in asked([{"file": "a.jpg", "title": "Quilt"}], *output, "--profile", "flmr")
    assert "must be a JSON list of objects with file and title" in asked([{"file": "a.jpg"}], *output)
    assert not (tmp_path / "mine.safetensors").exists()


def test_what_is_read_is_not_written_over(asked, tmp_path):
    labels = [{"file": "a.jpg", "title": "Quilt"}]
    output = ("--output", str(tmp_path / "mine.safetensors"))
    for read in (tmp_path / "labels.json", tmp_path / "a.jpg"):
        assert f"--hold-out names {read} itself" in asked(labels, *output, "--hold-out", str(read))
    assert "--hold-out and --output name the same file" in asked(labels, *output, "--hold-out", output[1])
    assert json.loads((tmp_path / "labels.json").read_text()) == labels
    (tmp_path / "mine.safetensors").touch()
    assert "mine.safetensors itself; name another file" in asked(labels, *output, "--profile", output[1])


def test_a_damaged_file_is_no_profile(tmp_path, wheel_cache):
    (tmp_path / "mine.safetensors").write_text("nothing")
    with pytest.raises(Problem, match="cannot be read; fine-tune it again"):
        load_encoder(str(tmp_path / "mine.safetensors"), wheel_cache)
