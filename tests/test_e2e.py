"""The real app in a real browser: `python app.py` with the real encoder, driven through headless Chromium.

The passages are the test's own, one of them hostile; everything else is what a person gets.
"""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from PIL import Image

from app.page import EXAMPLES
from kb.catalogue import Catalogue
from kb.ingest import ingest
from kb.records import DocumentRecord, Source
from kb.sources import SOURCES

sync_api = pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).parent.parent
ARTEFACTS = ROOT / "tests" / "artefacts"
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync "
    "--use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
).split()
CHEETAH, LION, TOWER = (str(file) for _, file, _ in EXAMPLES)
PATIENCE = 90_000  # milliseconds; two busy cores

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; apt-get install chromium")

HOSTILE = (
    "The cheetah runs fast. <script>window.pwned=1</script><img src=x onerror='window.pwned=1'> "
    "<svg onload=window.pwned=1> [run](javascript:window.pwned=1) ${window.pwned=1} {{window.pwned=1}} "
    "\u202egpj.exe"
)
ARTICLES = {
    "Cheetah": (
        "The cheetah is a large spotted cat of the open plains of Africa and the fastest animal on land. It "
        "can run at 104 km/h for a short while. Black lines like tears run from its eyes to its mouth.",
        "large cat",
    ),
    "Lion": (
        "The lion is a big cat with a broad head and, in the male, a mane of dark hair around it. Lions live "
        "in the grasslands of Africa and in one forest in India. They rest on rocks for most of the day.",
        "big cat",
    ),
    "Eiffel Tower": (
        "The Eiffel Tower is a tower of wrought iron in Paris. It was designed by Maurice Koechlin, an "
        "engineer of Gustave Eiffel. It is 330 metres tall and was finished in 1889. At night it is lit "
        "in yellow light.",
        "tower in Paris",
    ),
    "Leopard": ("The leopard is a spotted cat that climbs trees. It can run at 58 km/h.", "cat"),
    "Tiger": ("The tiger is a striped cat of the forests of Asia. A tiger weighs up to 300 kg.", "cat"),
    "Teapot": (
        "A teapot is a pot with a spout and a handle in which tea is brewed. It holds about 1 litre.",
        "pot",
    ),
    "Bridge": (
        "A bridge carries a road over a river. Stone bridges last for hundreds of years.",
        "structure",
    ),
    "Hostile cheetah <img src=x onerror=window.pwned=1>": (HOSTILE, "<b onmouseover=window.pwned=1>cat</b>"),
}


def articles() -> Source:
    records = [
        DocumentRecord(
            key=f"article_{number}",
            title=title,
            url="javascript:window.pwned=1" if "Hostile" in title else f"https://example.org/{number}",
            language="en",
            licence="CC0",
            texts=(text,),
            description=about,
        )
        for number, (title, (text, about)) in enumerate(ARTICLES.items())
    ]
    return Source(
        "small-test",
        "Small test",
        "CC0",
        "en",
        "https://example.org/",
        lambda _: (len(records), iter(records)),
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory, wheel_cache: Path) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "cache").symlink_to(wheel_cache)
    catalogue = Catalogue(f"sqlite:///{folder / 'catalogue.sqlite'}")
    SOURCES["small-test"] = articles()
    try:
        ingest(catalogue, "small-test", wheel_cache)
    finally:
        del SOURCES["small-test"]
        catalogue.close()
    return folder


@pytest.fixture(scope="session")
def address(data_dir: Path) -> Iterator[str]:
    """The running app. At the end it is interrupted as by Ctrl-C, and must go quietly."""
    port = free_port()
    command = [
        sys.executable,
        "app.py",
        "--port",
        str(port),
        "--data-dir",
        str(data_dir),
        "--corpus",
        "small-test",
    ]
    with open(data_dir / "log", "w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            # Started from the background, tests inherit that interrupts are ignored; a terminal's do not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            url = f"http://127.0.0.1:{port}/"
            until = time.monotonic() + 90
            while not answers(url):
                assert process.poll() is None and time.monotonic() < until, (data_dir / "log").read_text()
                time.sleep(0.2)
            yield url
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    said = (data_dir / "log").read_text()
    assert f"CiteSight is at {url}" in said
    assert "Traceback" not in said, said


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, headless=True)
        yield chromium
        chromium.close()


@dataclass
class Visit:
    """An open page and everything it asked for or complained of."""

    page: object
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def give_photo(self, file: str | Path) -> None:
        self.page.locator("#cs-photo input[type=file]").first.set_input_files(str(file))

    def ask(self, question: str) -> None:
        self.page.get_by_label("Question").fill(question)
        self.page.get_by_role("button", name="Ask", exact=True).click()

    def answered(self) -> str:
        """Wait for a finished answer and return its text."""
        said = self.page.locator(".cs-panel:not([aria-busy]) .cs-said")
        said.wait_for(timeout=PATIENCE)
        return said.inner_text()

    def problem(self) -> str:
        alert = self.page.locator("#cs-problem [role=alert]")
        alert.wait_for(timeout=15_000)
        return alert.inner_text()

    def pressed(self) -> list[str]:
        return [
            each.get_attribute("data-rank") for each in self.page.locator(".cs-pick[aria-pressed=true]").all()
        ]

    def maps_shown(self) -> list[str]:
        return [
            each.get_attribute("data-rank") for each in self.page.locator(".cs-layer:not([hidden])").all()
        ]


@pytest.fixture
def visit(browser, address: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A page opened at the app; `indirect` parameters go to the browser's context."""
    options = {"viewport": {"width": 1280, "height": 900}, **getattr(request, "param", {})}
    context = browser.new_context(**options)
    page = context.new_page()
    seen = Visit(page)
    page.on("request", lambda each: seen.requests.append(each.url))
    page.on("console", lambda each: seen.complaints.append(each.text) if each.type == "error" else None)
    page.on("pageerror", lambda each: seen.complaints.append(str(each)))
    page.on("dialog", lambda each: (seen.complaints.append(f"dialog {each.message}"), each.dismiss()))
    with page.expect_response("**/run/predict"):  # how far the index is: the page is wholly up
        page.goto(address)
    page.get_by_role("button", name="Ask", exact=True).wait_for()
    yield seen
    assert page.evaluate("window.pwned") is None
    context.close()
    foreign = [url for url in seen.requests if not url.startswith((address, "data:", "blob:"))]
    assert not foreign
    assert not seen.complaints


@pytest.fixture
def ready(visit: Visit) -> Visit:
    visit.page.locator(".cs-status").wait_for(state="detached", timeout=PATIENCE)
    return visit


def test_the_index_is_built_while_the_page_is_up_and_polling_ends(visit: Visit) -> None:
    status = visit.page.locator("#cs-status")
    status.locator(".cs-status").wait_for(timeout=15_000)  # the page was up before the libraries were
    status.locator(".cs-status").wait_for(state="detached", timeout=PATIENCE)
    assert status.get_attribute("aria-live") == "polite"
    visit.page.wait_for_timeout(2500)
    before = len(visit.requests)
    visit.page.wait_for_timeout(4000)
    assert len(visit.requests) == before


def test_photo_question_answer_evidence_and_heat_map(ready: Visit) -> None:
    page = ready.page
    assert page.locator(".cs-empty").is_visible()
    ready.give_photo(CHEETAH)
    page.locator("#cs-photo img").wait_for()
    ready.ask("How fast can this animal run?")
    assert "104 km/h" in ready.answered()
    assert page.locator(".cs-timing").inner_text().startswith("Answered in ")

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
    assert (
        link.get_attribute("rel") == "noopener noreferrer nofollow"
        and link.get_attribute("target") == "_blank"
    )
    assert "CC0" in first.locator(".cs-source").inner_text()

    cited = page.locator(".cs-cite").first.get_attribute("data-rank")
    assert ready.pressed() == ready.maps_shown() == [cited]
    page.locator(".cs-card").nth(2).click()
    assert ready.pressed() == ready.maps_shown() == ["3"]
    title = page.locator(".cs-card").nth(2).locator(".cs-pick").inner_text()
    assert page.locator(".cs-where b").inner_text() in title
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
    assert "Showing where the photo matched" in page.locator("#cs-announce").inner_text()


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
    assert ready.page.locator("#cs-problem [role=alert]").count() == 0


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
        page.locator("#cs-problem [role=alert]").wait_for(state="detached")
        page.get_by_role("button", name="Remove Image").click()
    assert "not a photo" in told["text.jpg"] and "pixels" in told["bomb.png"]
    for sentence in told.values():
        assert sentence.endswith(".") and str(tmp_path) not in sentence and "Traceback" not in sentence
    ready.give_photo(LION)
    page.locator("#cs-photo img").wait_for()
    ready.ask("Where do lions live?")
    assert "Africa" in ready.answered()
    # The browser itself says that it could not show the broken files; nothing else may have been said.
    ready.complaints[:] = [each for each in ready.complaints if "Failed to load resource" not in each]


def test_uploads_that_fail_are_said_in_place(ready: Visit, tmp_path: Path) -> None:
    (tmp_path / "huge.jpg").write_bytes(b"\xff\xd8\xff" + bytes(51 * 2**20))
    ready.give_photo(tmp_path / "huge.jpg")
    ready.page.get_by_role("alert").get_by_text("too large").wait_for()
    ready.page.route("**/upload?*", lambda route: route.fulfill(status=500, body="Internal Server Error"))
    ready.give_photo(LION)
    ready.page.get_by_role("alert").get_by_text("perhaps because the disk is full").wait_for()
    assert ready.page.get_by_role("alert").count() == 1
    ready.page.unroute_all()
    ready.give_photo(LION)
    ready.page.locator("#cs-photo img").wait_for()
    ready.ask("Where do lions live?")
    ready.answered()
    assert ready.page.get_by_role("alert").count() == 0
    ready.complaints[:] = [each for each in ready.complaints if "500" not in each]


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
    page.get_by_role("button", name="Paste from clipboard").click()
    page.locator("#cs-photo img").wait_for()
    ready.ask("What is this?")
    ready.answered()
    assert page.locator(".cs-photo").evaluate("photo => photo.naturalWidth") == 64

    page.get_by_role("button", name="Change photo").click()
    page.get_by_role("button", name="Remove Image").click()
    page.locator(".cs-figure").wait_for(state="detached")
    page.get_by_role("button", name="Capture from camera").click()
    page.get_by_role("button", name="Click to Access Webcam").click()
    page.wait_for_function("document.querySelector('#cs-photo video')?.videoWidth > 0")
    page.get_by_role("button", name="capture photo").click()
    page.locator("#cs-photo img").wait_for()
    ready.ask("What colour is this?")
    page.locator(".cs-figure").wait_for()
    ready.answered()
    assert page.locator(".cs-photo").evaluate("photo => photo.naturalWidth") > 64


def test_the_last_of_several_questions_stands(ready: Visit) -> None:
    for place in (0, 1, 2):
        ready.page.locator(".cs-try").nth(place).click()
        ready.page.wait_for_timeout(150)
    ready.page.locator(".cs-said", has_text="Koechlin").wait_for(timeout=PATIENCE)
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
    ready.page.wait_for_timeout(1000)
    assert ready.page.locator(".cs-empty").is_visible()


@pytest.mark.parametrize(
    ("visit", "name"),
    [
        ({"color_scheme": "light"}, "light"),
        ({"color_scheme": "dark"}, "dark"),
        ({"color_scheme": "light", "viewport": {"width": 390, "height": 844}}, "phone"),
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
    page.wait_for_timeout(600)
    page.screenshot(path=ARTEFACTS / f"{name}-answer.png")
    top = page.locator(".cs-said").bounding_box()
    assert 0 <= top["y"] and top["y"] + top["height"] <= page.viewport_size["height"], (
        "the answer is out of view"
    )
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
    page.wait_for_timeout(600)
    page.screenshot(path=ARTEFACTS / f"{name}-card.png")
    box = page.locator(".cs-layer:not([hidden])").bounding_box()
    assert 0 <= box["y"] and box["y"] + box["height"] <= page.viewport_size["height"], (
        "the map is out of view"
    )


def contrast(element) -> float:
    """The contrast of an element's text with the nearest painted background, as WCAG counts it."""
    return element.evaluate(
        """element => {
            const rgb = colour => colour.match(/[\\d.]+/g).map(Number);
            const light = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v =>
                v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
                .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
            let behind = element;
            while (behind.parentElement) {
                const colour = rgb(getComputedStyle(behind).backgroundColor);
                if (colour.length < 4 || colour[3] === 1) break;
                behind = behind.parentElement;
            }
            const a = light(rgb(getComputedStyle(element).color));
            const b = light(rgb(getComputedStyle(behind).backgroundColor));
            return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        }"""
    )


def test_the_endpoint_says_the_same(ready: Visit, address: str) -> None:
    client = Client(address, verbose=False)
    got = client.predict(handle_file(TOWER), "How tall is this tower?", [], 4, api_name="/ask")
    assert got["answered"] and "330" in got["answer"]
    assert len(got["passages"]) == 4 and got["passages"][0]["title"] == "Eiffel Tower"
    quoted = {each["id"]: each["text"] for each in got["passages"]}
    for citation in got["citations"]:
        assert quoted[citation["passage_id"]][citation["start"] : citation["end"]] == citation["quote"]
