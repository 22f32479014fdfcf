"""The page for those who see it otherwise, or not at all, or have no mouse: axe-core on every page and state, colours
of one's own, where the focus goes, and how large what is pressed is."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from tests import ARTEFACTS
from tests.support.axe import LOOKS, serious, too_small
from tests.support.browser import needs_chromium
from tests.support.e2e import LION, Visit, selecting

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium


def states(visit: Visit) -> Iterator[str]:
    """Goes through the pages, and says which state is shown."""
    page = visit.page
    yield "empty"
    page.locator("#cs-where button").first.click()
    page.get_by_label("Passages to find").first.wait_for()
    page.get_by_role("button", name="Ask", exact=True).click()
    visit.problem()
    yield "what is missing, and where to look"
    visit.give_photo(LION)
    page.locator("#cs-photo img").wait_for()
    selecting(page).focus()
    page.keyboard.press("Enter")
    yield "a photo and a part of it"
    page.locator(".cs-try").first.click()
    visit.answered()
    yield "an answer"
    visit.ask("How heavy is it?")
    page.locator(".cs-earlier summary").click()
    page.locator(".cs-panel:not([aria-busy])").wait_for()
    page.get_by_role("button", name="Change photo").click()
    yield "a conversation, choosing a photo"
    if page.get_by_role("button", name="Use via API").is_visible():  # not on a phone
        page.get_by_role("button", name="Use via API").click()
        page.locator(".api-docs .banner-wrap > button[aria-label=Close]:focus").wait_for()
        yield "the interface for programs"
        page.keyboard.press("Escape")
        page.locator(".api-docs").wait_for(state="detached")
        page.locator(".show-api:focus").wait_for()
    page.get_by_role("tab", name="Corpora").click()
    page.locator(".cc-card").first.wait_for()
    page.get_by_role("button", name="Add a corpus").click()
    page.locator("#cc-files").wait_for()
    page.locator('.cc-do[data-do="delete"]').first.click()
    page.locator(".cc-sure").wait_for()
    yield "corpora, adding one and deleting one"
    page.locator('.cc-do[data-do="browse"]').first.click()
    page.locator(".cc-documents li").first.wait_for()
    yield "a list of documents"
    page.locator(".cc-open").first.click()
    page.locator(".cc-document").wait_for()
    yield "a document"


@pytest.mark.parametrize("visit", LOOKS, indirect=True)
def test_axe_finds_nothing_serious(ready: Visit) -> None:
    found, small = [], []
    for state in states(ready):
        found += [f"{state}: {each}" for each in serious(ready.page)]
        small += [f"{state}: {each}" for each in too_small(ready.page)] if state != "the interface for programs" else []
    # Its description of the interface loads a file that is not there, and is Gradio's.
    ready.forgiven.append("Failed to load resource")
    assert not found, "\n".join(found)
    assert not small, "\n".join(small)


def colours(element, least: float = 0.02) -> list[tuple[int, ...]]:
    """The colours that an element is painted in, each at least that part of it, the commonest first."""
    with Image.open(io.BytesIO(element.screenshot())) as shot:
        found, count = np.unique(np.asarray(shot.convert("RGB")).reshape(-1, 3), axis=0, return_counts=True)
    order = np.argsort(-count)
    return [tuple(int(part) for part in found[i]) for i in order if count[i] >= least * count.sum()]


@pytest.mark.parametrize(
    "visit",
    [{"forced_colors": "active", "color_scheme": "light"}, {"forced_colors": "active", "color_scheme": "dark"}],
    indirect=True,
    ids=["light", "dark"],
)
def test_colours_of_ones_own_hide_nothing(ready: Visit, request: pytest.FixtureRequest) -> None:
    page = ready.page
    page.locator(".cs-try").first.click()
    ready.answered()
    page.screenshot(path=ARTEFACTS / f"forced-{request.node.callspec.id}.png")
    paper = page.evaluate("getComputedStyle(document.querySelector('.cs-card')).backgroundColor")
    for quote in (page.locator(".cs-passage .cs-quote").first, page.locator(".cs-key .cs-quote")):
        assert quote.evaluate("quote => getComputedStyle(quote).backgroundColor") != paper
    assert colours(quote)[0] != colours(page.locator(".cs-said"))[0]
    chosen, other = page.locator(".cs-card.cs-selected"), page.locator(".cs-card:not(.cs-selected)").first
    line = "card => { const s = getComputedStyle(card); return [s.outlineStyle, s.borderTopColor]; }"
    assert chosen.evaluate(line) != other.evaluate(line)
    assert colours(chosen.locator(".cs-rank"))[0] != colours(other.locator(".cs-rank"))[0]
    assert len(colours(page.locator(".cs-legend i"), 0)) > 30  # it goes from one colour to another
    shares = [card.locator(".cs-bar i").bounding_box()["width"] for card in (chosen, other)]
    assert min(shares) > 3 and all(len(colours(card.locator(".cs-bar"))) > 1 for card in (chosen, other))
    for name in ("Ask", "New conversation"):
        button = page.get_by_role("button", name=name, exact=True)
        assert len(colours(button)) > 1
        border = button.evaluate("b => { const s = getComputedStyle(b); return [s.borderTopStyle, s.borderTopWidth]; }")
        assert border[0] == "solid" and border[1] != "0px"


def test_the_focus_never_falls_to_the_top(ready: Visit) -> None:
    page = ready.page
    # Where the focus is, looked at after every change of the page and after every press.
    page.evaluate(
        """() => {
            window.fallen = [];
            window.citesight.settled(() => {
                const from = [window.pressed, document.querySelector(".cs-panel")?.className];
                if (window.pressed && document.activeElement === document.body) window.fallen.push(from);
            });
        }"""
    )

    def focused() -> str:
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return page.evaluate("(({ id, className, localName }) => id || className || localName)(document.activeElement)")

    def press(selector: str) -> None:
        page.locator(selector).focus()
        page.evaluate("(selector) => (window.pressed = selector)", selector)
        page.keyboard.press("Enter")

    press(".cs-try >> nth=0")
    ready.answered()
    assert "cs-try" in focused()
    page.evaluate(  # at every change, since it may last for a moment only
        """() => new MutationObserver(() => (window.worked ||= !!document.querySelector(".cs-panel[aria-busy]")))
            .observe(document.body, { attributes: true, childList: true, subtree: true })"""
    )
    press("#cs-ask")
    page.wait_for_function("window.worked")
    page.locator(".cs-panel:not([aria-busy])").wait_for()
    page.wait_for_function("document.activeElement.id === 'cs-ask'")
    press(".cs-pick >> nth=2")  # drawn anew by the next answer
    page.get_by_label("Question").fill("How heavy is it?")
    page.locator(".cs-pick").nth(2).focus()
    page.locator("#cs-ask").evaluate("button => button.click()")
    page.locator(".cs-earlier").wait_for()
    page.locator(".cs-panel:not([aria-busy]) .cs-asked", has_text="How heavy is it?").wait_for()
    assert focused() != "body"
    press(".cs-change")
    assert focused() != "body"
    press("#cs-new")
    page.locator(".cs-empty").wait_for()
    page.wait_for_function("document.activeElement.matches('#cs-question textarea')")
    press("#cs-photo [aria-label='Remove Image']")
    page.locator("#cs-photo img").wait_for(state="detached")
    page.wait_for_function("document.activeElement !== document.body")
    # On the other page: a question that is answered, and what opens and closes.
    page.get_by_role("tab", name="Corpora").click()
    page.locator(".cc-card").first.wait_for()
    press('.cc-do[data-do="delete"]')
    assert focused() == "cc-no"
    page.keyboard.press("Enter")
    assert "cc-do" in focused() and page.evaluate("document.activeElement.dataset.do") == "delete"
    press('.cc-do[data-do="delete"]')
    page.keyboard.press("Escape")
    assert page.locator(".cc-sure").count() == 0 and page.evaluate("document.activeElement.dataset.do") == "delete"
    press('.cc-do[data-do="browse"]')
    page.locator(".cc-open").first.wait_for()
    press(".cc-open >> nth=1")
    page.locator(".cc-document").wait_for()
    page.wait_for_function("document.activeElement.closest('#cc-pages') !== null")
    press('.cc-do[data-do="back"]')
    page.locator(".cc-documents").wait_for()
    page.wait_for_function("document.activeElement.closest('#cc-pages') !== null")
    assert page.evaluate("window.fallen") == []
    # A click beside everything is somebody who wants nothing to have it.
    page.mouse.click(5, 5)
    assert focused() == "body"
