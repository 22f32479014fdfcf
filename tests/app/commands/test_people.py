"""The commands `python -m app people ...`: who can sign in, and that codes stand on standard output alone."""

from __future__ import annotations

import pytest

from app.commands.app import main
from app.settings import load_settings
from kb.annotations.people import add_person
from kb.annotations.signing_in import accept, person_signed_in, sign_in
from kb.catalogue.database import Database
from tests.support.annotations import hash_quickly

pytestmark = pytest.mark.usefixtures("plain_surroundings")
PASSWORD = "correct horse"


@pytest.fixture
def command(capsys, monkeypatch):
    """Run a command; (exit code, stdout, stderr)."""
    hash_quickly(monkeypatch)

    def run(*argv: str) -> tuple[int, str, str]:
        code = main(["people", *argv])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def database(plain_surroundings):
    opened = Database(load_settings().catalogue_place)
    yield opened
    opened.close()


def test_somebody_invited_signs_in_and_is_removed(command, database, caplog):
    code, out, err = command("invite", "zoe", "--role", "owner")
    assert code == 0 and out.startswith("zoe can choose a password as owner until 20")
    invitation = out.splitlines()[1].split()[1]
    assert out.splitlines()[2] == f"link  http://127.0.0.1:7860/?invitation={invitation}#annotate"
    assert invitation not in err + caplog.text and "http://127.0.0.1:7860" in err
    first = accept(database, invitation, PASSWORD)
    sign_in(database, "zoe", PASSWORD)
    command("invite", "ann")
    add_person(database, "bob")
    lines = [line.split() for line in command("list")[1].splitlines()]
    assert lines[0] == ["person", "role", "password", "invitation"]
    assert [line[:4] for line in lines[1:]] == [
        ["ann", "annotator", "no", "until"], ["bob", "annotator", "no"], ["zoe", "owner", "yes"],
    ]  # fmt: skip
    assert command("sign-out", "zoe")[1] == "zoe: 2 sessions ended\n" and person_signed_in(database, first) is None
    assert command("role", "ann", "adjudicator")[1] == "ann: adjudicator from now on\n"
    for argv in (("remove", "zoe"), ("role", "zoe", "annotator")):
        code, out, err = command(*argv)
        assert (code, out) == (2, "") and err.startswith("error: zoe is the last owner who can sign in")
    assert command("remove", "ann")[1] == "ann judges no more and is signed out; what was judged stays\n"
    assert "adjudicator" not in command("list")[1]


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("invite", "a b"), "cannot be called"),
        (("remove", "eve"), "no person called eve"),
        (("role", "eve", "owner"), "no person called eve"),
        (("sign-out", "eve"), "no person called eve"),
    ],
)
def test_what_is_refused_is_one_sentence(command, argv, sentence):
    code, out, err = command(*argv)
    assert (code, out) == (2, "") and err.startswith("error: ") and sentence in err and len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("2001:db8::1", "http://[2001:db8::1]:8000"),
        ("name.example", "http://name.example:8000"),
    ],
)
def test_the_link_leads_to_where_the_page_listens(command, monkeypatch, host, address):
    monkeypatch.setenv("CITESIGHT_HOST", host)
    monkeypatch.setenv("CITESIGHT_PORT", "8000")
    assert f"link  {address}/?invitation=" in command("invite", "ann")[1]
