"""The Annotate tab in the address: reloads, Back and Forward, links to others, and what is no place."""

from __future__ import annotations

import pytest

from tests.support.annotate import begin, cards, make, person, root, saved
from tests.support.browser import needs_chromium
from tests.support.e2e import CHEETAH

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium


def asked(page, question: str) -> None:
    page.locator("h2.ca-question", has_text=question).wait_for()
    page.locator(".ca-view:not([aria-busy=true])").wait_for()


def at(page) -> str:
    return page.evaluate("location.hash")


@pytest.mark.slow
def test_the_address_leads_back_to_where_one_was_and_others_there_too(browser, site: str) -> None:
    with person(browser, site, "ann") as ann, person(browser, site, "bob") as bob:
        page = ann.page
        make(page, "places", 2, [("How fast can this animal run?", CHEETAH), ("What is a bridge?", "")], passages=1)
        assert at(page) == "#annotate"
        begin(page, "places")
        first = at(page)
        assert first == "#annotate/judge/places/1" and page.get_by_text("Item 1", exact=True).is_visible()
        keys = ["1"] * len(cards(page))
        for key in keys:
            page.keyboard.press(key)
        judged = cards(page)
        page.keyboard.press("g")
        asked(page, "What is a bridge?")
        second = at(page)
        page.keyboard.press("c")
        page.keyboard.type("half a sen")  # saved when one leaves
        page.go_back()
        asked(page, "How fast")
        assert (at(page), cards(page)) == (first, judged)
        page.go_forward()
        asked(page, "What is a bridge?")
        assert at(page) == second and root(page).get_by_label("Comment").first.input_value() == "half a sen"
        page.reload()
        asked(page, "What is a bridge?")
        assert at(page) == second and root(page).get_by_label("Comment").first.input_value() == "half a sen"
        # Another tab keeps where one was; the way back leads through the items to the beginning.
        page.get_by_role("tab", name="Corpora").click()
        page.get_by_role("tab", name="Annotate").click()
        assert at(page) == second
        for place in ("#corpora", second, first, "#annotate"):
            page.go_back()
            page.wait_for_url(f"**{place}")
        page.get_by_text("What to judge").wait_for()
        page.go_forward()
        asked(page, "How fast")
        # What never reached the server is on the page all the same when one comes back.
        saved(page)
        page.route("**/annotation/do/judge", lambda route: route.abort())
        page.keyboard.press("2")
        page.locator(".ca-unsaved", has_text="1 change not saved yet").wait_for()
        page.go_forward()
        asked(page, "What is a bridge?")
        page.go_back()
        asked(page, "How fast")
        assert cards(page) == ["right subject but does not say", *judged[1:]]
        page.unroute("**/annotation/do/judge")
        saved(page)
        page.reload()
        asked(page, "How fast")
        assert cards(page) == ["right subject but does not say", *judged[1:]]

        # To somebody else the address leads to the same item, as it is to them.
        bob.page.goto(f"{site}{second}")
        asked(bob.page, "What is a bridge?")
        assert set(cards(bob.page)) == {""} and root(bob.page).get_by_label("Comment").first.input_value() == ""

        page.get_by_role("button", name="Projects", exact=True).click()
        page.get_by_role("button", name="Open places").click()
        page.get_by_text("Compare retrievers and answerers").click()
        page.wait_for_url("**#annotate/projects/places/compare")
        root(page).get_by_text("judged@10").first.wait_for()
        page.reload()
        root(page).get_by_text("judged@10").first.wait_for()
        page.get_by_role("button", name="All projects").click()
        page.get_by_role("button", name="Open places").wait_for()
        page.go_back()
        root(page).get_by_text("judged@10").first.wait_for()
        for place, words in (
            ("projects/places", "Only adjudicators and owners can do this"),
            ("people", "Only owners can do this"),
            ("judge/nothing", "There is no project called nothing"),
            ("judge/places/999999", "The project places has no item 999999"),
            ("projects", "What to judge"),
            ("judge/%3Cimg src=x onerror=window.pwned=1%3E", "What to judge"),
            ("judge/places/../../x", "What to judge"),
            ("__proto__/constructor", "What to judge"),
        ):
            bob.page.evaluate("place => { location.hash = `#annotate/${place}`; }", place)
            root(bob.page).get_by_text(words).wait_for()
            bob.page.goto("about:blank")
            bob.page.goto(f"{site}#annotate/{place}")
            root(bob.page).get_by_text(words).wait_for()
        bob.page.get_by_role("button", name="Another name").click()
        bob.page.get_by_label("Your name").wait_for()
        assert at(bob.page) == "#annotate"
        bob.page.evaluate("place => { location.hash = place; }", second)  # waits until somebody is in
        bob.page.get_by_label("Your name").fill("eve")
        bob.page.get_by_role("button", name="Begin").click()
        asked(bob.page, "What is a bridge?")
