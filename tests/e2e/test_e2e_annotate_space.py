"""Annotation on a Space in a real browser: in by an account of a stand-in for Hugging Face; heat maps side by side."""

from __future__ import annotations

import re

import pytest

from kb.annotations.asking import next_item
from kb.annotations.judging import judge
from kb.annotations.pools import add_pool
from kb.annotations.signing_in import invite
from tests import ARTEFACTS
from tests.fakes.openid_server import OpenIdServer
from tests.support.annotate import root
from tests.support.annotations import passage, project, three_colours
from tests.support.axe import serious
from tests.support.e2e import Visit
from tests.support.space import CLIENT, SECRET, space_of


def compared(desk) -> None:
    """A project of whose one photo two retrievers found the same in another order."""
    project(desk.database, items=0, judges=1)
    key = desk.add("cats", "What is it?", three_colours()).key
    texts = ["It is red.", "It is green.", "It is a lake."]
    for name, order in (("mini in things", texts), ("mini in things and by words", texts[::-1])):
        add_pool(desk.database, "cats", key, [passage(1, {name: rank}, text) for rank, text in enumerate(order, 1)])
    item = next_item(desk.database, "cats", "ann")
    for each in item.candidates:
        judge(desk.database, "cats", "ann", item.id, each.id, grade="answers" if "red" in each.text else "wrong")


@pytest.fixture
def space(tmp_path, monkeypatch):
    with (
        OpenIdServer(CLIENT, SECRET) as provider,
        space_of("zoe", tmp_path, monkeypatch, provider) as (desk, address),
    ):
        compared(desk)
        yield provider, desk, address


@pytest.mark.parametrize(
    "context",
    [
        pytest.param({}, marks=pytest.mark.slow, id="light"),
        pytest.param({"color_scheme": "dark", "viewport": {"width": 390, "height": 844}}, id="phone-dark"),
    ],
)
def test_in_by_an_account_and_what_in_the_photo_speaks_for_what(browser, space, context, request) -> None:
    provider, desk, address = space
    made = browser.new_context(**context)
    visit = Visit(made.new_page())
    page = visit.page

    def look(state: str) -> None:
        page.screenshot(path=ARTEFACTS / f"annotate-{state}-{request.node.callspec.id}.png", full_page=True)
        assert not serious(page)
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], f"{state} is wider than the screen"

    page.goto(f"{address}/#annotate")
    page.get_by_role("link", name="Sign in with Hugging Face").wait_for()
    look("space")
    provider.account, provider.denies = {"sub": "1", "preferred_username": "zoe"}, True
    page.get_by_role("link", name="Sign in with Hugging Face").click()
    page.get_by_text("was not allowed to say who you are").wait_for()
    provider.denies = False
    page.get_by_role("link", name="Sign in again").click()
    page.get_by_text("zoe, owner").wait_for()

    page.get_by_role("button", name="Projects", exact=True).click()
    page.get_by_role("button", name="Open cats").click()
    page.get_by_text("Compare retrievers and answerers").click()
    page.get_by_role("button", name="Show where they differ most").click()
    page.get_by_role("button", name="Show what in the photo speaks for each").press("Enter")
    one = root(page).locator(".ca-side-of").first
    one.get_by_text(re.compile("speaks for passage 1 rather than for the other passages found: .*left")).wait_for()
    one.get_by_role("button", name="Passage 2").press("Enter")
    one.get_by_text(re.compile("speaks for passage 2 rather than for the other passages found: .*right")).wait_for()
    layer = one.locator(".ca-matched img + img")
    assert layer.evaluate("each => each.complete && each.naturalWidth > 0 && each.offsetWidth > 100")
    look("heat")

    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{address}/?invitation={invite(desk.database, 'bob')}#annotate")
    page.get_by_text("Welcome, bob").wait_for()
    provider.account = {"sub": "2", "preferred_username": "bob-elsewhere"}
    page.get_by_role("link", name="Sign in with Hugging Face").click()
    page.get_by_text("bob, annotator").wait_for()
    assert "invitation" not in page.url and not [each for each in visit.complaints if "400" not in each]
    made.close()
