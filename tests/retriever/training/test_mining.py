"""Hard negatives: what a small encoder and a real index find first, without positives and what may be one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import passage_text
from retriever.index import LateInteractionIndex
from retriever.training import mining
from retriever.training.mining import Corpus, Wanted, check_rows, mine
from tests.fakes.small_encoder import COLOURS, SmallEncoder

TEXTS = {
    "Horse": "a horse eats grass",
    "Cow": "every cow eats grass daily",
    "Lion": "one lion eats meat",
    "Cherry": "red fruit",
    "Moss": "it grows in shade",
}
PASSAGES = {
    f"farm:{title}#0": Passage(f"farm:{title}#0", title, text, corpus="farm", document_id=f"farm:{title}")
    for title, text in TEXTS.items()
}
HORSE = {"question": "horse eats grass", "positives": ["farm:Horse#0"]}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Corpus:
    encoder = SmallEncoder()
    place = tmp_path_factory.mktemp("index") / "index"
    index = LateInteractionIndex.create(place, encoder.dim, encoder.fingerprint, 8)
    index.add(list(PASSAGES), encoder.encode_passages(list(PASSAGES.values())))

    def search(queries, k, within):
        return index.search_batch([each.vectors for each in queries], k, [each.weights for each in queries], within)

    def named(names):
        found = {name: [name] for name in names if name in PASSAGES}
        return found | {name: [f"farm:{name}#0"] for name in names if name in TEXTS}

    def passages(ids):
        return [PASSAGES[each] for each in ids]

    yield Corpus("farm", search, passages, named, lambda passage: passage.document_id.removeprefix("farm:"))
    index.close()


def write(path: Path, rows: list) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def mined(tmp_path, corpus, rows, **wanted) -> tuple[list[dict], mining.Mined]:
    checked = check_rows(write(tmp_path / "data.jsonl", rows), corpus)
    found = mine(checked, tmp_path, SmallEncoder(), corpus, Wanted(**wanted), tmp_path / "out.jsonl")
    return [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()], found


@pytest.mark.parametrize(
    ("positive", "name"),
    [
        ("farm:Horse#0", lambda title: f"farm:{title}#0"),
        ("Horse", lambda title: title),
        ("Horse: a HORSE  eats grass", lambda title: passage_text(PASSAGES[f"farm:{title}#0"])),
        ("a horse eats grass", lambda title: passage_text(PASSAGES[f"farm:{title}#0"])),
    ],
)
def test_the_best_that_are_no_positives_in_the_datas_own_words(tmp_path, corpus, positive, name):
    row = HORSE | {"positives": [positive], "negatives": ["old"], "more": 1}
    [out], found = mined(tmp_path, corpus, [row], count=2)
    assert out == row | {"negatives": [name("Cow"), name("Lion")]}
    assert (found.questions, found.found, found.negatives) == (1, 1, 2)


def test_what_scores_nearly_as_the_positive_is_left_out(tmp_path, corpus):
    [out], found = mined(tmp_path, corpus, [HORSE], count=1, margin=0.2)
    assert out["negatives"] == ["farm:Cow#0"] and found.near == 0
    [out], found = mined(tmp_path, corpus, [HORSE], count=1, margin=0.5)
    assert out["negatives"] == ["farm:Lion#0"] and found.near == 1
    asked = {"question": "cow eats grass", "positives": ["farm:Horse#0", "farm:Lion#0"]}
    [out], found = mined(tmp_path, corpus, [asked], count=5, margin=0.0)  # the cow scores more than its positives
    assert "farm:Cow#0" not in out["negatives"] and len(out["negatives"]) == 2 and found.near == 1


def test_it_looks_deeper_where_too_few_score_low_enough(tmp_path, corpus):
    """Of the two that are found first one is the positive and the other scores too much."""
    [out], found = mined(tmp_path, corpus, [HORSE], count=2, margin=0.5, depth=2)
    assert out["negatives"][0] == "farm:Lion#0" and len(out["negatives"]) == 2 and found.near == 1


def test_what_contains_an_answer_is_left_out(tmp_path, corpus):
    [out], found = mined(tmp_path, corpus, [HORSE | {"answers": [" GRASS ", ""]}], count=1)
    assert out["negatives"] == ["farm:Lion#0"] and found.answering == 1


@pytest.mark.parametrize("positives", [["farm:Lion#0", "farm:Horse#0"], ["one lion eats meat", "a horse eats grass"]])
def test_scores_are_those_of_late_interaction(tmp_path, corpus, positives):
    row = HORSE | {"positives": positives, "scores": [1, 2]}
    [out], _ = mined(tmp_path, corpus, [row], count=1, scores=True)
    query = SmallEncoder().encode_queries([mining.Query(row["question"])])[0]
    titles = ["Lion", "Horse", "Cow"]
    made = SmallEncoder().encode_passages([PASSAGES[f"farm:{title}#0"] for title in titles])
    by_hand = [float((query.vectors @ each.T).max(1) @ query.weights) for each in made]
    assert out["scores"] == pytest.approx(by_hand, abs=0.02)
    [out], _ = mined(tmp_path, corpus, [row], count=1)
    assert "scores" not in out  # a teacher's of other negatives


def test_photos_are_looked_at_and_broken_ones_counted(tmp_path, corpus):
    Image.new("RGB", (30, 20), COLOURS["red"]).save(tmp_path / "red.png")
    (tmp_path / "broken.png").write_bytes(b"broken")
    row = {"question": "what grows", "image": "red.png", "positives": ["farm:Moss#0"]}
    rows = [row, row | {"image": "broken.png"}, row | {"image": "../red.png"}, {"question": "x", "positives": []}]
    out, found = mined(tmp_path, corpus, rows, count=1, margin=0.0)
    assert found.kept == 0
    assert found.no_image == 2 and out[1:] == rows[1:] and found.found == 1 and found.near == 1  # the cherry is red
    assert out[0]["negatives"] and "farm:Cherry#0" not in out[0]["negatives"]


def test_images_that_cannot_be_used_many_times_in_a_row_are_refused(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(mining, "ATTEMPTS", 3)
    Image.new("RGB", (30, 20), COLOURS["red"]).save(tmp_path / "red.png")
    lost = HORSE | {"image": "lost.png", "negatives": ["farm:Cow#0"]}
    found = mined(tmp_path, corpus, [lost, lost, HORSE | {"image": "red.png"}, lost, lost], count=1)[1]
    assert (found.no_image, found.kept, found.questions) == (4, 4, 5)
    (tmp_path / "out.jsonl").unlink()
    with pytest.raises(Problem, match="3 questions in a row have an image that cannot be used, the last because there"):
        mined(tmp_path, corpus, [lost, lost, HORSE, lost, HORSE], count=1)
    assert not (tmp_path / "out.jsonl").exists()


def test_progress_and_the_order_of_rows(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(mining, "_AT_A_TIME", 2)
    rows = [HORSE | {"number": number} for number in range(5)]
    checked, told = check_rows(write(tmp_path / "data.jsonl", rows), corpus), []
    mine(checked, tmp_path, SmallEncoder(), corpus, Wanted(), tmp_path / "o", lambda *each: told.append(each))
    assert told == [(2, 5), (4, 5), (5, 5)]
    assert [json.loads(line)["number"] for line in (tmp_path / "o").read_text().splitlines()] == list(range(5))


def test_what_ends_in_the_middle_leaves_nothing(tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(mining, "_AT_A_TIME", 1)
    checked = check_rows(write(tmp_path / "data.jsonl", [HORSE] * 3), corpus)

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mine(checked, tmp_path, SmallEncoder(), corpus, Wanted(), tmp_path / "out.jsonl", stop)
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["no json"], "Line 1 of"),
        ([HORSE, {"positives": ["farm:Cow#0"]}], "neither a question nor an image in line 2"),
        ([HORSE | {"positives": "farm:Cow#0"}], "`positives` is no list of texts in line 1"),
        ([HORSE | {"answers": [1]}], "`answers` is no list of texts in line 1"),
        ([HORSE, HORSE | {"positives": ["farm:Dog#0"]}], "The positive 'farm:Dog#0' in line 2"),
        ([{"question": "x"}, {"question": "y", "positives": [" "]}], "No question of"),
        ([], "No question of"),
    ],
)
def test_a_file_that_is_wrong_is_a_sentence(tmp_path, corpus, rows, said):
    with pytest.raises(Problem) as problem:
        check_rows(write(tmp_path / "data.jsonl", rows), corpus)
    assert said in str(problem.value)


@pytest.mark.parametrize("name", ["zoo:Horse#0", "p0", "馬"])
def test_names_that_another_collection_has_are_no_texts(tmp_path, corpus, name):
    rows = [HORSE | {"positives": ["a horse eats grass"]}, HORSE | {"positives": [name]}]
    for some in (rows, rows[1:] * 2):
        with pytest.raises(Problem) as problem:
            check_rows(write(tmp_path / "data.jsonl", some), corpus)
        assert f"The positive {name!r} in line {some.index(rows[1]) + 1} of" in str(problem.value)
        assert "in the collection farm; name the collection that has it with --corpus" in str(problem.value)
    text = "馬は草を食べ、野原を走り、人を乗せて遠くまで行く。"  # no spaces, and no name
    checked = check_rows(write(tmp_path / "data.jsonl", [HORSE | {"positives": [text]}]), corpus)
    assert checked.called == mining.Called.TEXT


def test_texts_that_cannot_be_names_are_texts(tmp_path, corpus):
    rows = [HORSE | {"positives": ["a horse eats \ud800 grass"]}, HORSE | {"positives": ["Horse " * 200]}]
    _, found = mined(tmp_path, corpus, rows, count=1, margin=0.0)
    assert found.found == 2
