"""A part of the photo is asked about, in a real browser: with the mouse and with the keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser_support import CHROMIUM
from e2e_support import LION, Visit, draw, painted, region, selecting

pytest.importorskip("playwright.sync_api")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; apt-get install chromium")


def test_a_part_of_the_photo_drawn_with_the_mouse(ready: Visit, both: Path) -> None:
    page = ready.page
    assert selecting(page).count() == 0
    ready.give_photo(both)
    page.locator("#cs-photo img").wait_for()
    assert region(page) == [] and page.locator(".cs-frame").count() == 0
    selecting(page).click()
    draw(page, "#cs-photo img", 0.55, 0.1, 0.95, 0.9)
    page.locator(".cs-hole:visible").wait_for()
    assert region(page) == pytest.approx([0.55, 0.1, 0.95, 0.9], abs=0.01)
    hole, photo = page.locator(".cs-hole").bounding_box(), painted(page, "#cs-photo img")
    assert hole["x"] == pytest.approx(photo["x"] + 0.55 * photo["width"], abs=3)
    assert hole["y"] == pytest.approx(photo["y"] + 0.1 * photo["height"], abs=3)
    assert hole["width"] == pytest.approx(0.4 * photo["width"], abs=4)
    assert hole["height"] == pytest.approx(0.8 * photo["height"], abs=4)
    ready.ask("What is this?")
    assert "Eiffel Tower" in ready.answered()

    # The frame is over the photo with its heat map now, which is hot in that part alone.
    page.locator(".cs-stage .cs-hole:visible").wait_for()
    hole, photo = page.locator(".cs-hole").bounding_box(), painted(page, ".cs-photo")
    assert hole["x"] == pytest.approx(photo["x"] + 0.55 * photo["width"], abs=3)
    assert page.locator(".cs-figure").get_attribute("data-part").startswith("0.5")
    assert hot(page)[0] > 0.5

    # The other part of the same photo, drawn there.
    selecting(page).click()
    assert region(page) == [] and page.locator(".cs-frame").count() == 0
    selecting(page).click()
    draw(page, ".cs-photo", 0.45, 0.95, 0.02, 0.05)  # from the lower right
    assert region(page) == pytest.approx([0.02, 0.05, 0.45, 0.95], abs=0.01)
    ready.ask("What is this?")
    page.locator(".cs-said", has_text="Cheetah").wait_for()
    assert hot(page)[1] < 0.5

    ready.remove_photo()
    page.locator(".cs-figure").wait_for(state="detached")
    ready.give_photo(LION)
    page.locator("#cs-photo img").wait_for()
    page.wait_for_function("!document.querySelector('.cs-frame')")
    assert region(page) == []


def hot(page) -> tuple[float, float]:
    """From where to where, of its width, the heat map shown is not clear."""
    return page.locator(".cs-layer:not([hidden])").evaluate(
        """layer => {
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [layer.naturalWidth, layer.naturalHeight];
            const drawing = canvas.getContext("2d");
            drawing.drawImage(layer, 0, 0);
            const { data, width } = drawing.getImageData(0, 0, canvas.width, canvas.height);
            let [from, to] = [width, 0];
            for (let i = 3; i < data.length; i += 4)
                if (data[i] > 10) { const x = (i >> 2) % width; from = Math.min(from, x); to = Math.max(to, x); }
            return [from / width, to / width];
        }"""
    )


def test_a_click_draws_nothing_and_a_part_can_be_given_up(ready: Visit, both: Path) -> None:
    page = ready.page
    ready.give_photo(both)
    page.locator("#cs-photo img").wait_for()
    selecting(page).click()
    draw(page, "#cs-photo img", 0.5, 0.5, 0.505, 0.505)
    assert region(page) == [] and page.locator(".cs-frame.cs-choosing-part").is_visible()
    draw(page, "#cs-photo img", 0.2, 0.2, 1.5, 1.5)  # beyond its edge
    assert region(page) == pytest.approx([0.2, 0.2, 1, 1], abs=0.01)
    page.get_by_role("button", name="New conversation").wait_for(state="hidden")
    selecting(page).click()
    assert region(page) == [] and page.locator(".cs-frame").count() == 0


def test_a_part_of_the_photo_with_the_keyboard(ready: Visit, both: Path) -> None:
    page = ready.page
    ready.give_photo(both)
    page.locator("#cs-photo img").wait_for()
    selecting(page).focus()
    page.keyboard.press("Enter")
    assert region(page) == [0.25, 0.25, 0.75, 0.75]
    assert page.evaluate("document.activeElement.className") == "cs-hole"
    assert "25 to 75 percent across" in page.locator(".cs-hole").get_attribute("aria-label")
    for key, times in (("ArrowRight", 20), ("ArrowUp", 30), ("Shift+ArrowDown", 30), ("Shift+ArrowLeft", 5)):
        for _ in range(times):
            page.keyboard.press(key)
    assert region(page) == pytest.approx([0.5, 0, 0.9, 1], abs=0.001)
    page.get_by_label("Question").focus()
    page.keyboard.type("What is this?")
    page.keyboard.press("Enter")
    assert "Eiffel Tower" in ready.answered() and region(page)
    page.locator(".cs-stage .cs-hole").focus()
    page.keyboard.press("Escape")
    assert region(page) == [] and page.locator(".cs-frame").count() == 0
