"""Pictures of documents: kept once, told beside their passages, mended, and gone with their documents."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from dataclasses import replace
from itertools import pairwise

import pytest
from PIL import Image

from common.problems import Problem
from kb import illustrated
from kb.catalogue import Catalogue
from kb.catalogue.corpora import delete_corpus
from kb.catalogue.kept_pictures import check_pictures, remove_unnamed, repair_pictures
from kb.catalogue.tables import PictureRow
from kb.chunking import Cutting
from kb.illustrated import MOST_BESIDE, MOST_PASSAGES
from kb.ingest import ingest
from kb.pictures import SIDE, SMALL_SIDE, Pictures
from kb.records import DocumentRecord, GivenPicture, RunState, Section, Source
from tests.support.kb import record
from tests.support.waiting import LONG

CUTTING = Cutting(lambda texts: [len(text.split()) for text in texts], lambda text: text.split(". "), most=12)


def drawn(colour: str, size: tuple[int, int] = (40, 30), kind: str = "PNG", **how) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind, **how)
    return file.getvalue()


RED, BLUE = drawn("red"), drawn("blue")


def given(name: str, data: bytes | str = b"", **more) -> GivenPicture:
    """A picture whose file holds this; a text is why it cannot be read."""

    def read() -> bytes:
        if isinstance(data, str):
            raise Problem(data)
        return data

    return GivenPicture(name, read=read, **more)


def with_pictures(*pictures: GivenPicture, number: int = 1, **more) -> DocumentRecord:
    return replace(record(number), pictures=pictures, **more)


def brought(catalogue: Catalogue, pictures: Pictures | None, *records: DocumentRecord, name: str = "gems", **how):
    made = Source(name, "Gems", "CC0", "en", "", lambda _: (len(records), iter(records)), whole=True)
    return ingest(catalogue, made, pictures and pictures.folder, pictures=pictures, **how)


@pytest.fixture
def catalogue(url):
    opened = Catalogue(url)
    yield opened
    opened.close()


@pytest.fixture
def pictures(tmp_path):
    return Pictures(tmp_path / "pictures")


class TestKeeping:
    def test_what_is_kept_is_upright_bounded_and_says_nothing_of_the_camera(self, pictures):
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = 6, "taken at home"
        kept = pictures.keep(data := drawn("red", (4000, 2000), "JPEG", exif=exif))
        assert kept.content_hash == hashlib.sha256(data).hexdigest()
        assert (kept.width, kept.height) == (SIDE // 2, SIDE)
        assert b"taken at home" in data and b"taken at home" not in pictures.path(kept.content_hash).read_bytes()
        with Image.open(pictures.path(kept.content_hash, small=True)) as small:
            assert small.size == (SMALL_SIDE // 2, SMALL_SIDE) and not small.getexif()
        assert pictures.open(kept.content_hash).size == (kept.width, kept.height)

    def test_once(self, pictures):
        first = pictures.keep(RED)
        changed = os.stat(pictures.path(first.content_hash)).st_mtime_ns
        assert pictures.keep(RED) == first
        assert os.stat(pictures.path(first.content_hash)).st_mtime_ns == changed
        assert list(pictures.hashes()) == [first.content_hash]

    def test_one_that_was_damaged_is_kept_anew(self, pictures):
        kept = pictures.keep(RED)
        pictures.path(kept.content_hash).write_bytes(b"")
        assert pictures.open(kept.content_hash) is None
        assert pictures.keep(RED) == kept and pictures.open(kept.content_hash) is not None

    @pytest.mark.parametrize("data", [b"", b"no picture", RED[:50], b"<svg></svg>"])
    def test_what_is_no_picture_is_refused(self, pictures, data):
        with pytest.raises(Problem):
            pictures.keep(data)
        assert not list(pictures.hashes())

    @pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "/.."])
    def test_only_a_hash_leads_to_a_file(self, pictures, name):
        with pytest.raises(ValueError):
            pictures.path(name)

    def test_a_disk_that_takes_nothing(self, tmp_path):
        (tmp_path / "pictures").write_text("")
        with pytest.raises(Problem, match="cannot be kept"):
            Pictures(tmp_path / "pictures").keep(RED)


class TestBesidePassages:
    def test_a_picture_of_the_document_stands_beside_each(self, catalogue, pictures):
        more = {"caption": "A red gem", "licence": "CC0", "author": "Ada", "url": "https://example.org/r.png"}
        brought(catalogue, pictures, with_pictures(given("r.png", RED, **more), texts=("One.", "Two.")))
        one, two = catalogue.passages_of("gems:doc_1")
        [picture] = one.pictures
        assert two.pictures == one.pictures == catalogue.documents(["gems:doc_1"])[0].pictures
        assert {name: getattr(picture, name) for name in more} == more
        assert (picture.name, picture.width, picture.height) == ("r.png", 40, 30)
        assert picture.content_hash == hashlib.sha256(RED).hexdigest() and pictures.has(picture.content_hash)
        [[*streamed]] = catalogue.stream("gems")
        assert streamed == [one, two] == catalogue.passages([one.id, two.id])
        assert catalogue.search_text("one")[0].passage == one

    def test_a_picture_of_a_section_stands_beside_what_the_section_says(self, catalogue, pictures):
        red, blue = "Rubies are red. They shine.", "Sapphires are blue."
        sections = (Section(("Red",), red, (0,)), Section(("Blue",), blue, (1,)))
        document = with_pictures(given("r", RED), given("b", BLUE), texts=(), sections=sections)
        brought(catalogue, pictures, document, cutting=CUTTING)
        assert [(p.section, [each.name for each in p.pictures]) for p in catalogue.passages_of("gems:doc_1")] == [
            ("Red", ["r"]), ("Blue", ["b"]),
        ]  # fmt: skip

    def test_bounded_in_number(self, catalogue, pictures, monkeypatch):
        monkeypatch.setattr(illustrated, "MOST_KEPT", 100)
        many = [given(f"{n}", drawn("red", (n, 1))) for n in range(1, 103)]
        texts = tuple(f"Text {n}." for n in range(20))
        report = brought(catalogue, pictures, with_pictures(*many, texts=texts))
        beside = [[int(picture.name) for picture in each.pictures] for each in catalogue.passages_of("gems:doc_1")]
        assert max(map(len, beside)) == MOST_BESIDE
        assert all(numbers[0] > before[-1] for before, numbers in pairwise(beside))
        assert len(list(pictures.hashes())) == 100
        assert report.noted == 2
        told = {note["said"] for note in catalogue.runs("gems")[0]["notes"]}
        assert any(said.startswith("2 of its 102 pictures cannot be taken: 101: ") for said in told)
        assert any(said.startswith("20 of its pictures stand beside no passage") for said in told)

    def test_few_stand_beside_so_many_passages(self, catalogue, pictures):
        texts = tuple(f"Text {n}." for n in range(MOST_PASSAGES + 2))
        brought(catalogue, pictures, with_pictures(given("r", RED), given("b", BLUE), texts=texts))
        beside = [len(each.pictures) for each in catalogue.passages_of("gems:doc_1")]
        assert beside == [2] * (MOST_PASSAGES - 1) + [beside[-3], beside[-2], beside[-1]] and sum(beside) == 32

    @pytest.mark.parametrize("places", [True, False], ids=["places", "no places"])
    def test_many_of_a_section_stand_where_they_stand_in_it(self, catalogue, pictures, places):
        said = [f"Gem number {n} is on this picture" for n in range(30)]
        text = ". ".join(said)
        where = tuple(text.index(each) + len(each) for each in said) if places else ()
        section = Section(("Red",), text, tuple(range(30)), places=where)
        many = [given(f"{n}", drawn("red", (n + 1, 1))) for n in range(30)]
        document = with_pictures(*many, texts=(), sections=(section,))
        assert brought(catalogue, pictures, document, cutting=replace(CUTTING, most=20)).noted == 0
        for passage in catalogue.passages_of("gems:doc_1"):
            assert passage.pictures and all(f"number {each.name} " in passage.text for each in passage.pictures)

    def test_where_there_are_too_many_a_passage_has_its_own_first(self, catalogue, pictures):
        said = [f"Gem number {n} is on this picture" for n in range(30)]
        where = tuple(". ".join(said).index(each) + len(each) for each in said)
        section = Section(("Red",), ". ".join(said), tuple(range(30)), places=where)
        many = [given(f"{n}", drawn("red", (n + 1, 1))) for n in range(30)]
        document = with_pictures(*many, texts=(), sections=(section,))
        assert brought(catalogue, pictures, document, cutting=replace(CUTTING, most=80)).noted == 1
        for passage in catalogue.passages_of("gems:doc_1"):
            assert len(passage.pictures) == MOST_BESIDE
            assert all(f"number {each.name} " in passage.text for each in passage.pictures)

    def test_as_many_as_there_are_pages(self, catalogue, pictures, monkeypatch):
        monkeypatch.setattr(illustrated, "MOST_KEPT", count := 60)
        count += 3
        sections = [Section((f"page {n}",), f"Text {n}. " * 20, (n,), whole=True) for n in range(count)]
        many = [given(f"{n}", drawn("red", (n + 1, 1))) for n in range(count)]
        document = with_pictures(*many, texts=(), sections=tuple(sections))
        assert brought(catalogue, pictures, document, cutting=CUTTING).noted == 0
        passages = catalogue.passages_of("gems:doc_1")
        found = [(each.section, [picture.name for picture in each.pictures]) for each in passages]
        assert found == [(f"page {n}", [f"{n}"]) for n in range(count)]

    def test_one_that_comes_twice_stands_once(self, catalogue, pictures):
        brought(catalogue, pictures, with_pictures(given("a", RED), given("b", RED), given("c", BLUE)))
        [passage] = catalogue.passages_of("gems:doc_1")
        assert [each.name for each in passage.pictures] == ["a", "c"]

    def test_those_that_cannot_be_read_are_told_and_the_others_come(self, catalogue, pictures):
        there = [given("a", "It is gone."), given("b", b"no picture"), given("c", RED), GivenPicture("only named")]
        report = brought(catalogue, pictures, with_pictures(*there), with_pictures(given("d", "Gone too."), number=2))
        assert (report.added, report.skipped, report.noted) == (2, 0, 2)
        assert [each.name for each in catalogue.passages_of("gems:doc_1")[0].pictures] == ["c"]
        assert [each.name for each in catalogue.documents(["gems:doc_1"])[0].pictures] == ["a", "b", "c", "only named"]
        two, one = (each["said"] for each in catalogue.runs("gems")[0]["notes"])
        assert two.startswith("2 of its 4 pictures cannot be taken: a: It is gone. b: This is not a photo")
        assert one == "Its picture cannot be taken: d: Gone too."

    def test_each_reason_is_told_once_and_three_at_most(self, catalogue, pictures):
        brought(catalogue, pictures, with_pictures(*(given(f"{n}", f"Reason {n // 2}.") for n in range(9))))
        [note] = catalogue.runs("gems")[0]["notes"]
        assert note["said"] == "9 of its 9 pictures cannot be taken: 0: Reason 0. 2: Reason 1. 4: Reason 2."

    def test_names_alone_where_nothing_keeps_pictures(self, catalogue):
        brought(catalogue, None, with_pictures(given("a", "nobody reads it")))
        assert catalogue.passages_of("gems:doc_1")[0].pictures == ()
        assert [each.name for each in catalogue.documents(["gems:doc_1"])[0].pictures] == ["a"]


class TestChanges:
    def test_another_picture_is_a_change_that_indexes_learn(self, catalogue, pictures):
        brought(catalogue, pictures, with_pictures(given("a", RED)))
        [before] = catalogue.passages_of("gems:doc_1")
        assert brought(catalogue, pictures, with_pictures(given("a", RED))).unchanged == 1
        assert brought(catalogue, pictures, with_pictures(given("a", BLUE))).updated == 1
        [after] = catalogue.passages_of("gems:doc_1")
        assert after.content_hash != before.content_hash
        assert [each.content_hash for each in after.pictures] == [hashlib.sha256(BLUE).hexdigest()]

    def test_documents_without_pictures_keep_the_hashes_that_they_had(self):
        # So that no catalogue is written anew, and no index encoded anew, because documents may have pictures now.
        made = DocumentRecord("k", "T", "", "en", "CC0", (), sections=(Section(("A",), "b"), Section((), "c")))
        assert made.content_hash == "0a8e74c560888e354eb220a084210dc00b7bd3d35fd9a43ee2301e7f90e786e7"

    def test_what_no_document_has_any_more_goes(self, catalogue, pictures):
        red, blue = (hashlib.sha256(each).hexdigest() for each in (RED, BLUE))
        brought(catalogue, pictures, with_pictures(given("a", RED), given("b", BLUE)))
        brought(catalogue, pictures, with_pictures(given("a", RED)), name="others")
        delete_corpus(catalogue, "gems")
        assert remove_unnamed(catalogue, pictures) == 1
        assert pictures.has(red) and not pictures.has(blue)

    def test_what_documents_no_longer_have_goes_with_the_ingestion_that_finds_it_so(self, catalogue, pictures):
        red, blue = (hashlib.sha256(each).hexdigest() for each in (RED, BLUE))
        both = [with_pictures(given("a", RED)), with_pictures(given("b", BLUE), number=2)]
        brought(catalogue, pictures, *both)
        brought(catalogue, pictures, with_pictures(given("b", BLUE)), name="others")
        brought(catalogue, pictures, with_pictures(given("a", BLUE)), *both[1:])
        assert not pictures.has(red) and check_pictures(catalogue, pictures) == []
        assert brought(catalogue, pictures, record(1)).removed == 1
        assert pictures.has(blue)  # which another corpus has
        brought(catalogue, pictures, record(1), name="others")
        assert not list(pictures.hashes())

    def test_what_a_run_meant_to_name_goes_with_the_next_one(self, catalogue, pictures):
        def records():
            pictures.keep(BLUE)
            raise Problem("The source breaks off.")
            yield

        with pytest.raises(Problem):
            ingest(catalogue, Source("gems", "", "", "", "", lambda _: (1, records())), None, pictures=pictures)
        assert pictures.has(hashlib.sha256(BLUE).hexdigest())
        brought(catalogue, pictures, record(1))
        assert not list(pictures.hashes())

    def test_the_last_of_several_runs_removes_what_the_others_left(self, catalogue, pictures):
        brought(catalogue, pictures, with_pictures(given("a", RED)))

        def records():
            brought(catalogue, pictures, record(1))
            assert pictures.has(hashlib.sha256(RED).hexdigest())  # this one may be about to name it
            yield record(1)

        ingest(catalogue, Source("others", "", "", "", "", lambda _: (1, records())), None, pictures=pictures)
        assert not list(pictures.hashes())

    def test_no_run_begins_while_pictures_are_removed(self, catalogue, pictures):
        brought(catalogue, pictures, with_pictures(given("a", RED)))
        began, events = threading.Event(), []

        def records():
            events.append("begun")
            began.set()
            yield with_pictures(given("a", RED))

        def begin():
            ingest(catalogue, Source("others", "", "", "", "", lambda _: (1, records())), None, pictures=pictures)

        class Slow(Pictures):
            def remove(self, content_hash):
                other.start()
                began.wait(0.3)  # it would have had the time to begin
                super().remove(content_hash)
                events.append("removed")

        other = threading.Thread(target=begin)
        assert brought(catalogue, Slow(pictures.folder), record(1)).updated == 1
        other.join(LONG)
        assert events == ["removed", "begun"]
        assert pictures.has(hashlib.sha256(RED).hexdigest()) and check_pictures(catalogue, pictures) == []

    def test_a_picture_that_cannot_be_removed_is_left_to_be_mended(self, catalogue, pictures, monkeypatch):
        brought(catalogue, pictures, with_pictures(given("a", RED)))

        def refused(*_):
            raise OSError(13, "Permission denied")

        with monkeypatch.context() as patch:
            patch.setattr(Pictures, "remove", refused)
            assert brought(catalogue, pictures, record(1)).updated == 1
        assert catalogue.runs("gems")[0]["state"] == RunState.FINISHED
        assert len(repair_pictures(catalogue, pictures)) == 1 and not list(pictures.hashes())

    def test_while_a_run_goes_on_nothing_goes(self, catalogue, pictures):
        def records():
            pictures.keep(BLUE)  # which the run names in a moment
            assert remove_unnamed(catalogue, pictures) == 0 and check_pictures(catalogue, pictures) == []
            yield with_pictures(given("b", BLUE))

        made = Source("gems", "Gems", "CC0", "en", "", lambda _: (1, records()))
        ingest(catalogue, made, pictures.folder, pictures=pictures)
        assert check_pictures(catalogue, pictures) == []

    @pytest.mark.parametrize("small", [False, True])
    @pytest.mark.parametrize("how", ["junk", "broken off", "too large"])
    def test_what_is_damaged_is_told_and_comes_back(self, catalogue, pictures, small, how):
        document = with_pictures(given("a", RED), given("b", BLUE))
        brought(catalogue, pictures, document)
        [before] = catalogue.passages_of("gems:doc_1")
        file = pictures.path(hashlib.sha256(RED).hexdigest(), small)
        whole = file.read_bytes()
        spoilt = {"junk": b"junk" * 99, "broken off": whole[:-20], "too large": drawn("red", (SIDE + 1, 9), "JPEG")}
        file.write_bytes(spoilt[how])
        [fault] = check_pictures(catalogue, pictures)
        assert fault.what == "1 pictures of documents are damaged."
        assert repair_pictures(catalogue, pictures) == [fault] and check_pictures(catalogue, pictures) == []
        assert brought(catalogue, pictures, document).updated == 1
        assert catalogue.passages_of("gems:doc_1") == [before] and file.read_bytes() == whole

    def test_files_that_are_no_pictures_are_told_and_only_those_called_as_pictures_go(self, catalogue, pictures):
        brought(catalogue, pictures, with_pictures(given("a", RED)))
        red = hashlib.sha256(RED).hexdigest()
        place = pictures.path(red).parent
        other = place.with_name("zz" if place.name != "zz" else "yy")
        other.mkdir()
        ours = [other / f"{red}.jpg", place / f"{red}.big.jpg", place / f".{red}.jpg-0a1b2c3d.part"]
        for file in (*ours, mine := place / "notes.txt"):
            file.write_bytes(b"x")
        removed, left = check_pictures(catalogue, pictures)
        assert removed.what == "2 pictures are kept that no document has." and left.what.startswith("2 files in ")
        assert repair_pictures(catalogue, pictures) == [removed] and check_pictures(catalogue, pictures) == [left]
        assert [file.exists() for file in (*ours, mine)] == [False, True, False, True] and pictures.has(red)

    def test_what_is_lost_is_told_and_comes_back(self, catalogue, pictures):
        document = with_pictures(given("a", RED), given("b", BLUE))
        brought(catalogue, pictures, document)
        [before] = catalogue.passages_of("gems:doc_1")
        red = hashlib.sha256(RED).hexdigest()
        pictures.path(red, small=True).unlink()
        stray = pictures.keep(drawn("green")).content_hash
        assert [fault.what for fault in check_pictures(catalogue, pictures)] == [
            "1 pictures of documents are not there.", "1 pictures are kept that no document has.",
        ]  # fmt: skip
        assert len(repair_pictures(catalogue, pictures)) == 2 and check_pictures(catalogue, pictures) == []
        assert not pictures.has(stray)
        [between] = catalogue.passages_of("gems:doc_1")
        assert [each.name for each in between.pictures] == ["b"] and between.content_hash != before.content_hash
        assert brought(catalogue, pictures, document).updated == 1
        assert catalogue.passages_of("gems:doc_1") == [before] and pictures.has(red)

    def test_pictures_of_changed_documents_leave_no_row_behind(self, catalogue, pictures):
        brought(catalogue, pictures, with_pictures(given("a", RED), given("b", BLUE)))
        brought(catalogue, pictures, with_pictures(given("b", BLUE)))
        with catalogue.database.reading() as session:
            assert [row.name for row in session.query(PictureRow)] == ["b"]
