"""A backup, taken while others write, and what is made of it again."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from app.commands.kb import main as kb
from app.service.backup import FORMAT, LIST, back_up, bring_back
from app.service.index_check import check_indexes
from app.service.publishing import Encoded, publish
from app.settings import Settings, load_settings
from common.problems import BadRequest, Problem
from common.sealed_folders import seal
from kb.catalogue import Catalogue
from kb.catalogue import backup as copies
from kb.catalogue.checking import check
from kb.catalogue.indexed import records
from kb.pictures import Pictures
from retriever.index import LateInteractionIndex
from retriever.index.centroids import shared
from retriever.sharding.publishing import create
from tests.fakes.small_encoder import ARTICLES, SmallEncoder
from tests.support.databases import postgresql
from tests.support.service import fill, photo, services
from tests.support.waiting import wait_for

QUESTION = "How much does this fruit weigh?"


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request, plain_surroundings, tmp_path) -> Iterator[tuple[Settings, Settings]]:
    """Of one machine and of another, which has nothing."""
    folders = {"data_dir": tmp_path / "data"}, {"data_dir": tmp_path / "other"}
    if request.param == "sqlite":
        yield tuple(load_settings(**each) for each in folders)
        return
    if shutil.which("pg_dump") is None:
        pytest.skip("pg_dump is not installed, so no backup of PostgreSQL can be tried")
    with postgresql() as one, postgresql(bare=True) as other:
        yield tuple(load_settings(**each, database_url=url) for each, url in zip(folders, (one, other), strict=True))


@pytest.fixture
def machine(places, monkeypatch) -> Iterator[tuple[Settings, Catalogue]]:
    """One with an index of `things`."""
    settings = places[0]
    settings.data_dir.mkdir()
    with closing(Catalogue(settings.catalogue_place)) as catalogue:
        fill(catalogue, monkeypatch)
        with services(settings.data_dir, catalogue) as build:
            assert build().prepare(lambda status: None).state == "ready"
        yield settings, catalogue


def test_another_machine_answers_from_it(machine, places, tmp_path):
    settings, catalogue = machine
    passing = ["annotations/photos/.lock", "uploads/things/.y.txt.part"]
    for name in ("pictures/ab/x.jpg", "annotations/photos/y", "uploads/things/z.txt", "cache/w", *passing):
        file = settings.data_dir / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    done = back_up(catalogue, settings, tmp_path / "backup")
    assert len(done.indexes) == 1 and not done.left_out
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0
    for name in passing:
        assert not (tmp_path / "backup" / name).exists()
        (tmp_path / "backup" / name).touch()  # as those have it that were made before
    seal(tmp_path / "backup", LIST, {"format": FORMAT, "version": 1})
    other = places[1]
    bring_back(tmp_path / "backup", other)
    assert (other.data_dir / "uploads/things/z.txt").read_text() == "uploads/things/z.txt"
    assert (other.data_dir / "annotations/photos/y").exists() and not (other.data_dir / "cache").exists()
    assert not any((other.data_dir / name).exists() for name in passing)  # two data folders would have one lock
    third = load_settings(data_dir=tmp_path / "third", database_url=other.database_url)
    if other.database_url:
        with pytest.raises(BadRequest, match="has tables already"):
            bring_back(tmp_path / "backup", third)
        assert not third.data_dir.exists()
    with closing(Catalogue(other.catalogue_place)) as restored, services(other.data_dir, restored) as build:
        assert not check(restored) and not check_indexes(restored, other.data_dir)
        one = build()
        assert one.prepare(lambda status: None).state == "ready"
        assert "8 grams" in one.ask_once(photo("red"), QUESTION).answer.text


def test_while_others_write_catalogue_and_index_agree(machine, places, tmp_path, monkeypatch):
    settings, catalogue = machine
    over, rounds, failed = threading.Event(), [], []

    def write() -> None:
        try:
            while not over.is_set():
                changed = {"Cherry": f"A cherry is a small red fruit, number {len(rounds)} of them."}
                more = {f"Thing {len(rounds)}": f"A thing that is number {len(rounds)}."}
                fill(catalogue, monkeypatch, articles={**ARTICLES, **changed, **more})
                with services(settings.data_dir, catalogue) as build:
                    build().prepare(lambda status: None)
                rounds.append(1)
        except BaseException as problem:
            failed.append(problem)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            wait_for(lambda number=number: failed or len(rounds) > number)
            back_up(catalogue, settings, tmp_path / f"backup {number}")
    finally:
        over.set()
        writer.join()
    assert not failed
    if settings.database_url:
        bring_back(tmp_path / "backup 2", places[1])
        restored = [places[1]]
    else:
        restored = [load_settings(data_dir=tmp_path / f"restored {number}") for number in range(3)]
        for number, each in enumerate(restored):
            bring_back(tmp_path / f"backup {number}", each)
    for each in restored:
        with closing(Catalogue(each.catalogue_place)) as found:
            assert not check(found)
            # The last passages may not be remembered yet; what is remembered is in the index as it is remembered.
            assert all("that nobody remembers" in fault.what for fault in check_indexes(found, each.data_dir))
            assert_vectors_are_of_the_texts(found, each.data_dir)


def filled(disk: Path, source: Path, target: Path) -> None:
    """link_or_copy() and its like where what is below `disk` is full when a file has been begun."""
    if target.is_relative_to(disk):
        target.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    shutil.copyfile(source, target)


def assert_vectors_are_of_the_texts(catalogue: Catalogue, data_dir: Path) -> None:
    [record] = records(catalogue)
    index, now = LateInteractionIndex.open(data_dir / "index" / record.name), dict(record.entries())
    passages = [each for page in catalogue.stream("things") for each in page if now.get(each.id) == each.content_hash]
    assert len(passages) >= len(ARTICLES)
    for passage, vectors in zip(passages, SmallEncoder().encode_passages(passages), strict=True):
        assert np.allclose(index.vectors(passage.id), vectors, atol=0.01), passage.id


class TestRefused:
    @pytest.fixture
    def places(self, plain_surroundings, tmp_path) -> tuple[Settings, Settings]:
        return load_settings(data_dir=tmp_path / "data"), load_settings(data_dir=tmp_path / "other")

    @pytest.fixture
    def made(self, machine, tmp_path) -> Path:
        settings, catalogue = machine
        back_up(catalogue, settings, tmp_path / "backup")
        return tmp_path / "backup"

    def test_where_something_is(self, machine, made):
        settings, catalogue = machine
        with pytest.raises(BadRequest, match="already"):
            bring_back(made, settings)
        with pytest.raises(BadRequest, match="already"):
            back_up(catalogue, settings, made)

    def test_into_the_data_folder(self, machine):
        settings, catalogue = machine
        with pytest.raises(BadRequest, match="would lie in the data folder"):
            back_up(catalogue, settings, settings.data_dir / "backup")

    def test_a_full_disk(self, machine, tmp_path, monkeypatch):
        settings, catalogue = machine
        for where in (settings.data_dir, tmp_path / ".backup.part"):
            told = f"The disk is full: nothing more fits under {where};"
            monkeypatch.setattr("retriever.index.linking.link_or_copy", partial(filled, where))
            with pytest.raises(Problem, match=re.escape(told)):
                back_up(catalogue, settings, tmp_path / "backup")
            assert not (tmp_path / "backup").exists() and not list(settings.data_dir.glob(".moment-*"))

    @pytest.mark.parametrize("there", [False, True])
    @pytest.mark.parametrize("fails", ["app.service.backup.link_or_copy", "app.service.backup.restore"])
    def test_a_restore_that_fails_leaves_all_as_it_was(self, places, made, there, fails, monkeypatch):
        other = places[1]
        if there:
            (other.data_dir / "cache").mkdir(parents=True)
        with monkeypatch.context() as patched, pytest.raises(Problem, match="The disk is full: nothing more fits"):
            patched.setattr(fails, partial(filled, other.data_dir))
            bring_back(made, other)
        assert other.data_dir.exists() == there
        assert [each.name for each in other.data_dir.glob("*")] == ["cache"] * there
        bring_back(made, other)
        assert other.catalogue_place.exists() and not list(other.data_dir.glob(".*"))

    def test_what_cannot_be_put_in_its_place_is_taken_away(self, places, made, monkeypatch):
        rename = Path.rename

        def last(path: Path, target: Path) -> Path:
            if path.suffix == ".sqlite":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return rename(path, target)

        with monkeypatch.context() as patched, pytest.raises(Problem, match="The disk is full"):
            patched.setattr(Path, "rename", last)
            bring_back(made, places[1])
        assert not places[1].data_dir.exists()
        bring_back(made, places[1])

    def test_what_is_damaged_or_no_backup(self, places, made, tmp_path):
        with pytest.raises(Problem, match="no list of its files"):
            bring_back(tmp_path, places[1])
        content = (made / "catalogue.sqlite").read_bytes()
        (made / "catalogue.sqlite").write_bytes(content[:-100])
        with pytest.raises(Problem, match="catalogue.sqlite in .* is cut short"):
            bring_back(made, places[1])
        (made / "catalogue.sqlite").unlink()
        with pytest.raises(Problem, match="catalogue.sqlite is missing"):
            bring_back(made, places[1])
        (made / LIST).write_text(json.dumps({"format": FORMAT, "version": 9, "files": {}}))
        with pytest.raises(Problem, match="newer version"):
            bring_back(made, places[1])
        assert not places[1].data_dir.exists()

    def test_into_a_database_of_another_kind(self, made, tmp_path):
        url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
        with pytest.raises(BadRequest, match="restore it without a database URL"):
            bring_back(made, load_settings(data_dir=tmp_path / "third", database_url=url))
        with pytest.raises(BadRequest, match="give the URL of an empty database"):
            copies.restore(made / copies.POSTGRESQL, tmp_path / "x.sqlite")
        with pytest.raises(Problem, match="cannot be used"):
            copies.restore(made / copies.POSTGRESQL, url)

    def test_an_index_that_cannot_be_read_is_left_out_and_told(self, machine, tmp_path, capsys):
        settings, _ = machine
        [manifest] = settings.data_dir.rglob("manifest.json")
        manifest.write_text("{}")
        assert kb(["--data-dir", str(settings.data_dir), "backup", str(tmp_path / "backup")]) == 0
        said = capsys.readouterr()
        assert "cannot be read and is left out" in said.err and "and 0 indexes" in said.out


    def test_an_index_in_shards_is_left_out_and_told(self, machine, tmp_path):
        settings, catalogue = machine
        [manifest] = settings.data_dir.rglob("manifest.json")
        path = manifest.parent
        shutil.rmtree(path)
        codebook = shared(128, None, np.random.default_rng(0).standard_normal((40, 128)), 40)
        create(path, 128, "small-1", 4, codebook, 2)
        [told] = back_up(catalogue, settings, tmp_path / "backup").left_out
        assert "lies in shards and is left out" in told
        how = (catalogue, settings.data_dir, Pictures(settings.pictures_dir), Encoded("mini", "small-1"), ["things"])
        with pytest.raises(BadRequest, match="a ready index is in one piece"):
            publish(*how, tmp_path / "ready")


def test_the_password_is_no_argument(monkeypatch):
    seen = []

    def run(command, env, **_):
        seen.append((command, env))
        raise FileNotFoundError

    monkeypatch.setattr(copies.subprocess, "run", run)
    with pytest.raises(BadRequest, match="pg_dump is not installed"):
        copies._run("pg_dump", copies.make_url("postgresql+psycopg://me:hush@127.0.0.1/base"))
    [(command, environment)] = seen
    assert "hush" not in " ".join(command) and environment["PGPASSWORD"] == "hush"


def test_commands(plain_surroundings, tmp_path, monkeypatch, capsys):
    data = ["--data-dir", str(tmp_path / "data")]
    with closing(Catalogue(load_settings(data_dir=tmp_path / "data").catalogue_place)) as catalogue:
        fill(catalogue, monkeypatch)
    assert kb([*data, "backup", str(tmp_path / "backup")]) == 0
    assert kb(["--data-dir", str(tmp_path / "other"), "restore", str(tmp_path / "backup")]) == 0
    capsys.readouterr()
    assert kb(["--data-dir", str(tmp_path / "other"), "stats"]) == 0
    assert "things" in capsys.readouterr().out
    assert kb([*data, "restore", str(tmp_path / "backup")]) == 2
    assert "already" in capsys.readouterr().err
