"""Measuring the answer service: judging made-up answers by hand, the figures, the `eval` command, and the sets."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from app.commands import app as command
from app.evaluation import AskedOf, Verdict, ask_all, judge, listed, read_set, report, table
from app.service import assembly as service
from app.service.results import Result
from common.passage import Evidence
from common.problems import Problem
from generator.answers import Answer, Citation
from generator.evaluation.metrics import holds_words
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS
from tests import DATA
from tests.fakes import small_encoder
from tests.fakes.small_encoder import COLOURS, SmallEncoder, source

ZEBRA = AskedOf("How many species are there?", ("Zebra", "Equidae"), ("three",), "zebra.jpg")
UNSAID = AskedOf("How heavy is it?", ("Zebra",), ())


def result(said: str, cited: tuple[int, ...] = (1,), answered: bool = True) -> Result:
    """An answer over passages titled Zebra, Giraffe and Equidae, in this order, which cites those numbers."""
    titles = ("Zebra", "Giraffe", "Equidae")
    passages = tuple(
        Evidence(rank=rank, id=title, title=title, text="Text.", url="", licence="CC0", corpus="c", score=0.8)
        for rank, title in enumerate(titles, start=1)
    )
    citations = tuple(Citation(number, titles[number - 1], "", 0, 0) for number in cited)
    return Result("?", Answer(said, citations, answered), passages, ("c",), {}, 3, 3, query=None)


# --- Judging


@pytest.mark.parametrize(
    ("asked", "given", "verdict", "another"),
    [
        (ZEBRA, result("Zebra: three [1]\n“There are three living species.” [1]"), Verdict.RIGHT, False),
        (ZEBRA, result("Equidae: three [3]", (3,)), Verdict.RIGHT, False),
        (ZEBRA, result("Zebra: two [1]"), Verdict.NOT_RIGHT, False),
        (ZEBRA, result("Zebra: threefold [1]"), Verdict.NOT_RIGHT, False),  # no whole word
        (ZEBRA, result("There are three.", ()), Verdict.NOT_RIGHT, False),  # and cites nothing
        (ZEBRA, result("Giraffe: three [2]", (2,)), Verdict.ANOTHER_SUBJECT, True),
        (ZEBRA, result("If the photo shows Giraffe: three [2]", (2,)), Verdict.ANOTHER_SUBJECT, True),
        (ZEBRA, result("Zebra: three [1]\nAlso, Giraffe: three [2]", (1, 2)), Verdict.ANOTHER_SUBJECT, True),
        (ZEBRA, result("It does not say.", (), answered=False), Verdict.NEEDLESS_SILENCE, False),
        (ZEBRA, result("It is about Giraffe [2], but no.", (2,), answered=False), Verdict.NEEDLESS_SILENCE, True),
        (UNSAID, result("It is about Zebra [1], but no.", (1,), answered=False), Verdict.RIGHT_SILENCE, False),
        (UNSAID, result("Zebra: 9 kg [1]"), Verdict.NOT_RIGHT, False),
        (UNSAID, result("Giraffe: 9 kg [2]", (2,)), Verdict.ANOTHER_SUBJECT, True),
    ],
)
def test_an_answer_is_judged_by_what_it_cites_and_says(asked, given, verdict, another):
    judged = judge(asked, given)
    assert (judged.verdict, judged.another) == (verdict, another)


def test_marks_between_words_do_not_hide_an_answer():
    asked = AskedOf("What?", ("Zebra",), ("black and white",))
    assert judge(asked, result("It is black [1] and white [1].")).verdict is Verdict.RIGHT


def test_a_guess_of_what_else_the_photo_shows_is_no_answer_about_it():
    asked = AskedOf("What is this?", ("Zebra",), ("zebra",), "zebra.jpg")
    judged = judge(asked, result("Zebra [1]\n“Text.” [1]\nIt could also be: Giraffe [2].", (1, 2)))
    assert judged.verdict is Verdict.RIGHT and judged.cited == ("Zebra",) and judged.guessed
    wrong = judge(asked, result("Giraffe [2]\n“Text.” [2]\nIt could also be: Zebra [1].", (2, 1)))
    assert wrong.verdict is Verdict.ANOTHER_SUBJECT and wrong.cited == ("Giraffe",)


def test_only_a_last_line_is_a_guess():
    """A quote can hold the very words."""
    given = result("Zebra: two [1]\nIt could also be: “three [1]”\nIt could also be: Giraffe [2].", (1, 2))
    assert judge(ZEBRA, given).verdict is Verdict.RIGHT


# --- Figures


def test_figures_worked_by_hand():
    given = [
        (ZEBRA, result("Zebra: three [1]")),
        (ZEBRA, result("Zebra: two [1]")),
        (ZEBRA, result("Zebra: three [1]\nIt could also be: Giraffe [2].", (1, 2))),
        (ZEBRA, result("Giraffe: four [2]", (2,))),
        (ZEBRA, result("It is about Giraffe [2], but no.", (2,), answered=False)),
        (UNSAID, result("It does not say.", (), answered=False)),
        (UNSAID, result("It does not say.", (), answered=False)),
        (UNSAID, result("Zebra: 9 kg [1]")),
    ]
    found = report("zebras", [judge(*each) for each in given])
    assert found.name == "zebras" and found.questions == 8
    figures = {name: (each.number, each.of) for name, each in vars(found).items() if hasattr(each, "of")}
    assert figures == {
        "given": (5, 8),
        "another_subject": (1, 5),
        "not_right": (2, 5),
        "right": (2, 5),
        "needless_silence": (1, 5),
        "right_silence": (2, 3),
        "silent_naming_another": (1, 3),
        "citing_another": (2, 5),
    }
    assert found.given.share == 0.625 and found.given.low <= 0.625 <= found.given.high
    lines = table([found]).splitlines()
    assert lines[2].startswith("given") and "5 of 8: 0.625 (" in lines[2]
    assert len(lines) == 2 + len(figures)


def test_a_share_of_nothing_is_no_number():
    found = report("none", [judge(UNSAID, result("Zebra: 9 kg [1]"))])
    assert math.isnan(found.right.share) and found.right.of == 0
    assert [line.split()[-1] for line in table([found]).splitlines() if line.startswith("right ")][0] == "-"


def test_each_question_is_asked_once_with_its_photo():
    asked, told = [], []

    def answer(photo, question):
        asked.append((photo, question))
        return result("Zebra: three [1]")

    photo = Path("zebra.jpg")
    judged = ask_all([ZEBRA, UNSAID], [photo, None], answer, told.append)
    assert asked == [(photo, ZEBRA.question), (None, UNSAID.question)] and told == [1, 2]
    assert [each.verdict for each in judged] == [Verdict.RIGHT, Verdict.NOT_RIGHT]
    said = listed(judged[0])
    assert said["file"] == "zebra.jpg" and said["title"] == "Zebra" and said["verdict"] == "right"
    assert json.dumps(said)


# --- Reading


def written(folder: Path, content, name: str = "set.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_reading(tmp_path):
    records = [
        {"question": " How  many? ", "title": "Zebra", "accepted_titles": ["Equidae", "Zebra"], "answers": ["three"],
         "file": "z.jpg"},
        {"question": "How deep?", "title": "Lake", "answers": []},
    ]  # fmt: skip
    first, second = read_set(written(tmp_path, records))
    assert first.titles == ("Zebra", "Equidae") and first.answers == ("three",) and first.image == "z.jpg"
    assert first.question.strip() == first.question
    assert second == AskedOf("How deep?", ("Lake",), ())


GOOD = {"question": "How deep?", "title": "Lake", "answers": []}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "must be a JSON list"),
        ("[" * 100_000, "must be a JSON list"),
        ([], "must be a JSON list"),
        ({}, "must be a JSON list"),
        ([GOOD, 5], "record 2: it is no JSON object"),
        ([GOOD | {"question": 5}], "record 1: it has no question"),
        ([GOOD | {"question": "x" * 3000}], "record 1: "),
        ([GOOD | {"title": " "}], "it has no title"),
        ([GOOD | {"file": 5}], "its file is no text"),
        ([{"question": "How deep?", "title": "Lake"}], "its answers must be a list of texts"),
        ([GOOD | {"answers": "three"}], "its answers must be a list of texts"),
        ([GOOD | {"answers": [""]}], "its answers must be a list of texts"),  # would be in every answer
        ([GOOD | {"accepted_titles": [5]}], "its accepted_titles must be a list of texts"),
    ],
)
def test_what_cannot_be_read_is_told_with_the_file_and_the_record(tmp_path, content, said):
    path = written(tmp_path, content)
    with pytest.raises(Problem) as caught:
        read_set(path)
    assert str(path) in str(caught.value) and said in str(caught.value) and str(caught.value).endswith(".")


def test_a_missing_file(tmp_path):
    with pytest.raises(Problem, match="cannot be read"):
        read_set(tmp_path / "none.json")


# --- The command


@pytest.fixture
def small(plain_surroundings, monkeypatch, tmp_path):
    """The real service, but for the encoder and the corpus, in a folder with a red and a blue photo."""
    monkeypatch.setenv("CITESIGHT_CORPUS", "things")
    monkeypatch.setitem(KINDS, "things", fixed_collection(source()))
    encoder = SmallEncoder()
    monkeypatch.setattr(service, "load_encoder", lambda profile, cache_dir, progress: encoder)
    monkeypatch.setattr(service, "load_sentence_encoder", lambda cache_dir: small_encoder)
    Path("photos").mkdir()
    for colour in ("red", "blue"):
        Image.new("RGB", (30, 20), COLOURS[colour]).save(f"photos/{colour}.png")
    return encoder


RED = {"question": "How heavy is it?", "title": "Cherry", "answers": ["8 grams"], "file": "red.png"}
BLUE = {"question": "How heavy is it?", "title": "Emerald", "answers": [], "file": "blue.png"}  # it is a sapphire
WORDS = {"question": "When was the sapphire found?", "title": "Sapphire", "answers": ["1870"]}


def test_sets_are_asked_of_the_whole_service(small, tmp_path, capsys):
    photos = written(tmp_path, [RED, BLUE], "photos.json")
    words = written(tmp_path, [WORDS], "words.json")
    assert command.main(["eval", str(photos), str(words), "--images", "photos", "--json", "--list"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [(each["name"], each["questions"]) for each in said["reports"]] == [
        ("photos", 2),
        ("words", 1),
        ("together", 3),
    ]
    red, blue, found = said["questions"]
    assert red["verdict"] == found["verdict"] == "right" and "8 grams" in red["said"]
    assert blue["another"] and "Sapphire" in blue["cited"]
    assert said["reports"][0]["right"]["number"] == 1 and said["reports"][1]["right_silence"]["share"] is None


def test_one_set_for_a_person(small, tmp_path, capsys):
    path = written(tmp_path, [WORDS], "words.json")
    assert command.main(["eval", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["words"] and lines[1].split() == ["questions", "1"]
    assert command.main(["eval", str(path), "--list"]) == 0
    assert capsys.readouterr().out.startswith("right: When was the sapphire found? (Sapphire): Sapphire\n")


@pytest.mark.parametrize(
    ("record", "options", "said"),
    [
        (RED, [], "--images"),
        (RED | {"file": "none.png"}, ["--images", "photos"], "leads to no file"),
        (RED | {"file": "../set.json"}, ["--images", "photos"], "leads to no file"),
        (RED | {"answers": None}, ["--images", "photos"], "record 1"),
    ],
)
def test_problems_are_told_before_anything_is_built(small, tmp_path, capsys, record, options, said):
    path = written(tmp_path, [record])
    assert command.main(["eval", str(path), *options]) == 2
    told = capsys.readouterr()
    assert told.out == "" and said in told.err and told.err.startswith("error: ") and told.err.count("\n") == 1
    assert not Path("data").exists()


# --- The sets


def the_set(name: str) -> list[AskedOf]:
    return read_set(DATA / name)


def test_the_sets_are_whole_and_hold_no_text_of_passages():
    for name, count, photos in (
        ("asked_titles.json", 69, 23),
        ("photo_subjects.json", 150, 75),
        ("silence.json", 100, 0),
        ("answerable.json", 60, 0),
        ("development_photos.json", 120, 60),
        ("development_texts.json", 130, 0),
    ):
        asked = the_set(name)
        assert len(asked) == count == len({(each.image, each.question) for each in asked})
        assert len({each.image for each in asked} - {None}) == photos
        assert max((len(answer) for each in asked for answer in each.answers), default=0) <= 60
    assert set(Counter(each.image for each in the_set("photo_subjects.json")).values()) == {2}
    assert not any(each.answers for each in the_set("silence.json"))
    assert all(each.answers for each in the_set("answerable.json"))


def test_no_photograph_and_no_subject_is_in_two_sets():
    names = ("asked_titles.json", "photo_subjects.json", "development_photos.json")
    photos = [each for name in names for each in {each.image for each in the_set(name)}]
    assert len(photos) == len(set(photos))
    tuned = [json.loads((DATA / name).read_text()) for name in ("questions.json", "photo_questions.json")]
    known = {record["title"] for records in tuned for record in records}
    subjects = [each.titles[0] for name in ("silence.json", "answerable.json") for each in the_set(name)]
    assert len(subjects) == len(set(subjects)) and not known & set(subjects)
    developed = {each.titles[0] for each in the_set("development_texts.json")}
    assert not developed & {*known, *subjects}


@pytest.mark.slow
def test_the_passages_of_the_accepted_titles_say_the_answers(wheel_cache):
    _, documents = KINDS["wikipedia-vital"].fixed.read(wheel_cache)
    texts = {document.title: f"{document.title} {' '.join(document.texts)}" for document in documents}
    sets = ("asked_titles", "photo_subjects", "silence", "answerable", "development_photos", "development_texts")
    for name in sets:
        for each in the_set(f"{name}.json"):
            assert not [title for title in each.titles if title not in texts], each
            for answer in each.answers:
                assert any(holds_words(texts[title], [answer]) for title in each.titles), (each, answer)
