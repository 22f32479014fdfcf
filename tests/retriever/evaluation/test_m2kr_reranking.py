"""M2KR with a reranker: the same rankings in another order, figures worked out by hand, stopped and gone on."""

from __future__ import annotations

import argparse
import json
from functools import partial

import pytest

from app.commands.m2kr import run
from app.commands.reranking import reranker_of
from app.settings import load_settings
from common.problems import Problem
from common.reranking import Order
from retriever.evaluation.m2kr.evaluate import check, measure_together
from retriever.evaluation.m2kr.report import as_json, as_markdown, write_report
from retriever.search.cross_encoder import CrossEncoder
from tests.retriever.evaluation.test_m2kr import PSEUDO, QUESTIONS, RECALL
from tests.retriever.search.test_cross_encoder import write
from tests.support.m2kr import WordEncoder, write_photos, write_task

# Of the first three passages of each question, turned round (see test_m2kr.py for the order they were found in):
#   q1 p4 p0 p2 ...   q2 p4 p3 p1 ...   q3 p1 p0 p5 ...   q4 p2 p1 p0 ...
# The first positive stands at rank 1 (q1), 6 (q2), 3 (q3) and nowhere; the first answer at 3 (q1), 2 (q2), 1 (q3) and
# nowhere.


class Backwards:
    """name, most and sees as of a Reranker; fails at questions with a word."""

    name, most, sees = "backwards", 3, True

    def __init__(self, fails: str = "no such word", stops: int = 99) -> None:
        self.fails, self.stops = fails, stops
        self.asked: list[tuple[str, bool, list[str]]] = []

    def ready(self) -> None:
        """It is."""

    def order(self, question, photo, passages) -> Order:
        if len(self.asked) == self.stops:
            raise KeyboardInterrupt
        self.asked.append((question, photo is not None, [passage.text for passage in passages]))
        if self.fails in question:
            raise Problem("It is not there.")
        return Order(tuple(reversed(range(len(passages)))), "", 6)


@pytest.fixture
def checked(tmp_path):
    data = write_task(tmp_path / "data", "EVQA", QUESTIONS)
    return check("EVQA", "test", data, write_photos(tmp_path / "images", "red.png", "green.png", "blue.png"))


def measured(checked, folder, reranker):
    return measure_together([WordEncoder], checked, folder, True, lambda stage, done, total: None, reranker)


def test_figures_without_and_with_a_reranker_stand_beside_each_other(checked, tmp_path):
    report = measured(checked, tmp_path / "work", reranker := Backwards())
    assert report.recall == pytest.approx(RECALL) and report.pseudo_recall == pytest.approx(PSEUDO)
    again = report.reranked
    assert [again.recall[k] for k in (1, 5, 10)] == [1 / 4, 2 / 4, 3 / 4]
    assert [again.pseudo_recall[k] for k in (1, 5, 10)] == [1 / 4, 3 / 4, 3 / 4]
    assert (again.by, again.tokens, again.stood, again.reason) == ("backwards", 6, 0, "") and again.seconds >= 0
    assert [each[1] for each in reranker.asked] == [True, True, False, False]
    assert reranker.asked[0][2] == ["red Brick wall", "red apple", "green wall"]  # p2 p0 p4
    told = as_markdown(report, "words")
    assert "| words, reranked | " in told and "Reranked: the first 3 passages by backwards, 0.0" in told
    assert as_json(report, "words")["reranked"]["by"] == "backwards"
    plain = measured(checked, tmp_path / "work", None)
    assert plain.reranked is None and "eranked" not in as_markdown(plain, "words")
    paths = {write_report(each, "words", tmp_path) for each in (report, plain)}
    assert len(paths) == 2


def test_a_reranker_that_fails_leaves_the_ranking(checked, tmp_path):
    report = measured(checked, tmp_path / "work", Backwards(fails="wall"))
    assert report.reranked.recall[1] == 0 and report.reranked.stood == 1  # q1 stays at rank 3, q3 goes there
    assert report.reranked.reason == "It is not there." and "of 1 questions not all" in as_markdown(report, "words")


@pytest.mark.parametrize("spoil", ["", "{", '{"question_id": "other"}', '{"question_id": "q2", "places": "x"}'])
def test_what_was_stopped_goes_on_from_where_it_was(checked, tmp_path, spoil):
    with pytest.raises(KeyboardInterrupt):
        measured(checked, tmp_path / "work", Backwards(stops=2))
    [kept] = (tmp_path / "work").rglob("*-reranked-*.jsonl")
    lines = kept.read_text().splitlines()
    assert [json.loads(line)["question_id"] for line in lines] == ["q1", "q2"]
    if spoil:
        kept.write_text("\n".join([lines[0], spoil]))
    report = measured(checked, tmp_path / "work", reranker := Backwards())
    assert len(reranker.asked) == (3 if spoil else 2)
    assert report.reranked.recall == measured(checked, tmp_path / "other", Backwards()).reranked.recall


def test_the_command_takes_a_cross_encoder(tmp_path, capsys, monkeypatch):
    data = write_task(tmp_path / "data", "EVQA", QUESTIONS[2:])
    settings = load_settings(data_dir=tmp_path, rerank=str(write(tmp_path / "tiny", "bert", 1)))
    args = argparse.Namespace(dataset="EVQA", split="test", data=str(data), images=None, exact=True)
    asked = []
    order = CrossEncoder.order
    monkeypatch.setattr(CrossEncoder, "order", lambda self, *how: asked.append(how) or order(self, *how))
    run(args, "words", [lambda fetched: WordEncoder()], tmp_path, tmp_path, partial(reranker_of, settings))
    assert "Reranked: the first 50 passages by tiny" in capsys.readouterr().out and len(asked) == 2


def test_titles_that_are_not_there_cannot_be_chosen_among(plain_surroundings):
    settings = load_settings(rerank="identify", model="small", served_url="http://localhost:9/v1")
    with pytest.raises(Problem, match="passages with titles"):
        reranker_of(settings, lambda done, total: None)
    settings = load_settings(rerank="listwise", model="small", served_url="http://localhost:9/v1")
    assert reranker_of(settings, lambda done, total: None).name == "small at localhost:9 (listwise)"
    assert reranker_of(load_settings(), lambda done, total: None) is None
