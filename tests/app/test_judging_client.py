"""The client that judges, against a real server: what there is to judge, what is said of it, exports, and problems."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from app.client import CiteSightError
from app.judging_client import Grade, Item, JudgingClient
from app.service.annotating import Annotating
from kb.annotations.items import add_items
from kb.annotations.people import add_person
from kb.annotations.pools import add_pool
from kb.annotations.progress import items_progress
from kb.annotations.projects import create_project
from kb.annotations.records import PASSAGE_SCALE, NewItem, Project
from tests.support.annotations import answer, passage, photo_bytes
from tests.support.api import Server, serving

MANY = 60  # judgments, more than are told at a time


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("judged"), api_open=False) as one:
        for name, role in (("anna", "annotator"), ("olga", "owner")):
            add_person(one.database, name, role)
        yield one


@pytest.fixture
def herons(server: Server, request: pytest.FixtureRequest) -> str:
    """The name of a project of this test's own: an item with a photo, and one without."""
    name = request.node.name[:64]
    desk = Annotating(server.service)
    create_project(server.database, Project(name, "# Judge *well*", judges=2, blind=False))
    for question, photo in (("How tall is it?", photo_bytes()), ("What do herons eat?", None)):
        put = desk.add(name, question, photo, references=("140 cm",) if photo else ())
        add_pool(server.database, name, put.key, [passage(1), passage(2, text="Herons are 140 cm tall."), answer()])
    desk.close()
    return name


@pytest.fixture(scope="module")
def anna(server: Server) -> Iterator[JudgingClient]:
    with JudgingClient(server.address, server.key("of-anna", "judge", person="anna")) as one:
        yield one


@pytest.fixture(scope="module")
def olga(server: Server) -> Iterator[JudgingClient]:
    with JudgingClient(server.address, server.key("of-olga", "judge", "ask", person="olga")) as one:
        yield one


def said(work: Callable[[], object], status: int) -> str:
    with pytest.raises(CiteSightError) as problem:
        work()
    assert problem.value.status == status and str(problem.value).endswith("."), str(problem.value)
    return str(problem.value)


def test_a_project_is_judged_to_its_end(anna: JudgingClient, herons: str) -> None:
    [listed] = [each for each in anna.projects() if each.name == herons]
    assert (listed.items, listed.finished, listed.mine) == (2, 0, 0)
    project = anna.project(herons)
    assert project.passages == tuple(Grade(each.key, each.label) for each in PASSAGE_SCALE)
    assert (project.judges, project.blind) == (2, False) and "<em>well</em>" in project.guidelines
    seen: list[Item] = []
    while (item := anna.next(herons)) is not None:
        seen.append(item)
        for candidate in item.candidates:
            grade = (project.passages if candidate.what == "passage" else project.answers)[0].key
            saved = anna.judge(herons, item.id, candidate.id, grade=grade)
            assert (saved.said.grade, saved.said.candidate) == (grade, candidate.id)
        assert saved.done
    assert [(each.question, each.photo, each.references) for each in seen] == [
        ("How tall is it?", True, ("140 cm",)), ("What do herons eat?", False, ()),
    ]  # fmt: skip
    assert [each.mine for each in anna.projects() if each.name == herons] == [2]
    assert all(each.said is not None for each in anna.item(herons, seen[0].id).candidates)


def test_all_that_can_be_said_comes_back_as_it_was_said(anna: JudgingClient, herons: str) -> None:
    item = anna.next(herons)
    passages = [each for each in item.candidates if each.what == "passage"]
    [answered] = [each for each in item.candidates if each.what == "answer"]
    assert Image.open(io.BytesIO(anna.photo(herons, item.id))).size == (8, 8)
    assert passages[0].found == {"mini": 1} and answered.citations[0]["number"] == 1
    whole = anna.judge(herons, item.id, comment="too dark", region=(0.0, 0.25, 0.5, 1.0))
    assert (whole.said.candidate, whole.said.region) == (None, (0.0, 0.25, 0.5, 1.0)) and not whole.done
    anna.judge(herons, item.id, passages[1].id, grade="answers", span=(11, 17))
    kept = anna.judge(herons, item.id, passages[1].id, comment="in centimetres").said
    assert (kept.grade, kept.span, kept.comment) == ("answers", (11, 17), "in centimetres")
    judged = anna.judge(herons, item.id, answered.id, grade="wrong", citations={1: False}, correction="140 cm")
    assert judged.said.citations == {1: False} and judged.said.correction == "140 cm"
    there = anna.item(herons, item.id)
    assert there.said.comment == "too dark" and there.top == judged.top
    taken_back = anna.judge(herons, item.id, answered.id, grade=None)
    assert taken_back.said.grade is None and taken_back.said.correction == "140 cm"
    undone = anna.undo(herons, taken_back.top)
    assert undone.said.grade == "wrong" and undone.top == judged.top
    assert anna.undo(herons, taken_back.top) is None  # which is not the last any more
    skipped = anna.skip(herons, item.id, "blurred")
    assert skipped.said.skipped == "blurred" and anna.next(herons).id != item.id
    newest, *others = anna.judgments(herons)
    assert (newest.question, newest.position, newest.skipped, newest.comment) == (
        "How tall is it?", 1, "blurred", "too dark",
    )  # fmt: skip
    assert {each.beginning for each in others} == {"A cat [1].", "Herons are 140 cm tall."}


def test_more_judgments_than_are_told_at_a_time(server: Server, anna: JudgingClient, herons: str) -> None:
    add_items(server.database, herons, [NewItem(f"What is number {n}?") for n in range(MANY)])
    for number, item in enumerate(items_progress(server.database, herons, 2, MANY)):
        anna.judge(herons, item.id, comment=f"number {number}")
    assert [each.comment for each in anna.judgments(herons)] == [f"number {n}" for n in reversed(range(MANY))]


def test_an_owner_exports_into_files(
    anna: JudgingClient, olga: JudgingClient, herons: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = anna.next(herons)
    anna.judge(herons, item.id, item.candidates[0].id, grade="answers", comment="tall, \N{SNOWMAN}")
    [project, *items] = map(json.loads, olga.export(herons, tmp_path / "all.jsonl").read_text("utf-8").splitlines())
    assert project["name"] == herons and items[0]["log"][0]["said"] == {"comment": "tall, \N{SNOWMAN}"}
    with zipfile.ZipFile(olga.export(herons, tmp_path / "all.zip", "zip")) as file:
        assert [each for each in file.namelist() if "photos/" in each] and file.testzip() is None
    assert olga.export(herons, tmp_path / "qrels.txt", "qrels").read_text().endswith(" 2\n")
    assert "only owners" in said(lambda: anna.export(herons, tmp_path / "none.jsonl"), 403).lower()
    assert "no project called" in said(lambda: olga.export("none", tmp_path / "none.jsonl"), 404)
    assert "cannot be written" in said(lambda: olga.export(herons, tmp_path / "nowhere" / "none.jsonl"), 0)
    (tmp_path / "before.jsonl").write_text("before")
    monkeypatch.setattr("kb.annotations.exporting._jsonl", lambda *given: (1 / 0 for _ in range(1)))
    said(lambda: olga.export(herons, tmp_path / "before.jsonl"), 0)  # it broke off
    assert (tmp_path / "before.jsonl").read_text() == "before"
    assert {each.name for each in tmp_path.iterdir()} == {"all.jsonl", "all.zip", "qrels.txt", "before.jsonl"}


def test_problems_are_sentences(server: Server, anna: JudgingClient, olga: JudgingClient, herons: str) -> None:
    item = anna.next(herons)
    said(lambda: anna.judge(herons, item.id, item.candidates[0].id, grade="superb"), 400)
    said(lambda: anna.judge(herons, item.id, "none", grade="answers"), 400)
    said(lambda: anna.item(herons, 10**6), 404)
    said(lambda: anna.item(herons, 10**30), 404)
    said(lambda: anna.photo(herons, 10**30), 404)
    said(lambda: anna.project("no?such#project"), 404)
    said(lambda: anna.project("half \ud800"), 404)
    said(lambda: anna.judge(herons, item.id, region=(0, 0, float("nan"), 1)), 0)
    said(lambda: anna.judge(herons, item.id, comment="half \ud800"), 0)
    said(lambda: anna.photo(herons, anna.next(herons).id + 1), 404)  # the second has none
    said(lambda: anna.ask("How tall is it?"), 403)  # of which the key has no right
    with closing(JudgingClient(server.address)) as stranger:
        said(stranger.projects, 401)
