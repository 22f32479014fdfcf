"""A retriever that reads only questions: service, page and commands offer just that, and refuse photos."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from app.commands import app as ask_command
from app.commands import retriever as retriever_command
from app.service.questions import QUESTIONS_ALONE
from app.settings import load_settings
from app.web.ask.answering import PageQuestion
from app.web.page import build_page
from common.problems import Problem
from retriever.encoders.base import Takes
from retriever.evaluation.pictures import measure_pictures
from tests.fakes.small_encoder import SmallEncoder
from tests.support.colbert_checkpoints import write_pylate_checkpoint
from tests.support.page import PAGE, asker_of, final
from tests.support.service import fill, photo, refused, services
from tests.support.waiting import wait_for

QUESTION = "How heavy is a cherry?"


class QuestionsAlone(SmallEncoder):
    takes = Takes(photos=False)


@pytest.fixture
def ready(tmp_path, catalogue, monkeypatch):
    fill(catalogue, monkeypatch)
    with services(tmp_path, catalogue) as make:
        one = make(QuestionsAlone(), profile="colbert")
        assert one.takes() is None
        one.start()
        wait_for(lambda: one.status().state == "ready")
        yield one


@pytest.fixture
def picture(tmp_path) -> str:
    photo("red").save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


def test_the_service_answers_questions_and_refuses_photos(ready):
    result = ready.ask_once(None, QUESTION)
    assert "8 grams" in result.answer.text and result.photo == "" and ready.takes() == Takes(photos=False)
    assert refused(ready, photo("red"), QUESTION) == QUESTIONS_ALONE
    assert ready.find(None, QUESTION, 2).passages[0].title == "Cherry"
    with pytest.raises(Problem, match="reads only the question"):
        ready.find(photo("red"), QUESTION, 2)


def test_the_page_asks_without_a_photo(ready, picture):
    def told(given: str | None, question: str) -> list:
        asked = PageQuestion(given, question, number=1, session=PAGE.session_hash)
        return final(list(asker_of(ready).respond(asked)))

    answer, evidence, figure, problem, *_ = told(None, QUESTION)
    assert "8 grams" in answer and "Cherry" in evidence and figure == "" == problem
    assert "Answered in" in answer and ": photo" not in answer and ", photo" not in answer
    assert QUESTIONS_ALONE in told(picture, QUESTION)[3] and "Type a question" in told(None, " ")[3]


def test_a_page_of_questions_alone_has_no_place_for_a_photo(tmp_path):
    folder = write_pylate_checkpoint(tmp_path / "model")
    for profile, shown in (("colbert", False), (str(folder), False), ("mini", True), ("someone/unknown", True)):
        page = build_page(SimpleNamespace(settings=load_settings(profile=profile, data_dir=tmp_path)))
        parts = {each.elem_id: each for each in page.blocks.values() if getattr(each, "elem_id", None)}
        assert parts["cs-photo"].visible is shown and ("cs-part" in parts) is shown
        assert any(name.startswith("cs-try") for name in parts) is shown
        assert ("cs-no-photos" in parts["cs-main"].elem_classes) is not shown
        assert ("cs-alone" in parts) is not shown


@pytest.mark.usefixtures("plain_surroundings")
def test_commands_refuse_photos_before_anything_is_fetched(picture, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(ask_command, "prepare", lambda service: pytest.fail("indexed"))
    monkeypatch.setattr(retriever_command, "prepare", lambda service: pytest.fail("indexed"))
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps([{"file": "photo.png", "title": "Cherry", "question": QUESTION}]))
    given = ["--image", picture, "--question", QUESTION]
    for main, arguments in (
        (ask_command.main, ["ask", picture, QUESTION]),
        (retriever_command.main, ["search", *given]),
        (retriever_command.main, ["explain", *given, "--passage", "things:Cherry#0"]),
        (retriever_command.main, ["eval-photos", str(labels)]),
        (retriever_command.main, ["fit-recognition", str(labels)]),
        (retriever_command.main, ["eval-pictures", str(labels)]),
        (retriever_command.main, ["bench"]),
    ):
        assert main([*arguments, "--profile", "colbert"]) == 2
        assert "The profile colbert reads only the question" in capsys.readouterr().err


@pytest.mark.usefixtures("plain_surroundings")
def test_a_command_asks_without_a_photo(ready, capsys, monkeypatch):
    monkeypatch.setattr("app.service.assembly.build_service", lambda settings: ready)
    assert ask_command.main(["ask", "-", QUESTION, "--profile", "colbert"]) == 0
    assert "8 grams" in capsys.readouterr().out


def test_pictures_are_not_compared_by_a_retriever_without_photos():
    class Pages(SmallEncoder):
        takes = Takes(photos=False, pictures=True)

    with pytest.raises(Problem, match="takes no photos"):
        measure_pictures(Pages(), {}, [], [])
