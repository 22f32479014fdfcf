"""What comes out of a project for others: TREC runs, M2KR's layout read back by this program, a Hugging Face folder."""

from __future__ import annotations

import json
from collections import defaultdict

import pyarrow.parquet as pq
import pytest
from PIL import Image

from common.problems import BadRequest, Problem
from kb.annotations import export_folders, m2kr_export, settled
from kb.annotations.adjudicating import adjudicate
from kb.annotations.asking import item_for
from kb.annotations.exporting import export_lines
from kb.annotations.huggingface_export import export_huggingface
from kb.annotations.items import add_items, item_number
from kb.annotations.judging import judge
from kb.annotations.m2kr_export import INSTRUCTIONS, export_m2kr
from kb.annotations.people import add_person
from kb.annotations.pools import add_pool
from kb.annotations.projects import create_project, project_in
from kb.annotations.records import Grade, NewItem, PooledAnswer, PooledPassage, Project, What
from kb.annotations.settled import best_gain, settled_items
from retriever.encoders.flmr.loading import INSTRUCTIONS as OF_FLMR
from retriever.evaluation.m2kr import evaluate
from retriever.evaluation.m2kr.report import as_markdown
from retriever.training.recipe import M2KR, DataSet
from retriever.training.sources import open_set
from tests.support.annotations import answer, check, passage, photo_bytes, project
from tests.support.m2kr import WordEncoder

RED, WALL, SKY = "one red apple", "a wall of brick", "the blue sky"


def pooled(text: str, found: dict[str, int], title: str = "") -> PooledPassage:
    return PooledPassage(text, found, title)


@pytest.fixture
def gems(database, photos):
    """Three questions, the first about a photo; who judged what is in `say`."""
    create_project(database, Project("gems", judges=2, guidelines="# Guide"))
    for name, role in (("ann", "annotator"), ("bob", "annotator"), ("zoe", "owner")):
        add_person(database, name, role)
    red = photos.keep(photo_bytes("red"), check)
    add_items(database, "gems", [
        NewItem("Which apple?", red, "one", "what", ("red apple", "an apple")),
        NewItem("Which wall?", None, "two", "where", ("brick",)),
        NewItem("Which sky?", None, "three"),
    ])  # fmt: skip
    add_pool(database, "gems", "one", [
        pooled(RED, {"mini in notes": 2, "words": 1}), pooled(WALL, {"mini in notes": 1}), answer(answerer="quotes"),
        pooled(SKY, {"quotes": 1}),
    ])  # fmt: skip
    by_words = [pooled(text, {"words": rank}) for rank, text in enumerate((WALL, RED, SKY), 1)]
    add_pool(database, "gems", "two", by_words)
    add_pool(database, "gems", "three", [pooled(SKY, {"words": 1})])
    return database


def say(database, key: str, person: str, text: str, grade: str, **also) -> None:
    with database.reading() as session:
        number = item_number(session, project_in(session, "gems").id, key)
    item = item_for(database, "gems", person, number)
    [candidate] = [each for each in item.candidates if each.text == text]
    if person == "zoe":
        adjudicate(database, "gems", person, number, candidate.id, grade)
    else:
        judge(database, "gems", person, number, candidate.id, grade=grade, **also)


@pytest.fixture
def judged(gems):
    """Of one: the apple, though bob denies it. Of two: the wall and, by the owner, the sky. Of three: nothing."""
    say(gems, "one", "ann", RED, "answers")
    say(gems, "one", "bob", RED, "wrong")
    say(gems, "one", "zoe", RED, "answers")
    say(gems, "one", "ann", WALL, "subject")
    say(gems, "two", "ann", WALL, "answers")
    say(gems, "two", "ann", SKY, "wrong")
    say(gems, "two", "zoe", SKY, "answers")
    say(gems, "three", "ann", SKY, "unclear")
    return gems


def hashes(database) -> dict[str, str]:
    found = settled_items(database, "gems", What.PASSAGE, texts=True)
    return {each.text: each.content_hash for item in found for each in item.candidates}


def test_what_holds_is_final_else_what_most_say(judged, monkeypatch):
    monkeypatch.setattr(settled, "AT_ONCE", 2)
    items = list(settled_items(judged, "gems", texts=True))
    assert [(item.key, item.kind, item.references) for item in items] == [
        ("one", "what", ("red apple", "an apple")), ("two", "where", ("brick",)), ("three", "", ()),
    ]  # fmt: skip
    holds = {(item.key, each.text): (each.grade, each.gain) for item in items for each in item.candidates}
    assert holds == {
        ("one", RED): ("answers", 2), ("one", WALL): ("subject", 1), ("one", "A cat [1]."): (None, None),
        ("one", SKY): (None, None), ("two", WALL): ("answers", 2), ("two", RED): (None, None),
        ("two", SKY): ("answers", 2), ("three", SKY): ("unclear", None),
    }  # fmt: skip
    plain = list(settled_items(judged, "gems", What.PASSAGE))
    assert [len(item.candidates) for item in plain] == [3, 3, 1] and plain[0].candidates[0].text == ""
    with pytest.raises(BadRequest, match="no project called dogs"):
        list(settled_items(judged, "dogs"))


def test_citations_are_supported_by_most(gems):
    for person, good in (("ann", True), ("bob", False)):
        say(gems, "one", person, "A cat [1].", "right", citations={1: good})
    [found] = [each for each in next(settled_items(gems, "gems")).candidates if each.what == What.ANSWER]
    assert found.supported == {1: False} and found.grade == "right"
    say(gems, "one", "bob", "A cat [1].", "right", citations={1: True})
    [found] = [each for each in next(settled_items(gems, "gems")).candidates if each.what == What.ANSWER]
    assert found.supported == {1: True}


def test_the_best_gain_of_a_scale_makes_a_passage_relevant():
    assert best_gain(Project("x").passage_scale) == 2
    assert best_gain((Grade("a", "a", None), Grade("b", "b", 7), Grade("c", "c", 0))) == 7


def test_runs_keep_the_order_of_the_ranks(gems):
    of = hashes(gems)
    lines = [line.split() for line in export_lines(gems, "gems", "runs")]
    assert all(len(line) == 6 and line[1] == "Q0" for line in lines)
    ranked = defaultdict(list)
    for item, _, content_hash, rank, score, tag in lines:
        ranked[tag, item].append((-float(score), int(rank), content_hash))
    assert ranked.keys() == {("mini_in_notes", "one"), ("words", "one"), ("words", "two"), ("words", "three")}
    for run in ranked.values():
        assert run == sorted(run) and [rank for _, rank, _ in run] == list(range(1, len(run) + 1))
    assert [each for _, _, each in ranked["mini_in_notes", "one"]] == [of[WALL], of[RED]]
    for name in ("mini in notes", "mini_in_notes"):
        alone = [line.split() for line in export_lines(gems, "gems", "runs", name)]
        assert alone == [line for line in lines if line[5] == "mini_in_notes"]
    with pytest.raises(BadRequest, match="no run quotes; the runs are: mini_in_notes, words"):  # it answers
        list(export_lines(gems, "gems", "runs", "quotes"))


def test_two_retrievers_never_have_one_tag(gems):
    add_pool(gems, "gems", "one", [pooled(RED, {"mini_in notes": 7})])
    tags = {line.split()[5] for line in export_lines(gems, "gems", "runs")}
    assert tags == {"mini_in_notes", "mini_in_notes_", "words"}


def test_m2kr_is_read_back_by_evaluation_and_training(judged, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(m2kr_export, "_ROWS", 1)
    out, of = tmp_path / "out", hashes(judged)
    written = export_m2kr(judged, "gems", photos, out)
    assert (written.questions, written.passages, written.left_out) == (2, 3, 1)
    assert not list(tmp_path.glob(".out*")) and INSTRUCTIONS == OF_FLMR

    encoder = WordEncoder()
    report = evaluate(encoder, "gems", "test", out, out / "images", tmp_path / "work")
    # "apple" and the photo's red find the red apple first; "wall" finds the wall: all right.
    assert report.recall[1] == 1 and report.pseudo_recall[1] == 1
    assert encoder.asked == [("Which apple?", "red", INSTRUCTIONS[0]), ("Which wall?", None, INSTRUCTIONS[1])]
    assert report.counts["questions with positives that are not among the passages"] == 0
    assert "no published figures" in as_markdown(report, "words") and "published |" not in as_markdown(report, "words")

    found = open_set(DataSet(task="gems", split="test"), M2KR(str(out), str(out / "images")), tmp_path / "cache")
    rows = [found.rows[number] for number in range(len(found.rows))]
    assert [row["ids"] for row in rows] == [[of[RED]], [of[WALL], of[SKY]]]
    assert [row["texts"] for row in rows] == [[RED], [WALL, SKY]] and found.dropped == 0
    assert Image.open(found.images[0] / rows[0]["image"]).getpixel((0, 0)) == (255, 0, 0) and rows[1]["image"] is None
    assert {found.passages[n]["id"]: found.passages[n]["text"] for n in range(3)} == {of[each]: each for each in of}


def test_m2kr_without_references_has_no_answers_to_count(database, photos, tmp_path):
    project(database, items=2, name="gems")
    for key in ("q0", "q1"):
        say(database, key, "ann", passage(1).text, "answers")
    export_m2kr(database, "gems", photos, tmp_path / "out")
    table = pq.read_table(tmp_path / "out/gems_data/test-00000-of-00001.parquet")
    assert "answers" not in table.column_names and table["img_path"].null_count == 2
    passages = pq.read_table(tmp_path / "out/gems_passages/test_passages-00000-of-00001.parquet")
    assert passages["passage_content"].to_pylist()[0] == "Title 1: Passage 1 speaks of cats." and len(passages) == 2


def test_some_questions_without_answers_are_not_counted_as_never_answered(judged, photos, tmp_path):
    say(judged, "three", "zoe", SKY, "answers")
    written = export_m2kr(judged, "gems", photos, tmp_path / "out")
    assert written.left_out == 0
    report = evaluate(WordEncoder(), "gems", "test", tmp_path / "out", tmp_path / "out/images", tmp_path / "work")
    assert report.pseudo_recall is None and report.recall[1] == 1


def test_nothing_is_written_where_nothing_can_be(gems, photos, tmp_path):
    with pytest.raises(BadRequest, match="judged to answer it"):
        export_m2kr(gems, "gems", photos, tmp_path / "out")
    for export in (export_m2kr, export_huggingface):
        with pytest.raises(BadRequest, match="no project called dogs"):
            export(gems, "dogs", photos, tmp_path / "out")
        (tmp_path / "there").mkdir(exist_ok=True)
        with pytest.raises(BadRequest, match="already; name a folder"):
            export(gems, "gems", photos, tmp_path / "there")
    photo = next(item.photo for item in settled_items(gems, "gems"))
    photos.delete(photo)
    with pytest.raises(Problem, match="any more; put it back"):
        export_huggingface(gems, "gems", photos, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == []


def test_a_hugging_face_folder_has_every_item_and_its_photo(judged, photos, tmp_path):
    add_items(judged, "gems", [NewItem("And its colour?", next(settled_items(judged, "gems")).photo, "four")])
    out = tmp_path / "out"
    assert export_huggingface(judged, "gems", photos, out) == 4
    rows = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["one", "two", "three", "four"]
    assert rows[0]["file_name"] == rows[3]["file_name"] and rows[1]["file_name"] is None
    with Image.open(out / rows[0]["file_name"]) as image:
        assert image.format == "PNG" and rows[0]["file_name"].endswith(".png")
    assert len(list((out / "photos").iterdir())) == 1
    assert len({json.dumps(sorted(each)) for row in rows for each in row["candidates"]}) == 1  # all have the same keys
    first = rows[0]["candidates"][0]
    assert (first["grade"], first["gain"], first["text"]) == ("answers", 2, RED)
    assert first["found"] == [{"by": "mini in notes", "rank": 2}, {"by": "words", "rank": 1}]
    card = (out / "README.md").read_text()
    assert card.startswith("---\n") and "\n---\n" in card[4:] and "# Guide" in card and "| answers |" in card
    assert "4 questions with 7 passages and 1 answers, of which 5 and 0 were judged" in card
    assert not any(name in (out / "metadata.jsonl").read_text() + card for name in ("bob", "zoe"))


def test_a_hugging_face_folder_without_photos_is_plain_lines(database, photos, tmp_path):
    project(database, items=2, name="gems")
    assert export_huggingface(database, "gems", photos, tmp_path / "out") == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "items.jsonl"]
    assert "data_files: items.jsonl" in (tmp_path / "out/README.md").read_text()


@pytest.mark.parametrize(("kind", "ending"), [("JPEG", ".jpg"), ("WEBP", ".webp"), ("GIF", ".gif"), ("TIFF", ".tiff")])
def test_a_copied_photo_is_named_by_its_format(photos, tmp_path, kind, ending):
    photo = photos.keep(photo_bytes("blue", kind), check)
    assert export_folders.copied(photos, photo, tmp_path) == photo + ending


def test_an_answer_that_nobody_cites_in_is_no_run(database):
    project(database, items=1, passages=0, name="gems")
    add_pool(database, "gems", "q0", [PooledAnswer("A cat.", "quotes")])
    assert list(export_lines(database, "gems", "runs")) == []
