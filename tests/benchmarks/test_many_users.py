"""Many users of a real server: what is measured, that it is as it should be, and that memory does not grow."""

from __future__ import annotations

import copy
import sys

import pytest

from benchmarks import load
from benchmarks.everything import QUESTIONS
from benchmarks.load import write_photos
from benchmarks.many_users import lines, measure_many, questions_for, same_answer, wait_until_ready
from benchmarks.server import serving
from common.problems import Problem

SMALL = (sys.executable, "-m", "tests.support.small_server")
GROWN = 60e6  # bytes that a server's memory may differ by, before and after


def measured(folder, questions: int, users: int, seconds: float, settings, command=None) -> dict:
    photos = write_photos(folder, questions)
    asked = [(photo, QUESTIONS[number % len(QUESTIONS)]) for number, photo in enumerate(photos)]
    with serving(settings, *[command] if command else []) as server:
        wait_until_ready(server, (photos[0], "Is it ready?"))
        return measure_many(server, asked, users, seconds)


def check(figures: dict, users: int) -> None:
    print(*lines(figures), sep="\n")
    assert figures["errors"] == figures["differing"] == figures["from_the_cache"] == 0, figures
    assert figures["answered"] >= users and figures["fewest_of_a_user"] >= 1
    assert figures["memory_end"] - figures["memory_middle"] < GROWN
    assert figures["places_told"] > 0


def test_users_of_a_small_server_get_what_they_get_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(load, "SIDES", (60, 90))
    (tmp_path / "photos").mkdir()
    settings = {"CITESIGHT_DATA_DIR": str(tmp_path / "data"), "CITESIGHT_CORPUS": "things"}
    figures = measured(tmp_path / "photos", 20, 10, 4.0, settings, SMALL)
    check(figures, 10)
    assert figures["longest_of_mean"] > 1
    assert "10 users, 20 different questions" in lines(figures)[0]


@pytest.mark.slow
def test_memory_does_not_grow_in_half_an_hour(tmp_path, wheel_cache):
    """On `mini` and the 10,033 articles, which are indexed first."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "cache").symlink_to(wheel_cache)
    (tmp_path / "photos").mkdir()
    users = 50
    settings = {"CITESIGHT_DATA_DIR": str(tmp_path / "data")}
    figures = measured(tmp_path / "photos", questions_for(users), users, 1800.0, settings)
    check(figures, users)
    assert figures["longest_of_mean"] <= 2, figures


def test_a_server_that_does_not_begin_is_a_sentence():
    command = (sys.executable, "-c", "raise SystemExit('error: no such thing.')")
    with pytest.raises(Problem, match="did not begin .error: no such thing"):
        with serving({}, command):
            pass


def test_answers_are_compared_by_what_they_say_and_cite():
    def passages(*pairs):
        return [{"id": name, "score": score} for name, score in pairs]

    one = {
        "answer": "A. [1]", "answered": True, "reason": "", "searched": "q", "citations": [{"number": 1}],
        "passages": passages(("a", 0.9), ("b", 0.8), ("c", 0.7)),
    }  # fmt: skip
    other = copy.deepcopy(one)
    assert same_answer(one, other)
    other["passages"] = passages(("a", 0.90005), ("b", 0.8), ("c", 0.7))
    assert same_answer(one, other)
    for wrong in (
        {"answer": "B. [1]"}, {"citations": []}, {"passages": passages(("a", 0.9), ("b", 0.8))},
        {"passages": passages(("a", 0.9002), ("b", 0.8), ("c", 0.7))},
        {"passages": passages(("b", 0.9), ("a", 0.8), ("c", 0.7))},
        {"passages": passages(("a", 0.9), ("d", 0.8), ("c", 0.7))},
    ):  # fmt: skip
        assert not same_answer(one, other | wrong)
    alike = {**one, "passages": passages(("a", 0.8), ("b", 0.8), ("c", 0.8))}
    assert same_answer(alike, {**alike, "passages": passages(("b", 0.8), ("a", 0.8), ("d", 0.80001))})
