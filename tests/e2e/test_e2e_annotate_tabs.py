"""One person in two tabs, and on two machines: what is said in one is seen in the other, and what is typed stays."""

from __future__ import annotations

import pytest

from tests.support.annotate import begin, cards, make, person, root, saved
from tests.support.browser import needs_chromium
from tests.support.e2e import CHEETAH, Visit

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium


def looked_at(page) -> None:
    """As when the tab is chosen again."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


@pytest.mark.slow
def test_what_is_said_in_one_tab_is_seen_in_the_other(browser, site: str) -> None:
    with person(browser, site, "ann") as ann, person(browser, site, "ann") as far:
        page, comment = ann.page, "Comment"
        make(page, "tabs", 1, [("How fast can this animal run?", CHEETAH)], passages=2)
        begin(page, "tabs")
        other = Visit(page.context.new_page())
        other.page.goto(page.url)
        other.page.locator(".ca-card.ca-current").wait_for()
        other.page.keyboard.press("c")
        other.page.keyboard.type("half a sen")
        saved(other.page)
        field = root(other.page).get_by_label(comment, exact=True).first
        field.evaluate("field => { field.value += 'tence'; }")  # the key before it is saved
        page.keyboard.press("1")
        page.keyboard.press("2")
        other.until(lambda: cards(other.page)[:2] == ["answers it", "right subject but does not say"])
        assert field.input_value() == "half a sentence"
        other.page.keyboard.press("Escape")
        ann.until(lambda: root(page).get_by_label(comment, exact=True).first.input_value() == "half a sentence")
        # An undo here undoes what was done last, wherever, and shows it in both.
        page.keyboard.press("ArrowDown")
        page.keyboard.press("4")
        other.until(lambda: "cannot tell" in cards(other.page))
        other.page.keyboard.press("u")
        for visit in (ann, other):
            visit.until(lambda visit=visit: "cannot tell" not in cards(visit.page))
        # On another machine: seen when one looks here again; the field that is being typed in stays as it is.
        looked_at(far.page)  # which lists the projects anew
        begin(far.page, "tabs")
        far.page.keyboard.press("3")
        saved(far.page)
        now = cards(far.page)
        page.keyboard.press("c")
        focused = page.evaluate("document.activeElement.id")
        before = sum("do/item" in each for each in ann.requests)
        looked_at(page)
        ann.until(lambda: cards(page) == now)
        assert sum("do/item" in each for each in ann.requests) == before + 1
        assert page.evaluate("document.activeElement.id") == focused
        page.get_by_role("button", name="Judge", exact=True).click()
        page.get_by_text("you have done 0").first.wait_for()
        for _ in now:
            far.page.keyboard.press("1")
        saved(far.page)
        looked_at(page)
        root(page).locator(".ca-panel", has_text="tabs").get_by_text("you have done 1").wait_for()


def test_whoever_signs_in_elsewhere_sees_nothing_of_whoever_was_here(browser, site: str) -> None:
    with person(browser, site, "ann") as ann:
        page = ann.page
        make(page, "taken", 2, [("How fast can this animal run?", "")], passages=2)
        begin(page, "taken")
        page.keyboard.press("1")
        saved(page)
        page.keyboard.press("c")
        page.keyboard.type("what ann thinks")
        saved(page)
        page.keyboard.press("Escape")
        other = page.context.new_page()
        other.goto(f"{site}#annotate")
        other.get_by_role("button", name="Another name").click()
        other.get_by_label("Your name").fill("jury")
        other.get_by_role("button", name="Begin").click()
        other.get_by_text("jury, annotator").wait_for()
        other.close()
        page.keyboard.press("3")
        page.get_by_text("Somebody else, jury, has signed in").first.wait_for()
        page.get_by_text("ann, not signed in").wait_for()
        page.get_by_role("button", name="Go on").click()
        page.get_by_text("jury, annotator").wait_for()
        page.locator(".ca-card.ca-current").wait_for()
        assert set(cards(page)) == {""}
        assert {each.input_value() for each in root(page).get_by_label("Comment", exact=True).all()} == {""}
        page.get_by_text("Saved. 1 change of ann waits here until they sign in again.").wait_for()
        page.keyboard.press("2")
        ann.until(lambda: "right subject but does not say" in cards(page))
        # Nobody is signed in any more, and then the same person is again.
        page.context.clear_cookies()
        page.keyboard.press("4")
        page.get_by_role("button", name="Go on").click()
        page.get_by_label("Your name").fill("jury")
        page.get_by_role("button", name="Begin").click()
        page.locator(".ca-card.ca-current").wait_for()
        saved_of_jury = {"right subject but does not say", "cannot tell"}
        ann.until(lambda: saved_of_jury <= set(cards(page)) and page.get_by_label("Your name").count() == 0)
        # The pages of projects offer to sign in as well.
        page.get_by_role("button", name="Another name").click()
        page.get_by_label("Your name").fill("ann")
        page.get_by_role("button", name="Begin").click()
        saved(page)
        page.get_by_role("button", name="Projects", exact=True).click()
        page.get_by_role("button", name="Open taken").click()
        page.get_by_text("What comes out").wait_for()
        page.context.clear_cookies()
        page.get_by_role("button", name="Delete the project").click()
        page.get_by_role("button", name="Go on").wait_for()
        bar = page.locator(".ca-bar").inner_text()
        assert "ann, not signed in" in bar and "Saved" not in bar
