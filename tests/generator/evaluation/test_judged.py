"""Answers by what people judged of them, each figure worked by hand."""

from __future__ import annotations

import math

from generator.answers import Answer, Citation
from generator.evaluation.judged import SUPPORTED, JudgedAnswer, judged_report, with_same_text
from generator.evaluation.measuring import SCORES, Asked, Outcome

GRADES = ("right", "partly", "wrong", "rightly-silent", "wrongly-silent", "unclear")


def judged(text: str, grade: str | None, references=(), kind="", key="q", quote="", **supported: bool) -> JudgedAnswer:
    citations = (Citation(1, "p", quote, 0, 0),) if quote else ()
    asked = Asked("Who?", None, tuple(references))
    numbers = {int(number[1:]): good for number, good in supported.items()}
    return JudgedAnswer(key, kind, asked, Answer(text, citations, True), grade, numbers)


ANSWERS = [
    judged("Melville [1]", "right", ["Melville"], "who", n1=True, n2=False),
    judged("It was Melville.", "right", ["Melville"], "who", n1=True),
    judged("Hawthorne", "wrong", ["Melville"], "who", n3=True),
    judged("Melville is not named there", "wrongly-silent", ["Melville"], "when"),
    judged("Nobody knows", "unclear", [], "when"),
    judged("Melville", None, ["Melville"], "when"),
]


def test_shares_and_scores_are_those_worked_out_by_hand():
    report = judged_report("quotes", ANSWERS, GRADES)
    assert (report.answers, report.unjudged) == (6, 1)
    shares = {grade: figure.value for grade, figure in report.grades.items()}
    told = {"right": 0.4, "wrong": 0.2, "wrongly-silent": 0.2, "unclear": 0.2}
    assert shares == dict.fromkeys(GRADES, 0) | told
    assert all(figure.count == 5 and figure.low <= figure.value <= figure.high for figure in report.grades.values())
    assert (report.supported.value, report.supported.count) == (0.75, 4)
    # Of four judged answers to questions with references; who is silent has not said it, whatever the words are.
    assert (report.whole["contained"].value, report.whole["exact"].value) == (0.5, 0.25)
    assert report.whole["contained"].count == 4 and math.isnan(report.whole["vqa"].value)
    assert set(report.whole) == set(report.short) == set(SCORES)


def test_kinds_are_apart_where_there_are_several():
    kinds = judged_report("quotes", ANSWERS, GRADES).kinds
    assert set(kinds) == {"who", "when"} and set(kinds["who"]) == {*GRADES, SUPPORTED}
    assert (kinds["who"]["right"].value, kinds["who"]["right"].count) == (0.6667, 3)
    assert (kinds["when"]["right"].value, kinds["when"]["right"].count) == (0, 2)
    assert kinds["who"][SUPPORTED].count == 4 and kinds["when"][SUPPORTED].count == 0
    assert judged_report("quotes", ANSWERS[:3], GRADES).kinds == {}


def test_the_short_answer_is_what_is_quoted():
    told = judged("Moby-Dick: Melville [1]", "right", ["Melville"], quote="Melville")
    report = judged_report("quotes", [told], GRADES)
    assert (report.short["exact"].value, report.whole["exact"].value) == (1, 0)


def test_nothing_judged_is_no_share():
    report = judged_report("quotes", [judged("x", None)], GRADES)
    assert report.unjudged == 1 and all(math.isnan(each.value) for each in report.grades.values())


def test_the_same_words_have_the_same_grade():
    asked = Asked("Who?", None, ("Melville",))

    def outcome(text: str | None, answered: bool = True) -> Outcome:
        return Outcome(asked, (), None if text is None else Answer(text, (), answered), "")

    new = [
        ("q", "who", outcome("Melville  [2]")), ("q", "who", outcome("Melville did")),
        ("other", "who", outcome("Melville")), ("q", "who", outcome(None)),
        ("q", "who", outcome("Not said.", answered=False)),
    ]  # fmt: skip
    known = [judged("Melville [1]", "right", n1=True), judged("Not said.", "rightly-silent")]
    known.append(judged("Melville did", None))
    found = with_same_text(new, known)
    assert [each.grade for each in found] == ["right", None, None, None, "rightly-silent"]
    assert found[0].supported == {1: True} and found[0].kind == "who"
    report = judged_report("anew", found, GRADES)
    assert (report.answers, report.unjudged, report.grades["right"].value) == (5, 3, 0.5)
