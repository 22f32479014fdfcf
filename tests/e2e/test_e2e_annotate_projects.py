"""Who runs a project, in a real browser: its making with grades of its own; an item and its known grades."""

from __future__ import annotations

import pytest

from tests.support.annotate import begin, person, root, unfold
from tests.support.browser import needs_chromium

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium


@pytest.mark.slow
def test_a_project_with_grades_of_its_own_and_an_item_with_gold(browser, site: str) -> None:
    with person(browser, site, "ann") as ann, person(browser, site, "bob") as bob:
        page = ann.page
        page.get_by_role("button", name="Projects", exact=True).click()
        unfold(page, "New project")
        name = root(page).get_by_label("Name", exact=True)
        name.fill("own grades")
        root(page).get_by_label("People who judge each item").fill("0")
        page.get_by_text("Grades of passages").click()
        third = root(page).get_by_role("group", name="Grade 3 of passages")
        third.get_by_label("Gain").fill("half")
        page.get_by_role("button", name="Add a grade").first.click()
        page.keyboard.type("Rather good")
        root(page).get_by_role("group", name="Grade 5 of passages").get_by_role("button", name="one up").click()
        root(page).get_by_role("button", name="Leave out grade 2 of passages").click()
        page.get_by_text("Grades of passages").click()
        page.get_by_role("button", name="Make the project").click()
        page.locator(".ca-wrong-field").nth(2).wait_for()
        for field, words in (
            (name, "cannot be called 'own grades'"),
            (root(page).get_by_label("People who judge each item"), "Between 1 and 20 people"),
            (root(page).get_by_role("group", name="Grade 2 of passages").get_by_label("Gain"), "whole number"),
        ):
            told = page.locator(f"#{field.get_attribute('aria-describedby')}")
            assert words in told.inner_text() and told.is_visible()
        assert name.evaluate("field => field === document.activeElement")
        name.fill("own-grades")
        root(page).get_by_label("People who judge each item").fill("1")
        root(page).get_by_role("group", name="Grade 2 of passages").get_by_label("Gain").fill("0")
        page.get_by_role("button", name="Make the project").click()
        page.get_by_text("0 of 0 items finished, by 1 person each").wait_for()
        unfold(page, "Add items")
        root(page).get_by_label("Question", exact=True).fill("How heavy is a tiger?")
        page.get_by_role("button", name="Add this item").click()
        page.get_by_role("link", name="How heavy is a tiger?").wait_for()
        root(page).get_by_label("Passages of an item").fill("1")
        page.get_by_role("button", name="Look for them").click()
        page.get_by_text("All items have theirs.").wait_for()
        page.get_by_role("link", name="How heavy is a tiger?").click()
        page.get_by_label("Known grade of passage 1").select_option("Rather good")
        page.locator("[data-gold] select:focus").wait_for()
        page.reload()
        ann.until(lambda: page.get_by_label("Known grade of passage 1").input_value() == "rather-good")
        page.get_by_text("Grades of what is not found yet").click()
        root(page).get_by_label("Its text").fill("A tiger is a cat.")
        page.get_by_role("button", name="Keep this grade").click()
        page.get_by_role("button", name="Take away the grade of passage").click()
        page.get_by_role("button", name="Take away the grade of passage").wait_for(state="detached")
        page.get_by_role("button", name="Judge", exact=True).click()
        begin(page, "own-grades")
        passage = page.locator(".ca-card", has_text="Passage 1 of").first
        assert [each.split("\n")[-1] for each in passage.locator(".ca-grade").all_inner_texts()] == [
            "answers it", "wrong subject", "Rather good", "cannot tell",
        ]  # fmt: skip
        page.keyboard.press("3")
        bob.page.goto(page.url)
        bob.page.locator(".ca-card.ca-current").wait_for()
        page.go_back()
        page.get_by_text("What to judge").wait_for()
        page.get_by_role("button", name="Projects", exact=True).click()
        page.get_by_role("button", name="Open own-grades").click()
        root(page).get_by_role("region", name="Gold").get_by_role("row", name="ann 1 1").wait_for()
        # Somebody else has the item open while it is removed.
        page.get_by_role("link", name="How heavy is a tiger?").click()
        page.get_by_role("button", name="Remove the item").click()
        page.get_by_text("Remove it? 1 judgment of 1 person of it would count no more.").wait_for()
        page.get_by_role("button", name="Remove it", exact=True).click()
        page.get_by_text("0 of 0 items finished").wait_for()
        page.get_by_text("Removed: 1 item").wait_for()
        bob.page.keyboard.press("1")
        bob.page.get_by_text("Not saved: This item was removed from own-grades").wait_for()
        bob.page.get_by_role("button", name="Next item").click()
        bob.page.get_by_text("Nothing is left for you here").wait_for()
