"""The running app that a browser is pointed at, and what the tests do on its pages.

It is `python app.py` with the real encoder. The passages are the tests' own, one of them hostile; everything else is
what a person gets.
"""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from app.web.request_files import EXAMPLES
from kb.catalogue import Catalogue
from kb.ingest import ingest
from kb.records import DocumentRecord, Source
from tests import ROOT
from tests.support.browser import context_of
from tests.support.ports import free_port
from tests.support.waiting import LONG

CHEETAH, LION, TOWER = (str(file) for _, file, _ in EXAMPLES)
PATIENCE = 1000 * LONG  # milliseconds
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


def filled(folder: Path, wheel_cache: Path) -> Path:
    """The folder, which is a data folder with the articles then."""
    (folder / "cache").symlink_to(wheel_cache)
    catalogue = Catalogue(f"sqlite:///{folder / 'catalogue.sqlite'}")
    try:
        ingest(catalogue, articles(), wheel_cache)
    finally:
        catalogue.close()
    return folder


@dataclass
class App:
    """`python app.py` over a data folder; its log grows with every start."""

    data_dir: Path
    port: int
    settings: dict[str, str]
    process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def said(self) -> str:
        return (self.data_dir / "log").read_text()

    def start(self) -> None:
        command = [sys.executable, "app.py", "--port", str(self.port), "--data-dir", str(self.data_dir)]
        with open(self.data_dir / "log", "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [*command, "--corpus", "small-test"],
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.settings},
                # Started from the background, tests inherit that interrupts are ignored; a terminal's do not.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )
        until = time.monotonic() + 3 * LONG
        while not answers(self.url):
            assert self.process.poll() is None and time.monotonic() < until, self.said()
            time.sleep(0.2)

    def end(self, by: signal.Signals = signal.SIGINT) -> None:
        """Interrupted as by Ctrl-C it must go quietly."""
        self.process.send_signal(by)
        assert self.process.wait(LONG) == (0 if by == signal.SIGINT else -by)
        assert f"CiteSight is at {self.url}" in self.said()
        assert "Traceback" not in self.said(), self.said()


_apps: dict[str, App] = {}  # that are running, by their addresses


@contextmanager
def running(data_dir: Path, **settings: str) -> Iterator[str]:
    """The address of the running app."""
    app = App(data_dir, free_port(), settings)
    try:
        app.start()
        _apps[app.url] = app
        yield app.url
        app.end()
    finally:
        if app.process.poll() is None:
            app.process.kill()
            app.process.wait()


@contextmanager
def killed(address: str) -> Iterator[None]:
    """The app at the address is killed, and started again at the end."""
    _apps[address].end(signal.SIGKILL)
    yield
    _apps[address].start()


def answers(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=LONG).status == 200
    except OSError:
        return False


@dataclass
class Visit:
    """A page and everything it asked for, was told of its progress, or complained of from now on."""

    page: object
    requests: list[str] = field(default_factory=list)
    told: list = field(default_factory=list)  # the responses that say how far the index is
    complaints: list[str] = field(default_factory=list)
    forgiven: list[str] = field(default_factory=list)  # words of complaints that a test brings about, however late

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE)
        self.page.on("request", lambda each: self.requests.append(each.url))
        self.page.on("response", lambda each: self.told.append(each) if "/run/predict" in each.url else None)
        self.page.on("console", lambda each: self.complaints.append(each.text) if each.type == "error" else None)
        self.page.on("pageerror", lambda each: self.complaints.append(str(each)))
        self.page.on("dialog", lambda each: (self.complaints.append(f"dialog {each.message}"), each.dismiss()))

    def open(self, address: str) -> None:
        with self.page.expect_response("**/run/predict"):  # how far the index is: the page is wholly up
            self.page.goto(address)
        self.page.get_by_role("button", name="Ask", exact=True).wait_for()

    def index_ready(self) -> None:
        """Wait until the server has said that the index is: a page without a status line may not have been told yet."""
        self.until(lambda: any(map(says_ready, self.told)))
        self.page.locator(".cs-status").wait_for(state="detached")

    def until(self, condition: Callable[[], object]) -> None:
        """Wait for what Playwright has no words for, while the page goes on: what moves, and what comes in parts."""
        until = time.monotonic() + LONG
        while not condition():
            assert time.monotonic() < until, "waited too long"
            self.page.wait_for_timeout(50)

    def give_photo(self, file: str | Path) -> None:
        self.page.locator("#cs-photo input[type=file]").first.set_input_files(str(file))

    def remove_photo(self) -> None:
        """Once a question was answered, when the photo stands as a figure."""
        self.page.get_by_role("button", name="Change photo").click()
        self.page.get_by_role("button", name="Remove Image").click()

    def tell_late(self, address: str) -> None:
        """From now on the server is told a second late what is told to such an address."""
        self.page.evaluate(
            """(address) => {
                const fetched = window.fetch;
                window.fetch = async (...how) => {
                    if (String(how[0]).includes(address)) await new Promise((done) => setTimeout(done, 1000));
                    return fetched(...how);
                };
            }""",
            address,
        )

    def ask(self, question: str) -> None:
        self.page.get_by_label("Question").fill(question)
        self.page.get_by_role("button", name="Ask", exact=True).click()

    def answered(self) -> str:
        """Wait for a finished answer and return its text."""
        said = self.page.locator(".cs-panel:not([aria-busy]) .cs-said")
        said.wait_for()
        return said.inner_text()

    def problem(self) -> str:
        """The sentence about what went wrong on this page, once it is in view and has the focus."""
        alert = self.page.locator("#cs-left [role=alert]:focus")
        alert.wait_for()
        self.until(lambda: in_view(alert))
        return alert.inner_text()

    def pressed(self) -> list[str]:
        return [each.get_attribute("data-rank") for each in self.page.locator(".cs-pick[aria-pressed=true]").all()]

    def maps_shown(self) -> list[str]:
        return [each.get_attribute("data-rank") for each in self.page.locator(".cs-layer:not([hidden])").all()]


def says_ready(response) -> bool:
    """Whether this is what the page is told of all that can be under way (its first part the status line, its last
    whether to ask again), and the status line is empty."""
    told = response.json().get("data") or [None]
    return told[0] == "" and isinstance(told[-1], dict) and "active" in told[-1]


@contextmanager
def opened(browser, address: str, **options: object) -> Iterator[Visit]:
    """A page opened at the app, in a context with the options."""
    with context_of(browser, address, **{"viewport": {"width": 1280, "height": 900}, **options}) as context:
        seen = Visit(context.new_page())
        seen.open(address)
        yield seen
        assert seen.page.evaluate("window.pwned") is None
        foreign = [url for url in seen.requests if not url.startswith((address, "data:", "blob:"))]
        assert not foreign, foreign
        assert not (said := [each for each in seen.complaints if not any(one in each for one in seen.forgiven)]), said


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
            const fits = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
            const scale = getComputedStyle(image).objectFit === "scale-down" ? Math.min(1, fits) : fits;
            const width = image.naturalWidth * scale, height = image.naturalHeight * scale;
            return { x: box.x + (box.width - width) / 2, y: box.y + (box.height - height) / 2, width, height };
        }"""
    )


def in_view(element) -> bool:
    """Whether all of an element is on the screen."""
    box, screen = element.bounding_box(), element.page.viewport_size
    return box is not None and 0 <= box["y"] and box["y"] + box["height"] <= screen["height"]


def coloured(page, colour: tuple[int, int, int]) -> tuple[float, float, float, float]:
    """Where on the screen there is a colour: left, top, right, bottom, in pixels. Looked for in what is painted."""
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        near = (np.abs(np.asarray(shot.convert("RGB")).astype(int) - colour) < 12).all(axis=2)
    down, across = np.nonzero(near)
    return float(across.min()), float(down.min()), float(across.max() + 1), float(down.max() + 1)


def dropped(page, selector: str, *files: str | Path) -> None:
    """Files dragged in from outside and dropped on the middle of an element, as the browser gets them from the system:
    where the page does not take them, the browser leaves it for the file."""
    box = page.locator(selector).bounding_box()
    at = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
    browser = page.context.new_cdp_session(page)
    for happens in ("dragEnter", "dragOver", "drop"):
        browser.send("Input.dispatchDragEvent", {"type": happens, **at, "data": data})
    browser.detach()


def selecting(page):
    return page.locator(".cs-select:visible")
