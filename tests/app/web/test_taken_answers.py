"""The files of answers that were shown."""

from __future__ import annotations

import json

import pytest
from PIL import Image
from starlette.testclient import TestClient

from app.service.shown_answers import ShownAnswer
from app.settings import load_settings
from app.web.ask.answer_html import final_answer
from app.web.taken_answers import FILES, GONE, taken_answers
from common.recently_used import RecentlyUsed
from tests.support.page import QUOTE, result

KEY = "0123456789abcdef" * 2


@pytest.fixture
def asked(tmp_path):
    Image.new("RGB", (40, 30), "red").save(tmp_path / "photo.png")
    answers = RecentlyUsed(4)
    shown = ShownAnswer.of(str(tmp_path / "photo.png"), result(), load_settings(data_dir=tmp_path))
    answers.put(KEY, ShownAnswer.of_text(shown.as_text()))  # as another process keeps it
    return TestClient(taken_answers(answers))


@pytest.mark.parametrize("name", FILES)
def test_each_is_a_file_with_the_answer(asked, name):
    told = asked.get(f"/answers/{KEY}/{name}")
    assert told.status_code == 200 and QUOTE in told.text
    assert told.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert told.headers["content-type"].startswith(FILES[name])
    assert name in final_answer(result(), KEY)


def test_json_has_all_that_programs_get(asked):
    assert asked.get(f"/answers/{KEY}/answer.json").json() == json.loads(json.dumps(result().as_dict()))


def test_the_page_has_the_photo_as_long_as_that_is_kept(asked, tmp_path):
    assert "data:image/jpeg" in asked.get(f"/answers/{KEY}/answer.html").text
    (tmp_path / "photo.png").unlink()
    assert "data:image/jpeg" not in asked.get(f"/answers/{KEY}/answer.html").text


@pytest.mark.parametrize("path", [f"{'0' * 32}/answer.md", f"{KEY}/passwd", "..%2F..%2Fx/answer.md", f"{KEY}0/answer"])
def test_what_is_not_there(asked, path):
    told = asked.get(f"/answers/{path}")
    assert told.status_code == 404 and (told.text == GONE or "Not Found" in told.text)
