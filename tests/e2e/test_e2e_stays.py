"""What a person has before their eyes stays there: on another tab, when a question is refused; and nothing lies over
it."""

from __future__ import annotations

import re

import pytest

from tests.support.browser import needs_chromium
from tests.support.e2e import Visit

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium


def test_the_corpora_tab_keeps_the_conversation(ready: Visit, address: str) -> None:
    page = ready.page
    page.locator(".cs-try").first.click()
    said = ready.answered()
    page.wait_for_url(re.compile("#c="))
    place = page.url
    page.get_by_role("tab", name="Corpora").click()
    page.wait_for_url(f"{address}#corpora")
    page.reload()
    page.get_by_role("tab", name="Corpora", selected=True).wait_for()
    page.locator(".cs-said").wait_for(state="attached")
    page.wait_for_url(f"{address}#corpora")
    page.get_by_role("tab", name="Ask").click()
    assert ready.answered() == said
    page.wait_for_url(place)
    page.go_back()
    page.get_by_role("tab", name="Corpora", selected=True).wait_for()
    page.go_back()
    assert ready.answered() == said
    page.wait_for_url(place)


def test_a_refused_question_leaves_the_answer(ready: Visit) -> None:
    page = ready.page
    page.locator(".cs-try").first.click()
    said = ready.answered()
    cards = page.locator(".cs-card").count()
    ready.ask("x" * 15_000)
    assert "15,000 characters" in ready.problem()
    assert ready.answered() == said and page.locator(".cs-figure").is_visible()
    assert page.locator(".cs-card").count() == cards and page.locator(".cs-earlier").count() == 0


def test_how_far_the_index_is_lies_over_nothing(ready: Visit) -> None:
    page = ready.page
    page.set_viewport_size({"width": 1280, "height": 500})
    page.locator("#cs-status").evaluate(
        "status => status.insertAdjacentHTML('beforeend', '<div class=\"cs-status\"><p>Indexing…</p></div>')"
    )
    said = page.locator(".cs-status").bounding_box()
    assert said["y"] + said["height"] <= page.locator("#cs-main").bounding_box()["y"]
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    ready.until(lambda: page.locator(".cs-status").bounding_box()["y"] < said["y"])  # it goes with the page


def test_a_long_name_stays_in_its_tick_box(ready: Visit) -> None:
    page = ready.page
    page.get_by_role("button", name="Where to look").click()
    box = page.locator("#cs-corpora label:has(input)").first
    box.locator("span").evaluate("said => { said.textContent = 'n'.repeat(64) + ' (10,033 passages)' }")
    name, box, around = (each.bounding_box() for each in (box.locator("span"), box, page.locator("#cs-corpora")))
    assert name["x"] + name["width"] <= box["x"] + box["width"] <= around["x"] + around["width"]
