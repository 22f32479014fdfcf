"""Asking in a real browser: photo, question, answer and evidence, and whatever a person may do wrong on the way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from PIL import Image

from app.web.request_files import EXAMPLES
from tests import ARTEFACTS
from tests.support.browser import needs_chromium
from tests.support.e2e import CHEETAH, LION, TOWER, Visit, contrast, in_view

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium


def test_the_index_is_built_while_the_page_is_up_and_polling_ends(visit: Visit) -> None:
    status = visit.page.locator("#cs-status")
    status.locator(".cs-status").wait_for()  # the page was up before the libraries were
    status.locator(".cs-status").wait_for(state="detached")
    assert status.get_attribute("aria-live") == "polite"

    def asks_no_more() -> bool:
        before = len(visit.requests)
        visit.page.wait_for_timeout(4000)
        return len(visit.requests) == before

    visit.until(asks_no_more)


def test_what_is_pressed_twice_is_asked_once(ready: Visit) -> None:
    page = ready.page
    ready.give_photo(CHEETAH)
    page.locator("#cs-photo img").wait_for()
    page.wait_for_function("!window.beginning()")
    page.get_by_label("Question").fill("How fast can this spotted animal run?")
    joined = lambda: sum("/queue/join" in url for url in ready.requests)  # noqa: E731
    before = joined()
    page.get_by_role("button", name="Ask", exact=True).dblclick()
    page.evaluate("document.querySelector('#cs-ask').click()")  # so soon that Gradio has not begun
    page.locator("#cs-stop").dispatch_event("click", {"detail": 2})  # which has taken its place meanwhile
    assert "104 km/h" in ready.answered()
    page.wait_for_timeout(1_500)  # longer than it takes to ask
    assert joined() == before + 1 and page.locator(".cs-earlier").count() == 0
    page.get_by_label("Question").fill("How fast can this spotted animal run then?")  # another one may be asked at once
    page.evaluate("for (const _ of 'ab') document.querySelector('#cs-ask').click()")  # at once, on any machine
    page.locator(".cs-earlier").wait_for()
    assert "104 km/h" in ready.answered() and joined() == before + 2


def test_photo_question_answer_evidence_and_heat_map(ready: Visit) -> None:
    page = ready.page
    assert page.locator(".cs-empty").is_visible()
    ready.give_photo(CHEETAH)
    page.locator("#cs-photo img").wait_for()
    ready.ask("How fast can this animal run?")
    assert "104 km/h" in ready.answered()
    # Known from before where another file of tests asked the same of this app.
    assert re.match(r"(Known from before; then a|A)nswered in [\d.]+ s", page.locator(".cs-timing").inner_text())

    first = page.locator(".cs-card").first
    assert first.locator(".cs-title").inner_text().startswith("Cheetah")
    assert "104 km/h" in first.locator(".cs-quote").first.inner_text()
    assert {mark.inner_text().casefold() for mark in first.locator("mark").all()} & {
        "fastest",
        "animal",
        "run",
    }
    link = first.locator("a")
    assert link.get_attribute("href") == "https://example.org/0"
    assert link.get_attribute("rel") == "noopener noreferrer nofollow" and link.get_attribute("target") == "_blank"
    assert "CC0" in first.locator(".cs-source").inner_text()

    cited = page.locator(".cs-cite").first.get_attribute("data-rank")
    assert ready.pressed() == ready.maps_shown() == [cited]
    page.locator(".cs-card").nth(2).click()
    assert ready.pressed() == ready.maps_shown() == ["3"]
    title = page.locator(".cs-card").nth(2).locator(".cs-pick").inner_text()
    assert page.locator(".cs-where:visible b").inner_text() in title
    assert "rather than for the other passages found" in page.locator(".cs-where:visible").inner_text()
    photo, layer = (
        page.locator(".cs-photo").bounding_box(),
        page.locator(".cs-layer:not([hidden])").bounding_box(),
    )
    assert all(abs(photo[side] - layer[side]) < 1 for side in photo)

    page.get_by_role("button", name="Plain photo").click()
    assert ready.maps_shown() == []
    page.get_by_role("button", name="Plain photo").click()
    assert ready.maps_shown() == ["3"]
    page.locator(".cs-cite").first.click()
    assert ready.pressed() == ready.maps_shown() == [cited]
    page.get_by_role("button", name="Change photo").click()
    assert page.locator("#cs-photo").is_visible() and not page.locator(".cs-figure").is_visible()


def test_with_the_keyboard_alone(ready: Visit) -> None:
    page = ready.page

    def tab_to(selector: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            assert not page.evaluate("document.activeElement.closest('#cs-region')")  # which nobody sees
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                return
        raise AssertionError(f"Tab never reaches {selector}")

    tab_to("#cs-question textarea")
    tab_to(".cs-try")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    ready.answered()
    tab_to(".cs-cite")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == f"cs-pick-{ready.pressed()[0]}"
    focused = int(page.evaluate("document.activeElement.dataset.rank"))
    tab_to(".cs-pick")
    page.keyboard.press("Space")
    assert ready.pressed() == ready.maps_shown() == [str(focused + 1)]
    assert page.locator("#cs-announce").inner_text() == page.locator(".cs-where:visible").inner_text()
    page.locator("#cs-header").click()
    assert page.locator("#cs-announce").inner_text() == ""  # nothing old is read later


def test_everything_has_a_name_for_screen_readers(ready: Visit) -> None:
    ready.page.locator(".cs-try").first.click()
    ready.answered()
    nameless = [
        line.strip() for line in ready.page.locator("body").aria_snapshot().splitlines()
        if re.fullmatch(r"- (button|textbox|link|slider|checkbox)(:| \[.*)?", line.strip())
    ]  # fmt: skip
    assert not nameless


def test_enter_in_the_question_asks(ready: Visit) -> None:
    ready.give_photo(LION)
    ready.page.locator("#cs-photo img").wait_for()
    ready.page.get_by_label("Question").fill("Where do lions live?")
    ready.page.keyboard.press("Enter")
    assert "Africa" in ready.answered()


def test_what_is_missing_is_said_in_place(ready: Visit) -> None:
    ready.ask("How fast is it?")
    assert "Add a photo first" in ready.problem()
    ready.give_photo(LION)
    ready.page.locator("#cs-photo img").wait_for()
    ready.ask("   ")
    ready.page.get_by_text("Type a question about the photo first").wait_for()
    ready.ask("x" * 20_000)
    ready.page.get_by_text("20,000 characters").wait_for()
    ready.ask("Where do lions live?")
    ready.answered()
    ready.until(lambda: ready.page.locator("#cs-left [role=alert]").count() == 0)


def test_bad_files_get_a_sentence_and_the_next_photo_an_answer(ready: Visit, tmp_path: Path) -> None:
    page = ready.page
    (tmp_path / "text.jpg").write_text("This is a text.")
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "half.jpg").write_bytes(Path(CHEETAH).read_bytes()[:900])
    Image.new("1", (30_000, 30_000)).save(tmp_path / "bomb.png")
    told = {}
    for name in ("text.jpg", "half.jpg", "bomb.png", "empty.jpg"):
        ready.give_photo(tmp_path / name)
        told[name] = ready.problem()
        assert page.locator("#cs-photo img").count() == 0
        ready.give_photo(LION)
        page.locator("#cs-photo img").wait_for()
        page.locator("#cs-left [role=alert]").wait_for(state="detached")
        page.get_by_role("button", name="Remove Image").click()
    assert "not a photo" in told["text.jpg"] and "pixels" in told["bomb.png"]
    for sentence in told.values():
        assert sentence.endswith(".") and str(tmp_path) not in sentence and "Traceback" not in sentence
    ready.give_photo(LION)
    page.locator("#cs-photo img").wait_for()
    ready.ask("Where do lions live?")
    assert "Africa" in ready.answered()
    # The browser itself says that it could not show the broken files; nothing else may have been said.
    ready.forgiven.append("Failed to load resource")


def test_uploads_that_fail_are_said_in_place(ready: Visit, tmp_path: Path) -> None:
    (tmp_path / "huge.jpg").write_bytes(b"\xff\xd8\xff" + bytes(51 * 2**20))
    ready.give_photo(tmp_path / "huge.jpg")
    ready.page.get_by_role("alert").get_by_text("is too large (50\u00a0MB at most)").wait_for()
    ready.page.route("**/upload?*", lambda route: route.fulfill(status=500, body="Internal Server Error"))
    ready.give_photo(LION)
    ready.page.get_by_role("alert").get_by_text("perhaps because the disk is full").wait_for()
    assert ready.page.get_by_role("alert").count() == 1
    ready.page.unroute_all()
    ready.give_photo(LION)
    ready.page.locator("#cs-photo img").wait_for()
    ready.ask("Where do lions live?")
    ready.answered()
    ready.until(lambda: ready.page.get_by_role("alert").count() == 0)
    # Of an upload that the server never had, or refused, Gradio looks in vain for how far it is, for some seconds.
    ready.forgiven += ["500", "404", "Response"]


@pytest.mark.parametrize(
    "visit", [{"permissions": ["clipboard-read", "clipboard-write"]}], indirect=True, ids=["permitted"]
)
def test_photos_from_the_clipboard_and_the_camera(ready: Visit) -> None:
    page = ready.page
    page.evaluate(
        """async () => {
            const canvas = document.createElement("canvas");
            canvas.width = canvas.height = 64;
            canvas.getContext("2d").fillRect(8, 8, 40, 40);
            const blob = await new Promise((done) => canvas.toBlob(done));
            await navigator.clipboard.write([new ClipboardItem({ "image/png": blob })]);
        }"""
    )
    page.get_by_role("button", name="Paste a photo from the clipboard").click()
    page.locator("#cs-photo img").wait_for()
    ready.ask("What is this?")
    ready.answered()
    assert page.locator(".cs-photo").evaluate("photo => photo.naturalWidth") == 64

    ready.remove_photo()
    page.locator(".cs-figure").wait_for(state="detached")
    page.get_by_role("button", name="Take a photo with the camera").click()
    page.get_by_role("button", name="Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#cs-photo video')?.videoWidth > 0")
    page.get_by_role("button", name="capture photo").click()
    page.locator("#cs-photo img").wait_for()
    ready.ask("What colour is this?")
    page.locator(".cs-figure").wait_for()
    ready.answered()
    assert page.locator(".cs-photo").evaluate("photo => photo.naturalWidth") > 64


@pytest.mark.parametrize("pause", [50, *(pytest.param(pause, marks=pytest.mark.slow) for pause in (150, 300))])
def test_the_last_of_several_questions_stands(ready: Visit, pause: int) -> None:
    """pause: milliseconds between two."""
    for place in (0, 1, 0, 1, 2):
        ready.page.locator(".cs-try").nth(place).click()
        ready.page.wait_for_timeout(pause)
    ready.page.locator(".cs-said", has_text="Koechlin").wait_for()
    ready.page.wait_for_timeout(1500)
    assert "Koechlin" in ready.answered()
    assert ready.page.get_by_label("Question").input_value() == EXAMPLES[2][2]
    shown = ready.page.locator(".cs-photo").evaluate("photo => [photo.naturalWidth, photo.naturalHeight]")
    with Image.open(TOWER) as tower:
        assert tuple(shown) == tower.size


def test_a_turned_photo_is_shown_upright(ready: Visit, tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    with Image.open(TOWER) as tower:
        tower.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=turned)
        upright = tower.size
    ready.give_photo(tmp_path / "turned.jpg")
    ready.page.locator("#cs-photo img").wait_for()
    ready.ask("How tall is this tower?")
    ready.answered()
    shown = ready.page.locator(".cs-photo").evaluate("photo => [photo.naturalWidth, photo.naturalHeight]")
    assert tuple(shown) == upright


def test_what_gets_into_the_page_in_spite_of_all_runs_nowhere(ready: Visit) -> None:
    ready.forgiven.append("Content Security Policy")
    ready.page.evaluate(
        """() => {
            const left = document.querySelector("#cs-left");
            left.insertAdjacentHTML("beforeend", "<img src=data:, onerror=window.pwned=1>");
            const script = document.createElement("script");
            script.textContent = "window.pwned=1";
            document.body.append(script);
            new Image().src = "http://127.0.0.1:1/?told";
        }"""
    )
    ready.until(lambda: sum("Content Security Policy" in each for each in ready.complaints) >= 3)
    ready.requests[:] = [url for url in ready.requests if not url.endswith("?told")]  # which the browser has refused


def test_hostile_passages_do_nothing(ready: Visit) -> None:
    page = ready.page
    ready.give_photo(CHEETAH)
    page.locator("#cs-photo img").wait_for()
    page.get_by_role("button", name="Where to look").click()
    page.locator("#cs-passages input[type=number]").fill("8")
    ready.ask("How fast does the hostile cheetah run?")
    ready.answered()
    bad = page.locator(".cs-card", has_text="Hostile cheetah")
    bad.click()
    bad.hover()
    assert "<script>window.pwned=1</script>" in bad.inner_text()
    assert "\u202e" not in bad.inner_text()
    assert bad.locator("img, script, svg, a").count() == 0
    assert page.evaluate("window.pwned") is None


def test_the_page_opens_with_an_example_from_its_address(ready: Visit, address: str) -> None:
    ready.page.goto(f"{address}?example=tower")
    assert "Koechlin" in ready.answered()
    assert ready.page.get_by_label("Question").input_value() == EXAMPLES[2][2]
    ready.page.goto(f"{address}?example=%22%5D%3Cscript%3Ewindow.pwned=1%3C/script%3E")
    ready.page.locator(".cs-empty").wait_for()
    ready.page.wait_for_timeout(1000)
    assert ready.page.locator(".cs-empty").is_visible()


@pytest.mark.parametrize(
    ("visit", "name"),
    [
        ({"color_scheme": "light"}, "light"),
        pytest.param({"color_scheme": "dark"}, "dark", marks=pytest.mark.slow),
        pytest.param(
            {"color_scheme": "light", "viewport": {"width": 390, "height": 844}}, "phone", marks=pytest.mark.slow
        ),
        ({"color_scheme": "dark", "viewport": {"width": 390, "height": 844}}, "phone-dark"),
    ],
    indirect=["visit"],
)
def test_looks(ready: Visit, name: str) -> None:
    page = ready.page
    ARTEFACTS.mkdir(exist_ok=True)
    page.locator(".cs-try img").last.wait_for()
    page.screenshot(path=ARTEFACTS / f"{name}-empty.png", full_page=True)
    page.locator(".cs-try").first.click()
    ready.answered()
    ready.until(lambda: in_view(page.locator(".cs-said")))
    page.wait_for_timeout(600)  # all of it has faded in
    page.screenshot(path=ARTEFACTS / f"{name}-answer.png")
    page.screenshot(path=ARTEFACTS / f"{name}-whole.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    clipped = page.evaluate(
        """Array.from(document.querySelectorAll('#cs-main *')).filter(e =>
            ['auto', 'scroll'].includes(getComputedStyle(e).overflowY) && e.scrollHeight > e.clientHeight + 1
            && e.clientHeight > 0).map(e => e.outerHTML.slice(0, 80))"""
    )
    assert not clipped
    for selector in (
        ".cs-said",
        ".cs-passage",
        ".cs-source",
        ".cs-timing",
        ".cs-error",
        "#cs-ask",
        ".cs-hint",
    ):
        for each in page.locator(selector).all()[:1]:
            assert contrast(each) >= 4.5, selector
    page.locator(".cs-card").last.locator(".cs-pick").click()
    ready.until(lambda: in_view(page.locator(".cs-layer:not([hidden])")))
    page.screenshot(path=ARTEFACTS / f"{name}-card.png")


def test_the_endpoint_says_the_same(ready: Visit, address: str) -> None:
    client = Client(address, verbose=False)
    got = client.predict(handle_file(TOWER), "How tall is this tower?", [], 4, api_name="/ask")
    assert got["answered"] and "330" in got["answer"]
    assert len(got["passages"]) == 4 and got["passages"][0]["title"] == "Eiffel Tower"
    quoted = {each["id"]: each["text"] for each in got["passages"]}
    for citation in got["citations"]:
        assert quoted[citation["passage_id"]][citation["start"] : citation["end"]] == citation["quote"]


# --- conversations and parts of the photo


def test_a_follow_up_and_a_conversation_begun_anew(ready: Visit) -> None:
    page = ready.page
    assert not page.get_by_role("button", name="New conversation").is_visible()
    page.locator(".cs-try").nth(2).click()
    assert "Koechlin" in ready.answered() and page.locator(".cs-searched, .cs-earlier").count() == 0
    ready.ask("How tall is it?")
    page.locator(".cs-searched").wait_for()
    assert page.locator(".cs-searched").inner_text().startswith("Searched for:")
    assert page.locator(".cs-searched q").inner_text() == "How tall is Eiffel Tower?"
    assert "330" in ready.answered() and page.locator(".cs-asked").inner_text() == "How tall is it?"
    told = page.locator("details.cs-earlier")
    assert told.locator("summary").inner_text() == "1 earlier question in this conversation"
    assert not told.locator("li").is_visible()
    told.locator("summary").click()
    assert "Koechlin" in told.locator("li span").inner_text()
    assert EXAMPLES[2][2] == told.locator("li b").inner_text()

    page.get_by_role("button", name="New conversation").click()
    page.locator(".cs-empty").wait_for()
    ready.until(lambda: page.locator(".cs-earlier, .cs-evidence, .cs-figure, #cs-left [role=alert]").count() == 0)
    page.locator("#cs-photo img").wait_for()
    ready.ask("How tall is it?")
    ready.answered()
    assert page.locator(".cs-searched, .cs-earlier").count() == 0  # there is nothing that it could point back at


def test_another_photo_is_another_conversation(ready: Visit) -> None:
    page = ready.page
    page.locator(".cs-try").nth(2).click()
    ready.answered()
    ready.remove_photo()
    page.locator(".cs-figure").wait_for(state="detached")
    ready.give_photo(LION)
    page.locator("#cs-photo img").wait_for()
    ready.ask("Where does it live?")
    page.locator(".cs-asked", has_text="Where does it live?").wait_for()
    ready.answered()
    assert page.locator(".cs-searched, .cs-earlier").count() == 0
