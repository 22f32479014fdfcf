"""What a person has before their eyes stays there: on another tab, when the server is started again, when a question is
refused; and nothing lies over it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.support.browser import CHROMIUM
from tests.support.e2e import Visit, filled, running

pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; apt-get install chromium")


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


def test_a_server_that_is_started_again_takes_nothing_away(browser, tmp_path: Path, wheel_cache: Path) -> None:
    folder = filled(tmp_path, wheel_cache)
    with running(folder) as url:
        context = browser.new_context()
        seen = Visit(context.new_page())
        seen.open(url)
        seen.index_ready()
        seen.page.locator(".cs-try").first.click()
        seen.answered()
        seen.ask("Where does it live?")
        seen.page.locator(".cs-earlier").wait_for()
        said = seen.answered()
        seen.page.evaluate("window.before = true")
    page = seen.page
    seen.ask("How heavy is it?")
    page.get_by_text("cannot be reached").wait_for()
    with running(folder, port=urlsplit(url).port):
        page.wait_for_function("window.before === undefined")
        page.get_by_role("alert").get_by_text("add the photo again").wait_for()
        assert seen.answered() == said
        seen.until(lambda: page.locator(".cs-earlier, .cs-photo, .cs-evidence").count() == 3)
        seen.until(lambda: page.get_by_label("Question").input_value() == "How heavy is it?")
        page.reload()
        assert seen.answered() == said
        context.close()


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
