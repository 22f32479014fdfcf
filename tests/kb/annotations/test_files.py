"""Items from files, exports, imports: round trips, hostile files, photographs kept once."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import select

from common.problems import BadRequest, Problem
from kb.annotations import importing, item_files, settled, tables
from kb.annotations.adjudicating import adjudicate
from kb.annotations.asking import item_for, next_item
from kb.annotations.exporting import export_lines
from kb.annotations.importing import import_project
from kb.annotations.item_files import add_from_file
from kb.annotations.items import add_items
from kb.annotations.judging import history, judge, skip, undo
from kb.annotations.people import add_person
from kb.annotations.photos import Photos
from kb.annotations.pools import add_pool
from kb.annotations.projects import create_project, projects
from kb.annotations.records import NewItem, Project
from kb.catalogue.database import Database
from kb.records import Note, Skipped
from tests.support.annotations import answer, check, derived, photo_bytes, project, write_photo


def add(database, photos, path, folder=None):
    return add_from_file(database, "cats", path, folder, photos, check)


@pytest.fixture
def cats(database):
    create_project(database, Project("cats"))
    return database


def rows(database) -> list[tuple]:
    item = tables.ItemRow
    with database.reading() as session:
        chosen = select(item.key, item.question, item.kind, item.reference_answers, item.photo).order_by(item.position)
        return session.execute(chosen).all()


def test_items_from_json_lines_with_photographs(cats, photos, tmp_path):
    write_photo(tmp_path / "pictures/a.png")
    write_photo(tmp_path / "pictures/deep/b.png")  # the same photo by another name
    file = tmp_path / "items.jsonl"
    lines = [
        {"id": "one", "question": "What <b>is</b> it?", "photo": "a.png", "kind": "what", "references": ["A cat", "a"]},
        {"id": 2, "question": "Where?", "image": "deep/b.png"},
        {"question": "Who?"},
    ]
    file.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    report = add(cats, photos, file, tmp_path / "pictures")
    assert (report.added, report.unchanged, report.skipped) == (3, 0, ())
    first, second, third = rows(cats)
    assert first[:4] == ("one", "What <b>is</b> it?", "what", '["A cat", "a"]')
    assert first.photo == second.photo and second.key == "2" and third.photo is None and third.key.startswith("q-")
    assert photos.path(first.photo).read_bytes() == photo_bytes()
    assert len([path for path in photos.folder.rglob("*") if path.is_file() and path.name != ".lock"]) == 1
    again = add(cats, photos, file, tmp_path / "pictures")
    assert (again.added, again.unchanged) == (0, 3)


def test_items_from_csv(cats, photos, tmp_path):
    write_photo(tmp_path / "a.png")
    file = tmp_path / "items.csv"
    file.write_text('id;question;photo;references\n1;"What; is it?";a.png;a cat|cat\n2;Who?;;\n3;x\n')
    report = add(cats, photos, file)
    assert report.added == 2
    assert report.skipped == (Skipped("items.csv, line 4", "It has 2 fields, and the header has 4."),)
    assert [row[:4] for row in rows(cats)] == [("1", "What; is it?", "", '["a cat", "cat"]'), ("2", "Who?", "", "")]


def test_what_is_taken_all_the_same_is_noted_and_no_lost_line(cats, photos, tmp_path):
    file = tmp_path / "items.csv"
    asked = "Wie groß ist die Höhle, und wie süß ist der Käse?"
    file.write_bytes(f"id;question;references\n1;{asked};groß\n".encode("windows-1252"))
    report = add(cats, photos, file)
    [note] = report.notes
    assert (report.added, report.skipped, note.where) == (1, (), "items.csv") and "a guess" in note.said
    file.write_text(f"id;question;references\n1;{asked};klein\n2;Wo?;hier\n")
    report = add(cats, photos, file)
    assert (report.added, report.unchanged, report.skipped) == (1, 1, ())
    assert report.notes == (Note("items.csv, line 2", item_files.KEPT),)
    assert rows(cats)[0][3] == '["groß"]'


def test_what_cannot_be_taken_is_said_with_its_line_and_the_rest_is_added(cats, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(item_files, "_AT_ONCE", 3)
    folder = tmp_path / "pictures"
    write_photo(folder / "good.png")
    write_photo(tmp_path / "outside.png", "blue")
    (folder / "lies.png").write_text("<svg onload=alert(1)>")
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    wrong = [
        ({"question": "q", "photo": "none.png"}, "'none.png' is not in"),
        ({"question": "q", "photo": "lies.png"}, "not a photo"),
        ({"question": "q", "photo": "../outside.png"}, "not in the folder"),
        ({"question": "q", "photo": "link.png"}, "not in the folder"),
        ({"question": "q", "photo": str(tmp_path / "outside.png")}, "not in the folder"),
        ({"question": "q", "photo": "x\x00y"}, "not in the folder"),
        ({"question": "q", "photo": "."}, "not in the folder"),
        ({"question": "q" * 10_000}, "10,000 characters"),
        ({"photo": "good.png"}, "no question"),
        ({"question": ["q"]}, "question is not a text"),
        ({"question": "q", "references": [1]}, "references"),
        ({"question": "Wo ist die BrÃ¼cke – dort?"}, "wrong encoding"),
        ({"question": "q", "references": ["ÐœÐ¾ÑÐºÐ²Ð°"]}, "wrong encoding"),
        ({"question": "other", "id": "first"}, "belongs to another item"),
        ([1], "not a JSON object"),
        ("text", "not a JSON object"),
    ]
    file = tmp_path / "items.jsonl"
    good = json.dumps({"question": "gut für Äpfel", "id": "first", "photo": "good.png"}, ensure_ascii=False)
    lines = [good, "{", *(json.dumps(row) for row, _ in wrong)]
    file.write_bytes("\n".join([*lines, json.dumps({"question": "last"}), "größer über Öl è é ñ"]).encode() + b"\xff\n")
    report = add(cats, photos, file, folder)
    assert report.added == 2 and len(report.skipped) == len(wrong) + 2
    said = {each.where: each.why for each in report.skipped}
    assert said["items.jsonl, line 2"] == "It is not JSON."
    for number, (_, sentence) in enumerate(wrong, 3):
        assert sentence in said[f"items.jsonl, line {number}"]
    assert "UTF-8" in said[f"items.jsonl, line {len(lines) + 2}"]
    assert [row.question for row in rows(cats)] == ["gut für Äpfel", "last"]


def test_files_that_are_none_are_said(cats, photos, tmp_path):
    for path, sentence in (
        (tmp_path / "none.jsonl", "does not exist"), (tmp_path, "is not a file"), (tmp_path / "none.csv", "not exist"),
    ):  # fmt: skip
        with pytest.raises(Problem, match=sentence):
            add(cats, photos, path)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(Problem, match="lacks the column question"):
        add(cats, photos, tmp_path / "other.csv")
    (tmp_path / "items.jsonl").write_text('[{"question": "q"}]')
    with pytest.raises(Problem, match="is a list of JSON"):
        add(cats, photos, tmp_path / "items.jsonl")
    (tmp_path / "items.jsonl").write_text('{"question": "q"}\n')
    with pytest.raises(BadRequest, match="is not a folder"):
        add(cats, photos, tmp_path / "items.jsonl", tmp_path / "nowhere")
    with pytest.raises(BadRequest, match="no project called dogs"):
        add_from_file(cats, "dogs", tmp_path / "items.jsonl", None, photos, check)


@pytest.fixture
def judged(database, photos):
    """A project in which everything happened that can."""
    project(database, items=3, passages=2, guidelines="# Guide\n<script>", judges=2)
    add_person(database, "zoe", "owner")
    photo = photos.keep(photo_bytes(), check)
    add_items(database, "cats", [NewItem("A photo?", photo, "shown", "seen", ("cat",))])
    add_pool(database, "cats", "shown", [answer()])
    item = next_item(database, "cats", "ann")
    one, two = sorted(item.candidates, key=lambda each: each.id)
    judge(database, "cats", "ann", item.id, one.id, grade="answers", comment="ü\u202e\x07", span=(0, 3))
    judge(database, "cats", "ann", item.id, two.id, grade="wrong")
    judge(database, "cats", "ann", item.id, two.id, grade="unclear")
    undo(database, "cats", "ann")
    judge(database, "cats", "bob", item.id, one.id, grade="wrong")
    adjudicate(database, "cats", "zoe", item.id, one.id, "subject", comment="so it is")
    second = next_item(database, "cats", "ann")
    skip(database, "cats", "ann", second.id, "too dark")
    bobs = next_item(database, "cats", "bob")
    judge(database, "cats", "bob", bobs.id, region=(0, 0, 0.5, 0.5))
    shown = next(i for i in range(1, 99) if item_for(database, "cats", "bob", i).key == "shown")
    candidate = item_for(database, "cats", "bob", shown).candidates[0].id
    judge(database, "cats", "bob", shown, candidate, grade="partly", citations={1: True}, correction="A tabby")
    return database


def write(path, lines):
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_an_export_imported_exports_the_same(judged, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(settled, "AT_ONCE", 2)
    monkeypatch.setattr(importing, "_AT_ONCE", 2)
    before = list(export_lines(judged, "cats"))
    file = write(tmp_path / "cats.jsonl", before)
    with pytest.raises(BadRequest, match="There is a project called cats already"):
        import_project(judged, file, photos, check)
    assert import_project(judged, file, photos, check, "again") == "again"
    after = list(export_lines(judged, "again"))
    assert after[1:] == before[1:]
    assert json.loads(after[0]) == json.loads(before[0]) | {"name": "again"}
    found = {each.name: (each.items, each.finished) for each in projects(judged)}
    assert found["again"] == found["cats"]


def test_a_project_imported_elsewhere_goes_on_as_it_was(judged, photos, tmp_path):
    file = write(tmp_path / "cats.jsonl", export_lines(judged, "cats"))
    folder = tmp_path / "beside"
    for line in file.read_text(encoding="utf-8").splitlines():
        if photo := json.loads(line).get("photo"):
            folder.mkdir()
            (folder / photo).write_bytes(photos.path(photo).read_bytes())
    other, elsewhere = Database(f"sqlite:///{tmp_path}/other.sqlite"), Photos(tmp_path / "elsewhere")
    try:
        with pytest.raises(BadRequest, match="is not kept here"):
            import_project(other, file, elsewhere, check)
        assert projects(other) == []
        import_project(other, file, elsewhere, check, folder=folder)
        tallies = [row[1:] for row in derived(judged)["tallies"]]
        assert sum(row[-1] for row in tallies) and len(derived(other)["tallies"]) == len(tallies)
        # What ann did last is undone there as it would have been here.
        here, there = undo(judged, "cats", "ann"), undo(other, "cats", "ann")
        assert here.judged.said == there.judged.said and here.judged.number == there.judged.number
        item = item_for(other, "cats", "ann", 1)
        told = [(h.person, h.act, h.grade) for h in history(other, "cats", 1, min(c.id for c in item.candidates))]
        assert told == [("ann", "judge", "answers"), ("bob", "judge", "wrong"), ("zoe", "final", "subject")]
    finally:
        other.close()


def test_qrels_have_the_gain_that_holds(judged, database):
    lines = [line.split() for line in export_lines(judged, "cats", "qrels")]
    assert [(item, gain) for item, _, _, gain in lines] == [("q0", "1"), ("q0", "0")]
    hashes = {json.loads(line)["candidates"][0]["content_hash"] for line in list(export_lines(judged, "cats"))[1:2]}
    assert lines[0][1] == "0" and hashes == {lines[0][2]}
    with pytest.raises(BadRequest, match="no format 'xml'"):
        list(export_lines(judged, "cats", "xml"))


def test_an_export_is_of_one_moment(database, monkeypatch):
    monkeypatch.setattr(settled, "AT_ONCE", 1)
    project(database, items=4, passages=1, judges=1, people=("ann",))
    lines = export_lines(database, "cats")
    head = [next(lines), next(lines)]
    while (item := next_item(database, "cats", "ann")) is not None:
        judge(database, "cats", "ann", item.id, item.candidates[0].id, grade="answers")
    add_items(database, "cats", [NewItem("new")])
    told = [json.loads(line) for line in [*head, *lines]]
    assert len(told) == 5 and all(not item["log"] for item in told[1:])
    assert sum(len(json.loads(line)["log"]) for line in list(export_lines(database, "cats"))[1:]) == 4


WRONG = {
    "no project": (lambda told: told.pop(0), "its first line is none"),
    "other format": (lambda told: told[0].update(format=2), "another version"),
    "no judges": (lambda told: told[0].pop("judges"), "there is no judges"),
    "many judges": (lambda told: told[0].update(judges="2"), "Between 1 and 20"),
    "bad scale": (lambda told: told[0].update(passage_scale=[1]), "A scale must be a list"),
    "no item": (lambda told: told[1].update(type="row"), "not as an export writes it"),
    "no question": (lambda told: told[1].pop("question"), "not as an export writes it"),
    "long question": (lambda told: told[1].update(question="x" * 10_000), "10,000 characters"),
    "bad photo": (lambda told: told[1].update(photo="../../etc/passwd"), "is not the SHA-256"),
    "no such photo": (lambda told: told[1].update(photo="0" * 64), "is not kept here"),
    "twice": (lambda told: told.append(told[1]), "twice"),
    "candidate twice": (lambda told: told[1]["candidates"].append(told[1]["candidates"][0]), "twice"),
    "no text": (lambda told: told[1]["candidates"][0].update(text=7), "is not a text"),
    "bad rank": (lambda told: told[1]["candidates"][0].update(found={"a": "1"}), "whole number from 1"),
    "bad grade": (lambda told: told[1]["log"][0].update(grade="fine"), "no grade 'fine'"),
    "bad act": (lambda told: told[1]["log"][0].update(act="drop"), "not as an export writes it"),
    "bad number": (lambda told: told[1]["log"][0].update(number=0), "not as an export writes it"),
    "loop": (lambda told: told[1]["log"][0].update(earlier=99), "not as an export writes it"),
    "number twice": (lambda told: told[1]["log"].append(told[1]["log"][0]), "twice"),
    "no such place": (lambda told: told[1]["log"][0].update(candidate=7), "not as an export writes it"),
    "bad time": (lambda told: told[1]["log"][0].update(at="0001-01-01T00:00:00+23:00"), "not as an export"),
    "bad span": (lambda told: told[1]["log"][0].update(said={"span": [5, 10**9]}), "The marked span"),
    "bad name": (lambda told: told[1]["log"][0].update(person="a b"), "cannot be called"),
    "bad said": (lambda told: told[1]["log"][0].update(said=[1]), "not as an export writes it"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_export_makes_nothing(judged, photos, tmp_path, wrong):
    change, sentence = WRONG[wrong]
    told = [json.loads(line) for line in export_lines(judged, "cats")]
    change(told)
    file = write(tmp_path / "cats.jsonl", map(json.dumps, told))
    with pytest.raises(Problem, match=sentence):
        import_project(judged, file, photos, check, "again")
    with judged.reading() as session:
        assert session.scalars(select(tables.ProjectRow.name)).all() == ["cats"]
        kept = {photo for photo in session.scalars(select(tables.ItemRow.photo)) if photo}
    assert kept and all(photos.there(photo) for photo in kept)


def test_a_damaged_line_makes_nothing(judged, photos, tmp_path):
    file = write(tmp_path / "cats.jsonl", [*export_lines(judged, "cats"), "{"])
    with pytest.raises(Problem, match="cats.jsonl, line 6 cannot be taken: It is not JSON."):
        import_project(judged, file, photos, check, "again")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(Problem, match="its first line is none"):
        import_project(judged, tmp_path / "empty.jsonl", photos, check)


def test_strangers_in_a_file_become_annotators_only(judged, photos, tmp_path):
    told = [json.loads(line) for line in export_lines(judged, "cats")]
    for entry in told[1]["log"]:
        entry["person"] = {"zoe": "stranger"}.get(entry["person"], entry["person"])
    file = write(tmp_path / "cats.jsonl", map(json.dumps, told))
    import_project(judged, file, photos, check, "again")
    with judged.reading() as session:
        roles = dict(session.execute(select(tables.PersonRow.name, tables.PersonRow.role)).all())
    assert roles == {"ann": "annotator", "bob": "annotator", "zoe": "owner", "stranger": "annotator"}


def test_an_import_takes_no_names_that_differ_in_capital_letters_alone(judged, photos, tmp_path):
    told = [json.loads(line) for line in export_lines(judged, "cats")]
    told[0]["name"] = "CATS"
    with pytest.raises(BadRequest, match="There is a project called cats already"):
        import_project(judged, write(tmp_path / "cats.jsonl", map(json.dumps, told)), photos, check)
    told[1]["log"][0]["person"] = "BOB"
    file = write(tmp_path / "cats.jsonl", map(json.dumps, told))
    with pytest.raises(BadRequest, match="cats.jsonl cannot be taken: The name BOB differs from bob"):
        import_project(judged, file, photos, check, "again")
    assert [each.name for each in projects(judged)] == ["cats"]


def test_a_photo_is_kept_once_and_whole(photos, monkeypatch):
    photo = photos.keep(photo_bytes(), check)
    assert photos.keep(photo_bytes(), lambda data: pytest.fail("looked at again")) == photo
    photos.path(photo).write_bytes(b"cut short")
    assert photos.keep(photo_bytes(), check) == photo and photos.path(photo).read_bytes() == photo_bytes()
    with pytest.raises(BadRequest, match="not a photo"):
        photos.keep(b"GIF89a...", check)
    with pytest.raises(BadRequest, match="is not the SHA-256"):
        photos.path("../" + "a" * 61)
    assert [path.name for path in photos.folder.rglob("*") if path.is_file()] == [photo]
