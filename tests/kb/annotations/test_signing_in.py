"""Signing in to annotate: invitations used once, passwords, sessions that end, waits after wrong passwords."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher
from sqlalchemy import event, func, select, text, update

from common.problems import BadRequest, Problem
from kb.annotations import attempts, passwords, signing_in, tables
from kb.annotations.exporting import export_lines
from kb.annotations.importing import import_project
from kb.annotations.judging import judge
from kb.annotations.people import add_person, change_role, people, remove_person
from kb.annotations.signing_in import (
    accept,
    accounts,
    change_password,
    invite,
    invited,
    person_signed_in,
    sign_in,
    sign_out,
    sign_out_everywhere,
    signing_in_needed,
)
from kb.catalogue.database import Database
from tests.support.annotations import check, project

PASSWORD, OTHER = "correct horse", "battery staple"
WRONG = "The name or the password is wrong"
SPENT = "This invitation was used already, or is too old, or there is none like it; ask .* for another"
DAY = 24 * 60  # minutes

pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def ann(database):
    """A database in which ann has a password and zoe, who owns, another."""
    for name, role in (("ann", "annotator"), ("zoe", "owner")):
        accept(database, invite(database, name, role), PASSWORD)
    return database


def name_of(database, token) -> str | None:
    person = person_signed_in(database, token)
    return person and person.name


def rows(database, row) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(row))


def everything(database) -> str:
    """All that is kept of people, as text."""
    kept = []
    with database.reading() as session:
        for table in tables.Base.metadata.tables.values():
            if table.name.startswith("annotation_"):
                kept += [repr(row) for row in session.execute(select(table))]
    return "\n".join(kept)


def fail(database, name="ann", times=attempts.FREE_FAILURES) -> None:
    for _ in range(times):
        with pytest.raises(BadRequest, match=WRONG):
            sign_in(database, name, "wrong password")


def test_from_an_invitation_to_the_end_of_a_session(database):
    assert not signing_in_needed(database)
    code = invite(database, "ann", "adjudicator")
    assert signing_in_needed(database) and len(code) >= 22
    assert (invited(database, code).name, invited(database, code).role) == ("ann", "adjudicator")
    token = accept(database, code, PASSWORD)
    assert signing_in_needed(database) and name_of(database, token) == "ann"
    assert person_signed_in(database, token).role == "adjudicator"
    for use in (lambda: invited(database, code), lambda: accept(database, code, OTHER)):
        with pytest.raises(BadRequest, match=SPENT):
            use()
    another = sign_in(database, "ann", PASSWORD)
    assert len({token, another}) == 2
    sign_out(database, token)
    sign_out(database, token)
    assert [name_of(database, each) for each in (token, another)] == [None, "ann"]
    kept = everything(database)
    assert not [secret for secret in (code, token, another, PASSWORD) if secret in kept] and "$argon2id$" in kept


def test_a_later_invitation_makes_earlier_ones_void_and_keeps_role_and_password(ann):
    session = sign_in(ann, "zoe", PASSWORD)
    first, second = invite(ann, "zoe"), invite(ann, "zoe", "owner")
    with pytest.raises(BadRequest, match=SPENT):
        accept(ann, first, OTHER)
    with pytest.raises(BadRequest, match="ann is an annotator; to change that: python -m app people role ann owner"):
        invite(ann, "ann", "owner")
    assert name_of(ann, session) == name_of(ann, sign_in(ann, "zoe", PASSWORD)) == "zoe"
    token = accept(ann, second, OTHER)
    assert name_of(ann, session) is None and person_signed_in(ann, token).role == "owner"
    with pytest.raises(BadRequest, match=WRONG):
        sign_in(ann, "zoe", PASSWORD)


def test_an_invitation_is_open_for_a_week_and_what_it_shut_stays_shut(database, later):
    code = invite(database, "ann")
    later(7 * DAY - 1)
    assert invited(database, code).name == "ann" and accounts(database)[0].open
    later(2)
    for use in (lambda: invited(database, code), lambda: accept(database, code, PASSWORD)):
        with pytest.raises(BadRequest, match=SPENT):
            use()
    assert signing_in_needed(database)
    account = accounts(database)[0]
    assert account.invited_until is not None and not account.open and not account.has_password
    assert name_of(database, accept(database, invite(database, "ann"), PASSWORD)) == "ann"
    assert [each.invited_until for each in accounts(database)] == [None]


def test_of_fifty_who_use_a_code_at_once_one_is_let_in(database):
    code = invite(database, "ann")
    together = threading.Barrier(50)

    def use(number: int) -> str | None:
        together.wait()
        try:
            return accept(database, code, f"{PASSWORD} {number}")
        except BadRequest as problem:
            assert "This invitation was used already" in str(problem)
            return None

    with ThreadPoolExecutor(50) as pool:
        tokens = list(pool.map(use, range(50)))
    won = [number for number, token in enumerate(tokens) if token]
    assert len(won) == 1 and name_of(database, tokens[won[0]]) == "ann" and rows(database, tables.SessionRow) == 1
    sign_in(database, "ann", f"{PASSWORD} {won[0]}")


def test_two_who_invite_the_same_stranger_at_once_leave_one_code(database):
    together = threading.Barrier(8)

    def work(_: int) -> str:
        together.wait()
        return invite(database, "ann")

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(work, range(8)))
    usable = []
    for code in codes:
        try:
            usable.append(invited(database, code).name)
        except BadRequest:
            pass
    assert usable == ["ann"] and [each.name for each in people(database)] == ["ann"]


def test_a_session_lasts_thirty_days_from_its_last_use_and_reading_seldom_writes(ann, later):
    token, left_alone = sign_in(ann, "ann", PASSWORD), sign_in(ann, "ann", PASSWORD)
    said = []
    event.listen(ann.engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    for _ in range(5):
        assert name_of(ann, token) == "ann"
    assert said and not [each for each in said if each.startswith(("UPDATE", "INSERT", "DELETE"))]
    for _ in range(3):
        later(20 * DAY)
        assert name_of(ann, token) == "ann"
    assert name_of(ann, left_alone) is None
    later(31 * DAY)
    assert name_of(ann, token) is None
    later(-31 * DAY)
    assert name_of(ann, token) is None  # it stays over


def test_old_sessions_do_not_pile_up(ann, later):
    for _ in range(3):
        sign_in(ann, "ann", PASSWORD)
    later(31 * DAY)
    sign_in(ann, "ann", PASSWORD)
    assert rows(ann, tables.SessionRow) == 1


def test_a_clock_that_goes_backwards_locks_nobody_out(ann, later):
    token = sign_in(ann, "ann", PASSWORD)
    fail(ann)
    later(-400 * DAY)
    assert name_of(ann, token) == "ann"
    with pytest.raises(Problem, match="wait 30 seconds"):
        sign_in(ann, "ann", PASSWORD)
    later(1)
    assert name_of(ann, sign_in(ann, "ann", PASSWORD)) == "ann"
    later(31 * DAY)
    assert name_of(ann, token) is None  # counted from when the clock was put back


def test_changing_the_password_ends_all_sessions(ann):
    before = [sign_in(ann, "ann", PASSWORD), sign_in(ann, "ann", PASSWORD), sign_in(ann, "zoe", PASSWORD)]
    with pytest.raises(BadRequest, match=WRONG):
        change_password(ann, "ann", OTHER, OTHER)
    with pytest.raises(BadRequest, match="between 10 and 200"):
        change_password(ann, "ann", PASSWORD, "short")
    token = change_password(ann, "ann", PASSWORD, OTHER)
    assert [name_of(ann, each) for each in (*before, token)] == [None, None, "zoe", "ann"]
    with pytest.raises(BadRequest, match=WRONG):
        sign_in(ann, "ann", PASSWORD)
    assert sign_in(ann, "ann", OTHER)


def test_of_two_who_change_a_password_at_once_one_succeeds(ann):
    together = threading.Barrier(8)

    def work(number: int) -> str | None:
        together.wait()
        try:
            return change_password(ann, "zoe", PASSWORD, f"{OTHER} {number}")
        except Problem:  # wrong by then, or so many at once that they have to wait
            return None

    with ThreadPoolExecutor(8) as pool:
        tokens = [each for each in pool.map(work, range(8)) if each]
    assert len(tokens) == 1 and name_of(ann, tokens[0]) == "zoe"


def test_who_is_removed_is_out_and_comes_back_with_an_invitation_only(ann, later):
    token, code = sign_in(ann, "ann", PASSWORD), invite(ann, "ann")
    remove_person(ann, "ann")
    assert name_of(ann, token) is None
    with pytest.raises(BadRequest, match=SPENT):
        accept(ann, code, PASSWORD)
    with pytest.raises(BadRequest, match=WRONG):
        sign_in(ann, "ann", PASSWORD)
    with pytest.raises(BadRequest, match="no person called ann"):
        sign_out_everywhere(ann, "ann")
    add_person(ann, "ann")
    assert name_of(ann, token) is None
    with pytest.raises(BadRequest, match=WRONG):
        sign_in(ann, "ann", PASSWORD)
    remove_person(ann, "ann")
    code = invite(ann, "ann", "adjudicator")
    assert person_signed_in(ann, accept(ann, code, OTHER)).role == "adjudicator"


def test_who_is_removed_while_the_password_is_compared_is_not_let_in(ann, monkeypatch):
    compare = signing_in.matches

    def removed_meanwhile(kept, password):
        remove_person(ann, "ann")
        return compare(kept, password)

    monkeypatch.setattr(signing_in, "matches", removed_meanwhile)
    with pytest.raises(BadRequest, match=WRONG):
        sign_in(ann, "ann", PASSWORD)
    assert not [each for each in accounts(ann) if each.person.name == "ann"]


def test_the_last_owner_who_can_sign_in_stays(ann):
    add_person(ann, "amy", "owner")  # who cannot
    for work in (lambda: remove_person(ann, "zoe"), lambda: change_role(ann, "zoe", "annotator")):
        with pytest.raises(BadRequest, match="zoe is the last owner who can sign in; invite another first"):
            work()
    change_role(ann, "zoe", "owner")
    change_role(ann, "amy", "annotator")
    change_role(ann, "ann", "owner")
    change_role(ann, "zoe", "adjudicator")
    assert {each.name: each.role for each in people(ann)} == {"amy": "annotator", "ann": "owner", "zoe": "adjudicator"}
    with pytest.raises(BadRequest, match="no person called eve"):
        change_role(ann, "eve", "owner")
    with pytest.raises(BadRequest, match="no role 'king'"):
        change_role(ann, "ann", "king")


def test_without_signing_in_any_owner_may_go(database):
    add_person(database, "zoe", "owner")
    change_role(database, "zoe", "annotator")
    change_role(database, "zoe", "owner")
    remove_person(database, "zoe")
    assert people(database) == []


def test_of_two_owners_removed_at_once_one_stays(ann):
    change_role(ann, "ann", "owner")
    together = threading.Barrier(2)

    def work(name: str) -> bool:
        together.wait()
        try:
            remove_person(ann, name)
            return True
        except BadRequest:
            return False

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(work, ("ann", "zoe"))) == [False, True]
    assert len(people(ann)) == 1


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_after_five_wrong_passwords_in_a_row_one_waits_longer_and_longer(ann, later, name):
    fail(ann, name)
    for wait, minutes in (("30 seconds", 0.5), ("1 minute", 1), ("2 minutes", 2), ("4 minutes", 4), ("8 minutes", 8)):
        for _ in range(2):  # trying meanwhile makes it no longer
            with pytest.raises(Problem, match=f"too many wrong passwords for {name}; wait {wait} and try again"):
                sign_in(ann, name, PASSWORD)
        later(minutes)
        fail(ann, name, 1)
    for _ in range(3):
        with pytest.raises(Problem, match="wait 15 minutes"):
            sign_in(ann, name, PASSWORD)
        later(15)
        fail(ann, name, 1)
    assert sign_in(ann, "zoe", PASSWORD)


def test_a_success_or_a_day_without_a_try_resets_the_wait(ann, later):
    for _ in range(3):
        fail(ann, times=attempts.FREE_FAILURES - 1)
        assert sign_in(ann, "ann", PASSWORD)
    fail(ann)
    accept(ann, invite(ann, "ann"), PASSWORD)
    fail(ann)
    with pytest.raises(Problem, match="wait 30 seconds"):
        change_password(ann, "ann", PASSWORD, OTHER)
    later(DAY + 1)
    fail(ann)


def test_wrong_passwords_in_several_processes_count_together_and_at_once(ann, url):
    other, together = Database(url), threading.Barrier(20)

    def work(number: int) -> str:
        together.wait()
        try:
            return sign_in((ann, other)[number % 2], "ann", "wrong password")
        except Problem as problem:
            return type(problem).__name__

    try:
        with ThreadPoolExecutor(20) as pool:
            said = list(pool.map(work, range(20)))
    finally:
        other.close()
    assert (said.count("BadRequest"), said.count("Problem")) == (attempts.FREE_FAILURES, 20 - attempts.FREE_FAILURES)


def from_address(database, address, name, password=OTHER):
    return sign_in(database, name, password, address)


def guess(database, address: str, times: int, first: int = 0) -> None:
    """Wrong passwords for as many names."""
    for number in range(first, first + times):
        with pytest.raises(BadRequest, match=WRONG):
            from_address(database, address, f"guessed-{number}")


FREE, WAITS = attempts.FREE_OF_ADDRESS, "too many wrong passwords from your network address; wait {} and try again"


def test_who_tries_many_names_from_one_address_waits_and_others_do_not(ann, later):
    guess(ann, "10.0.0.1", FREE - 1)
    with pytest.raises(BadRequest, match=WRONG):
        from_address(ann, "10.0.0.1", "no name at all")  # costs as much to look at
    for wait, minutes in (("30 seconds", 0.5), ("1 minute", 1)):
        for name in ("ann", "nobody"):  # trying meanwhile makes it no longer, and counts for no name
            with pytest.raises(Problem, match=WAITS.format(wait)):
                from_address(ann, "10.0.0.1", name, PASSWORD)
        later(minutes)
        guess(ann, "10.0.0.1", 1)
    assert from_address(ann, "10.0.0.2", "ann", PASSWORD) and sign_in(ann, "ann", PASSWORD)
    later(2)
    assert from_address(ann, "10.0.0.1", "ann", PASSWORD)


def test_a_password_of_one_s_own_lets_nobody_go_on_guessing(ann):
    for number in range(FREE):
        assert from_address(ann, "10.0.0.1", "zoe", PASSWORD)
        guess(ann, "10.0.0.1", 1, number)
    with pytest.raises(Problem, match=WAITS.format("30 seconds")):
        from_address(ann, "10.0.0.1", "zoe", PASSWORD)
    with pytest.raises(Problem, match=WAITS.format("30 seconds")):
        change_password(ann, "zoe", PASSWORD, OTHER, "10.0.0.1")


def test_those_who_share_an_address_mistype_now_and_then_and_wait_for_nothing(ann, later):
    for number in range(FREE + 3):
        guess(ann, "10.0.0.1", 1, number)
        assert from_address(ann, "10.0.0.1", "ann", PASSWORD)
        later(2.1)
    guess(ann, "10.0.0.1", FREE - 1, 1000)
    assert from_address(ann, "10.0.0.1", "ann", PASSWORD)


def test_a_name_that_waits_counts_for_no_address_and_ipv6_is_counted_by_network(ann):
    fail(ann)
    for _ in range(2 * FREE):
        with pytest.raises(Problem, match="wrong passwords for ann"):
            from_address(ann, "10.0.0.1", "ann")
    assert from_address(ann, "10.0.0.1", "zoe", PASSWORD)
    for number in range(FREE):
        guess(ann, f"2001:db8::{number:x}", 1, number)
    with pytest.raises(Problem, match=WAITS.format("30 seconds")):
        from_address(ann, "2001:db8::ffff", "zoe", PASSWORD)
    assert from_address(ann, "2001:db8:0:1::1", "zoe", PASSWORD)
    guess(ann, "::ffff:10.0.0.3", FREE, 100)
    with pytest.raises(Problem, match="network address"):
        from_address(ann, "10.0.0.3", "zoe", PASSWORD)
    for odd in ("unknown", "x" * 100, "fe80::1%eth0"):
        guess(ann, odd, 1, 200)
    assert "10.0.0." not in everything(ann) and "2001:db8" not in everything(ann)


def test_names_of_nobody_do_not_fill_the_disk(ann, monkeypatch):
    monkeypatch.setattr(attempts, "_MOST", 20)
    fail(ann)
    for number in range(40):
        fail(ann, f"stranger-{number}", 1)
    assert rows(ann, tables.AttemptRow) <= 20
    with pytest.raises(Problem, match="too many wrong passwords for ann"):
        sign_in(ann, "ann", PASSWORD)


def test_what_cannot_be_a_name_a_code_or_a_token(ann):
    kept = everything(ann)
    odds = ("", "ANN", " ann", "ann\n", "../ann", "' OR 1=1 --", "änn", "\x00", "\ud800", "a" * 10_000_000, None, 7)
    for odd in odds:
        with pytest.raises(BadRequest, match=f"^{WRONG}"):
            sign_in(ann, odd, PASSWORD)
        with pytest.raises(BadRequest, match=SPENT):
            accept(ann, odd, PASSWORD)
        assert person_signed_in(ann, odd) is None
        sign_out(ann, odd)
        if odd != "ANN":
            with pytest.raises(BadRequest, match="A person cannot be called"):
                invite(ann, odd)
    with ann.writing() as session:
        session.execute(text("DELETE FROM annotation_attempt"))
    assert everything(ann) == kept


REFUSED = [
    ("nine char", "between 10 and 200 characters"),
    ("x" * 201, "between 10 and 200 characters"),
    (" " * 10, "more than white space"),
    (" \t\u2003\n\u2028" * 2, "more than white space"),
    ("abab abab abab", "at least 5 different ones"),
    ("\ufb03" * 100, "between 10 and 200 characters"),  # 300 once they are taken apart
    ("Some.Body-2000", "is the name"),
    ("Ｓｏｍｅ.Body-2000", "is the name"),
    (None, "between"),
    (b"correct horse", "between"),
]


def test_passwords_that_are_refused(database):
    code = invite(database, "some.body-2000")
    for password, sentence in REFUSED:
        with pytest.raises(BadRequest, match=sentence):
            accept(database, code, password)
    assert accept(database, code, PASSWORD)


def test_a_password_of_ten_megabytes_is_hashed_by_nobody(ann, monkeypatch):
    seen = []
    encode = passwords._bytes
    monkeypatch.setattr(passwords, "_bytes", lambda password: seen.append(len(password)) or encode(password))
    for work in (
        lambda huge: sign_in(ann, "ann", huge),
        lambda huge: change_password(ann, "ann", huge, PASSWORD),
        lambda huge: change_password(ann, "ann", PASSWORD, huge),
        lambda huge: accept(ann, invite(ann, "ann"), huge),
    ):
        with pytest.raises(BadRequest):
            work("\ufdfa" * 10_000_000)
    assert set(seen) == {0}


SAME = [
    ("re\u0301sume\u0301 of Ann", "r\u00e9sum\u00e9 of Ann"),
    ("ＷＩＤＥ letters", "WIDE letters"),
    ("half" + "\ud800" * 10, "half" + "\ud800" * 10),
    ("nuls\x00" * 5, "nuls\x00" * 5),
    ("doors" + "🔑" * 10, "doors" + "🔑" * 10),
]


def test_a_password_is_the_same_however_it_is_typed(database):
    for chosen, typed in SAME:
        accept(database, invite(database, "ann"), chosen)
        assert sign_in(database, "ann", typed)
        with pytest.raises(BadRequest, match=WRONG):
            sign_in(database, "ann", typed[:-1])


def test_the_same_work_is_done_for_wrong_names_and_wrong_passwords(ann, monkeypatch):
    remove_person(ann, "ann")
    invite(ann, "bob")
    verified = []

    class Watched:
        def verify(self, kept, password):
            verified.append(kept.split("$")[3])
            return real.verify(kept, password)

        def __getattr__(self, name):
            return getattr(real, name)

    real = passwords.hasher()
    monkeypatch.setattr(passwords, "hasher", Watched)
    for name in ("ann", "bob", "zoe", "eve", "not a name"):
        with pytest.raises(BadRequest, match=WRONG):
            sign_in(ann, name, "wrong password")
    assert len(verified) == 5 and len(set(verified)) == 1


def test_a_hash_made_in_another_way_is_made_anew(ann, monkeypatch):
    def kept() -> str:
        with ann.reading() as session:
            return session.scalar(select(tables.PersonRow.password_hash).where(tables.PersonRow.name == "ann"))

    before = kept()
    sign_in(ann, "ann", PASSWORD)
    assert kept() == before
    stronger = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: stronger)
    with pytest.raises(BadRequest):
        sign_in(ann, "ann", OTHER)
    assert kept() == before
    sign_in(ann, "ann", PASSWORD)
    assert "m=16,t=2,p=1" in kept() and sign_in(ann, "ann", PASSWORD)


def test_a_hash_that_is_none_lets_nobody_in(ann):
    with ann.writing() as session:
        session.execute(update(tables.PersonRow).values(password_hash="plain"))
    for password in ("plain", PASSWORD, ""):
        with pytest.raises(BadRequest, match=WRONG):
            sign_in(ann, "zoe", password)


def test_when_too_many_are_hashed_one_is_told(ann, monkeypatch):
    monkeypatch.setattr(passwords, "_PATIENCE", 0.01)
    with passwords._turn(), passwords._turn(), pytest.raises(Problem, match="try again in a minute"):
        sign_in(ann, "ann", PASSWORD)
    assert sign_in(ann, "ann", PASSWORD)


def test_the_library_s_own_strength_is_used(monkeypatch):
    monkeypatch.undo()
    assert passwords.hasher().check_needs_rehash(PasswordHasher().hash("x")) is False
    assert passwords.hashed(PASSWORD).startswith("$argon2id$v=19$m=65536,")


def test_sessions_that_are_ended_for_somebody(ann):
    tokens = [sign_in(ann, "ann", PASSWORD) for _ in range(3)]
    zoes = sign_in(ann, "zoe", PASSWORD)
    assert sign_out_everywhere(ann, "ann") == 4  # and the one of the fixture
    assert [name_of(ann, each) for each in tokens] == [None] * 3 and name_of(ann, zoes) == "zoe"


def test_exports_carry_nothing_to_sign_in_with_and_imports_take_none(ann, photos, tmp_path):
    project(ann, items=1, passages=1)
    token, code = sign_in(ann, "ann", PASSWORD), invite(ann, "zoe")
    judge(ann, "cats", "ann", 1, 1, grade="wrong")
    lines = list(export_lines(ann, "cats"))
    with ann.reading() as session:
        kept = [code, token, *session.scalars(select(tables.SessionRow.token_hash))]
        kept += session.scalars(select(tables.InvitationRow.code_hash)).all()
        kept += filter(None, session.scalars(select(tables.PersonRow.password_hash)))
    assert len(kept) == 2 + 3 + 1 + 2 and not [secret for secret in kept if any(secret in line for line in lines)]
    assert "password" not in "".join(lines)
    forged = lines[1].replace('"person": "ann"', '"person": "eve", "password_hash": "x", "role": "owner", "token": "y"')
    assert forged != lines[1]
    lines[0] = lines[0].replace('"type"', '"people": [{"name": "eve", "password_hash": "x", "role": "owner"}], "type"')
    (tmp_path / "cats.jsonl").write_text("\n".join([lines[0], forged]))
    import_project(ann, tmp_path / "cats.jsonl", photos, check, "again")
    eve = {each.person.name: each for each in accounts(ann)}["eve"]
    assert (eve.person.role, eve.has_password, eve.invited_until) == ("annotator", False, None)
    assert name_of(ann, token) == "ann" and invited(ann, code).name == "zoe"
