"""Keys: made once, known by their hash, refused when revoked or over, in both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from common.problems import BadRequest
from kb.catalogue.database import Database
from kb.keys.keys import MARK, add_key, key_of, keys, revoke
from kb.keys.records import BadKey, Right
from kb.keys.tables import KeyRow


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    one = Database(url)
    yield one
    one.close()


def test_a_key_is_told_once_and_known_again(database: Database) -> None:
    token, made = add_key(database, "bot", ["ask", "retrieve"], days=3)
    assert token.startswith(MARK) and len(token) > 40 and token.startswith(made.prefix) and len(made.prefix) < 12
    found = key_of(database, token)
    assert found.rights == {Right.ASK, Right.RETRIEVE} and found.name == "bot" and found.used is None
    assert key_of(database, token).used == datetime.now(UTC).date()
    assert timedelta(days=2) < found.until - datetime.now(UTC) <= timedelta(days=3)
    with database.reading() as session:
        [row] = session.scalars(select(KeyRow))
        assert all(token not in str(value) for value in vars(row).values())


@pytest.mark.parametrize("token", ["", "cs_", "x" * 500, "é", "cs_" + "A" * 43])
def test_what_is_no_key(database: Database, token: str) -> None:
    add_key(database, "bot", ["ask"])
    with pytest.raises(BadKey, match="no such key"):
        key_of(database, token)


def test_what_is_none_any_more(database: Database) -> None:
    token, _ = add_key(database, "bot", ["ask"])
    late, _ = add_key(database, "late", ["ask"], days=1)
    revoke(database, "bot")
    with pytest.raises(BadKey, match="bot was revoked"):
        key_of(database, token)
    with database.writing() as session:
        session.execute(update(KeyRow).where(KeyRow.name == "late").values(until=datetime.now(UTC)))
    with pytest.raises(BadKey, match="late ended on"):
        key_of(database, late)
    with pytest.raises(BadRequest, match="revoked already"):
        revoke(database, "bot")
    assert [(each.name, each.ended) for each in keys(database)] == [("bot", False), ("late", True)]
    add_key(database, "late", ["ask"], days=1)
    assert [each.ended for each in keys(database)] == [False, False]
    again, _ = add_key(database, "bot", ["retrieve"])  # the name is free again, the old key is not
    assert key_of(database, again).rights == {Right.RETRIEVE}
    with pytest.raises(BadKey):
        key_of(database, token)
    assert [(each.name, each.revoked) for each in keys(database)] == [("bot", None), ("late", None)]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("a b", ["ask"]), "cannot be called"), (("bot", []), "needs a right"), (("bot", ["all"]), "no right 'all'"),
        (("bot", ["ask"], 0), "1 to"), (("bot", ["judge"]), "one person"),
        (("bot", ["ask"], None, "anna"), "one person"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_key(database: Database, given: tuple, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        add_key(database, *given)


def test_a_name_is_taken(database: Database) -> None:
    add_key(database, "bot", ["ask"])
    with pytest.raises(BadRequest, match="already"):
        add_key(database, "bot", ["ask"])
