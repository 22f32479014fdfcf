"""How the page comes up in a real browser: what it fetches, how much of it moves about, and what it folds away."""

from __future__ import annotations

import pytest

from tests.support.browser import needs_chromium
from tests.support.e2e import Visit, in_view

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium

SHIFTS = """window.shifts = [];
    new PerformanceObserver((list) => list.getEntries().forEach((shift) => {
        if (!shift.hadRecentInput) window.shifts.push(shift.value);
    })).observe({ type: "layout-shift", buffered: true });"""


@pytest.mark.parametrize("width", [1280, 390])
def test_little_moves_and_little_is_fetched_when_the_page_comes_up(ready: Visit, address: str, width: int) -> None:
    page = ready.page
    page.set_viewport_size({"width": width, "height": 844})
    page.add_init_script(SHIFTS)
    fetched = []
    page.on("response", lambda response: fetched.append(response))
    with page.expect_response("**/run/predict"):  # how far the index is, after which it is wholly up
        page.goto(address)
    page.locator("html.cs-up .cs-try img").last.wait_for()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.locator("#cs-main").is_visible()
    assert sum(page.evaluate("window.shifts")) < 0.05
    pictures = [each.url for each in fetched if each.request.resource_type == "image" and "data:" not in each.url]
    assert not [url for url in pictures if url.endswith(".jpg")]  # the examples' own photos come when they are asked
    page.wait_for_function("[...document.querySelectorAll('.cs-try img')].every((one) => one.naturalWidth)")
    sizes = page.locator(".cs-try img").evaluate_all("all => all.map((one) => [one.src.length, one.naturalWidth])")
    assert len(sizes) == 3 and all(length < 8000 and side == 88 for length, side in sizes)


def test_a_citation_of_a_passage_that_is_folded_away_unfolds_it(ready: Visit) -> None:
    page = ready.page
    page.locator(".cs-try").first.click()
    ready.answered()
    rank = page.locator(".cs-cite").first.get_attribute("data-rank")
    page.locator(f'.cs-card[data-rank="{rank}"]').evaluate(  # as page_html folds the last of many
        """card => {
            const more = document.createElement("details");
            more.className = "cs-more";
            more.innerHTML = "<summary>1 more</summary>";
            card.replaceWith(more);
            more.append(card);
        }"""
    )
    card = page.locator(f'.cs-card[data-rank="{rank}"]')
    assert not card.is_visible()
    page.locator(".cs-cite").first.click()
    card.wait_for()
    assert page.evaluate("document.activeElement.id") == f"cs-pick-{rank}"
    ready.until(lambda: in_view(card.locator(".cs-pick")))
