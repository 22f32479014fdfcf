"""A ready index: written by one machine, taken up by another, over a folder and over the Hub."""

from __future__ import annotations

import io
import json
import re
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.commands.retriever import main as retriever
from app.service import moments, ready
from app.service.index_check import check_indexes
from app.service.publishing import CARD, INDEXES, LIST, PICTURES, ROWS, Encoded, publish
from app.settings import Settings, load_settings
from common.problems import BadRequest, Problem
from common.sealed_folders import seal
from hub.uploading import upload_dataset
from kb.catalogue import Catalogue
from kb.catalogue.checking import check
from kb.pictures import Pictures
from tests.fakes.hub_server import HubServer
from tests.fakes.small_encoder import ARTICLES, SmallEncoder, embed_sentences
from tests.support.databases import sqlite
from tests.support.service import fill, photo, refused, services
from tests.support.waiting import wait_for

ENCODED = Encoded("mini", "small-1")
QUESTION = "How much does this fruit weigh?"


@pytest.fixture
def first(plain_surroundings, catalogue, tmp_path, monkeypatch) -> Iterator[Path]:
    """The data folder of a machine that has an index of `things`."""
    fill(catalogue, monkeypatch)
    with services(tmp_path, catalogue) as build:
        assert build().prepare(lambda status: None).state == "ready"
    yield tmp_path


@pytest.fixture
def published(first, catalogue) -> Path:
    written(catalogue, first)
    return first / "ready"


def written(catalogue: Catalogue, data_dir: Path, output: str = "ready", *names: str) -> None:
    how = (catalogue, data_dir, Pictures(data_dir / "pictures"), ENCODED)
    publish(*how, names or ["things"], data_dir / output)


def other_machine(folder: Path, source: Path | str, **given: str) -> Settings:
    return load_settings(data_dir=folder / "elsewhere", ready=str(source), **given)


def sealed_anew(folder: Path, change: Callable[[dict], object] = lambda about: None) -> None:
    """As somebody would publish it who changed a file of it, or its list."""
    about = json.loads((folder / LIST).read_text())
    about.pop("files")
    seal(folder, LIST, about, beside=(CARD,))
    about = json.loads((folder / LIST).read_text())
    change(about)
    (folder / LIST).write_text(json.dumps(about))


class TestTakingUp:
    def test_questions_are_answered_at_once_and_nothing_is_encoded(self, first, catalogue, published):
        settings = ready.taken_up(other_machine(first, published))
        assert (settings.corpus, settings.profile) == ("things", "mini")
        encoder = SmallEncoder()
        with closing(Catalogue(settings.catalogue_place)) as taken, services(settings.data_dir, taken) as build:
            one = build(encoder)
            assert one.prepare(lambda status: None).state == "ready"
            assert encoder.encoded == []
            result = one.ask_once(photo("red"), QUESTION)
            assert "8 grams" in result.answer.text and result.passages[0].title == "Cherry"
            assert (result.indexed, result.total) == (len(ARTICLES), len(ARTICLES))
            assert not check(taken) and not check_indexes(taken, settings.data_dir)
            assert [hit.passage.title for hit in taken.search_text("chromium")] == ["Emerald"]

    def test_it_is_done_once(self, first, published):
        settings = other_machine(first, published)
        ready.taken_up(settings)
        shutil.rmtree(published)
        assert ready.taken_up(settings).corpus == "things"

    def test_what_comes_later_is_encoded_as_ever(self, first, catalogue, published, monkeypatch):
        settings = ready.taken_up(other_machine(first, published))
        encoder = SmallEncoder()
        with closing(Catalogue(settings.catalogue_place)) as taken, services(settings.data_dir, taken) as build:
            fill(taken, monkeypatch, articles={**ARTICLES, "Ruby": "A ruby is a red gem. It was found in Burma."})
            one = build(encoder)
            assert one.prepare(lambda status: None).done == len(ARTICLES) + 1
            assert len([text for text in encoder.encoded if "Burma" in text]) == 1
        with closing(Catalogue(first / "catalogue.sqlite")) as own:
            assert not check_indexes(own, first), "the files that both machines share did not change"

    def test_a_chosen_corpus_stays_chosen(self, first, published):
        assert ready.taken_up(other_machine(first, published, corpus="wikipedia-vital")).corpus == "wikipedia-vital"

    def test_a_corpus_that_is_not_in_it_is_refused_before_anything_is_taken_up(self, first, published, monkeypatch):
        parts = []

        def fetch(name: str, patterns: list[str], *_) -> Path:
            parts.append(patterns)
            return published

        monkeypatch.setattr(ready, "fetch_dataset", fetch)
        for source in (published, "owner/things"):
            settings = other_machine(first, source, corpus="others")
            with pytest.raises(BadRequest, match="has no corpus called others .CITESIGHT_CORPUS.; it has things"):
                ready.taken_up(settings)
            assert not settings.catalogue_place.exists() and not (settings.data_dir / "index").exists()
        assert parts == [[LIST]]
        assert ready.taken_up(other_machine(first, "owner/things")).corpus == "things" and len(parts) == 3

    def test_a_catalogue_that_is_there_stays(self, first, published, caplog):
        settings = other_machine(first, published)
        settings.data_dir.mkdir()
        Catalogue(settings.catalogue_place).close()
        assert ready.taken_up(settings) is settings
        assert "is not taken up" in caplog.text
        with closing(Catalogue(settings.catalogue_place)) as there:
            assert there.corpora() == []

    def test_a_stop_before_the_end_is_as_if_nothing_had_been(self, first, published, monkeypatch):
        settings = other_machine(first, published)
        monkeypatch.setattr(ready.os, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ready.taken_up(settings)
        monkeypatch.undo()
        assert ready.taken_up(settings).corpus == "things"
        with closing(Catalogue(settings.catalogue_place)) as taken:
            assert not check_indexes(taken, settings.data_dir)

    def test_two_programs_that_begin_together(self, first, published, monkeypatch):
        settings, taken, made = other_machine(first, published), [], []
        wait_of_first = threading.Event()
        make = ready.make_catalogue

        def slowly(*how):
            made.append(how)
            wait_of_first.wait(60)
            make(*how)

        monkeypatch.setattr(ready, "make_catalogue", slowly)
        both = [threading.Thread(target=lambda: taken.append(ready.taken_up(settings).corpus)) for _ in range(2)]
        for thread in both:
            thread.start()
        wait_for(lambda: made)
        wait_of_first.set()
        for thread in both:
            thread.join()
        assert taken == ["things", "things"] and len(made) == 1


class TestRefused:
    def test_another_encoder(self, first, published):
        settings = ready.taken_up(other_machine(first, published))
        with pytest.raises(BadRequest, match=r"another encoder \(the profile mini, small-1\) than mini \(new\)"):
            ready.check_encoder(settings, "new")
        ready.check_encoder(settings, "small-1")

    def test_another_profile_before_anything_is_loaded(self, first, published):
        with pytest.raises(BadRequest, match="made by the profile mini, and flmr is set"):
            ready.taken_up(other_machine(first, published, profile="flmr"))
        assert not (first / "elsewhere" / "catalogue.sqlite").exists()

    @pytest.mark.parametrize("cut", [True, False])
    def test_a_file_that_is_cut_short_or_changed(self, first, published, cut):
        file = next((published / INDEXES).rglob("segment*"))
        content = file.read_bytes()
        file.unlink()  # it is shared with the index that it came from
        file.write_bytes(content[:-1] if cut else content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(Problem, match=f"{file.name} in .* is cut short or was changed"):
            ready.taken_up(other_machine(first, published))

    def test_a_file_that_is_missing(self, first, published):
        (published / ROWS).unlink()
        with pytest.raises(Problem, match="catalogue.sqlite is missing"):
            ready.taken_up(other_machine(first, published))

    @pytest.mark.parametrize("place", ["../outside.bin", "/tmp/outside", "index/../../x/y.bin", "hooks/run.sh", "a\\b"])
    def test_a_list_that_leads_elsewhere(self, first, published, place):
        sealed_anew(published, lambda about: about["files"].update({place: {"size": 1, "sha256": "0"}}))
        with pytest.raises(Problem, match=f"{re.escape(place)}, which (is no part of one|is no path within it)"):
            ready.taken_up(other_machine(first, published))

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda about: about.update(version=99), "made by a newer version"),
            (lambda about: about.update(format="other"), "no list of its files"),
            (lambda about: about.update(corpora=[]), "does not say what it holds"),
            (lambda about: about["corpora"][0].update(index="../../x"), "does not say what it holds"),
            (lambda about: about.pop("profile"), "does not say what it holds"),
        ],
    )
    def test_a_list_that_is_none(self, first, published, change, told):
        sealed_anew(published, change)
        with pytest.raises(Problem, match=told):
            ready.taken_up(other_machine(first, published))

    def test_rows_that_run_something(self, first, published):
        with sqlite3.connect(published / ROWS) as rows:
            rows.execute("ALTER TABLE passage RENAME TO other")
            rows.execute("CREATE VIEW passage AS SELECT * FROM other")
        rows.close()
        sealed_anew(published)
        with pytest.raises(Problem, match="has more than rows in it"):
            ready.taken_up(other_machine(first, published))

    def test_accounts_that_somebody_put_there_do_not_come_along(self, first, published):
        with sqlite3.connect(published / ROWS) as rows:
            rows.execute("CREATE TABLE annotation_person (id INTEGER, name TEXT)")
            rows.execute("INSERT INTO annotation_person VALUES (1, 'intruder')")
        rows.close()
        sealed_anew(published)
        settings = ready.taken_up(other_machine(first, published))
        with sqlite3.connect(settings.catalogue_place) as taken:
            assert taken.execute("SELECT count(*) FROM annotation_person").fetchone() == (0,)

    def test_a_database_elsewhere(self, first, published):
        with pytest.raises(BadRequest, match="unset CITESIGHT_DATABASE_URL"):
            ready.taken_up(other_machine(first, published, database_url=sqlite(first / "own.sqlite")))

    def test_what_is_there_nowhere(self, first):
        with pytest.raises(Problem, match=f"There is no folder {first}/nowhere; check the path"):
            ready.taken_up(other_machine(first, first / "nowhere"))


class TestPublishing:
    def test_it_says_what_it_is_and_nothing_of_this_machine(self, first, published):
        about = json.loads((published / LIST).read_text())
        assert (about["profile"], about["fingerprint"]) == ("mini", "small-1")
        assert [(each["called"], each["documents"]) for each in about["corpora"]] == [("things", len(ARTICLES))]
        assert "things" in (published / CARD).read_text()
        for file in published.rglob("*"):
            assert file.is_dir() or str(first).encode() not in file.read_bytes()

    def test_of_a_folder_with_pictures_the_pictures_come_along(self, first, catalogue, published):
        kept = Pictures(first / "pictures")
        picture = kept.keep(_png())
        with catalogue.database.writing() as session:
            session.connection().exec_driver_sql(
                "INSERT INTO picture SELECT id, 0, 'a', '', '', '', '', ?, 1, 1 FROM document LIMIT 1",
                (picture.content_hash,),
            )
        written(catalogue, first, "with pictures")
        settings = ready.taken_up(other_machine(first, first / "with pictures"))
        assert Pictures(settings.pictures_dir).is_whole(picture.content_hash)
        assert (first / "with pictures" / PICTURES).is_dir()

    def test_nothing_is_written_over(self, first, catalogue, published):
        with pytest.raises(BadRequest, match="There is a .* already"):
            written(catalogue, first)

    def test_a_corpus_that_is_not_there_or_has_no_index(self, first, catalogue, monkeypatch):
        with pytest.raises(BadRequest, match="no corpus called 'nothing'"):
            written(catalogue, first, "ready", "nothing")
        fill(catalogue, monkeypatch, "others")
        with pytest.raises(BadRequest, match="no index of others by mini"):
            written(catalogue, first, "ready", "others")
        assert not (first / "ready").exists()

    def test_two_profiles(self, first, catalogue):
        with pytest.raises(BadRequest, match="one profile"):
            publish(catalogue, first, Pictures(first), Encoded("a+b", ""), ["things"], first / "ready")

    def test_while_others_write_rows_and_index_are_of_one_moment(self, first, catalogue, monkeypatch):
        """An index that changes between two looks is copied again, until it is the one that the rows are of."""
        looks, link = [], moments.link_index

        def changing(path: Path, copy: Path) -> int:
            if len(looks) < 2:
                looks.append(path)
                with services(first, catalogue) as build:
                    more = {f"Thing {len(looks)}": f"A thing that is number {len(looks)}."}
                    fill(catalogue, monkeypatch, articles={**ARTICLES, **more})
                    build().prepare(lambda status: None)
            return link(path, copy)

        monkeypatch.setattr(moments, "link_index", changing)
        with pytest.raises(BadRequest, match="A corpus changed meanwhile"):
            written(catalogue, first)
        written(catalogue, first)
        settings = ready.taken_up(other_machine(first, first / "ready"))
        with closing(Catalogue(settings.catalogue_place)) as taken:
            assert not check_indexes(taken, settings.data_dir)


class TestOnTheHub:
    @pytest.fixture
    def hub(self, monkeypatch, tmp_path) -> Iterator[HubServer]:
        with HubServer() as hub:
            (tmp_path / "uploads").mkdir()
            hub.uploads["owner/index"] = tmp_path / "uploads"
            monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
            monkeypatch.setenv("HF_TOKEN", hub.writes)
            # Its servers are no part of this one.
            monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
            yield hub

    def test_there_and_back(self, first, published, hub):
        page = upload_dataset(published, "owner/index", [f"{INDEXES}/*"])
        assert page.endswith("/datasets/owner/index")
        settings = ready.taken_up(other_machine(first, "owner/index"))
        with closing(Catalogue(settings.catalogue_place)) as taken:
            assert not check_indexes(taken, settings.data_dir)
            assert taken.count("things") == len(ARTICLES)

    def test_a_later_one_takes_the_place_of_the_one_before(self, first, published, hub):
        stale = hub.uploads["owner/index"] / INDEXES / "things" / "old" / "segment-1.bin"
        stale.parent.mkdir(parents=True)
        stale.write_bytes(b"old")
        upload_dataset(published, "owner/index", [f"{INDEXES}/*"])
        assert not stale.exists() and (hub.uploads["owner/index"] / LIST).exists()

    def test_a_download_that_breaks_off_goes_on(self, first, published, hub):
        upload_dataset(published, "owner/index", [])
        hub.drop(ROWS, after=1000, times=1)
        ready.taken_up(other_machine(first, "owner/index"))

    def test_without_the_right_to_write(self, first, published, hub, monkeypatch):
        monkeypatch.setenv("HF_TOKEN", "hf_other")
        with pytest.raises(BadRequest, match="does not let this token write to owner/index"):
            upload_dataset(published, "owner/index", [])
        monkeypatch.delenv("HF_TOKEN")
        monkeypatch.setenv("HF_HOME", str(first))
        with pytest.raises(BadRequest, match="set one as HF_TOKEN"):
            upload_dataset(published, "owner/index", [])


def _png() -> bytes:
    file = io.BytesIO()
    photo("red").save(file, "PNG")
    return file.getvalue()


def test_an_encoder_of_another_fingerprint_is_told_where_questions_are(first, catalogue, published):
    settings = ready.taken_up(other_machine(first, published))

    def answerers(shared, progress):
        ready.check_encoder(settings, shared.fingerprint)

    with closing(Catalogue(settings.catalogue_place)) as taken, services(settings.data_dir, taken) as build:
        one = build(SmallEncoder("small-2"))
        one._answerers_factory = answerers
        assert "made by another encoder" in one.prepare(lambda status: None).message
        assert "made by another encoder" in refused(one, photo("red"), QUESTION)


def test_commands(first, catalogue, monkeypatch, capsys):
    """`publish`, and what it answers to what makes no sense."""
    monkeypatch.setattr("app.service.assembly.load_encoder", lambda *_: SmallEncoder())
    monkeypatch.setattr("app.service.assembly.answerers_for", lambda *_: None)
    sentences = SimpleNamespace(embed_sentences=embed_sentences)
    monkeypatch.setattr("app.service.assembly.load_sentence_encoder", lambda *_: sentences)
    data = ["--data-dir", str(first)]
    assert retriever(["publish", str(first / "made"), "things", *data]) == 0
    assert "things: 4 documents, 4 passages" in capsys.readouterr().out
    assert ready.taken_up(other_machine(first, first / "made")).corpus == "things"
    assert retriever(["publish", str(first / "made"), "things", *data]) == 2
    assert "already" in capsys.readouterr().err
    assert retriever(["publish", "owner/name", "--private", *data]) == 2
    assert "add --hub" in capsys.readouterr().err
