"""`python -m app keys`: a key is told once, on standard output alone, and listed without what it is."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from app.commands.app import main
from kb.annotations.people import add_person
from kb.catalogue.database import Database
from kb.keys.keys import key_of
from kb.keys.records import BadKey, Right
from kb.keys.tables import KeyRow


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def command(*words: str) -> tuple[int, str, str]:
        code = main(["keys", *words, "--data-dir", str(tmp_path)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


def test_a_key_is_made_listed_and_revoked(run, tmp_path: Path) -> None:
    code, out, err = run("add", "bot", "--days", "30")
    token = out.strip()
    assert code == 0 and len(out.splitlines()) == 1 and token not in err
    with closing(Database(tmp_path / "catalogue.sqlite")) as database:
        assert key_of(database, token).rights == {Right.ASK, Right.RETRIEVE}
        add_person(database, "anna")
        assert run("add", "annas", "--rights", "judge, retrieve", "--person", "anna")[0] == 0
        listed = run("list")[1]
        assert token not in listed and token[:9] in listed and "judge,retrieve" in listed and "anna" in listed
        assert "ended" not in listed
        with database.writing() as session:
            session.execute(update(KeyRow).where(KeyRow.name == "bot").values(until=datetime(2026, 1, 2, tzinfo=UTC)))
        assert "ended 2026-01-02" in run("list")[1]
        assert run("revoke", "bot")[0] == 0 and "revoked" in run("list")[1]
        with pytest.raises(BadKey):
            key_of(database, token)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("add", "a b"), "cannot be called"), (("add", "bot", "--rights", "all"), "There is no right 'all'"),
        (("add", "bot", "--rights", "judge", "--person", "nobody"), "Nobody called nobody judges here"),
        (("add", "bot", "--rights", "judge"), "for one person"), (("add", "bot", "--days", "0"), "1 to"),
        (("revoke", "bot"), "There is no key called 'bot'"),
    ],
)  # fmt: skip
def test_what_is_asked_wrongly_is_a_sentence(run, words: tuple[str, ...], sentence: str) -> None:
    code, out, err = run(*words)
    assert code == 2 and sentence in err and not out
