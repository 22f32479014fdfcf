"""Signing in with a Hugging Face account, through the whole program over HTTP, with a stand-in for Hugging Face."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx
import pytest

from app.settings import Settings, load_settings
from app.web.annotate.accounts import owns
from app.web.annotate.openid import Account, Provider
from common.problems import Problem
from kb.annotations.people import add_person, people, remove_person
from kb.annotations.signing_in import accounts, invite, sign_out_everywhere
from tests.fakes.openid_server import OpenIdServer
from tests.support.space import CLIENT, SECRET, space_of

START = "/annotation/sign-in/huggingface"


class Browser:
    """What somebody does with one browser, who has an account at the provider."""

    def __init__(self, address: str, provider: OpenIdServer, subject: str, name: str, **also: object) -> None:
        self.client = httpx.Client(base_url=address, timeout=60)
        self._provider = provider
        self._account = {"sub": subject, "preferred_username": name, **also}

    def follow(self, address: str) -> httpx.Response:
        """Without a redirect, as the account."""
        self._provider.account = self._account
        return self.client.get(address)

    def sign_in(self, code: str = "") -> httpx.Response:
        at_provider = self.follow(f"{START}?invitation={code}" if code else START)
        assert at_provider.status_code == 303, at_provider.text
        back = self.follow(at_provider.headers["location"]).headers["location"]
        return self.follow(back)

    def ask(self, name: str, /, **told: object) -> httpx.Response:
        return self.client.post(f"/annotation/do/{name}", json=told)

    @property
    def person(self) -> dict | None:
        return self.ask("me").json()["person"]


@pytest.fixture
def provider() -> Iterator[OpenIdServer]:
    with OpenIdServer(CLIENT, SECRET) as one:
        yield one


@pytest.fixture
def space(tmp_path, monkeypatch, provider):
    with space_of("zoe", tmp_path, monkeypatch, provider) as served:
        yield served


@pytest.fixture
def browser(space, provider):
    _, address = space
    made = []

    def make(subject: str, name: str, **also: object) -> Browser:
        made.append(Browser(address, provider, subject, name, **also))
        return made[-1]

    yield make
    for one in made:
        one.client.close()


def test_people_come_in_with_their_accounts(space, browser, provider, caplog):
    caplog.set_level(logging.DEBUG)
    desk, _ = space
    zoe, ann, bob = browser("1", "zoe"), browser("2", "ann"), browser("3", "bob-elsewhere")
    told = zoe.ask("me").json()
    assert (told["person"], told["open"], told["closed"], told["hub"]) == (None, False, "", True)
    assert zoe.ask("enter", name="zoe").status_code == 400  # no names without an account
    done = zoe.sign_in()
    assert (done.status_code, done.headers["location"]) == (303, "/#annotate")
    assert zoe.person == {"name": "zoe", "role": "owner"}
    cookies = done.headers.get_list("set-cookie")
    assert all("HttpOnly" in each for each in cookies if "citesight_session" in each)

    add_person(desk.database, "ann")  # who is there by name alone is not whoever has that name elsewhere
    refused = ann.sign_in()
    assert refused.status_code == 400 and "ann is not among those who annotate here" in refused.text
    assert "Not signed in" in refused.text and ann.person is None
    zoe.ask("invite", name="ann", role="annotator")
    code = zoe.ask("invite", name="bob", role="annotator").json()["code"]
    for name in ("accept", "sign-in", "change-password"):
        reply = zoe.ask(name, name="ann", code=code, old="a long password", password="a long password")
        assert reply.status_code == 400 and "Hugging Face account" in reply.json()["problem"]
    assert ann.sign_in().status_code == 303 and ann.person == {"name": "ann", "role": "annotator"}
    assert "invited" not in browser("4", "bob-elsewhere").sign_in().headers
    assert bob.ask("invited", code=code).json() == {"name": "bob", "role": "annotator"}
    assert bob.sign_in(code).status_code == 303 and bob.person["name"] == "bob"
    taken = browser("5", "eve").sign_in(code)
    assert taken.status_code == 400 and "invitation was used already" in taken.text
    signed = {each["name"]: (each["account"], each["password"]) for each in zoe.ask("people").json()}
    assert signed == {"zoe": (True, False), "ann": (True, False), "bob": (True, False)}

    said = [record.getMessage() for record in caplog.records]
    assert not [secret for secret in (SECRET, *provider.tokens) for line in said if secret in line]
    ours = [each.getMessage() for each in caplog.records if not each.name.startswith("http")]  # not these browsers'
    kept = [code, *(each.client.cookies["citesight_session"] for each in (zoe, ann, bob))]
    assert not [secret for secret in kept for line in ours if secret in line]


def test_an_account_is_known_by_its_subject_and_roles_are_kept_here(space, browser):
    desk, _ = space
    zoe, ann = browser("1", "zoe"), browser("2", "ann")
    zoe.sign_in()
    invite(desk.database, "ann")
    ann.sign_in()
    assert browser("2", "ann-new-name").sign_in().status_code == 303
    other = browser("9", "ann").sign_in()  # the name became somebody else's
    assert other.status_code == 400 and "not among those" in other.text
    for_bob = ann.sign_in(invite(desk.database, "bob"))
    assert for_bob.status_code == 400 and "that of ann here, and the invitation is for bob" in for_bob.text
    assert zoe.ask("role", name="ann", role="adjudicator").status_code == 200
    assert ann.person == {"name": "ann", "role": "adjudicator"}
    assert ann.sign_in().status_code == 303 and ann.person["role"] == "adjudicator"
    refused = zoe.ask("remove", name="zoe")
    assert refused.status_code == 400 and [each.name for each in people(desk.database)][-1] == "zoe"
    remove_person(desk.database, "ann")
    assert ann.person is None and ann.sign_in().status_code == 400
    code = invite(desk.database, "ann")
    assert browser("7", "ann2").sign_in(code).status_code == 303  # and the account of before is nobody's
    assert ann.sign_in().status_code == 400
    assert {each.person.name for each in accounts(desk.database) if each.has_account} == {"zoe", "ann"}


def test_signing_out_and_cookies_that_are_made_up(space, browser, provider):
    desk, address = space
    zoe = browser("1", "zoe")
    zoe.sign_in()
    second = browser("1", "zoe")
    second.sign_in()
    token = zoe.client.cookies["citesight_session"]
    assert zoe.ask("sign-out").status_code == 200 and zoe.person is None and second.person is not None
    forged = browser("8", "eve")
    for value in (token, token[:-1] + "A", "zoe", "x" * 4000, ""):
        forged.client.cookies.set("citesight_session", value)
        assert forged.person is None and forged.ask("projects").status_code == 401
    assert sign_out_everywhere(desk.database, "zoe") == 1 and second.person is None
    forged.client.cookies.clear()
    asked = len(provider.asked)
    for state in ("", "..", "a.b.c", "a.b", "x" * 3000):
        forged.client.cookies.set("citesight_sign_in", state, path="/login/callback")
        reply = forged.client.get("/login/callback?code=c&state=b")
        assert reply.status_code == 400 and "did not begin to sign in" in reply.text
    assert len(provider.asked) == asked and forged.person is None
    assert httpx.get(f"{address}/login/huggingface").status_code == 404  # Gradio's own ways are shut


def test_who_did_not_begin_or_says_no_is_told(space, browser, provider):
    zoe, eve = browser("1", "zoe"), browser("8", "eve")
    back = eve.follow(eve.follow(START).headers["location"]).headers["location"]
    lured = zoe.follow(back)  # a link to sign in as somebody else
    assert lured.status_code == 400 and "This browser did not begin" in lured.text and zoe.person is None
    assert "did not begin" in zoe.follow("/login/callback?state=x&code=y").text
    provider.denies = True
    denied = zoe.sign_in()
    assert denied.status_code == 400 and "was not allowed to say who you are" in denied.text
    provider.denies = False
    began = zoe.follow(START).headers["location"]
    done = zoe.follow(began).headers["location"]
    assert zoe.follow(done).status_code == 303
    assert zoe.follow(done).status_code == 400  # once
    hostile = browser("6", "<b>eve</b>").sign_in()
    assert hostile.status_code == 400 and "<b>" not in hostile.text


@pytest.mark.parametrize(
    ("path", "breaks", "status", "words"),
    [
        ("/.well-known/openid-configuration", 500, 502, "has trouble just now"),
        ("/.well-known/openid-configuration", b"{}", 502, "not understood"),
        ("/.well-known/openid-configuration",
         b'{"authorization_endpoint": "http://a.example", "token_endpoint": "https://a.example"}', 502,
         "not understood"),
        ("/oauth/token", 400, 400, "did not take the answer"), ("/oauth/token", 503, 502, "has trouble"),
        ("/oauth/token", b"[1]", 502, "not understood"), ("/oauth/token", b"{}", 502, "not understood"),
        ("/oauth/userinfo", b"not JSON", 502, "not understood"), ("/oauth/userinfo", b"{}", 502, "not understood"),
        ("/oauth/userinfo", b'{"sub": "", "preferred_username": "zoe"}', 502, "not understood"),
        ("/oauth/userinfo", b'{"sub": 1, "preferred_username": "zoe"}', 502, "not understood"),
        ("/oauth/userinfo", b" " * 300_000, 502, "not understood"),
    ],
)  # fmt: skip
def test_a_provider_in_trouble_lets_nobody_in(provider, path, breaks, status, words):
    provider.broken[path] = breaks
    provider.account = {"sub": "1", "preferred_username": "zoe"}
    secret = Settings(oauth_client_secret=SECRET).oauth_client_secret
    asked = Provider(provider.url, CLIENT, secret, "openid", "http://127.0.0.1:1/")
    with pytest.raises(Problem) as caught:
        address, attempt = asked.begin()
        told = httpx.URL(httpx.get(address).headers["location"]).params
        asked.finish(told, attempt)
    sentence = str(caught.value)
    assert words in sentence and sentence.endswith(".") and SECRET not in str(caught.getrepr(style="long"))


def test_a_provider_that_is_down_is_told_as_a_page(space, browser, provider):
    zoe = browser("1", "zoe")
    provider.broken["/.well-known/openid-configuration"] = 503
    reply = zoe.follow(START)
    assert reply.status_code == 502 and "try again in a minute" in reply.text
    provider.broken.clear()
    assert zoe.sign_in().status_code == 303  # nothing of the failure is kept


def test_who_owns_a_space():
    settings = Settings(SPACE_AUTHOR_NAME="acme")
    assert owns(Account("1", "acme", frozenset()), settings)
    assert owns(Account("1", "zoe", frozenset({"acme"})), settings)
    assert not owns(Account("1", "zoe", frozenset({"other"})), settings)
    assert not owns(Account("1", "", frozenset()), Settings())


def test_elsewhere_nothing_is_different():
    given = {"OAUTH_CLIENT_ID": "client", "OAUTH_CLIENT_SECRET": SECRET}
    assert not load_settings().hub_accounts and not Settings(**given).hub_accounts
    assert not Settings(SPACE_HOST="a.hf.space").hub_accounts
    on_space = Settings(SPACE_HOST="a.hf.space,photos.example", **given)
    assert on_space.hub_accounts and on_space.space_address == "https://a.hf.space"
    assert on_space.names >= {"a.hf.space", "photos.example"} and SECRET not in repr(on_space)
