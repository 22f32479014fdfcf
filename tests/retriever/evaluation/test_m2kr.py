"""The M2KR benchmark on small data sets in the published layout, its figures worked out by hand."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.commands.m2kr import add_arguments, run
from common.problems import Problem
from retriever.encoders.base import Query, QueryVectors
from retriever.encoders.flmr import query_text
from retriever.evaluation.m2kr import evaluate, protocol, ranking
from retriever.evaluation.m2kr.published import HUB_ID, find_task
from retriever.evaluation.m2kr.report import as_json, as_markdown, write_report
from retriever.evaluation.measures import recall
from retriever.search.explain import align
from tests import ROOT
from tests.fakes.hub_server import HubServer
from tests.fakes.small_encoder import plain
from tests.support.m2kr import PASSAGES, WordEncoder, question, write_photos, write_task

# With a photo, the photo's colour is a word of the question. Scores, then the order (equal scores: as in the files):
#   q1 "wall" + red:   p2 1; p0, p4 1/2; the rest 0         p2 p0 p4 p1 p3 p5
#   q2 "sky" + green:  p1, p3, p4 1/2; the rest 0           p1 p3 p4 p0 p2 p5
#   q3 "pie apple":    p5 1; p0 1/2; the rest 0             p5 p0 p1 p2 p3 p4
#   q4 "zebra":        all 0                                p0 p1 p2 p3 p4 p5
# The first positive stands at rank 3 (q1: p4; "gone" is not asked for), 6 (q2: p5), 1 (q3) and nowhere (q4 has none).
# The first answer stands at rank 1 (q1: "brick" is in p2), 2 (q2: "sky" in p3), 3 (q3: "pear" in p1), nowhere (q4).
QUESTIONS = [
    question("q1", "What wall?", "red.png", ["p4"], [" BRICK ", "no such words"]),
    question("q2", "Which sky?", "green.png", ["p5"], ["sKy"]),
    question("q3", "A pie of apple", None, ["p5", "p3"], ["pear"]),
    question("q4", "zebra", None, [], ["stripes"]),
]
RECALL = {1: 1 / 4, 5: 2 / 4, 10: 3 / 4, 20: 3 / 4, 50: 3 / 4, 100: 3 / 4, 500: 3 / 4}
PSEUDO = {1: 1 / 4, 5: 3 / 4, 10: 3 / 4, 20: 3 / 4, 50: 3 / 4, 100: 3 / 4, 500: 3 / 4}
ORDER = {
    "q1": ["p2", "p0", "p4", "p1", "p3", "p5"],
    "q2": ["p1", "p3", "p4", "p0", "p2", "p5"],
    "q3": ["p5", "p0", "p1", "p2", "p3", "p4"],
    "q4": ["p0", "p1", "p2", "p3", "p4", "p5"],
}


@pytest.fixture
def data(tmp_path):
    return write_task(tmp_path / "data", "EVQA", QUESTIONS)


@pytest.fixture
def images(tmp_path):
    return write_photos(tmp_path / "images", "red.png", "green.png", "blue.png")


def lines(report):
    return [json.loads(line) for line in Path(report.rankings).read_text().splitlines()]


@pytest.mark.parametrize("exact", [True, False])
def test_recall_and_pseudo_recall_are_those_worked_out_by_hand(tmp_path, data, images, exact):
    report = evaluate(WordEncoder(), "E-VQA", "test", data, images, tmp_path / "work", exact)
    assert report.recall == pytest.approx(RECALL) and report.pseudo_recall == pytest.approx(PSEUDO)
    assert {line["question_id"]: line["ids"] for line in lines(report)} == ORDER
    assert lines(report)[0]["scores"] == pytest.approx([1, 0.5, 0.5, 0, 0, 0])
    assert report.counts["questions"] == 4 and report.counts["passages"] == 6
    assert report.counts["questions with an image"] == 2 and report.counts["questions without positives"] == 1
    assert report.counts["vectors"] == sum(len(text.split()) for text in PASSAGES.values())
    assert report.settings["exact"] is exact
    assert report.settings["stored vectors"] == "8 bits"


# What the rows of each task look like: is there a question, an image, an answer?
SHAPES = {
    "WIT": (False, True, False),
    "IGLUE": (False, True, False),
    "KVQA": (False, True, False),
    "MSMARCO": (True, False, False),
    "OVEN": (True, True, False),
    "LLaVA": (True, True, False),
    "EVQA": (True, True, True),
    "OKVQA": (True, True, True),
    "Infoseek": (True, True, True),
}


@pytest.mark.parametrize("name", SHAPES)
def test_every_task_is_read_asked_and_measured(tmp_path, images, name):
    asks, shows, answers = SHAPES[name]
    rows = [
        question(
            id,
            text if asks else None,
            f"{colour}.png" if shows else None,
            [positive],
            [answer] if answers else None,
            f"How to look for {id}:",
        )
        for id, text, colour, positive, answer in [
            ("a", "wall", "green", "p4", "wall"),
            ("b", "pie", "blue", "p3", "blue sky"),
        ]
    ]
    data = write_task(tmp_path / "data", name, rows)
    encoder = WordEncoder()
    report = evaluate(encoder, name.lower(), "test", data, images if shows else None, tmp_path / "work")
    said = [("wall" if asks else "", "green" if shows else None), ("pie" if asks else "", "blue" if shows else None)]
    assert encoder.asked == [(*each, f"How to look for {id}:") for each, id in zip(said, "ab", strict=True)]
    assert encoder.passages == list(PASSAGES.values())  # as they are, no title before them
    # a: with question and photo p4 has both words, rank 1; the photo alone finds p1, then p4; the question alone p2,
    #    then p4.
    # b: p3 has the photo's blue: with the question p3 and p5 tie, p3 first; the question alone finds p5 and then, of
    #    equal score, p0 p1 p2 p3: rank 5.
    ranks = {(True, True): [1, 1], (False, True): [2, 1], (True, False): [2, 5]}[asks, shows]
    assert report.recall[1] == ranks.count(1) / 2 and report.recall[5] == 1
    if answers:  # a: p4 is the first with "wall"; b: p3 is the first with "blue sky"
        assert report.pseudo_recall[1] == 1
    else:
        assert report.pseudo_recall is None
    assert list(report.measures())[: len(find_task(name).figures)] == list(find_task(name).figures)


def test_recall_counts_ranks_up_to_and_with_k():
    # Of seven questions: ranks 1, 5, 6, 20, 500, never, 101.
    found = recall([1, 5, 6, 20, 500, None, 101], protocol.DEPTHS)
    assert found == pytest.approx({1: 1 / 7, 5: 2 / 7, 10: 3 / 7, 20: 4 / 7, 50: 4 / 7, 100: 4 / 7, 500: 6 / 7})
    with pytest.raises(ValueError, match="no questions"):
        recall([], protocol.DEPTHS)


def test_the_first_positive_counts_whichever_it_is():
    rankings = [np.array(numbers, np.int32) for numbers in ([7, 3, 9], [7, 3, 9], [4], [])]
    assert protocol.positive_ranks(rankings, [{9, 3}, {1}, {4}, {4}]) == [2, None, 1, None]


def test_answers_match_as_the_authors_match_them():
    texts = ["The Eiffel Tower, 1889", "a towerblock", "ÉCOLE", "nothing"]
    rankings = [np.array(numbers, np.int32) for numbers in ([3, 1, 0], [3, 2], [3, 0], [2, 3], [], [3])]
    answers = [["tower"], ["école "], ["eiffel  tower"], [], ["tower"], ["  "]]
    # tower: part of "towerblock", at rank 2. école: lower-cased on both sides. Two spaces are not one. No answers: no
    # rank. No passages: no rank. An answer of nothing but spaces is in every text.
    assert protocol.answer_ranks(rankings, answers, iter(texts)) == [2, 2, None, None, None, 1]


def test_instruction_and_question_are_written_as_the_published_models_read_them():
    assert query_text(" Find: this ", "Who?", "[SEP]") == "Find[SEP] this[SEP]  Who? "
    assert query_text("Find this:", "", "[SEP]") == "Find this[SEP]   "


@pytest.mark.parametrize(
    ("said", "meant"),
    [("E-VQA", "EVQA"), ("evqa", "EVQA"), ("OK-VQA", "OKVQA"), ("llava", "LLaVA"), ("ms marco", "MSMARCO"),
     ("InfoSeek", "Infoseek"), ("wit", "WIT")],
)  # fmt: skip
def test_tasks_are_known_however_they_are_spelt(said, meant):
    assert find_task(said).name == meant


def test_shards_are_read_in_order_and_questions_in_batches_of_eight(tmp_path):
    rows = [question(f"q{n:02}", VOCABULARY_[n % 3], None, [f"p{n % 3}"]) for n in range(19)]
    passages = {f"p{n}": VOCABULARY_[n] if n < 3 else "river" for n in range(1300)}
    data = write_task(tmp_path / "data", "MSMARCO", rows, passages, shards=3)
    encoder = WordEncoder()
    report = evaluate(encoder, "MSMARCO", "test", data, None, tmp_path / "work")
    assert encoder.passages == list(passages.values()) and encoder.batches == [8, 8, 3]
    assert [line["question_id"] for line in lines(report)] == [row["question_id"] for row in rows]
    assert [len(line["ids"]) for line in lines(report)] == [500] * 19 and report.recall[1] == 1


VOCABULARY_ = ["apple", "pear", "pie"]


def test_questions_may_share_an_id(tmp_path):
    rows = [question("same", "pie", None, ["p5"]), question("same", "pear", None, ["p1"])]
    data = write_task(tmp_path / "data", "MSMARCO", rows)
    assert evaluate(WordEncoder(), "MSMARCO", "test", data, None, tmp_path / "work").recall[1] == 1


def test_passages_without_words_are_counted_and_never_found(tmp_path):
    passages = [("blank", ""), ("p1", "pear"), ("null", None)]
    data = write_task(tmp_path / "data", "MSMARCO", [question("q", "pear", None, ["p1", "null"])], passages)
    report = evaluate(WordEncoder(), "MSMARCO", "test", data, None, tmp_path / "work")
    assert report.counts["passages without vectors"] == 2 and lines(report)[0]["ids"] == ["p1"]
    assert "Passages without vectors: 2" in as_markdown(report, "words")


def test_a_null_instruction_is_none_and_not_the_encoders_own(tmp_path):
    data = write_task(tmp_path / "data", "MSMARCO", [question("q", "pie", None, ["p5"], instruction=None)])
    encoder = WordEncoder()
    evaluate(encoder, "MSMARCO", "test", data, None, tmp_path / "work")
    assert encoder.asked == [("pie", None, "")]


# -- being stopped and going on


class Stop(Exception):
    pass


def many(tmp_path, questions=20, passages=40):
    """A task that takes several steps: passages "river", but for one a question knows."""
    texts = {f"p{n}": f"river {VOCABULARY_[n % 3]}" for n in range(passages)}
    rows = [question(f"q{n}", VOCABULARY_[n % 3], "red.png", [f"p{n}"]) for n in range(questions)]
    write_photos(tmp_path / "images", "red.png")
    return write_task(tmp_path / "data", "OVEN", rows, texts)


@pytest.fixture
def small_steps(monkeypatch):
    monkeypatch.setattr(ranking, "ENCODE", 4)
    monkeypatch.setattr(ranking, "ENCODE_MOST", 4)
    monkeypatch.setattr(ranking, "COMMIT_VECTORS", 1)


def test_a_run_that_stops_goes_on_where_it_was(tmp_path, small_steps):
    data, images = many(tmp_path), tmp_path / "images"
    whole = evaluate(WordEncoder(), "OVEN", "test", data, images, tmp_path / "whole")

    def until(stage, count):
        def progress(at, done, total):
            if at == stage and done >= count:
                raise Stop

        return progress

    encoder = WordEncoder()
    for stage, count in [("indexing", 8), ("indexing", 24), ("searching", 8), ("searching", 16)]:
        with pytest.raises(Stop):
            evaluate(encoder, "OVEN", "test", data, images, tmp_path / "work", progress=until(stage, count))
    report = evaluate(encoder, "OVEN", "test", data, images, tmp_path / "work")
    assert sorted(encoder.passages) == sorted(f"river {VOCABULARY_[n % 3]}" for n in range(40))  # each once
    assert encoder.batches == [8, 8, 4] and report.done_now == {"passages encoded": 0, "questions searched": 4}
    assert Path(report.rankings).read_bytes() == Path(whole.rankings).read_bytes()
    assert report.recall == whole.recall

    again = evaluate(encoder, "OVEN", "test", data, images, tmp_path / "work")
    assert again.done_now == {"passages encoded": 0, "questions searched": 0} and again.recall == whole.recall


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.support.m2kr import WordEncoder
from retriever.evaluation.m2kr import evaluate, ranking

data, images, work, stage, count = sys.argv[1:]
ranking.ENCODE = ranking.ENCODE_MOST = 4
ranking.COMMIT_VECTORS = 1

def progress(at, done, total):
    if at == stage and done >= int(count):
        os.kill(os.getpid(), signal.SIGKILL)

evaluate(WordEncoder(), "OVEN", "test", Path(data), Path(images), Path(work), progress=progress)
"""


@pytest.mark.parametrize(("stage", "count", "encoded", "searched"), [("indexing", 20, 20, 20), ("searching", 8, 0, 12)])
def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path, small_steps, stage, count, encoded, searched):
    data, images = many(tmp_path), tmp_path / "images"
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, data, images, tmp_path / "work", stage, str(count)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"},
        timeout=600,
    )
    assert killed.returncode == -signal.SIGKILL
    encoder = WordEncoder()
    report = evaluate(encoder, "OVEN", "test", data, images, tmp_path / "work")
    assert (len(encoder.passages), len(encoder.asked)) == (encoded, searched)
    whole = evaluate(WordEncoder(), "OVEN", "test", data, images, tmp_path / "whole")
    assert Path(report.rankings).read_bytes() == Path(whole.rankings).read_bytes()


@pytest.mark.parametrize(
    ("spoil", "kept"),
    [
        (lambda text: text[:-30], 19),  # torn in the last line
        (lambda text: text[:-1], 19),  # torn at its very end
        (lambda text: text + b'{"question_id": "q20", "ids"', 20),  # begun and not finished
        (lambda text: text.replace(b'"q5"', b'"q6"'), 5),  # another question's
        (lambda text: text.replace(b'"q7", ', b'"q7", \xff'), 7),
        (lambda text: text.replace(b'"p5"', b'"p404"', 1), 0),  # a passage that there is not
        (lambda text: text.replace(b"0.5", b"NaN", 1), 0),
        (lambda text: text.replace(b"0.5", b'"1"', 1), 0),
        (lambda text: text.replace(b'"p5"', b'["p5"]', 1), 0),
        (lambda text: b"[" * 100_000 + b"\n" + text, 0),
        (lambda text: b"\x00" * len(text), 0),
        (lambda text: b"", 0),
    ],
)
def test_lines_that_are_not_whole_are_done_again(tmp_path, spoil, kept):
    data, images = many(tmp_path), tmp_path / "images"
    report = evaluate(WordEncoder(), "OVEN", "test", data, images, tmp_path / "work")
    path = Path(report.rankings)
    before = path.read_bytes()
    assert spoil(before) != before
    path.write_bytes(spoil(before))
    again = evaluate(WordEncoder(), "OVEN", "test", data, images, tmp_path / "work")
    assert again.done_now == {"passages encoded": 0, "questions searched": 20 - kept}
    assert path.read_bytes() == before and again.recall == report.recall


def test_other_passages_under_the_same_name_are_indexed_anew(tmp_path, data, images):
    work = tmp_path / "work"
    evaluate(WordEncoder(), "EVQA", "test", data, images, work)
    file = data / "EVQA_passages" / "test_passages-00000-of-00001.parquet"
    size = file.stat().st_size
    write_task(data, "EVQA", QUESTIONS, {**PASSAGES, "p3": "blue PIE"})
    assert file.stat().st_size == size  # so that only the content tells
    encoder = WordEncoder()
    report = evaluate(encoder, "EVQA", "test", data, images, work)
    assert len(encoder.passages) == 6
    # q2 "sky" + green: p1 and p4 1/2 and p3 no more; q3 "pie apple": p5 1, p0 and now p3 1/2.
    assert [line["ids"] for line in lines(report)[1:3]] == [
        ["p1", "p4", "p0", "p2", "p3", "p5"],
        ["p5", "p0", "p3", "p1", "p2", "p4"],
    ]


def test_other_questions_are_asked_anew_of_the_same_index(tmp_path, data, images):
    work = tmp_path / "work"
    evaluate(WordEncoder(), "EVQA", "test", data, images, work)
    write_task(data, "EVQA", [{**QUESTIONS[0], "question": "What sky?"}, *QUESTIONS[1:]])
    encoder = WordEncoder()
    evaluate(encoder, "EVQA", "test", data, images, work)
    assert not encoder.passages and len(encoder.asked) == 4


def test_another_encoder_has_an_index_and_rankings_of_its_own(tmp_path, data, images):
    work = tmp_path / "work"
    first = evaluate(WordEncoder("one"), "EVQA", "test", data, images, work)
    other = WordEncoder("other")
    second = evaluate(other, "EVQA", "test", data, images, work)
    assert len(other.passages) == 6 and len(other.asked) == 4 and first.rankings != second.rankings


@pytest.mark.parametrize(("name", "value"), [("FORMAT_VERSION", 1000), ("NBITS", 4)])
def test_another_kind_of_index_has_rankings_of_its_own(tmp_path, data, images, monkeypatch, name, value):
    work = tmp_path / "work"
    first = evaluate(WordEncoder(), "EVQA", "test", data, images, work)
    monkeypatch.setattr(sys.modules["retriever.evaluation.m2kr.evaluate"], name, value)
    again = WordEncoder()
    second = evaluate(again, "EVQA", "test", data, images, work)
    assert len(again.passages) == 6 and len(again.asked) == 4
    assert Path(first.rankings).parent != Path(second.rankings).parent


def test_exact_search_shares_the_index_and_not_the_rankings(tmp_path, data, images):
    work = tmp_path / "work"
    evaluate(WordEncoder(), "EVQA", "test", data, images, work)
    encoder = WordEncoder()
    evaluate(encoder, "EVQA", "test", data, images, work, exact=True)
    assert not encoder.passages and len(encoder.asked) == 4


def test_a_changed_image_is_asked_about_again(tmp_path, images):
    rows = [question(f"q{n}", "wall", f"{c}.png", ["p4"]) for n, c in enumerate(("red", "green", "blue"))]
    data = write_task(tmp_path / "data", "OVEN", rows)
    evaluate(WordEncoder(), "OVEN", "test", data, images, tmp_path / "work")
    Image.new("RGB", (40, 40), "blue").save(images / "green.png")
    encoder = WordEncoder()
    report = evaluate(encoder, "OVEN", "test", data, images, tmp_path / "work")
    assert [colour for _, colour, _ in encoder.asked] == ["blue", "blue"]  # from the changed one on
    assert len(lines(report)) == 3


def test_two_runs_at_once_do_not_spoil_each_other(tmp_path, small_steps):
    data, images = many(tmp_path), tmp_path / "images"
    refused = []

    def progress(stage, done, total):
        if not refused and (stage, done) == ("searching", 8):
            with pytest.raises(Problem, match="Another process") as refusal:
                evaluate(WordEncoder(), "OVEN", "test", data, images, tmp_path / "work")
            refused.append(refusal)

    report = evaluate(WordEncoder(), "OVEN", "test", data, images, tmp_path / "work", progress=progress)
    assert refused and len(lines(report)) == 20


# -- what is written


def test_the_report_shows_our_row_beside_the_published_ones(tmp_path, data, images):
    report = evaluate(WordEncoder(), "EVQA", "test", data, images, tmp_path / "work")
    table = [line.split(" | ") for line in as_markdown(report, "words").splitlines() if line.startswith("|")]
    assert table[0][:4] == ["| model", "R@5", "PR@5", "R@1"]
    assert table[2][:4] == ["| words", "50.0", "75.0", "25.0"]
    assert table[3][:3] == ["| PreFLMR ViT-B, published", "55.0", "66.3"]
    assert table[4][:3] == ["| PreFLMR ViT-L, published", "60.9", "70.8"]
    assert table[5][:3] == ["| PreFLMR ViT-G, published", "62.5", "72.1"]
    assert len({len(row) for row in table[:6]}) == 1
    assert "4 questions, 6 passages; the best of 6 candidates scored" in as_markdown(report, "words")
    exact = evaluate(WordEncoder(), "EVQA", "test", data, images, tmp_path / "work", exact=True)
    assert "4 questions, 6 passages; every passage scored" in as_markdown(exact, "words")
    assert "Not comparable: the published figures are of 3,750 questions." in as_markdown(report, "words")

    first = write_report(report, "words", tmp_path / "out")
    written = json.loads(first[0].read_text())
    assert written["percent"]["Recall@5"] == 50 and written["percent"]["Pseudo Recall@500"] == 75
    assert written["fingerprint"] == "words-1" and written["profile"] == "words"
    assert written["published"]["Recall@5"]["PreFLMR ViT-L"] == 60.9
    assert written["versions"]["pyarrow"] and re.match(r"\d{4}-\d\d-\d\dT.*\+00:00$", written["date"])
    assert written["settings"]["candidates"] == ranking.CANDIDATES and written["seconds"]["indexing"] >= 0
    assert first[1].read_text() == as_markdown(report, "words")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(p.name for p in first)  # nothing half-written


def test_another_split_has_no_published_rows(tmp_path, images):
    data = write_task(tmp_path / "data", "EVQA", QUESTIONS, split="valid")
    report = evaluate(WordEncoder(), "EVQA", "valid", data, images, tmp_path / "work")
    text = as_markdown(report, "words")
    assert "ViT" not in text and "left out" in text and report.recall == pytest.approx(RECALL)


def test_nothing_of_the_data_gets_into_the_report(tmp_path, images):
    evil = "<script>alert(1)</script> | evil"
    rows = [question(evil, f"wall {evil}", "red.png", [evil], [evil], evil)]
    data = write_task(tmp_path / "data", "EVQA", rows, {evil: f"red wall {evil}", "p1": evil})
    report = evaluate(WordEncoder(), "EVQA", "test", data, images, tmp_path / "work")
    assert report.recall[1] == report.pseudo_recall[1] == 1
    assert "evil" not in as_markdown(report, "words") and "evil" not in json.dumps(as_json(report, "words"))


def test_a_profile_that_is_a_path_or_has_marks_cannot_break_the_table_or_leave_the_folder(tmp_path, data, images):
    report = evaluate(WordEncoder(), "EVQA", "test", data, images, tmp_path / "work")
    profile = "../../models/a|b\n<b>"
    paths = write_report(report, profile, tmp_path / "out")
    assert all(path.parent == tmp_path / "out" and path.is_file() for path in paths)
    rows = [line for line in paths[1].read_text().splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows[:6]}) == 1 and "<" not in paths[1].read_text()


# -- the command


def command(tmp_path, *options, encoder=None):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args([*map(str, options)])
    run(args, "words", [lambda progress: encoder or WordEncoder()], tmp_path / "store", tmp_path / "cache")


def test_the_command_prints_the_table_and_says_where_it_is(tmp_path, data, images, capsys):
    command(tmp_path, "--dataset", "e-vqa", "--data", data, "--images", images)
    said = capsys.readouterr()
    assert "| words | 50.0 | 75.0 |" in said.out
    written = [Path(line) for line in said.out.splitlines() if line.startswith(str(tmp_path))]
    assert [path.suffix for path in written] == [".json", ".md"] and all(path.is_file() for path in written)
    assert "Indexing: 100%" in said.err and "Searching: 100%" in said.err and "Indexing" not in said.out


def test_the_command_finds_faults_before_it_loads_the_encoder(tmp_path, data):
    def load(progress):
        raise AssertionError("loaded in vain")

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    for options in (["--dataset", "EVQA"], ["--dataset", "no"], ["--dataset", "EVQA", "--split", "train"]):
        with pytest.raises(Problem):
            run(parser.parse_args([*options, "--data", str(data)]), "words", [load], tmp_path, tmp_path)


class Alike(WordEncoder):
    """All passages score 0, so that they come as in the files."""

    def encode_queries(self, queries: Sequence[Query]) -> list[QueryVectors]:
        return [replace(query, vectors=-query.vectors) for query in super().encode_queries(queries)]


def test_rankings_of_two_profiles_are_fused_by_their_places(tmp_path, images, capsys):
    """By hand, of the question "apple pie": one finds p5, p0 and then the others in the order of the files, the other
    all in that order. The sums of 1 / (60 + place): p0 1/62 + 1/61, p1 1/63 + 1/62, p5 1/61 + 1/66, and the rest."""
    data = write_task(tmp_path / "data", "EVQA", [question("q", "apple pie", None, ["p0"], ["pear"])])
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(["--dataset", "EVQA", "--data", str(data), "--images", str(images)])
    loaded = []

    def loads(encoder):
        return lambda progress: loaded.append(encoder.fingerprint) or encoder

    both = [loads(WordEncoder("one")), loads(Alike("other"))]
    run(args, "one+other", both, tmp_path / "store", tmp_path / "cache")
    said = capsys.readouterr().out
    assert loaded == ["one", "other"] and "Rankings of the profiles were fused by their places" in said
    written = json.loads(next(Path(line) for line in said.splitlines() if line.endswith(".json")).read_text())
    assert json.loads(Path(written["rankings"]).read_text())["ids"] == ["p0", "p1", "p5", "p2", "p3", "p4"]
    assert written["fingerprint"] == "one + other" and written["profile"] == "one+other"
    assert written["percent"]["Recall@1"] == 100 and written["percent"]["Pseudo Recall@1"] == 0
    assert written["percent"]["Pseudo Recall@5"] == 100
    assert written["counts"]["vectors"] == 2 * sum(len(text.split()) for text in PASSAGES.values())

    # Each profile's rankings are kept, also for a run of its own.
    again = WordEncoder("one")
    report = evaluate(again, "EVQA", "test", data, images, tmp_path / "store" / "m2kr")
    assert not again.passages and not again.asked and report.settings["rankings fused"] == 1


def test_data_sets_come_from_the_hub_with_only_the_files_of_the_task(tmp_path, images, monkeypatch, capsys):
    remote = write_task(tmp_path / "remote", "EVQA", QUESTIONS)
    write_task(remote, "EVQA", QUESTIONS, split="train")
    write_task(remote, "OKVQA", QUESTIONS)
    with HubServer(datasets={HUB_ID: remote}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        command(tmp_path, "--dataset", "EVQA", "--images", images)
    assert "| words | 50.0 | 75.0 |" in capsys.readouterr().out
    fetched = {path.name for path in (tmp_path / "cache").rglob("*.parquet")}
    assert fetched == {"test-00000-of-00001.parquet", "test_passages-00000-of-00001.parquet"}
    assert not [path for path in (tmp_path / "cache").rglob("OKVQA*")]


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path, data, images, monkeypatch):
    def full(path, text):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("retriever.evaluation.m2kr.report.write_whole", full)
        with pytest.raises(Problem, match="No space left on device"):
            command(tmp_path, "--dataset", "EVQA", "--data", data, "--images", images)
    encoder = WordEncoder()
    command(tmp_path, "--dataset", "EVQA", "--data", data, "--images", images, encoder=encoder)
    assert not encoder.passages and not encoder.asked


# -- the real encoder


def test_mini_runs_end_to_end_and_ranks_by_its_own_scores(mini, tmp_path, images):
    passages = {
        "teapot": "Teapot: a pot with a spout, in which tea is brewed.",
        "cheetah": "Cheetah: a large spotted cat of the plains of Africa; no animal on land runs faster.",
        "bridge": "Bridge: it carries a road over a river.",
        "volcano": "Volcano: a mountain from which molten rock comes.",
    }
    rows = [
        question("fast", "Which animal runs fastest?", None, ["cheetah"], ["Spotted Cat"]),
        question("lava", "Where does molten rock come from?", None, ["volcano"], ["mountain"]),
        question("photo", None, "red.png", ["bridge"], ["road"]),
        question("both", "What is this for?", "green.png", ["teapot"], ["tea"]),
    ]
    data = write_task(tmp_path / "data", "OKVQA", rows, passages)
    report = evaluate(mini, "OK-VQA", "test", data, images, tmp_path / "work")
    assert report.recall[1] >= 0.5 and report.recall[5] == 1 and report.settings["instructions"] is False
    vectors = dict(zip(passages, mini.encode_passages(plain(*passages.values())), strict=True))
    for row, line in zip(rows, lines(report), strict=True):
        photo = Image.open(images / row["img_path"]) if row["img_path"] else None
        [query] = mini.encode_queries([Query(row["question"] or "", photo)])
        scores = {id: align(query, rows).contributions.sum() for id, rows in vectors.items()}
        assert line["ids"] == sorted(scores, key=scores.get, reverse=True)
        assert line["scores"] == pytest.approx([scores[id] for id in line["ids"]], abs=2e-3)  # stored in 8 bits
