"""A part of the photo is asked about, in a real browser: with the mouse and with the keyboard."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.support.browser import needs_chromium
from tests.support.e2e import LION, Visit, coloured, draw, painted, region, selecting

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium


def test_a_part_of_the_photo_drawn_with_the_mouse(ready: Visit, both: Path) -> None:
    page = ready.page
    assert selecting(page).count() == 0
    ready.give_photo(both)
    page.locator("#cs-photo img").wait_for()
    assert region(page) == [] and page.locator(".cs-frame").count() == 0
    selecting(page).click()
    draw(page, "#cs-photo img", 0.55, 0.1, 0.95, 0.9)
    page.locator(".cs-hole:visible").wait_for()
    assert "is chosen; ask" in page.locator("#cs-announce").inner_text()  # also after the click that a drag ends with
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
    ready.until(lambda: hot(page)[0] > 0.5)

    # The other part of the same photo, drawn there.
    selecting(page).click()
    assert region(page) == [] and page.locator(".cs-frame").count() == 0
    selecting(page).click()
    draw(page, ".cs-photo", 0.45, 0.95, 0.02, 0.05)  # from the lower right
    assert region(page) == pytest.approx([0.02, 0.05, 0.45, 0.95], abs=0.01)
    ready.ask("What is this?")
    page.locator(".cs-said", has_text="Cheetah").wait_for()
    ready.until(lambda: hot(page)[1] < 0.5)

    ready.remove_photo()
    page.locator(".cs-figure").wait_for(state="detached")
    ready.give_photo(LION)
    page.locator("#cs-photo img").wait_for()
    page.wait_for_function("!document.querySelector('.cs-frame')")
    assert region(page) == []


def hot(page) -> tuple[float, float]:
    """From where to where, of its width, the heat map shown is not clear."""
    return page.locator(".cs-layer:not([hidden])").evaluate(
        """async (layer) => {
            await layer.decode();
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


BLUE = (0, 0, 255)


def quartered(folder: Path, size: tuple[int, int]) -> Path:
    """A red picture whose lower right quarter is blue."""
    picture = Image.new("RGB", size, "red")
    picture.paste(BLUE, (size[0] // 2, size[1] // 2, *size))
    picture.save(folder / "quartered.png")
    return folder / "quartered.png"


@pytest.mark.parametrize("size", [(100, 100), (40, 160), (900, 60)])
def test_a_frame_is_where_it_is_drawn_however_small_the_photo(ready: Visit, tmp_path: Path, size) -> None:
    """The frame is drawn round the blue that is on the screen, so no rule of how pictures are fitted is assumed."""
    page = ready.page

    def drawn_round_the_blue() -> tuple[list[float], float]:
        selecting(page).click()
        page.mouse.move(5, 5)
        left, top, right, bottom = coloured(page, BLUE)
        page.mouse.move(left + 0.5, top + 0.5)
        page.mouse.down()
        page.mouse.move((left + right) / 2, (top + bottom) / 2)
        page.mouse.move(right, bottom)
        page.mouse.up()
        page.locator(".cs-hole:visible").wait_for()
        hole = page.locator(".cs-hole").bounding_box()
        assert [hole["x"], hole["y"]] == pytest.approx([left, top], abs=1.5)
        assert [hole["width"], hole["height"]] == pytest.approx([right - left, bottom - top], abs=2)
        return region(page), min(right - left, bottom - top)

    ready.give_photo(quartered(tmp_path, size))
    page.locator("#cs-photo img").wait_for()
    page.wait_for_function("document.querySelector('#cs-photo img').naturalWidth > 0")
    got, pixels = drawn_round_the_blue()
    assert got == pytest.approx([0.5, 0.5, 1, 1], abs=1 / pixels)
    ready.ask("What is this?")
    ready.answered()
    page.locator(".cs-stage .cs-hole").wait_for()
    selecting(page).click()  # the whole photo again
    page.get_by_role("button", name="Plain photo").click()
    got, pixels = drawn_round_the_blue()
    assert got == pytest.approx([0.5, 0.5, 1, 1], abs=2.5 / pixels)  # its edge is blurred there


def test_a_frame_is_moved_and_resized_with_the_mouse(ready: Visit, both: Path) -> None:
    page = ready.page
    ready.give_photo(both)
    page.locator("#cs-photo img").wait_for()
    selecting(page).click()
    draw(page, "#cs-photo img", 0.2, 0.2, 0.6, 0.8)

    def drag(start: tuple[float, float], end: tuple[float, float]) -> None:
        photo = painted(page, "#cs-photo img")
        x0, y0, x1, y1 = (
            photo[side] + at * photo[size]
            for at, side, size in zip((*start, *end), "xyxy", ("width", "height") * 2, strict=True)
        )
        page.mouse.move(x0, y0)
        page.mouse.down()
        page.mouse.move((x0 + x1) / 2, (y0 + y1) / 2)
        page.mouse.move(x1, y1)
        page.mouse.up()

    drag((0.4, 0.5), (0.5, 0.55))
    assert region(page) == pytest.approx([0.3, 0.25, 0.7, 0.85], abs=0.01)
    drag((0.5, 0.5), (1.5, 1.5))  # as far as the photo goes, and as large as it was
    assert region(page) == pytest.approx([0.6, 0.4, 1, 1], abs=0.01)
    drag((0.61, 0.42), (0.11, 0.22))  # by its corners
    assert region(page) == pytest.approx([0.1, 0.2, 1, 1], abs=0.01)
    drag((0.99, 0.22), (0.59, 0.02))
    assert region(page) == pytest.approx([0.1, 0, 0.6, 1], abs=0.01)
    drag((0.59, 0.98), (0.0, 0.5))  # never through itself
    left, top, right, bottom = region(page)
    assert [left, top, bottom] == pytest.approx([0.1, 0, 0.52], abs=0.02) and 0.02 < right - left < 0.06
    assert page.evaluate("document.activeElement.className") == "cs-hole"
    ready.ask("What is this?")
    ready.answered()


@pytest.mark.parametrize(
    "visit", [{"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}], indirect=True
)
def test_a_frame_is_drawn_moved_and_resized_with_a_finger(ready: Visit, both: Path) -> None:
    page = ready.page
    ready.give_photo(both)
    page.locator("#cs-photo img").wait_for()
    selecting(page).scroll_into_view_if_needed()
    selecting(page).tap()
    page.locator("#cs-photo img").scroll_into_view_if_needed()
    browser = page.context.new_cdp_session(page)

    def drag(start: tuple[float, float], end: tuple[float, float]) -> None:
        photo = painted(page, "#cs-photo img")
        steps = [tuple(a + (b - a) * step / 4 for a, b in zip(start, end, strict=True)) for step in range(5)]
        points = [{"x": photo["x"] + x * photo["width"], "y": photo["y"] + y * photo["height"]} for x, y in steps]
        browser.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points[:1]})
        for point in points[1:]:
            browser.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        browser.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    drag((0.2, 0.2), (0.6, 0.8))
    assert region(page) == pytest.approx([0.2, 0.2, 0.6, 0.8], abs=0.01)
    drag((0.4, 0.5), (0.5, 0.4))
    assert region(page) == pytest.approx([0.3, 0.1, 0.7, 0.7], abs=0.01)
    drag((0.68, 0.66), (0.88, 0.96))
    assert region(page) == pytest.approx([0.3, 0.1, 0.9, 1], abs=0.01)
    handles = page.locator(".cs-handle").evaluate_all("all => all.map(each => each.getBoundingClientRect().width)")
    assert len(handles) == 4 and min(handles) >= 24
