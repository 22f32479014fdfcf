"""Giving a photo in a real browser: dropped anywhere, pasted anywhere, one after the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

import common.images  # noqa: F401 - which has Pillow write such files
from tests.support.browser import needs_chromium
from tests.support.e2e import CHEETAH, LION, TOWER, Visit, dropped

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium


def shows(page, file: str) -> None:
    """Wait until the photo is this one, and the only one."""
    page.wait_for_function(
        "name => document.querySelector('#cs-photo img')?.src.endsWith('/' + name)", arg=Path(file).name
    )
    assert page.locator("#cs-photo img").count() == 1


def test_a_photo_dropped_on_another_replaces_it(ready: Visit, address: str) -> None:
    page = ready.page
    for file in (LION, TOWER, CHEETAH):
        dropped(page, "#cs-photo", file)
        shows(page, file)
    ready.ask("How fast can this animal run?")
    assert "104 km/h" in ready.answered()
    # Over the photo with its heat map, and beside it.
    dropped(page, ".cs-figure", LION)
    shows(page, LION)
    page.locator(".cs-figure").wait_for(state="detached")
    ready.ask("Where does this animal live?")
    page.locator(".cs-said", has_text="Africa").wait_for()
    for place in ("#cs-answer", "#cs-header", "#cs-question textarea", "footer"):
        page.locator(place).scroll_into_view_if_needed()
        dropped(page, place, TOWER)
        shows(page, TOWER)
        dropped(page, place, LION)
        shows(page, LION)
    assert page.url.partition("#")[0] == address
    assert page.get_by_label("Question").input_value() == "Where does this animal live?"


def test_a_photo_of_an_iphone_is_chosen_and_shown(ready: Visit, tmp_path: Path) -> None:
    page = ready.page
    with Image.open(LION) as lion:
        lion.resize((320, 240)).save(tmp_path / "IMG_0001.HEIC", "HEIF")
    page.wait_for_function("document.querySelector('#cs-photo input[type=file]')?.accept.includes('.heic')")
    ready.give_photo(tmp_path / "IMG_0001.HEIC")
    # As the picture that was made of it, since hardly a browser shows such a file.
    page.wait_for_function("document.querySelector('#cs-photo img')?.naturalWidth === 320")
    ready.ask("Where does this animal live?")
    assert "Lion" in ready.answered()


def test_of_several_photos_dropped_at_once_the_last_stands(ready: Visit) -> None:
    page = ready.page
    held = []
    page.route("**/upload?*", lambda route: route.fallback() if held else held.append(route))
    with page.expect_request("**/upload?*"):
        dropped(page, "#cs-photo", LION)
    ready.until(lambda: held)
    dropped(page, "#cs-header", TOWER)
    dropped(page, "#cs-header", CHEETAH)
    with page.expect_response("**/upload?*") as first:
        held[0].continue_()
    assert first.value.ok
    shows(page, CHEETAH)
    page.wait_for_function("document.querySelector('#cs-announce')?.textContent === 'The photo is there.'")
    shows(page, CHEETAH)
    assert len([url for url in ready.requests if "/upload?" in url]) == 2  # the one between went nowhere


def test_dragging_the_photo_itself_does_nothing(ready: Visit, address: str) -> None:
    page = ready.page
    ready.give_photo(LION)
    shows(page, LION)
    photo = page.locator("#cs-photo img").get_attribute("src")
    before = len(ready.requests)
    page.drag_and_drop("#cs-photo img", "#cs-photo", target_position={"x": 40, "y": 60})
    page.drag_and_drop("#cs-photo img", "#cs-answer")
    page.drag_and_drop(".cs-try img >> nth=1", "#cs-photo")
    assert page.locator("#cs-photo img").get_attribute("src") == photo and page.url.partition("#")[0] == address
    assert not [url for url in ready.requests[before:] if "upload" in url]
    # And the next one from outside counts.
    dropped(page, "#cs-photo", TOWER)
    shows(page, TOWER)


def test_what_is_no_photo_does_not_open_in_its_place(ready: Visit, address: str, tmp_path: Path) -> None:
    page = ready.page
    (tmp_path / "notes.txt").write_text("Notes.")
    (tmp_path / "folder").mkdir()
    for place in ("#cs-photo", "#cs-answer"):
        dropped(page, place, tmp_path / "notes.txt")
        page.get_by_role("alert").get_by_text("This is not a photo").wait_for()
        dropped(page, place, tmp_path / "notes.txt", LION)
        shows(page, LION)
        ready.until(lambda: page.get_by_role("alert").count() == 0)
        dropped(page, place, tmp_path / "folder")
        page.get_by_role("alert").get_by_text("This is not a photo").wait_for()
        shows(page, LION)
    page.get_by_role("tab", name="Corpora").click()
    page.locator(".cc-card").first.wait_for()
    for file in (LION, tmp_path / "notes.txt"):
        dropped(page, "#cc-corpora", file)
    page.get_by_role("button", name="Add a corpus").click()
    dropped(page, "#cc-files", tmp_path / "notes.txt")
    page.locator("#cc-files").get_by_text("notes").first.wait_for()
    assert page.url.startswith(address)
    page.get_by_role("tab", name="Ask").click()
    shows(page, LION)


@pytest.mark.parametrize("visit", [{"permissions": ["clipboard-read", "clipboard-write"]}], indirect=True)
def test_a_picture_is_pasted_whatever_has_the_focus(ready: Visit) -> None:
    page = ready.page

    def copy(width: int, text: str = "") -> None:
        page.evaluate(
            """async ([width, text]) => {
                const canvas = document.createElement("canvas");
                [canvas.width, canvas.height] = [width, 64];
                canvas.getContext("2d").fillRect(8, 8, 40, 40);
                const picture = await new Promise((done) => canvas.toBlob(done));
                const words = text && { "text/plain": new Blob([text], { type: "text/plain" }) };
                await navigator.clipboard.write([new ClipboardItem({ "image/png": picture, ...words })]);
            }""",
            [width, text],
        )

    def pasted(width: int) -> None:
        page.keyboard.press("Control+V")
        page.wait_for_function("width => document.querySelector('#cs-photo img')?.naturalWidth === width", arg=width)

    copy(64)
    assert page.evaluate("document.activeElement === document.body")
    pasted(64)
    copy(65)
    page.get_by_label("Question").focus()
    pasted(65)
    copy(66)
    page.locator("#cs-ask").focus()
    pasted(66)
    # Where there are words too, they are what is meant in a field, and the picture elsewhere.
    copy(67, "Who is it?")
    page.get_by_label("Question").fill("")
    page.keyboard.press("Control+V")
    page.wait_for_function("document.querySelector('#cs-question textarea').value === 'Who is it?'")
    assert page.locator("#cs-photo img").evaluate("photo => photo.naturalWidth") == 66
    page.locator("#cs-ask").focus()
    pasted(67)
    assert page.get_by_label("Question").input_value() == "Who is it?"
