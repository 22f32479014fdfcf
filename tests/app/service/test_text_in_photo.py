"""The text in a photo, through the service: when it is read, what it finds, what is said of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from app.service.photo_reading import ALWAYS, AUTO, NEVER, PhotoReading, asks_for_writing
from app.service.results import LIKELY, READ, UNKNOWN
from common.problems import Problem
from generator.extractive.templates import UNRECOGNISED
from retriever.encoders.base import Recognition
from retriever.reading.photo_text import PhotoText, corrected
from retriever.reading.rapid import MISSING
from tests.app.service.test_photo_subject import Recogniser, classes
from tests.support.service import fill, photo, refused, services
from tests.support.waiting import wait_for

OF_TEXT = Recognition(classes(1.0), {"Swan": 1.4}, of_text=True, to_be_read=True)


class StandIn:
    """Reads the same in every photo."""

    def __init__(self, text: PhotoText | Exception) -> None:
        self.text = text
        self.read_sizes: list[tuple[int, int]] = []

    def read(self, photo):
        self.read_sizes.append(photo.size)
        if isinstance(self.text, Exception):
            raise self.text
        return self.text


def written(text: str) -> PhotoText:
    return replace(corrected(text), corrected=False)


@pytest.fixture
def build(tmp_path, catalogue, monkeypatch):
    """Makes a service that reads `text` in photos; its reader is `service.reader`."""
    fill(catalogue, monkeypatch)
    monkeypatch.setitem(Recogniser.SEEN, "blue", OF_TEXT)
    with services(tmp_path, catalogue) as make:

        def ready(text: PhotoText | Exception, how: str = AUTO):
            reader = StandIn(text)
            one = make(Recogniser(), reading=PhotoReading(how, lambda: reader))
            one.reader = reader
            one.start()
            wait_for(lambda: one.status().state == "ready")
            return one

        yield ready


def test_a_photo_of_text_is_about_what_is_written_in_it(build):
    service = build(written("EMERALD\na guide"))
    result = service.ask_once(photo("blue"), "Where was it cut?")
    assert (result.subject.title, result.subject.word) == ("Emerald", READ)
    assert result.passages[0].title == "Emerald" and result.passages[0].shown
    assert result.answer.answered and "Zurich" in result.answer.text
    assert result.text.text == "EMERALD a guide" and "emerald" in result.query.tokens and result.timings["read"] > 0
    said = json.loads(json.dumps(result.as_dict()))
    assert said["text"]["lines"][0]["text"] == "EMERALD" and not said["text"]["cut"] and said["unread"] == ""
    found = service.find(photo("blue"), "Where was it cut?", 4)
    assert found.passages[0].title == "Emerald" and found.subject.word == READ


def test_a_photo_is_read_once_and_a_part_of_it_by_itself(build):
    service = build(written("Emerald"))
    for question in ("What is this?", "Where was it cut?", "What is it coloured by?"):
        service.ask_once(photo("blue"), question)
    assert len(service.reader.read_sizes) == 1
    large = photo("blue").resize((600, 400))
    service.ask_once(large, "What is this?", region=(0, 0, 0.5, 0.5))
    assert service.reader.read_sizes[1:] == [(300, 200)]


def test_what_was_read_in_all_of_a_photo_is_not_said_of_a_part_of_it(build):
    service, large = build(written("Emerald")), photo("blue").resize((600, 400))
    service.ask_once(large, "What is this?")
    service.reader.text = written("Swan")
    part = service.ask_once(large, "What is this?", region=(0, 0, 0.5, 0.5), text="Emerald")
    assert part.text.text == "Swan" and not part.text.corrected


@pytest.mark.parametrize(
    ("how", "colour", "question", "reads"),
    [
        (AUTO, "blue", "How old is it?", True), (AUTO, "green", "How old is it?", True),
        (AUTO, "red", "How old is it?", False), (AUTO, "red", "What does it say?", True),
        (ALWAYS, "red", "How old is it?", True), (NEVER, "blue", "What does it say?", False),
        (AUTO, "blue", "When was the Sapphire found?", False),
    ],
)  # fmt: skip
def test_it_is_read_where_it_is_called_for(build, how, colour, question, reads):
    service = build(written("nothing known"), how)
    result = service.ask_once(photo(colour), question)
    assert bool(service.reader.read_sizes) == reads == (result.text is not None)


def test_what_is_recognised_stays_unless_the_question_is_about_the_text(build):
    service = build(written("Emerald"), ALWAYS)
    assert service.ask_once(photo("red"), "How heavy is it?").subject.word == LIKELY
    assert service.ask_once(photo("red"), "What is the title of this book?").subject.title == "Emerald"
    assert service.ask_once(photo("green"), "What is this?").subject.title == "Emerald"


def test_what_is_read_beside_something_unknown_changes_nothing_unless_a_title_stands_out(build):
    plain, service = build(PhotoText()), build(written("a word or two about a white bird"))
    one, other = (each.ask_once(photo("green"), "What is this?") for each in (plain, service))
    assert other.text.lines and other.passages == one.passages and other.subject == one.subject


def test_a_refusal_says_what_was_read(build):
    service = build(written("Grünzeug [1]"))
    result = service.ask_once(photo("blue"), "What is this?")
    assert result.subject.word == UNKNOWN and result.answer.reason == UNRECOGNISED and not result.answer.answered
    assert result.answer.text.endswith("The photo says: “Grünzeug (1)”")


def test_a_person_corrects_what_was_read(build):
    service = build(written("Emcrauld"))
    wrong = service.ask_once(photo("blue"), "Where was it cut?")
    right = service.ask_once(photo("blue"), "Where was it cut?", text="Emerald")
    assert not wrong.answer.answered and right.answer.answered and right.text.corrected
    assert (right.subject.title, right.subject.word) == ("Emerald", READ) and len(service.reader.read_sizes) == 1
    same = service.ask_once(photo("blue"), "Where was it cut?", text="Emcrauld")
    assert same.cached and not same.text.corrected and same.passages == wrong.passages
    nothing = service.ask_once(photo("blue"), "Where was it cut?", text="")
    assert nothing.subject.word == UNKNOWN and "The photo says" not in nothing.answer.text
    assert service.ask_once(photo("blue"), "Where was it cut?", text="Emerald").cached
    assert "shorten it" in refused(service, photo("blue"), "What is it?", text="x" * 20_000)


def test_without_a_reader_everything_is_as_before_and_it_says_how_to_get_one(build):
    service = build(Problem(MISSING))
    result = service.ask_once(photo("blue"), "What is this?")
    assert result.answer.reason == UNRECOGNISED and result.text is None and result.unread == MISSING
    assert service.ask_once(photo("green"), "What is this?").unread == ""  # nothing says that there is a text


def test_a_reader_that_fails_leaves_the_question(build):
    result = build(RuntimeError("onnx")).ask_once(photo("blue"), "What is this?")
    assert result.answer.reason == UNRECOGNISED and result.unread == "The text in the photo could not be read."


@pytest.mark.parametrize(
    ("question", "asks"),
    [
        ("What does the sign say?", True), ("What is written here?", True), ("Who wrote this book?", True),
        ("What is the title?", True), ("What does it say on the bottle?", True), 
        ("What do these words here mean?", True),
        ("How old does it get?", False), ("What is this?", False), ("Can it read?", True),
        ("Where does this animal live?", False), ("What is it used for?", False), ("When was this built?", False),
    ],
)  # fmt: skip
def test_questions_about_something_written_are_known(question, asks):
    assert asks_for_writing(question) == asks
