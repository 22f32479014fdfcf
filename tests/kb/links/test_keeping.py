"""Answers under links: kept until their end, read and deleted by who has the keys, bounded for one and for all."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from common.problems import BadRequest, Problem
from kb.catalogue import clock
from kb.catalogue.database import Database
from kb.links import keeping
from kb.links.keeping import keep, linked, unlink
from kb.links.tables import LinkRow


@pytest.fixture
def database(url) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


def rows(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(LinkRow))


def test_what_is_kept_is_read_by_its_key_alone_and_deleted_with_the_other_one(database):
    link = keep(database, "1.2.3.4", '{"answer": "tall"}', b"jpeg", 90)
    assert len(link.key) == len(link.deletion) == 32 and link.key != link.deletion
    found = linked(database, link.key)
    assert (found.told, found.photo) == ('{"answer": "tall"}', b"jpeg") and found.until == link.until
    assert found.until - found.since == timedelta(days=90)
    assert linked(database, link.deletion) is None and linked(database, "0" * 32) is None
    for key, deletion in ((link.key, link.key), (link.key, "0" * 32), ("0" * 32, link.deletion)):
        assert not unlink(database, key, deletion)
    assert linked(database, link.key) is not None
    assert unlink(database, link.key, link.deletion) and linked(database, link.key) is None
    assert not unlink(database, link.key, link.deletion)


def test_the_database_has_neither_key_nor_who_it_was(database):
    link = keep(database, "1.2.3.4", "{}", None, 1)
    with database.reading() as session:
        row = session.scalar(select(LinkRow))
        said = f"{row.key} {row.deletion} {row.person}"
    assert not any(each in said for each in (link.key, link.deletion, "1.2.3.4"))


def test_it_ends_when_its_time_is_over_and_goes_when_another_is_kept(database, monkeypatch):
    first = keep(database, "me", "{}", None, 7)
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda session: now(session) + timedelta(days=6, hours=23))
    assert linked(database, first.key) is not None
    monkeypatch.setattr(clock, "now", lambda session: now(session) + timedelta(days=7, seconds=1))
    assert linked(database, first.key) is None and rows(database) == 1
    keep(database, "me", "{}", None, 7)
    assert rows(database) == 1


def test_one_person_can_keep_so_many_and_so_much_and_others_still_can(database, monkeypatch):
    monkeypatch.setattr(keeping, "EACH", 2)
    first = keep(database, "me", "{}", None, 1)
    keep(database, "me", "{}", None, 1)
    with pytest.raises(BadRequest, match="delete some"):
        keep(database, "me", "{}", None, 1)
    keep(database, "you", "{}", None, 1)
    assert unlink(database, first.key, first.deletion)
    keep(database, "me", "{}", None, 1)
    monkeypatch.setattr(keeping, "EACH", 9)
    monkeypatch.setattr(keeping, "EACH_BYTES", 100)
    with pytest.raises(BadRequest, match="delete some"):
        keep(database, "me", "x" * 97, None, 1)
    keep(database, "me", "x" * 96, None, 1)


def test_all_together_have_a_limit_too_and_one_answer_has(database, monkeypatch):
    monkeypatch.setattr(keeping, "ALL_BYTES", 50)
    keep(database, "me", "x" * 40, None, 1)
    with pytest.raises(Problem, match="no room"):
        keep(database, "you", "x" * 11, None, 1)
    monkeypatch.setattr(keeping, "ONE", 5)
    with pytest.raises(BadRequest, match="too long"):
        keep(database, "you", "éé", b"xx", 1)


def test_links_made_at_once_count_one_another(database, monkeypatch):
    monkeypatch.setattr(keeping, "EACH", 3)

    def one(_: int) -> bool:
        try:
            keep(database, "me", "{}", None, 1)
        except BadRequest:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(one, range(12))) == 3
    assert rows(database) == 3
