"""The real app in a real browser: `python app.py` with the real encoder, driven through headless Chromium.

The passages are the test's own, one of them hostile; everything else is what a person gets.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from browser_support import CHROMIUM
from chat_server import ChatServer, Reply, scored_stream, stream
from gradio_client import Client, handle_file
from PIL import Image

from app.page import EACH, EXAMPLES
from generator.prompt import OWN_RULES, REWRITING_RULES, RULES, SHORT_RULES
from kb.catalogue import Catalogue
from kb.ingest import ingest
from kb.records import DocumentRecord, Source
from kb.sources import SOURCES

pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).parent.parent
ARTEFACTS = ROOT / "tests" / "artefacts"
CHEETAH, LION, TOWER = (str(file) for _, file, _ in EXAMPLES)
KEY = "sk-secret-0123456789"
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


def filled(folder: Path, wheel_cache: Path) -> Path:
    """The folder, which is a data folder with the articles then."""
    (folder / "cache").symlink_to(wheel_cache)
    catalogue = Catalogue(f"sqlite:///{folder / 'catalogue.sqlite'}")
    SOURCES["small-test"] = articles()
    try:
        ingest(catalogue, "small-test", wheel_cache)
    finally:
        del SOURCES["small-test"]
        catalogue.close()
    return folder


@contextmanager
def running(data_dir: Path, **settings: str) -> Iterator[str]:
    """The address of the running app. At the end it is interrupted as by Ctrl-C, and must go quietly."""
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
            env={**os.environ, **settings},
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


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory, wheel_cache: Path) -> Iterator[str]:
    with running(filled(tmp_path_factory.mktemp("data"), wheel_cache)) as url:
        yield url


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


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


@contextmanager
def opened(browser, address: str, **options: object) -> Iterator[Visit]:
    """A page opened at the app, in a context with the options."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    page = context.new_page()
    seen = Visit(page)
    page.on("request", lambda each: seen.requests.append(each.url))
    page.on("console", lambda each: seen.complaints.append(each.text) if each.type == "error" else None)
    page.on("pageerror", lambda each: seen.complaints.append(str(each)))
    page.on("dialog", lambda each: (seen.complaints.append(f"dialog {each.message}"), each.dismiss()))
    with page.expect_response("**/run/predict"):  # how far the index is: the page is wholly up
        page.goto(address)
    page.get_by_role("button", name="Ask", exact=True).wait_for()
    try:
        yield seen
    except BaseException:
        page.screenshot(path=str(ARTEFACTS / "failed.png"), full_page=True)
        print("The page said when the test failed:", page.locator("body").inner_text(), seen.complaints, sep="\n")
        raise
    assert page.evaluate("window.pwned") is None
    context.close()
    foreign = [url for url in seen.requests if not url.startswith((address, "data:", "blob:"))]
    assert not foreign
    assert not seen.complaints


@pytest.fixture
def visit(browser, address: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A page opened at the app; `indirect` parameters go to the browser's context."""
    with opened(browser, address, **getattr(request, "param", {})) as seen:
        yield seen


@pytest.fixture
def ready(visit: Visit) -> Visit:
    visit.page.locator(".cs-status").wait_for(state="detached", timeout=PATIENCE)
    return visit


class Model:
    """A model behind a server, as far as these tests ask it: it reads which of the prompts it got.

    `said`: what it says to a question with a word; else that a cheetah runs, and where it sleeps."""

    def __init__(self) -> None:
        self.said: dict[str, Reply] = {}

    def __call__(self, body: dict) -> Reply:
        rules, content = body["messages"][0]["content"], body["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[-1]["text"]
        question = text.splitlines()[-1]
        if rules == REWRITING_RULES:
            return stream("How fast can the cheetah run?" if "fast" in question else "Where does the cheetah sleep?")
        if rules == OWN_RULES:
            return stream("I would say ", "90 km/h <b>or so</b> [1].", pause=0.05)
        if rules == SHORT_RULES:
            speed = re.search(r"run at (\d+ km/h)", text)
            return scored_stream((speed[1] if speed else "unknown", [-0.3, -0.1]))
        assert rules == RULES
        for word, reply in self.said.items():
            if word in question:
                return reply
        lines = text.splitlines()
        number = lines[lines.index("Cheetah") - 1].removeprefix("<passage ").rstrip(">")
        said = f"The cheetah can run at 104 km/h [{number}]. It sleeps in trees at noon [{number}]."
        return stream(*re.findall(r"\S+\s*", said), pause=0.02)


@dataclass
class Modelled:
    """The running app with a model that answers."""

    address: str
    server: ChatServer
    model: Model


@pytest.fixture(scope="session")
def modelled(tmp_path_factory: pytest.TempPathFactory, wheel_cache: Path) -> Iterator[Modelled]:
    model = Model()
    folder = filled(tmp_path_factory.mktemp("modelled"), wheel_cache)
    with ChatServer(model) as server:
        settings = {"CITESIGHT_MODEL": "small", "CITESIGHT_SERVED_URL": server.url, "CITESIGHT_SERVED_KEY": KEY}
        with running(folder, **settings) as url:
            yield Modelled(url, server, model)
    assert KEY not in (folder / "log").read_text()


@pytest.fixture
def talking(browser, modelled: Modelled, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """As `ready`, at the app with a model."""
    with opened(browser, modelled.address, **getattr(request, "param", {})) as seen:
        seen.page.locator(".cs-status").wait_for(state="detached", timeout=PATIENCE)
        yield seen
        assert KEY not in seen.page.content()


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


# --- conversations and parts of the photo


def test_a_follow_up_and_a_conversation_begun_anew(ready: Visit) -> None:
    page = ready.page
    assert not page.get_by_role("button", name="New conversation").is_visible()
    page.locator(".cs-try").nth(2).click()
    assert "Koechlin" in ready.answered() and page.locator(".cs-searched, .cs-earlier").count() == 0
    ready.ask("How tall is it?")
    page.locator(".cs-searched").wait_for(timeout=PATIENCE)
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
    assert page.locator(".cs-earlier, .cs-evidence, .cs-figure, #cs-problem [role=alert]").count() == 0
    assert page.locator("#cs-photo img").is_visible()
    ready.ask("How tall is it?")
    ready.answered()
    assert page.locator(".cs-searched, .cs-earlier").count() == 0  # there is nothing that it could point back at


def test_another_photo_is_another_conversation(ready: Visit) -> None:
    page = ready.page
    page.locator(".cs-try").nth(2).click()
    ready.answered()
    page.get_by_role("button", name="Change photo").click()
    page.get_by_role("button", name="Remove Image").click()
    page.locator(".cs-figure").wait_for(state="detached")
    ready.give_photo(LION)
    page.locator("#cs-photo img").wait_for()
    ready.ask("Where does it live?")
    page.locator(".cs-asked", has_text="Where does it live?").wait_for(timeout=PATIENCE)
    ready.answered()
    assert page.locator(".cs-searched, .cs-earlier").count() == 0


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """A cheetah on the left and a tower on the right."""
    with Image.open(CHEETAH) as cheetah, Image.open(TOWER) as tower:
        photo = Image.new("RGB", (1200, 600))
        photo.paste(cheetah.convert("RGB").resize((600, 600)), (0, 0))
        photo.paste(tower.convert("RGB").resize((600, 600)), (600, 0))
    photo.save(tmp_path / "both.jpg")
    return tmp_path / "both.jpg"


def region(page) -> list[float]:
    """What goes with the question: fractions of the photo, nothing for all of it."""
    value = page.locator("#cs-region textarea, #cs-region input").input_value()
    return [float(edge) for edge in value.split(",")] if value else []


def draw(page, photo: str, left: float, top: float, right: float, bottom: float) -> None:
    """Draw a frame on the picture, given in fractions of what is painted of it."""
    page.locator(photo).scroll_into_view_if_needed()
    box = painted(page, photo)
    x, y, width, height = (box[side] for side in ("x", "y", "width", "height"))
    page.mouse.move(x + left * width, y + top * height)
    page.mouse.down()
    page.mouse.move(x + (left + right) / 2 * width, y + (top + bottom) / 2 * height)
    page.mouse.move(x + right * width, y + bottom * height)
    page.mouse.up()


def painted(page, photo: str) -> dict[str, float]:
    """Where on the page the pixels of a picture are, which may be narrower or lower than its element."""
    return page.locator(photo).evaluate(
        """image => {
            const box = image.getBoundingClientRect();
            const scale = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
            const width = image.naturalWidth * scale, height = image.naturalHeight * scale;
            return { x: box.x + (box.width - width) / 2, y: box.y + (box.height - height) / 2, width, height };
        }"""
    )


def selecting(page):
    return page.locator(".cs-select:visible")


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
    page.locator(".cs-said", has_text="Cheetah").wait_for(timeout=PATIENCE)
    assert hot(page)[1] < 0.5

    page.get_by_role("button", name="Change photo").click()
    page.get_by_role("button", name="Remove Image").click()
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


# --- a model that answers


def test_a_models_answer_streams_and_shows_what_is_not_from_the_evidence(talking: Visit, modelled: Modelled) -> None:
    page = talking.page
    page.evaluate(
        """() => {
            window.seen = [];
            new MutationObserver(() => {
                const said = document.querySelector(".cs-panel[aria-busy] .cs-said");
                if (said && said.textContent !== window.seen.at(-1)) window.seen.push(said.textContent);
            }).observe(document.querySelector("#cs-answer"), { childList: true, subtree: true });
        }"""
    )
    page.locator(".cs-try").first.click()
    said = talking.answered()
    assert "104 km/h" in said and said.endswith("not from the evidence")
    streamed = page.evaluate("window.seen")
    assert len(streamed) > 3 and all(b.startswith(a) for a, b in zip(streamed, streamed[1:], strict=False))
    assert "It sleeps in trees at noon" in page.locator(".cs-unsupported").inner_text()
    assert page.locator(".cs-tag").count() == 1
    assert "104 km/h" in "".join(page.locator(".cs-passage .cs-quote").all_inner_texts())
    assert "by small at 127.0.0.1" in page.locator(".cs-timing").inner_text()
    assert page.locator(".cs-own, .cs-candidates").count() == 0
    page.locator(".cs-unsupported .cs-cite").click()
    assert talking.pressed() == [page.locator(".cs-cite").first.get_attribute("data-rank")]
    # Asked again, it is known.
    asked = len(modelled.server.asked)
    page.get_by_role("button", name="New conversation").click()
    page.locator(".cs-empty").wait_for()
    talking.ask(EXAMPLES[0][2])
    talking.answered()
    assert page.locator(".cs-timing").inner_text().startswith("Known from before")
    assert len(modelled.server.asked) == asked


def test_each_passage_alone_and_without_any(talking: Visit) -> None:
    page = talking.page
    page.locator("#cs-where button").first.click()
    page.get_by_label(EACH).check()
    page.get_by_label("without the evidence").check()
    talking.give_photo(CHEETAH)
    page.locator("#cs-photo img").wait_for()
    talking.ask("How fast can this cat run?")
    page.locator(".cs-candidates").wait_for(timeout=PATIENCE)
    assert talking.answered().startswith("104 km/h")
    rows = [row.locator("td").all_inner_texts() for row in page.locator(".cs-candidates tbody tr").all()]
    assert len(rows) == 5 and rows[0][1] == "104 km/h" and {row[1] for row in rows[2:]} == {"unknown"}
    assert rows[0][3] == "67%" and all(re.fullmatch(r"<?\d+%", row[2]) for row in rows)
    assert page.locator(".cs-own p").inner_text() == "I would say 90 km/h or so."
    page.locator(".cs-candidates .cs-cite").nth(1).click()
    assert talking.pressed() == [rows[1][0]]


@pytest.mark.parametrize("silent", [False, True], ids=["slow", "silent"])
def test_stopping_ends_the_models_work(talking: Visit, modelled: Modelled, silent: bool) -> None:
    page = talking.page
    chunks = stream("It is ", *["very "] * 200).chunks
    word = "silently" if silent else "slowly"
    modelled.model.said[word] = Reply(chunks[:1], hold=True) if silent else Reply(chunks, pause=0.3)
    modelled.server.closed.clear()
    talking.give_photo(CHEETAH)
    page.locator("#cs-photo img").wait_for()
    assert not page.get_by_role("button", name="Stop").is_visible()
    talking.ask(f"How {word} does this cat walk?")
    page.get_by_role("button", name="Stop").wait_for()
    if silent:
        page.locator(".cs-card").first.wait_for()  # the model is being asked
        page.wait_for_timeout(500)
    else:
        page.locator(".cs-panel[aria-busy] .cs-said", has_text="It is").wait_for(timeout=PATIENCE)
    assert not page.get_by_role("button", name="Ask", exact=True).is_visible()
    page.get_by_role("button", name="Stop").click()
    told = "Stopped. Ask again" if silent else "Stopped before the end; what is here is not the whole answer."
    page.locator(".cs-note", has_text=told).wait_for()
    assert page.get_by_role("button", name="Ask", exact=True).is_visible()
    assert not page.get_by_role("button", name="Stop").is_visible()
    assert modelled.server.closed.wait(5)
    assert silent or page.locator(".cs-said").inner_text().startswith("It is")
    # What was stopped is no part of the conversation, and the next question is answered: after a breath, since Gradio
    # cancels by session and a question that is sent in the same moment would be cancelled too.
    page.wait_for_timeout(3_000)
    talking.ask("How fast can this animal run?")
    page.locator(".cs-said", has_text="104 km/h").wait_for(timeout=80_000)
    talking.answered()
    assert page.locator(".cs-earlier").count() == 0


def test_a_model_that_fails_leaves_the_evidence(talking: Visit, modelled: Modelled) -> None:
    modelled.model.said["heavy"] = Reply(status=404)
    talking.give_photo(CHEETAH)
    talking.page.locator("#cs-photo img").wait_for()
    talking.ask("How heavy is this cat?")
    talking.page.locator("#cs-problem [role=alert]", has_text="no such model").wait_for(timeout=PATIENCE)
    assert talking.page.locator(".cs-panel h2").inner_text() == "No answer"
    assert talking.page.locator(".cs-card").count() == 5 and talking.maps_shown() == ["1"]
    assert talking.page.get_by_role("button", name="Ask", exact=True).is_visible()


def test_a_hostile_model_does_nothing(talking: Visit, modelled: Modelled) -> None:
    page = talking.page
    modelled.model.said["hostile"] = stream(*re.findall(r"\S+\s*", f"{HOSTILE} [1] </p></section><h1>Gone</h1>"))
    talking.give_photo(CHEETAH)
    page.locator("#cs-photo img").wait_for()
    talking.ask("How hostile is this cat?")
    said = talking.answered()
    assert "The cheetah runs fast." in said and "${window.pwned=1}" in said and "\u202e" not in said
    panel = page.locator("#cs-answer")
    assert panel.locator("script, img, svg, a, h1").count() == 0 and panel.locator("section").count() == 1
    page.locator(".cs-said").hover()
    talking.ask("How fast is it?")  # told again as an earlier question
    page.locator(".cs-earlier summary").click()
    page.locator(".cs-said", has_text="104 km/h").wait_for(timeout=PATIENCE)
    assert page.locator(".cs-earlier :is(script, img, svg, a, h1)").count() == 0
    assert page.evaluate("window.pwned") is None


@pytest.mark.parametrize(
    ("talking", "name"),
    [
        ({"color_scheme": "light", "viewport": {"width": 390, "height": 844}}, "conversation-phone"),
        ({"color_scheme": "dark"}, "conversation-dark"),
    ],
    indirect=["talking"],
)
def test_looks_of_a_conversation(talking: Visit, both: Path, name: str) -> None:
    page = talking.page
    ARTEFACTS.mkdir(exist_ok=True)
    talking.give_photo(both)
    page.locator("#cs-photo img").wait_for()
    page.locator("#cs-where button").first.click()
    page.get_by_label("without the evidence").check()
    selecting(page).scroll_into_view_if_needed()
    selecting(page).click()
    draw(page, "#cs-photo img", 0.05, 0.1, 0.45, 0.9)
    assert region(page)
    page.screenshot(path=ARTEFACTS / f"{name}-part.png")
    talking.ask("How fast can this animal run?")
    talking.answered()
    page.get_by_label(EACH).check()
    talking.ask("How fast can it run?")
    page.locator(".cs-candidates").wait_for(timeout=PATIENCE)
    page.locator(".cs-earlier summary").click()
    page.wait_for_timeout(600)
    page.screenshot(path=ARTEFACTS / f"{name}.png")
    page.screenshot(path=ARTEFACTS / f"{name}-whole.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    for selector in (".cs-asked", ".cs-searched", ".cs-own p", ".cs-candidates th", ".cs-candidates td",
                     ".cs-earlier summary", ".cs-earlier li span", ".cs-select:visible", "#cs-new"):  # fmt: skip
        assert contrast(page.locator(selector).first) >= 4.5, selector
