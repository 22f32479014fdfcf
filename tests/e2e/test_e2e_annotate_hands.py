"""Judging by one pair of hands: what is undone is shown at once, keys judge what is in sight, and an outage neither
covers nor moves anything."""

from __future__ import annotations

import pytest

from tests.support.annotate import begin, cards, make, person, root, saved
from tests.support.browser import needs_chromium
from tests.support.e2e import Visit

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium

BY_KEY = {"1": "answers it", "2": "right subject but does not say", "3": "wrong subject", "4": "cannot tell"}


def current(page) -> int:
    """Which card is marked, from 0; -1: none."""
    return page.evaluate("[...document.querySelectorAll('.ca-card')].findIndex(card => card.matches('.ca-current'))")


def usable(page) -> bool:
    """Whether every button of the current card is where a mouse finds it, and the row above the cards too."""
    return page.evaluate(
        """() => [...document.querySelectorAll('.ca-current button, .ca-head button')].filter(each => !each.hidden)
            .every(each => {
                const { left, right, top, bottom } = each.getBoundingClientRect();
                const there = y => each.contains(document.elementFromPoint((left + right) / 2, y));
                return there(top + 2) && there(bottom - 2);
            })"""
    )


def test_an_undo_is_shown_at_once_and_keys_judge_what_is_in_sight(browser, site: str) -> None:
    with person(browser, site, "ann") as ann:
        page = ann.page
        make(page, "hands", 1, [("How fast can it run?", ""), ("What is a bridge?", "")], passages=6)
        begin(page, "hands")
        assert "How fast can it run? Passage 1 of" in page.locator("#cs-announce").inner_text()
        for key in "123":
            page.keyboard.press(key)
        saved(page)
        ann.tell_late("/annotation/do/undo")
        page.keyboard.press("u")
        assert (cards(page)[:3], current(page)) == ([BY_KEY["1"], BY_KEY["2"], ""], 2)
        page.keyboard.press("2")
        assert (cards(page)[2], current(page)) == (BY_KEY["2"], 3)
        saved(page)
        assert (cards(page)[:4], current(page)) == ([BY_KEY["1"], BY_KEY["2"], BY_KEY["2"], ""], 3)
        page.context.set_offline(True)
        page.keyboard.press("u")
        assert (cards(page)[2], current(page)) == ("", 2)
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.locator(".ca-unsaved", has_text="an undo among them").wait_for()
        page.context.set_offline(False)
        saved(page)
        assert (cards(page)[:3], current(page)) == ([BY_KEY["1"], BY_KEY["2"], ""], 4)
        page.reload()
        page.locator(".ca-card.ca-current").wait_for()
        assert cards(page)[:3] == [BY_KEY["1"], BY_KEY["2"], ""]
        page.keyboard.press("u")  # of what was said before the page was opened
        page.locator(".ca-card").nth(1).locator("[aria-pressed=true]").wait_for(state="detached")
        assert (cards(page)[:2], current(page)) == ([BY_KEY["1"], ""], 1)
        for _ in range(len(cards(page)) - 1):
            page.keyboard.press("3")
        saved(page)
        assert page.get_by_role("button", name="Next item").evaluate("button => button === document.activeElement")
        before = cards(page)
        page.keyboard.press("1")
        assert (cards(page), current(page)) == (before, -1)
        page.keyboard.press("ArrowUp")
        assert current(page) == len(before) - 1
        page.evaluate("scrollTo(0, 0)")
        page.keyboard.press("1")  # far below: shown, not judged
        assert cards(page) == before and usable(page)
        page.keyboard.press("1")
        assert cards(page)[-1] not in ("", before[-1])
        saved(page)
        # An undo of what was said of another item leads there.
        page.keyboard.press("g")
        page.locator("h2", has_text="What is a bridge?").wait_for()
        page.keyboard.press("u")
        page.locator("h2", has_text="How fast can it run?").wait_for()
        assert (cards(page), current(page)) == (before, len(before) - 1)


@pytest.mark.slow
def test_an_outage_covers_nothing_and_two_tabs_show_the_same_after_it(browser, site: str) -> None:
    with person(browser, site, "ann", viewport={"width": 1280, "height": 800}) as ann:
        page = ann.page
        make(page, "outage", 1, [("How fast can it run?", "")], passages=6)
        begin(page, "outage")
        assert usable(page)
        page.keyboard.press("?")
        page.get_by_text("Keys judge").wait_for()
        page.keyboard.press("Escape")
        assert page.get_by_text("Keys judge").count() == 0 and current(page) == 0
        other = Visit(page.context.new_page())
        other.page.goto(page.url)
        other.page.locator(".ca-card.ca-current").wait_for()
        who = page.locator(".ca-who").bounding_box()["x"]
        page.context.set_offline(True)
        page.keyboard.press("1")
        other.page.keyboard.press("3")
        for _ in cards(page)[1:]:
            page.locator(".ca-unsaved", has_text="not saved yet").wait_for()
            assert usable(page)
            page.keyboard.press("ArrowDown")
        assert page.locator(".ca-who").bounding_box()["x"] == who
        page.context.set_offline(False)
        for visit in (ann, other):
            saved(visit.page)
            visit.until(lambda visit=visit: cards(visit.page)[0] == BY_KEY["3"])
        page.reload()
        page.locator(".ca-card.ca-current").wait_for()
        assert cards(page)[0] == cards(other.page)[0] == BY_KEY["3"]
        # A project that is deleted meanwhile: said once, with a way to where there is something to do.
        other.page.evaluate("window.citesight.server.ask('delete', { project: 'outage' })")
        page.keyboard.press("1")
        sentence = "There is no project called outage, or it was deleted."
        gone = root(page).get_by_text(sentence)
        root(page).get_by_role("button", name="What to judge").wait_for()
        ann.until(lambda: gone.all_inner_texts() == [f"Not saved: {sentence}"])
        assert root(page).get_by_role("button", name="Next item").count() == 0
        assert page.locator(".ca-saved").inner_text() == ""
        root(page).get_by_role("button", name="What to judge").click()
        root(page).get_by_role("heading", name="What to judge").wait_for()
