"""An answer kept under a link, and read, printed and deleted there."""

from __future__ import annotations

import re

import pypdfium2
import pytest

from app.service.answer_formats import Told
from app.service.answer_page import written
from tests import ARTEFACTS
from tests.support.browser import context_of, needs_chromium
from tests.support.e2e import CHEETAH, Visit

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium


def printed(page, name: str) -> tuple[int, str, float]:
    """How many sheets, what the first says, and what share of its height is used."""
    file = ARTEFACTS / f"{name}.pdf"
    page.pdf(path=str(file), prefer_css_page_size=True, print_background=True)
    document = pypdfium2.PdfDocument(file)
    try:
        sheet = document[0]
        width, height = sheet.get_size()
        assert (round(width), round(height)) in ((595, 842), (596, 842), (595, 843), (596, 843))  # A4, in points
        picture = sheet.render(scale=1).to_pil()
        picture.save(ARTEFACTS / f"{name}.png")
        text = sheet.get_textpage().get_text_bounded()
        used = [row for row in range(picture.height) if any(min(each) < 200 for each in row_of(picture, row))]
        return len(document), text, used[-1] / picture.height
    finally:
        document.close()


def row_of(picture, row: int) -> list[tuple[int, ...]]:
    return list(picture.convert("RGB").crop((0, row, picture.width, row + 1)).getdata())


def test_an_answer_is_kept_under_a_link_that_others_read_and_only_this_browser_deletes(
    ready: Visit, browser, address: str
) -> None:
    page = ready.page
    ready.give_photo(CHEETAH)
    ready.ask("How fast can this animal run?")
    ready.answered()
    page.get_by_role("button", name="Keep under a link").click()
    page.get_by_label("with the photo").check()
    page.get_by_role("button", name="Make the link").click()
    link = page.get_by_label("Link", exact=True).input_value()
    assert re.fullmatch(re.escape(address) + "kept/[0-9a-f]{32}", link)
    assert re.fullmatch("[0-9a-f]{32}", page.locator(".cs-keeping code").inner_text())
    with context_of(browser, address, viewport={"width": 1280, "height": 900}) as other:
        theirs = other.new_page()
        theirs.goto(link)
        assert "104 km/h" in theirs.locator(".answer").inner_text()
        assert theirs.locator("img").evaluate("(image) => image.naturalWidth > 100")
        assert theirs.locator(".evidence mark").count() and not theirs.locator(".sources").is_visible()
        sheets, text, used = printed(theirs, "kept-link")
        assert sheets == 1 and used < 0.95
        for said in ("How fast can this animal run?", "104 km/h", "Cheetah", "CC0", "https://example.org/"):
            assert said in text, text
        assert "Delete" not in text and "mane of dark hair" not in text  # of a passage that is not cited
    # After a reload the browser still knows how to delete it.
    with page.expect_response("**/run/predict"):
        page.reload()
    ready.answered()
    page.get_by_role("button", name="Keep under a link").click()
    page.locator(".cs-links summary").click()
    page.locator(".cs-links li").get_by_role("button", name="Delete").click()
    page.locator(".cs-links li").wait_for(state="detached")
    reply = page.request.get(link)
    assert reply.status == 404


def test_a_usual_answer_with_a_high_photo_and_several_sources_is_one_sheet(browser, address: str) -> None:
    import io

    from PIL import Image

    jpeg = io.BytesIO()
    Image.new("RGB", (600, 900), "teal").save(jpeg, "JPEG")
    text = "The grey heron stands up to 100 centimetres tall and weighs one to two kilograms. " * 4
    passages = [
        {"rank": rank, "id": f"p{rank}", "title": f"Grey heron {rank}", "text": text, "section": "Description",
         "url": f"https://en.example.org/wiki/Grey_heron_{rank}", "licence": "CC BY-SA 4.0", "corpus": "birds",
         "score": 0.5, "pictures": ()}
        for rank in range(1, 9)
    ]  # fmt: skip
    quote = text[:82].strip()
    cited = [{"number": n, "passage_id": f"p{n}", "quote": quote, "start": 0, "end": len(quote)} for n in (1, 2, 3)]
    told = {"question": "How tall is this bird, and how much does it weigh?", "answer": f"“{quote}” [1] [2] [3]\n" * 3,
            "answered": True, "reason": "", "citations": cited, "passages": passages, "corpora": ["birds"],
            "answerer": "extractive"}  # fmt: skip
    with context_of(browser, address, viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.set_content(written(Told.of(told), jpeg.getvalue()))
        sheets, said, used = printed(page, "saved-page")
        assert sheets == 1 and used < 0.97 and said.count("CC BY-SA 4.0") == 3
