"""Browser contexts that tests have one after another keep nothing of what was stored in them."""

from __future__ import annotations

import pytest

from tests.support.browser import context_of, needs_chromium

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium

ADDRESS = "http://127.0.0.1:9/"
STORES = """document.cookie = localStorage.early = 'a=1';
    addEventListener('pagehide', () => { localStorage.late = 1; })"""


def test_nothing_is_left_of_a_visit(browser):
    contexts = []
    for _ in range(2):
        with context_of(browser, ADDRESS, viewport={"width": 321, "height": 321}) as context:
            page = context.new_page()
            page.route("**", lambda route: route.fulfill(body="Welcome."))
            page.goto(ADDRESS)
            assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
            page.evaluate(STORES)
            contexts.append(context)
    assert contexts[0] is contexts[1]
