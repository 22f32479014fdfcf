"""The page of two processes behind a proxy that sends each request to either, one of which is killed in mid-answer."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.chat_server import stream
from tests.support.browser import context_of, needs_chromium
from tests.support.databases import postgresql
from tests.support.e2e import CHEETAH, Visit
from tests.support.several import Pair, pair, text_of
from tests.support.waiting import wait_for

pytest.importorskip("playwright.sync_api")

pytestmark = [
    needs_chromium,
    pytest.mark.slow,  # two processes load what they answer with
]


@pytest.fixture(scope="module")
def two(tmp_path_factory, wheel_cache: Path) -> Iterator[Pair]:
    with postgresql() as url, pair(tmp_path_factory.mktemp("several"), wheel_cache, url) as both:
        yield both


def test_a_page_goes_on_at_the_other_process(browser, two: Pair) -> None:
    two.model.said["sleep"] = stream("It sleeps ", "beside rivers [1]. ", *["It runs. "] * 3000, pause=0.1)
    two.proxy.only = two.one.port  # which holds the page then
    with context_of(browser, two.proxy.address) as context:
        visit = Visit(context.new_page())
        visit.open(two.proxy.address)
        visit.index_ready()
        two.proxy.only = None
        page = visit.page
        visit.give_photo(CHEETAH)
        page.locator("#cs-photo img").first.wait_for()
        visit.ask("How fast can this animal run?")
        assert "104 km/h" in visit.answered()
        visit.ask("Where does it sleep?")
        page.locator(".cs-said", has_text="beside rivers").wait_for()
        conversation = page.url.partition("#c=")[2]
        wait_for(lambda: "beside rivers" in text_of(conversation, two.other.url))  # words are kept twice a second
        two.one.end(signal.SIGKILL)
        # By way of the other process that is told; of a connection that is lost Gradio loads the page anew.
        page.get_by_text("broken off").or_(page.get_by_text("broke off")).first.wait_for()
        page.reload()
        page.locator(".cs-said", has_text="beside rivers").wait_for()
        retry = page.get_by_role("button", name="Retry")
        retry.wait_for()
        assert page.locator(".cs-earlier li").count() == 1
        two.model.said["sleep"] = stream("It sleeps beside rivers [1].")
        retry.click()
        page.get_by_text("broken off").wait_for(state="detached")
        assert "beside rivers" in visit.answered()
        assert page.locator(".cs-earlier li").count() == 1 and page.locator(".cs-photo").count() == 1
