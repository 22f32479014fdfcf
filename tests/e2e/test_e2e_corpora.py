"""The Corpora page in a real browser: an ingestion begun, watched by two browsers, read in, and deleted.

`python app.py` with the real encoder, the folder is the test's own, some of it hostile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ARTEFACTS
from tests.app.web.test_corpora import managed, served
from tests.support.browser import needs_chromium
from tests.support.e2e import LION, Visit, in_view, opened

pytestmark = needs_chromium

NOTES = 1_000
PAGES, BREAKS = 3_000, 2_000  # with so much in them to be parsed that there is time to look, on any machine
HOSTILE = "<img src=x onerror='window.pwned=1'>${window.pwned=1}"
SENTENCES = (
    "The keeper of the lighthouse counts the ships that pass by night. Their lamps are green on one side and red on "
    "the other, so that it can be told which way they go."
)


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("notes")
    for number in range(NOTES):
        (folder / f"note {number:05}.txt").write_text(f"Note {number} of the lighthouse. {SENTENCES}")
    (folder / "page 00000.html").write_text(f"<title>Night</title><p>{SENTENCES}</p>" + "<br>" * BREAKS)
    for number in range(1, PAGES):
        (folder / f"page {number:05}.html").hardlink_to(folder / "page 00000.html")
    (folder / "a <b>page<b>.md").write_text(f"# {HOSTILE}\n\nThe zebrafish swims. {HOSTILE}")
    (folder / "a scan.pdf").write_bytes(b"%PDF-1.4 but not really")
    return folder


@pytest.fixture
def shut(tmp_path: Path) -> Iterator[str]:
    """As strangers see it."""
    with managed(tmp_path / "shut", manage=False) as ingestions, served(ingestions) as address:
        yield address


def corpora(visit: Visit) -> None:
    visit.page.get_by_role("tab", name="Corpora").click()
    visit.page.locator(".cc-card").first.wait_for()


def card(visit: Visit, name: str):
    return visit.page.locator(f'.cc-card[data-corpus="{name}"]')


def fill(visit: Visit, field: str, value: str) -> None:
    visit.page.locator(f"#cc-{field} :is(input, textarea)").first.fill(value)


def choose_folder(visit: Visit, folder: Path, name: str) -> None:
    page = visit.page
    page.get_by_role("button", name="Add a corpus").click()
    page.locator("#cc-kind input").click()
    page.get_by_role("option", name="A folder on the machine").click()
    page.locator("#cc-files").wait_for(state="hidden")
    page.locator("#cc-what").get_by_text("Its path there. Texts, Markdown").wait_for()
    fill(visit, "what", str(folder))
    fill(visit, "corpus", name)


def progress_of(visit: Visit, name: str) -> int:
    """Documents so far, as the card says."""
    said = card(visit, name).locator(".cc-run").inner_text()
    found = re.search(r"([\d,]+) of [\d,]+ documents", said)
    return int(found[1].replace(",", "")) if found else 0


@pytest.mark.slow
def test_an_ingestion_from_preview_to_deletion(browser, site: str, notes: Path) -> None:
    with opened(browser, site) as first, opened(browser, site) as second:
        page = first.page
        corpora(first)
        assert "8 documents" in card(first, "small-test").inner_text()
        choose_folder(first, notes, "notes")
        for change in ("check", "uncheck"):
            getattr(page.get_by_label("Pages of PDFs as pictures"), change)()

        # What is missing is said, and nothing begun.
        fill(first, "corpus", "")
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_text("Give the corpus a name first.").wait_for()
        fill(first, "corpus", "notes")

        page.get_by_role("button", name="Preview").click()
        found = page.locator("#cc-preview .cc-found li")
        found.first.wait_for()
        assert "damaged or not a PDF" in found.nth(1).inner_text() and "window.pwned" in found.nth(0).inner_text()
        assert page.locator(".cc-card").count() == 1
        page.screenshot(path=str(ARTEFACTS / "corpora-preview.png"), full_page=True)

        page.get_by_role("button", name="Start", exact=True).click()
        card(first, "notes").wait_for()
        card(first, "notes").locator("[role=progressbar]").first.wait_for()
        page.wait_for_function(
            "/[1-9][\\d,]* of 4,00\\d doc/.test(document.querySelector('[data-corpus=notes] .cc-run')?.innerText)",
        )
        before = progress_of(first, "notes")

        # In the middle of it, the page is loaded anew, and another browser comes by.
        page.reload()
        card(first, "notes").wait_for()
        assert page.get_by_role("tab", name="Corpora").get_attribute("aria-selected") == "true"
        corpora(second)
        card(second, "notes").wait_for()
        for visit in (first, second):
            visit.page.wait_for_function(
                "(n) => Number((/([\\d,]+) of/.exec(document.querySelector('[data-corpus=notes] .cc-run')?.innerText)"
                " ?? [0, '0'])[1].replaceAll(',', '')) > n",
                arg=before,
            )
        page.screenshot(path=str(ARTEFACTS / "corpora-running.png"), full_page=True)

        # A press on a button that is made anew meanwhile is a press.
        card(second, "notes").locator('[data-do="delete"]').click()
        keep = card(second, "notes").get_by_role("button", name="Keep it")
        keep.hover()
        pressed = keep.element_handle()
        second.page.mouse.down()
        second.page.wait_for_function("button => !button.isConnected", arg=pressed)
        second.page.mouse.up()
        keep.wait_for(state="detached")
        second.page.wait_for_timeout(1_500)
        assert keep.count() == 0

        # The second browser pauses it, and the first one sees that and goes on.
        card(second, "notes").get_by_role("button", name="Pause").click()
        card(first, "notes").get_by_text("Paused", exact=True).wait_for()
        resume = card(first, "notes").get_by_role("button", name="Resume")
        resume.click()
        card(first, "notes").get_by_text("Being ingested", exact=True).wait_for()
        card(first, "notes").get_by_role("button", name="Pause").click()
        card(first, "notes").get_by_text("Paused", exact=True).wait_for()

        # Reading in it.
        card(first, "notes").get_by_role("button", name="Browse").click()
        listed = page.locator(".cc-documents .cc-open")
        listed.first.wait_for()
        assert "window.pwned" in listed.first.inner_text() and listed.count() == 20
        page.get_by_role("button", name="Next page").click()
        page.get_by_text("Documents 21 to 40").wait_for()
        page.get_by_role("button", name="Previous page").click()
        page.get_by_text("Documents 1 to 20").wait_for()
        fill(first, "words", "zebrafish")
        page.keyboard.press("Enter")
        page.locator(".cc-hits mark").first.wait_for()
        listed.first.click()
        opened_one = page.locator(".cc-document")
        opened_one.wait_for()
        assert "The zebrafish swims" in opened_one.inner_text() and "tokens" in opened_one.inner_text()
        page.screenshot(path=str(ARTEFACTS / "corpora-document.png"), full_page=True)

        # It is offered on the Ask page.
        page.get_by_role("tab", name="Ask").click()
        page.locator("#cs-where button").first.click()
        page.get_by_text(re.compile(r"passages\)")).nth(1).wait_for()
        assert re.search("#c=[0-9a-f]{32}$", page.url)  # the conversation that is there
        page.get_by_role("tab", name="Corpora").click()

        # Deleting asks for a second click; the first can be taken back.
        delete = card(first, "notes").locator('[data-do="delete"]')
        delete.click()
        sure = card(first, "notes").locator(".cc-sure")
        assert "for good?" in sure.inner_text()
        sure.get_by_role("button", name="Keep it").click()
        sure.wait_for(state="detached")
        assert card(second, "notes").count() == 1
        delete.click()
        sure.get_by_role("button", name="Delete").click()
        card(first, "notes").wait_for(state="detached")
        second.page.reload()
        corpora(second)
        assert card(second, "notes").count() == 0 and card(second, "small-test").count() == 1


def test_uploaded_files_become_a_corpus_that_can_be_asked(browser, site: str, tmp_path: Path) -> None:
    (tmp_path / "mane.txt").write_text("The lion Cecil had a black mane and lived to 13 years. It wore a collar.")
    (tmp_path / "program.exe").write_bytes(b"MZ")
    with opened(browser, site) as visit:
        page = visit.page
        corpora(visit)
        page.get_by_role("button", name="Add a corpus").click()
        files = page.locator("#cc-files input[type=file]")
        fill(visit, "corpus", "cecil")
        files.set_input_files(str(tmp_path / "program.exe"))
        page.locator("#cc-files").get_by_text("program").first.wait_for()
        page.get_by_role("button", name="Start", exact=True).click()
        page.get_by_text("is not of a kind that is taken").wait_for()
        page.locator("#cc-files").get_by_label("Clear").click()
        page.locator("#cc-files input[type=file]").set_input_files(str(tmp_path / "mane.txt"))
        page.locator("#cc-files").get_by_text("mane").first.wait_for()
        start = page.get_by_role("button", name="Start", exact=True)
        start.click()
        page.locator("#cc-said .cc-told").wait_for()
        start.click(click_count=2)  # of those who press twice, the second when all is done
        card(visit, "cecil").get_by_text("All of it can be asked about.").wait_for()
        assert page.locator("#cc-said .cc-told").count() == 1 and page.locator("#cc-unbegun .cs-error").count() == 0

        page.get_by_role("tab", name="Ask").click()
        page.locator("#cs-where button").first.click()
        page.get_by_label("cecil (1 passage)").check()
        page.get_by_label("Small test").uncheck()
        visit.give_photo(LION)
        page.locator("#cs-photo img").wait_for()
        visit.ask("What colour was the mane of this lion?")
        visit.answered()
        assert page.locator(".cs-card").count() == 1 and "Cecil" in page.locator(".cs-card").inner_text()
        # Going to the other page and back loses nothing.
        page.get_by_role("tab", name="Corpora").click()
        page.get_by_role("tab", name="Ask").click()
        assert "Cecil" in page.locator(".cs-card").inner_text()
        page.get_by_role("tab", name="Corpora").click()
        card(visit, "cecil").locator('[data-do="delete"]').click()
        card(visit, "cecil").locator(".cc-sure").get_by_role("button", name="Delete").click()
        card(visit, "cecil").wait_for(state="detached")


def test_strangers_see_no_form_and_no_buttons_that_change(browser, shut: str) -> None:
    with opened(browser, shut) as visit:
        corpora(visit)
        assert visit.page.locator("#cc-add").count() == 0
        assert [each.get_attribute("data-do") for each in visit.page.locator(".cc-do").all()] == ["browse"]
        # One that was kept from another time, or made up, is refused.
        visit.page.evaluate(
            "document.querySelector('.cc-do').dataset.do = 'delete'; document.querySelector('.cc-do').click()"
        )
        visit.page.locator(".cs-error:visible", has_text="Corpora cannot be changed on this page").wait_for()
        corpora(visit)
        assert "50 documents" in card(visit, "made-up").inner_text()


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_it_fits_a_phone(browser, site: str, scheme: str) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "color_scheme": scheme}
    with opened(browser, site, **phone) as visit:
        corpora(visit)
        visit.page.get_by_role("button", name="Add a corpus").click()
        card(visit, "small-test").locator('[data-do="delete"]').click()
        visit.page.locator(".cc-sure").wait_for()
        card(visit, "small-test").get_by_role("button", name="Browse").click()
        visit.page.locator(".cc-documents li").first.wait_for()
        assert visit.page.locator(".cc-sure").count() == 0  # anything else is a no
        visit.page.screenshot(path=str(ARTEFACTS / f"corpora-phone-{scheme}.png"), full_page=True)
        width = visit.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390


@pytest.mark.parametrize("width", [1280, 390])
def test_what_goes_wrong_is_said_where_it_went_wrong(browser, site: str, width: int) -> None:
    with opened(browser, site, viewport={"width": width, "height": 700}) as visit:
        page = visit.page
        corpora(visit)
        page.get_by_role("button", name="Add a corpus").click()
        for said, near in (
            ("Give the corpus a name first.", "#cc-start"),
            ("Choose a corpus to read in first.", "#cc-show"),
        ):
            for _ in range(2):  # and the same again
                page.locator(near).click()
                error = page.locator(".cs-error:focus", has_text=said)
                error.wait_for()
                visit.until(lambda error=error: in_view(error))
                assert page.locator(".cs-error:visible", has_text=said).count() == 1
                assert 0 < error.bounding_box()["y"] - page.locator(near).bounding_box()["y"] < 100
                page.locator("#cc-corpus :is(input, textarea)").focus()
        # A button of a card, which is drawn anew when anything happens.
        browse = card(visit, "small-test").locator('[data-do="browse"]')
        browse.evaluate("button => (button.dataset.do = 'resume')")
        changed = card(visit, "small-test").locator('[data-do="resume"]').first
        changed.click()
        error = card(visit, "small-test").locator(".cs-error:focus")
        error.wait_for()
        visit.until(lambda: in_view(error))
        assert page.locator(".cs-error:visible", has_text=error.inner_text()).count() == 1
        card(visit, "small-test").locator('[data-do="delete"]').click()
        page.keyboard.press("Escape")


def test_by_keyboard(browser, site: str) -> None:
    with opened(browser, site) as visit:
        page = visit.page
        corpora(visit)
        card(visit, "small-test").locator('[data-do="delete"]').focus()
        page.keyboard.press("Enter")
        page.locator(".cc-sure").wait_for()
        assert page.evaluate("document.activeElement.textContent") == "Keep it"
        page.keyboard.press("Escape")
        page.locator(".cc-sure").wait_for(state="detached")
        card(visit, "small-test").get_by_role("button", name="Browse").focus()
        page.keyboard.press("Enter")
        page.locator(".cc-open").first.wait_for()
        page.locator(".cc-open").first.focus()
        page.keyboard.press("Enter")
        page.locator(".cc-document").wait_for()
