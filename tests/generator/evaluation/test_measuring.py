"""Measuring answerers: reading questions, judging answers and the `eval` command, each figure worked by hand."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.commands import generator as command
from app.commands.reranking import Cost, put_in_order
from common.passage import Evidence
from common.problems import Problem
from common.reranking import Order
from generator.answers import Answer, Candidate, Citation
from generator.evaluation.comparing import (
    as_json,
    first_problem,
    from_nothing,
    from_passages,
    measure,
    photo_paths,
    table,
)
from generator.evaluation.measuring import (
    SCORES,
    Asked,
    Distractors,
    Outcome,
    evidence_for,
    good_passages,
    mean,
    read_questions,
    report,
    scores,
    short_answer,
    whole_answer,
)
from tests.retriever.search.test_cross_encoder import write


def passage(title, text, score=0.8):
    return Evidence(title, title, text, "", score=score)


def citation(number, quote=""):
    return Citation(number, "p", quote, 0, len(quote))


# --- Reading questions


def written(tmp_path, content):
    path = tmp_path / "questions.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


RECORDS = [
    {"question": "Who?", "title": "Moby-Dick", "answers": ["Melville"]},  # the project's own
    {"question": "Where?", "title": None, "answers": []},
    {"question": "What?", "answers": ["race"] * 9 + ["motocross"], "image": "a/1.jpg"},  # OK-VQA
    {"question": "Which river?", "answer": ["Nile"], "answer_eval": ["Nile", "White Nile"]},  # Infoseek
    {"question": "How long?", "answer": ["1.0"], "answer_eval": [{"wikidata": 1.0, "range": [0.9, 1.1]}]},
    {"question": "Which crabs?", "answer": "one&&two|three", "kind": "list"},  # E-VQA
    {"question": "When?", "answers": ["1889"], "kind": "time",
     "passages": [{"title": "T", "text": "It was 1889.", "score": 0.5}]},  # fmt: skip
]


@pytest.mark.parametrize("as_lines", [False, True])
def test_records_of_every_set_are_read(tmp_path, as_lines):
    content = "\n\n".join(map(json.dumps, RECORDS)) + "\n" if as_lines else RECORDS
    own, nothing, okvqa, infoseek, number, evqa, ready = read_questions(written(tmp_path, content))
    assert own == Asked("Who?", "Moby-Dick", ("Melville",))
    assert nothing == Asked("Where?", None, ())
    assert okvqa == Asked("What?", None, ("race",) * 9 + ("motocross",), image="a/1.jpg")
    assert infoseek == Asked("Which river?", None, ("Nile", "White Nile"), infoseek=("Nile", "White Nile"))
    assert number == Asked("How long?", None, ("1.0", "0.9 - 1.1"), kind="number", infoseek=(0.9, 1.1))
    assert evqa == Asked("Which crabs?", None, ("one&&two", "three"), kind="list")
    assert ready.kind == "time" and ready.passages == (Evidence("1", "T", "It was 1889.", "", score=0.5),)


GOOD = '{"question": "a", "title": null, "answers": []}'


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("[]", "is no JSON object"),
        ("{}", "has no question"),
        ('{"question": " "}', "has no question"),
        ('{"question": "a"}', "has neither answers nor a title"),
        ('{"question": "a", "answers": [" "]}', "has neither answers nor a title"),
        ('{"question": "a", "answers": [1]}', "has as answers something that is no list of texts"),
        ('{"question": "a", "title": 3}', "has as title something that is no text"),
        ('{"question": "a", "answers": ["b"], "image": []}', "has as image something that is no text"),
        ('{"question": "a", "answers": ["b"], "kind": "colour"}', "has a kind that is none of string, time"),
        ('{"question": "a", "answers": ["b"], "kind": []}', "has a kind that is none of string, time"),
        ('{"question": "a", "answer_eval": {"range": [1]}}', "has an answer_eval without a range"),
        ('{"question": "a", "answers": ["b"], "passages": {}}', "has passages that are no list"),
        ('{"question": "a", "answers": ["b"], "passages": [{"title": "c"}]}', "has a passage 1 without"),
        ('{"question": "a", "answers": ["b"], "passages": [7]}', "has a passage 1 without"),
        ('{"question": "a", "answers": ["b"], "passages": [{"text": "c", "score": NaN}]}', "has a passage 1 with a sc"),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_a_bad_record_is_told_with_its_line(tmp_path, bad, said, listed):
    # The bad one is on line 3 of either file.
    content = f"[{GOOD},\n\n {bad}\n]" if listed else f"{GOOD}\n\n{bad}\n{GOOD}"
    with pytest.raises(Problem) as caught:
        read_questions(written(tmp_path, content))
    assert f"line 3: the record {said}" in str(caught.value) and str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"question": "a"', "line 1 is no JSON"),
        (GOOD + "\n\n{", "line 3 is no JSON"),
        ("What?", "line 1 is no JSON"),
        ("[" * 100_000, "one JSON object a line"),
        ("1" * 10_000, "one JSON object a line"),
    ],
)
def test_a_file_that_is_no_json_is_one_sentence(tmp_path, content, said):
    with pytest.raises(Problem, match=said) as caught:
        read_questions(written(tmp_path, content))
    assert str(caught.value).endswith(".") and len(str(caught.value)) < 400


def test_a_file_that_is_no_text_or_not_there(tmp_path):
    (tmp_path / "photo.json").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(Problem, match="UTF-8"):
        read_questions(tmp_path / "photo.json")
    with pytest.raises(Problem, match="cannot be read"):
        read_questions(tmp_path / "none.json")


def test_an_empty_list_and_a_mark_of_byte_order(tmp_path):
    assert read_questions(written(tmp_path, " [ ] \n")) == []
    assert len(read_questions(written(tmp_path, "\ufeff" + GOOD))) == 1


# --- Short forms


@pytest.mark.parametrize(
    ("answer", "short"),
    [
        # As the extractive answerer writes: a phrase after the title, a title, only a sentence.
        (Answer("T: Ada Holm [1]\n“By Ada Holm.” [1]", (citation(1, "Ada Holm"),), True), "Ada Holm"),
        (Answer("If the photo shows T: red [2]\n“It is red.” [2]", (citation(2, "red"),), True), "red"),
        (Answer("Ada: Ada [1]\n“Ada.” [1]", (citation(1, "Ada"),), True), "Ada"),
        (Answer("Marsh cat [1]\n“A cat.” [1]", (citation(1, "A cat."),), True), "Marsh cat"),
        (Answer("T: “It is\nred.” [1]", (citation(1, "It is\nred."),), True), "It is\nred."),
        (Answer("“It is red.” [1]\nAlso, “x” [2]", (citation(1, "It is red."),), True), "It is red."),
        # A model's words.
        (Answer("It runs at 104 km/h [1], [2].\nMore.", (citation(1, "It can run."),), True), "It runs at 104 km/h,."),
        (Answer("Paris.", (), True), "Paris."),
        # Each passage alone.
        (Answer("Paris [2]\nOr Rome [1]", (), True, candidates=(Candidate(2, "Paris [2]", 0.6, 0.9),)), "Paris"),
        # Nothing was answered.
        (Answer("The evidence does not say: T [1].", (citation(1, "x"),), False, "no"), ""),
    ],
)
def test_the_short_form_of_an_answer(answer, short):
    assert short_answer(answer) == short


def test_the_whole_answer_has_no_marks():
    assert whole_answer(Answer("T: red [1]\n“It is red.” [12]", (), True)) == "T: red\n“It is red.”"
    assert whole_answer(Answer("silent", (), False)) == ""


def test_scores_are_only_those_the_question_allows():
    ten = Asked("q", None, ("red",) * 2 + ("blue",) * 8)
    assert scores("red", ten)["vqa"] == pytest.approx(0.6)
    assert "vqa" not in scores("red", Asked("q", None, ("red",)))
    assert set(scores("red", ten)) == set(SCORES)
    # A list: for the measures without lists its parts are joined by commas.
    crabs = Asked("q", None, ("fish&&crabs",), kind="list")
    assert scores("fish, crabs", crabs) == {
        "contained": 1, "exact": 1, "f1": 1, "evqa_without_bem": 1, "infoseek": 1,
    }  # fmt: skip
    assert scores("crabs", crabs)["evqa_without_bem"] == 1 and scores("crabs", crabs)["exact"] == 0
    assert scores("104 km/h", Asked("q", None, ("100",), kind="number"))["infoseek"] == 1
    # Of Infoseek's own questions its range alone counts: no other answer, and no tolerance on top.
    assert scores("104 km/h", Asked("q", None, ("100",), kind="number", infoseek=(99, 101)))["infoseek"] == 0
    assert scores("", Asked("q", None, ("0",), kind="number", infoseek=(0, 0)))["infoseek"] == 0  # silence
    # Silence is never right, not even where nothing is left of an accepted answer.
    assert set(scores("", Asked("q", None, ("The",))).values()) == {0}


def test_good_passages_are_the_titled_one_and_those_that_hold_an_answer():
    evidence = [passage("A", "It is covered."), passage("B", "It is red."), passage("C", "x")]
    assert good_passages(Asked("q", "C", ("red",)), evidence) == {2, 3}
    assert good_passages(Asked("q", None, ("red",)), evidence) == {2}
    assert good_passages(Asked("q", None, ("blue&&covered",), kind="list"), evidence) == {1}
    assert good_passages(Asked("q", None, ()), evidence) == set()


# --- Means


def test_a_mean_of_nothing_is_not_a_number():
    nothing = mean([])
    assert nothing.count == 0 and all(map(math.isnan, (nothing.value, nothing.low, nothing.high)))


def test_an_interval_is_about_as_wide_as_theory_says():
    # 400 values, half of them 1: standard error 0.5 / 20 = 0.025, so 0.5 +- 1.96 x 0.025.
    found = mean([0.0, 1.0] * 200)
    assert found.value == 0.5 and found.count == 400
    assert found.low == pytest.approx(0.451, abs=0.01) and found.high == pytest.approx(0.549, abs=0.01)
    assert found == mean([0.0, 1.0] * 200)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_an_interval_lies_around_the_mean_and_within_the_values(values):
    found = mean(values)
    assert min(values) - 1e-4 <= found.low <= found.high <= max(values) + 1e-4
    assert min(values) - 1e-4 <= found.value <= max(values) + 1e-4


# --- A whole report, worked by hand


class Scripted:
    """Answers as told, in order; a Problem is raised."""

    def __init__(self, *said):
        self.said = list(said)
        self.seen = []

    def answer(self, question, image, passages, turns=()):
        self.seen.append((question, image, [p.title for p in passages]))
        said = self.said.pop(0)
        if isinstance(said, Problem):
            raise said
        yield said.text
        yield said


ASKED = [
    Asked("a", "T", ("1904",)),
    Asked("b", "T", ("red",)),
    Asked("c", "T", ("blue",)),
    Asked("d", "T", ("60",), kind="number"),
    Asked("e", None, ("x",) * 4 + ("y",) * 6),
    Asked("f", None, ()),
    Asked("g", None, ()),
    Asked("h", "T", ()),
]
EVIDENCE = [
    [passage("T", "Built 1904."), passage("U", "In 1904.")],
    [passage("U", "green"), passage("T", "It is red.")],
    [passage("T", "It is blue.")],
    [passage("T", "60 km/h")],
    [passage("U", "nothing here")],
    [passage("U", "v")],
    [passage("U", "v")],
    [passage("T", "w"), passage("U", "v")],
]


def scripted():
    return Scripted(
        # a: right, cites 1 twice and 2; both hold 1904.
        Answer("T: 1904 [1]\n“Built 1904.” [1]\n“In 1904.” [2]",
               (citation(1, "1904"), citation(1, "Built 1904."), citation(2, "In 1904.")), True),
        # b: a wrong colour, and cites U, which does not answer.
        Answer("It is green [1].", (citation(1, "green"),), True),
        # c: silent although T answers.
        Answer("The evidence I found does not say: [1].", (citation(1, "It is blue."),), False, "why"),
        # d: within 10 % of 60, but 60 itself is not said. Cites T.
        Answer("It runs at 62 km/h [1].", (citation(1, "60 km/h"),), True),
        # e: an error.
        Problem("Nothing answers at host."),
        # f: silent where nothing answers.
        Answer("silent", (), False, "why"),
        # g: answers where nothing does.
        Answer("It is so [1].", (citation(1, "v"),), True),
        # h: any answer from T will do; cites T and U.
        Answer("So [1] [2].", (citation(1, "w"), citation(2, "v")), True),
    )  # fmt: skip


def test_every_figure_of_a_report(capsys):
    measured, outcomes = measure(from_passages("scripted", scripted()), ASKED, EVIDENCE, lambda number: None)
    assert (measured.answerer, measured.retrieval, measured.questions, measured.errors) == ("scripted", True, 8, 1)

    def of(figure):
        return pytest.approx((figure.value, figure.count), abs=1e-4)

    # Accepted answers: a to e, five. Only a holds one; e is an error and counts as wrong.
    assert (1 / 5, 5) == of(measured.whole["contained"])
    assert (0, 5) == of(measured.whole["exact"])
    # f1 of the whole: a: "t 1904 “built 1904” “in 1904”": the typographic quotes stay, so “built, 1904”, “in, 1904”,
    # t, 1904: 6 words, one shared: 2 / (6 + 1). b: "it is green" against red: 0. d: no "60": 0.
    assert (2 / 7 / 5, 5) == of(measured.whole["f1"])
    # Short: a is "1904"; b "It is green."; d "It runs at 62 km/h."
    assert (1 / 5, 5) == of(measured.short["exact"])
    assert (1 / 5, 5) == of(measured.short["f1"])
    assert (1 / 5, 5) == of(measured.short["contained"])
    assert (1 / 5, 5) == of(measured.short["evqa_without_bem"])
    # a, and d by its number.
    assert (2 / 5, 5) == of(measured.short["infoseek"])
    assert (1, 1) == of(measured.kinds["number"]) and (1 / 4, 4) == of(measured.kinds["string"])
    assert set(measured.kinds) == {"number", "string"}
    # Ten annotators only at e, which is an error.
    assert (0, 1) == of(measured.short["vqa"])
    # Answered: a, b, d, g, h of eight.
    assert (5 / 8, 8) == of(measured.answered)
    # Without an accepted answer in it: b and d of five.
    assert (2 / 5, 5) == of(measured.wrong)
    # Answers to a, b, d and g; a is right.
    assert (1 / 4, 4) == of(measured.precision)
    # A passage answers a, b, c, d and h; silent at c. None does at f and g (and at e, which is an error): silent at f.
    assert (1 / 5, 5) == of(measured.wrong_abstention)
    assert (1 / 2, 2) == of(measured.right_abstention)
    # Cited, each once for an answer: a: 1, 2, both good; b: 1, bad; d: 1, good; h: 1 good, 2 bad. g has no answer.
    assert (4 / 6, 6) == of(measured.citation_precision)
    # a, d and h cite a good one, b does not.
    assert (3 / 4, 4) == of(measured.citation_recall)
    assert first_problem("scripted", outcomes) == (
        "scripted: 1 of 8 questions ended in an error; the first: Nothing answers at host."
    )


def test_the_order_of_the_questions_does_not_matter_to_the_means():
    _, outcomes = measure(from_passages("s", scripted()), ASKED, EVIDENCE, lambda number: None)
    there, back = report("s", True, outcomes), report("s", True, outcomes[::-1])
    for name in SCORES:
        assert there.short[name].value == back.short[name].value and there.whole[name].value == back.whole[name].value
    assert there.citation_precision.value == back.citation_precision.value


def test_an_answer_without_retrieval_gets_no_passages_and_no_figures_about_them():
    asked = ASKED[:2] + ASKED[5:6]
    said = iter([["It was ", "1904."], ["I can't tell from the evidence: no."], ["So it is."]])
    contender = from_nothing("own answer", lambda question, image: next(said))
    measured, outcomes = measure(contender, asked, EVIDENCE[:3], lambda number: None)
    assert [o.evidence for o in outcomes] == [(), (), ()] and not measured.retrieval
    assert [o.answer.answered for o in outcomes] == [True, False, True]
    assert measured.whole["contained"].value == 0.5 and measured.answered.value == pytest.approx(2 / 3, abs=1e-4)
    for figure in (measured.wrong_abstention, measured.right_abstention, measured.citation_precision,
                   measured.citation_recall):  # fmt: skip
        assert figure.count == 0 and math.isnan(figure.value)


def test_a_report_on_nothing():
    measured = report("s", True, [])
    assert measured.questions == 0 and math.isnan(measured.answered.value) and measured.kinds == {}
    row = as_json([measured])[0]
    assert row["answered"] == {"value": None, "low": None, "high": None, "count": 0}
    json.dumps(row, allow_nan=False)


def test_the_table_has_a_column_for_each_report_and_dashes_where_there_is_nothing():
    one, _ = measure(from_passages("scripted", scripted()), ASKED, EVIDENCE, lambda number: None)
    other = report("own answer", False, [Outcome(ASKED[0], (), Answer("1904", (), True))])
    lines = table([one, other]).splitlines()
    assert lines[0].split("  ")[-1].strip() == "own answer, no passages" and "scripted, with passages" in lines[0]
    rows = {line.split("  ")[0]: line for line in lines[1:]}
    assert rows["errors"].split() == ["errors", "1", "0"]
    assert rows["exact (short answer)"].split()[3:] == "0.200 (0.000 to 0.600) of 5 1.000 (1.000 to 1.000) of 1".split()
    assert rows["citation recall"].endswith("-") and rows["vqa (whole answer)"].endswith("-")
    assert "infoseek, number (short answer)" in rows and "infoseek, string (short answer)" in rows
    assert "infoseek, " not in table([other])  # with one kind of question it would say the same twice


def test_a_photo_that_cannot_be_read_is_an_error_of_its_question():
    def photo(number):
        if number == 0:
            raise Problem("The photo is damaged.")
        return "photo"

    answerer = Scripted(Answer("1904", (), True))
    told = []
    measured, outcomes = measure(from_passages("s", answerer), ASKED[:2], EVIDENCE[:2], photo, told.append)
    assert measured.errors == 1 and outcomes[0].problem == "The photo is damaged." and told == [1, 2]
    assert answerer.seen == [("b", "photo", ["U", "T"])]


# --- Passages and photos


def test_the_answering_article_stands_among_distractors():
    articles = {t: passage(t, f"{t} is a tower of stone.") for t in ("Vetla", "Orla", "Holm", "Sund")}
    near = Distractors(list(articles.values()))
    chosen = evidence_for(Asked("How tall is the tower?", "Holm", ("5",)), False, 2, articles, near)
    assert [p.title for p in chosen].index("Holm") == 2 and len(chosen) == 4
    assert [p.score for p in chosen] == sorted((p.score for p in chosen), reverse=True)
    about_photo = evidence_for(Asked("How tall is it?", "Holm", ("5",)), True, 2, articles, near)
    assert about_photo[0].title == "Holm"
    none = evidence_for(Asked("How tall is the tower?", None, ()), False, 0, articles, near)
    assert len(none) == 4


def with_image(image):
    return [Asked("q", None, ("a",), image=image)]


def test_photos_lie_in_the_folder_and_nowhere_else(tmp_path):
    folder = tmp_path / "images"
    (folder / "train").mkdir(parents=True)
    (folder / "train" / "1.png").touch()
    (tmp_path / "secret.png").touch()
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "ring.png").symlink_to(folder / "ring.png")
    assert photo_paths(with_image("train/1.png"), folder) == [folder / "train" / "1.png"]
    assert photo_paths(with_image("train/../train/1.png"), folder) == [folder / "train" / "1.png"]
    assert photo_paths([Asked("q", None, ("a",))], None) == [None]
    for outside in ("../secret.png", "train/../../secret.png", str(tmp_path / "secret.png"), "link.png", "ring.png",
                    "none.png", "train", "a\0b", "x" * 5000):  # fmt: skip
        with pytest.raises(Problem, match="leads to no file of the folder") as caught:
            photo_paths(with_image(outside), folder)
        assert len(str(caught.value)) < 1000
    with pytest.raises(Problem, match="--images"):
        photo_paths(with_image("train/1.png"), None)


# --- The command


pytestmark = pytest.mark.usefixtures("plain_surroundings")


@pytest.fixture
def embedder(monkeypatch):
    from tests.generator.extractive.test_answerer import bag_of_words

    monkeypatch.setattr(command, "_embedder", lambda: bag_of_words)


FOX = {"title": "Marsh fox", "text": "The marsh fox is a small mammal. It can run at 52 km/h (32 mph)."}
LAKE = {"title": "Lake Orla", "text": "Lake Orla is a lake in Norland."}


def fox(**more):
    return {"question": "How fast can the marsh fox run?", "answers": ["52 km/h"], "passages": [FOX, LAKE], **more}


def test_eval_of_records_with_passages_needs_no_catalogue(tmp_path, embedder, capsys):
    data = written(tmp_path, [fox(), fox(answers=["50"], kind="number"), fox(answers=["blue"])])
    assert command.main(["eval", "--data", str(data), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["answerer"], row["retrieval"], row["questions"], row["errors"]) == ("extractive", True, 3, 0)
    # The answer is "Marsh fox: 52 km/h (32 mph) [1]" and the sentence. The first record's answer is part of it. The
    # second's 50 is not, but 52 and 32 are out of order, so 52 stands alone, within 45 to 55.
    assert row["whole"]["contained"]["value"] == pytest.approx(1 / 3, abs=1e-4)
    assert row["short"]["infoseek"]["value"] == pytest.approx(1 / 3, abs=1e-4)
    assert row["kinds"]["number"]["value"] == 1 and row["kinds"]["string"]["value"] == 0
    # 52 km/h against 52 km/h (32 mph): 52 kmh, and 52 kmh 32 mph: 2 x 2 / 6. 50 against it: 0.
    assert row["short"]["f1"]["value"] == pytest.approx(2 / 3 / 3, abs=1e-4)
    # Only the first has a passage that holds an accepted answer; all cite passage 1.
    assert row["citation_precision"] == {"value": pytest.approx(1 / 3, abs=1e-4), "low": 0, "high": 1, "count": 3}
    assert command.main(["eval", "--data", str(data)]) == 0
    said = capsys.readouterr()
    assert "extractive, with passages" in said.out and said.err == ""


def test_eval_with_a_reranker_answers_from_its_order_too(tmp_path, embedder, capsys):
    folder = write(tmp_path / "tiny", "bert", 1)
    data = written(tmp_path, [fox(), fox(passages=[LAKE, FOX])])
    assert command.main(["eval", "--data", str(data), "--rerank", str(folder), "--json"]) == 0
    plain, reranked = json.loads(capsys.readouterr().out)
    assert (plain["answerer"], reranked["answerer"]) == ("extractive", "extractive, reranked")
    assert "reranking" not in plain and plain["questions"] == reranked["questions"] == 2
    cost = reranked["reranking"]
    assert (cost["by"], cost["asked"], cost["stood"]) == ("tiny", 2, 0) and cost["tokens"] > 20 and cost["seconds"] > 0
    assert command.main(["eval", "--data", str(data), "--rerank", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "extractive, reranked, with passages" in said and "reranked by tiny: 0." in said


def test_the_order_of_a_reranker_is_that_of_the_passages_or_they_stand():
    cost, passages = Cost(), [Evidence(str(n), title, "Text.") for n, title in enumerate("abc")]

    class Backwards:
        name, most, sees = "backwards", 2, True

        def ready(self):
            """It is."""

        def order(self, question, photo, candidates):
            if question == "?":
                raise Problem("It is not there.")
            return Order(tuple(reversed(range(len(candidates)))), "", 5)

    first, second = put_in_order(Backwards(), ["What?", "?"], [passages] * 2, lambda number: None, cost)
    assert [(each.title, each.rank, each.was) for each in first] == [("b", 1, 2), ("a", 2, 1), ("c", 3, 3)]
    assert [each.title for each in second] == ["a", "b", "c"]
    assert cost.as_dict() | {"seconds": 0} == {
        "by": "backwards", "asked": 2, "seconds": 0, "tokens": 2.5, "stood": 1, "reason": "It is not there.",
    }  # fmt: skip
    assert cost.line().endswith("of 2 asked; for 1 not all passages were put in order: It is not there.")
    blind = Backwards()
    blind.sees = False
    [unmoved] = put_in_order(blind, ["What?"], [passages], lambda number: Image.new("RGB", (1, 1)), Cost())
    assert [each.title for each in unmoved] == ["a", "b", "c"]


class Reading:
    """Stands for a model; what asks it is replaced too."""

    name = "reading"

    def close(self):
        self.closed = True


def test_eval_of_a_model_adds_its_three_ways(tmp_path, embedder, capsys, monkeypatch):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "images" / "fox.png")
    (tmp_path / "images" / "bad.png").write_bytes(b"no photo")
    data = written(tmp_path, [fox(image="fox.png"), fox(image="bad.png")])
    seen = []

    class Saying:
        def __init__(self, model, embed=None):
            assert model.name == "reading"

        def answer(self, question, image, passages, turns=()):
            seen.append((image.size, len(passages)))
            yield "52 km/h [1]"
            yield Answer("52 km/h [1]", (citation(1, "run"),), True)

    class Failing(Saying):
        def answer(self, question, image, passages, turns=()):
            raise Problem("Nothing answers at host.")
            yield

    def own_answer(model, question, image, turns=()):
        seen.append((image.size, "own"))
        yield "I "
        yield "think 40."

    model = Reading()
    for name, stand_in in (
        ("ServedModel", lambda url, name, key, thinking: model),
        ("InContextAnswerer", Saying),
        ("PerPassageAnswerer", Failing),
        ("own_answer", own_answer),
    ):
        monkeypatch.setattr(command, name, stand_in)
    arguments = ["--data", str(data), "--images", "images", "--url", "http://localhost/v1", "--model", "m", "--json"]
    assert command.main(["eval", *arguments]) == 0
    said = capsys.readouterr()
    rows = json.loads(said.out)
    assert [(r["answerer"], r["retrieval"], r["errors"]) for r in rows] == [
        ("extractive", True, 1), ("in context", True, 1), ("per passage", True, 2), ("own answer", False, 1),
    ]  # fmt: skip
    # One of the two photos cannot be read.
    assert [r["short"]["exact"]["value"] for r in rows] == [0, 0.5, 0, 0]
    assert seen == [((4, 4), 2), ((4, 4), "own")] and model.closed
    assert "warning: per passage: 2 of 2 questions ended in an error" in said.err and "Nothing answers" in said.err


def problem(capsys, *arguments):
    assert command.main(["eval", *map(str, arguments)]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("error: ") and said.err.count("\n") == 1 and said.err.endswith(".\n")
    return said.err


def test_problems_of_eval_are_one_sentence(tmp_path, embedder, capsys, monkeypatch):
    rerank = problem(capsys, "--data", written(tmp_path, [fox()]), "--rerank", "listwise")
    assert "needs a vision-language model" in rerank
    assert "--rerank goes with --data" in problem(capsys, "--project", "x", "--rerank", "listwise")
    assert "cannot be read" in problem(capsys, "--data", "none.json")
    assert "line 1: the record is no JSON object" in problem(capsys, "--data", written(tmp_path, "[1]"))
    data = written(tmp_path, [fox(image="../fox.png")])
    assert "--images" in problem(capsys, "--data", data)
    assert "leads to no file" in problem(capsys, "--data", data, "--images", tmp_path)
    data = written(tmp_path, [fox()])
    assert "--model" in problem(capsys, "--data", data, "--url", "http://localhost/v1")
    assert "looks at the photo itself" in problem(capsys, "--data", data, "--photo", "--model", "m", "--url", "http://x")
    monkeypatch.setattr(command, "_articles", lambda: [Evidence("1", "Lake Orla", "A lake.", "", score=0.0)])
    missing = {"question": "q", "title": "Marsh fox", "answers": []}
    assert "the article Marsh fox." in problem(capsys, "--data", written(tmp_path, [missing]))
    other = missing | {"title": "Marsh cat"}
    assert "Marsh fox, nor 1 more" in problem(capsys, "--data", written(tmp_path, [missing, other, other]))

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_articles", interrupt)
    assert "Stopped" in problem(capsys, "--data", written(tmp_path, [missing]))
