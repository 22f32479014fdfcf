"""Fine-tuning measured with titles that were never learned from."""

from __future__ import annotations

import json

import pytest
import torch
from PIL import Image

from app.commands import retriever as command_line
from common.images import load_listed
from common.problems import Problem
from retriever.encoders.mini.model import load_mini
from retriever.training.mini import finetune, photos, unseen
from retriever.training.mini.questions import Article
from retriever.training.mini.unseen import Outcome, measure_unseen, report

TITLES = ("Lion", "Tiger", "Leopard", "Cheetah", "Quilt", "Jar")
ARTICLES = [Article(title, f"The {title.lower()} is one of many things.", "") for title in TITLES]


@pytest.fixture
def soon(monkeypatch) -> None:
    monkeypatch.setattr(photos, "PHOTO_STEPS", 1)
    monkeypatch.setattr(finetune, "STEPS", 2)
    monkeypatch.setattr(photos, "LOOKALIKES", 1)


def stripes(colour: tuple[int, int, int]) -> Image.Image:
    return Image.new("RGB", (160, 160), colour)


def test_neither_tables_nor_photographs_of_a_fold_are_learned_from(soon, wheel_cache, tmp_path, monkeypatch):
    drawn_without, tuned_on = [], []
    train, tune = unseen.train_photo, unseen.finetune
    monkeypatch.setattr(unseen, "train_photo", lambda *words: drawn_without.append(words[-1]) or train(*words))
    monkeypatch.setattr(
        unseen, "finetune", lambda *words: tuned_on.append({each.title for each in words[3]}) or tune(*words)
    )
    asked = [(title, lambda n=n: stripes((n * 90, 0, 0))) for n, title in enumerate(("Jar", "Lion", "Quilt"))]
    found = measure_unseen(ARTICLES, asked, "What is this?", 2, wheel_cache, tmp_path, 1)
    assert drawn_without == [{"Jar", "Quilt"}, {"Lion"}] and tuned_on == [{"Lion"}, {"Jar", "Quilt"}]
    assert sorted(each.title for each in found) == ["Jar", "Lion", "Quilt"]
    assert all(each.before in range(1, 7) and each.after in range(1, 7) for each in found)


def test_a_photo_that_is_broken_ends_the_bars_line(soon, wheel_cache, tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    asked = [("Jar", lambda: stripes((90, 0, 0))), ("Lion", lambda: load_listed(tmp_path / "broken.jpg"))]
    with pytest.raises(Problem, match=r"broken\.jpg cannot be used: This is not a photo") as problem:
        measure_unseen(ARTICLES, asked, "What is this?", 2, wheel_cache, tmp_path, 1)
    said = capsys.readouterr().err
    assert problem.tb  # as where its sentence is printed; what it holds may end its line when it is let go
    assert "looking at photographs" in said and said.endswith("\n")


def test_no_subject_of_those_is_drawn(soon):
    subjects = photos._subjects(ARTICLES, ["Lion"])
    assert "Lion" not in subjects.appearances.titles and "Tiger" in subjects.appearances.titles


def test_the_photo_part_begins_anew_and_the_text_stays(soon, wheel_cache):
    trained, tokenizer = load_mini(wheel_cache)
    trained.requires_grad_(False)
    encoded = unseen.encode_articles(trained, tokenizer, ARTICLES)
    model = unseen._without(trained, tokenizer, ARTICLES, encoded, {"Lion"}, wheel_cache, 1)
    before, after = trained.state_dict(), model.state_dict()
    assert after["query_vision_projection.model.0.weight"].shape[0] == 1000  # no unit of a learned title
    for name, each in after.items():
        same = before[name].shape == each.shape and torch.equal(before[name], each)
        assert same or name.startswith(unseen._OF_PHOTOS), name
    mapping = "transformer_mapping_output_linear.weight"
    assert not torch.equal(before[mapping], after[mapping])


def test_titles_count_alike_and_intervals_are_of_titles():
    outcomes = [Outcome("Jar", None, 3)] * 6 + [Outcome("Lion", 1, 1)] * 2 + [Outcome("Quilt", 2, 6)] * 2
    found = report(outcomes)
    assert found["titles"] == 3 and found["photographs"] == 10
    assert found["recall@5_over_photographs_before"] == 0.4 and found["recall@5_over_photographs_after"] == 0.8
    assert found["recall@5_over_titles_before"] == pytest.approx(2 / 3, abs=1e-3)
    assert found["recall@5_over_titles_gain"] == 0.0
    assert found["recall@5_over_titles_gain_low"] == -1.0 and found["recall@5_over_titles_gain_high"] == 1.0
    sure = report([Outcome(f"Thing {n}", None, 1) for n in range(9)])
    assert sure["recall@5_over_titles_gain_low"] == sure["recall@5_over_titles_gain_high"] == 1.0
    assert report(outcomes) == found


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--folds", "3"], "The photographs have 2 titles, too few for 3 folds"), (["--folds", "1"], "2 or more")],
)
def test_what_cannot_be_measured_is_a_sentence(tmp_path, capsys, words, said):
    (tmp_path / "labels.json").write_text(json.dumps([{"file": "1.jpg", "title": each} for each in ("Jar", "Lion")]))
    command = ["eval-unseen", str(tmp_path / "labels.json"), "--data-dir", str(tmp_path / "data"), *words]
    try:
        assert command_line.main(command) == 2
    except SystemExit as ended:
        assert ended.code == 2
    assert said in capsys.readouterr().err
