"""What the browser tests of annotation do on the Annotate tab: come in by a name, make projects, judge."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.browser import context_of
from tests.support.e2e import Visit

HOSTILE = "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'>"


@contextmanager
def person(browser, site: str, name: str, **context: object) -> Iterator[Visit]:
    """Somebody's browser at the Annotate tab, who has said their name there."""
    with context_of(browser, site, **context) as made:
        visit = Visit(made.new_page())
        visit.page.goto(f"{site}#annotate")
        visit.page.get_by_label("Your name").fill(name)
        visit.page.get_by_role("button", name="Begin").click()
        visit.page.get_by_text("What to judge").wait_for()
        yield visit
        assert visit.page.evaluate("window.pwned") is None
        lost = ("Failed to load resource", "net::ERR_INTERNET_DISCONNECTED")  # what a test takes away
        assert [each for each in visit.complaints if not any(one in each for one in lost)] == []


def root(page):
    return page.locator("#ca-root")


def unfold(page, words: str) -> None:
    """Opens what is folded, wherever the page has not opened it by itself."""
    page.locator("#ca-root summary", has_text=words).evaluate("summary => { summary.parentElement.open = true; }")


def made(page, name: str) -> None:
    """An empty project, opened."""
    page.get_by_role("button", name="Projects", exact=True).click()
    unfold(page, "New project")
    root(page).get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Make the project").click()
    page.get_by_text("0 of 0 items finished").wait_for()


def make(page, name: str, judges: int, questions: list[tuple[str, str]], passages: int = 3) -> None:
    """A project with items of questions and photographs, and passages looked for."""
    page.get_by_role("button", name="Projects", exact=True).click()
    unfold(page, "New project")
    root(page).get_by_label("Name", exact=True).fill(name)
    root(page).get_by_label("Guidelines").fill(f"# What to do\n\nSay whether it **answers**. {HOSTILE}")
    root(page).get_by_label("People who judge each item").fill(str(judges))
    page.get_by_role("button", name="Make the project").click()
    unfold(page, "Add items")
    for question, photo in questions:
        root(page).get_by_label("Question", exact=True).fill(question)
        if photo:
            root(page).get_by_label("Photo (or none)").set_input_files(photo)
        page.get_by_role("button", name="Add this item").click()
        root(page).get_by_role("cell", name=re.compile(f"{re.escape(question)}$")).wait_for()
    root(page).get_by_label("Passages of an item").fill(str(passages))
    page.get_by_role("button", name="Look for them").click()
    page.get_by_text("All items have theirs.").wait_for()
    page.get_by_role("button", name="Judge", exact=True).click()


def begin(page, name: str) -> None:
    page.get_by_role("button", name=f"Judge {name}", exact=True).click()
    page.locator(".ca-card.ca-current").wait_for()


def cards(page) -> list[str]:
    """Of each card, the judgment that is pressed."""
    return [
        card.locator(".ca-grade[aria-pressed=true]").inner_text().split("\n")[-1]
        if card.locator(".ca-grade[aria-pressed=true]").count() else ""
        for card in page.locator(".ca-card").all()
    ]  # fmt: skip


def saved(page) -> None:
    page.locator(".ca-saved", has_text=re.compile("^Saved$")).wait_for()
