"""The Ask page: a photo and a question in, a cited answer with its evidence out; and the same as `/ask`.

Gradio lives here and nowhere else. The page holds no logic of its own: it hands raw files and text to the
answer service and shows what comes back, every failure as a sentence. It knows nothing of models, of SQL or
of how an index works.
"""

from __future__ import annotations

import errno
import logging
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.media import MEDIA_ROOT
from PIL import Image, UnidentifiedImageError

from app import page_heat, page_html
from app.results import EvidenceFound, PartialText, UserProblem
from app.settings import Settings
from generator.answers import Citation
from retriever.images import MAX_BYTES, ImageProblem, load_image

if TYPE_CHECKING:
    from app.late import LateService
    from app.service import AnswerService

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
MOST_PASSAGES = 20  # the slider's end; the API takes as many as the service does
POLL_SECONDS = 1.5
KEEP_PHOTOS = (1800, 6 * 3600)  # seconds: look for old uploads so often, delete those older than this
# What every browser shows; a photo of another kind is shown as the picture that was made of it.
SHOWN_BY_BROWSERS = {"JPEG", "PNG", "GIF", "WEBP", "BMP"}

# Photographs that come with Gradio: name in the page's address, file, what to ask.
EXAMPLES = [
    (name, MEDIA_ROOT / "images" / file, question)
    for name, file, question in (
        ("cheetah", "cheetah1.jpg", "How fast can this animal run?"),
        ("lion", "lion.jpg", "Where does this animal live?"),
        ("tower", "tower.jpg", "Who designed this tower in Paris?"),
    )
]

TAGLINE = "Ask a photo a question. Get an answer that shows its evidence."


def build_page(service: AnswerService | LateService) -> gr.Blocks:
    """The page of a service. The service need not have started: the page says how far it is."""
    asker = Asker(service)
    examples = [example for example in EXAMPLES if example[1].is_file()]
    gr.set_static_paths(
        [file for _, file, _ in examples]
    )  # shown from where they lie, neither copied nor deleted
    with gr.Blocks(title="CiteSight", analytics_enabled=False, delete_cache=KEEP_PHOTOS) as page:
        _html(f'<header class="cs-top"><h1>CiteSight</h1><p>{TAGLINE}</p></header>', elem_id="cs-header")
        status = _html(elem_id="cs-status")
        with gr.Row(elem_id="cs-main"):
            with gr.Column(elem_id="cs-left"):
                photo = _raw(
                    gr.Image(
                        type="filepath",
                        sources=["upload", "clipboard", "webcam"],
                        label="Photo",
                        height=300,
                        buttons=[],
                        alt_text="Your photo",
                        placeholder="Drop a photo here\nor click to choose one",
                        elem_id="cs-photo",
                    )
                )
                figure = _html(elem_id="cs-figure")
                question = gr.Textbox(
                    label="Question",
                    placeholder="What would you like to know about it?",
                    lines=1,
                    max_lines=4,
                    elem_id="cs-question",
                )
                ask = gr.Button("Ask", variant="primary", elem_id="cs-ask")
                problem = _html(elem_id="cs-problem")
                with gr.Column(elem_id="cs-examples"):
                    _html('<h2 class="cs-small">Try one</h2>')
                    tries = [(_try_button(name, file, text), file, text) for name, file, text in examples]
                with gr.Accordion("Where to look", open=False, elem_id="cs-where"):
                    corpora = gr.CheckboxGroup(
                        label="Collections",
                        info="With none ticked, the usual one is searched.",
                        choices=[],
                        elem_id="cs-corpora",
                    )
                    passages = gr.Slider(
                        1,
                        MOST_PASSAGES,
                        value=min(service.settings.passages, MOST_PASSAGES),
                        step=1,
                        label="Passages to find",
                        elem_id="cs-passages",
                    )
            with gr.Column(elem_id="cs-right"):
                answer = _html(page_html.empty_answer(), elem_id="cs-answer")
                evidence = _html(elem_id="cs-evidence")
        timer = gr.Timer(POLL_SECONDS, active=False)

        quiet = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        asked = gr.on(
            [ask.click, question.submit],
            asker.respond,
            [photo, question, corpora, passages],
            [answer, evidence, figure, problem],
            show_progress="hidden",
            concurrency_limit=2,
            concurrency_id="ask",
            api_visibility="private",
            trigger_mode="always_last",  # one answer at a time in these places, and the last stands
        )
        photo.upload(asker.check_photo, photo, [photo, figure, problem], **quiet)
        photo.clear(lambda: ("", ""), None, [figure, problem], **quiet)
        for button, file, text in tries:
            chosen = button.click(_constant((str(file), text, "")), None, [photo, question, figure], **quiet)
            chosen.then(None, js="() => document.querySelector('#cs-ask').click()")

        polled = [status, timer, corpora]
        page.load(asker.progress, corpora, polled, **quiet)
        page.load(None, js="() => window.openExample()")
        timer.tick(asker.progress, corpora, polled, **quiet)
        asked.then(asker.progress, corpora, polled, **quiet)  # a question can set indexing going again

        _add_endpoint(asker, photo, question)
    return page.queue(max_size=32)


def _add_endpoint(asker: Asker, photo: gr.Image, question: gr.Textbox) -> None:
    """`/ask`: the same question for `gradio_client`, with plain values in and one JSON object out."""
    corpora = gr.Dropdown(
        [], multiselect=True, allow_custom_value=True, value=[], label="corpora", visible=False
    )
    passages = gr.Number(asker.service.settings.passages, precision=0, label="passages", visible=False)
    answer = gr.JSON(visible=False, label="result")
    gr.Button(visible=False).click(
        asker.ask,
        [photo, question, corpora, passages],
        answer,
        api_name="ask",
        api_description="Answer a question about a photo from the indexed passages, with citations. "
        "corpora: names of the collections to search, empty for the usual one. passages: how many to find.",
        concurrency_limit=2,
        concurrency_id="ask",
    )


class Asker:
    """The page's event handlers, bound to a service. Only `ask` raises, and only gr.Error."""

    def __init__(self, service: AnswerService | LateService) -> None:
        self.service = service

    def respond(
        self, photo: str | None, question: str | None, corpora: list[str] | None, passages: float
    ) -> Iterator[tuple[Any, Any, Any, Any]]:
        """Answer on the page. Yields (answer, evidence, figure, problem); what is unchanged is skipped."""
        keep = gr.skip()
        lacking = _lacking(photo, question)
        if lacking:
            yield keep, keep, keep, page_html.error(lacking)
            return
        yield page_html.working("Looking at the photo and searching…"), "", keep, ""
        run, found, maps, address = secrets.token_hex(4), (), {}, ""

        def cards(citations: Sequence[Citation], selected: int) -> str:
            return page_html.evidence(run, found, question, citations, selected, bool(maps))

        def photo_with_maps(selected: int) -> str:
            titles = {passage.rank: passage.title for passage in found}
            return page_html.photo_figure(run, address, maps, titles, selected) if maps else ""

        try:
            for step in self.service.ask(photo, question, corpora or None, int(passages)):
                if isinstance(step, EvidenceFound):
                    found = step.passages
                    maps = self._maps(step)
                    address = page_heat.photo_address(load_image(photo)) if maps else ""
                    said = page_html.working("Reading what was found…")
                    yield said, cards((), 1), photo_with_maps(1), keep
                elif isinstance(step, PartialText):
                    yield page_html.partial_answer(step.text, found), keep, keep, keep
                else:
                    citations = step.answer.citations if step.answer.answered else ()
                    selected = citations[0].number if citations else 1
                    said = page_html.final_answer(step)
                    yield said, cards(citations, selected), photo_with_maps(selected), ""
        except Exception as problem:  # whatever it was, the person gets a sentence
            yield page_html.empty_answer(), "", "", page_html.error(sentence_for(problem))

    def ask(
        self, image: str | None, question: str | None, corpora: list[str] | None, passages: int | None
    ) -> dict[str, Any]:
        """The `/ask` endpoint: `Result.as_dict()`. Raises gr.Error with a sentence."""
        lacking = _lacking(image, question)
        if lacking:
            raise gr.Error(lacking, print_exception=False)
        try:
            count = None if passages is None else int(passages)
            return self.service.ask_once(image, question, corpora or None, count).as_dict()
        except Exception as problem:
            raise gr.Error(sentence_for(problem), print_exception=False) from None

    def check_photo(self, photo: str | None) -> tuple[Any, Any, str]:
        """Look at a photo as soon as it is given. Returns (photo, figure, problem)."""
        if photo is None:
            return None, "", ""
        try:
            picture = load_image(photo)
        except Exception as problem:
            return None, "", page_html.error(sentence_for(problem))
        return (photo if _browser_shows(photo) else picture), "", ""

    def progress(self, ticked: list[str] | None) -> tuple[Any, Any, Any]:
        """How far the index is. Returns (status line, timer, corpora); the timer stops when it is done."""
        try:
            status = self.service.status()
            known = self.service.corpora()
        except Exception as problem:
            return page_html.error(sentence_for(problem)), gr.Timer(active=False), gr.skip()
        names = [corpus.name for corpus in known]
        kept = [name for name in ticked or [] if name in names]
        if not kept and self.service.settings.corpus in names:
            kept = [self.service.settings.corpus]
        choices = [(f"{corpus.title} ({corpus.passages:,} passages)", corpus.name) for corpus in known]
        busy = status.state not in ("ready", "failed")
        return (
            page_html.status_line(status),
            gr.Timer(active=busy),
            gr.CheckboxGroup(choices=choices, value=kept),
        )

    def _maps(self, found: EvidenceFound) -> dict[int, str]:
        """A heat map by rank, for the passages that have one."""
        maps = {}
        for passage in found.passages:
            shares = self.service.regions(found.query, passage.id)
            if shares.size:
                maps[passage.rank] = page_heat.heat_address(shares, found.query.area)
        return maps


def sentence_for(problem: Exception) -> str:
    """What to tell the person; anything unforeseen goes to the log in full and to the person in general."""
    if isinstance(problem, UserProblem | ImageProblem):
        return str(problem)
    log.error("a question failed", exc_info=problem)
    if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
        return "The disk of this machine is full; free some space and ask again."
    if isinstance(problem, MemoryError):
        return "This machine ran out of memory; close something and ask again."
    return "Something unforeseen went wrong, not with your question; try again, or look at the program's log."


def _lacking(photo: str | None, question: str | None) -> str:
    if not photo:
        return "Add a photo first: upload, paste or take one, or pick an example."
    if not Path(photo).is_file():
        return "The photo has been deleted here after some hours; add it again."
    if not (question or "").strip():
        return "Type a question about the photo first."
    return ""


def _browser_shows(path: str) -> bool:
    try:
        with Image.open(path) as image:
            return image.format in SHOWN_BY_BROWSERS
    except (OSError, UnidentifiedImageError):
        return False


def _html(value: str = "", **options: Any) -> gr.HTML:
    """HTML without Gradio's own look for it."""
    return gr.HTML(value, apply_default_css=False, **options)


def _try_button(name: str, file: Path, text: str) -> gr.Button:
    """A button that asks an example; so does opening the page as `/?example=name`."""
    return gr.Button(text, icon=file, size="sm", elem_classes="cs-try", elem_id=f"cs-try-{name}")


def _constant(values: tuple[Any, ...]) -> Callable[[], tuple[Any, ...]]:
    return lambda: values


def _raw(photo: gr.Image) -> gr.Image:
    """Let the file through as it was given: Gradio would decode it, and fail on a bad one with a traceback.

    Addresses are not fetched: the server should not go where a stranger sends it. Those of the page's own
    examples are known without fetching. This holds for as long as handlers give the component values and no
    updates (`gr.skip` is one too), after which Gradio goes on with a copy that knows nothing of it.
    """
    move = photo.async_move_resource_to_block_cache

    async def local_only(path: Any) -> str | None:
        if isinstance(path, str) and "://" in path:
            name = path.rsplit("/", 1)[-1]
            for example, file, _ in EXAMPLES:
                if name == file.name or path.endswith(f"?example={example}"):
                    return await move(str(file))
            raise gr.Error("Give the photo as a file; addresses are not fetched.", print_exception=False)
        return await move(path)

    photo.preprocess = lambda payload: payload.path if payload else None  # type: ignore[method-assign]
    photo.async_move_resource_to_block_cache = local_only  # type: ignore[method-assign]
    return photo


def launch(page: gr.Blocks, settings: Settings) -> str:
    """Start serving in the background and return the address. Raises OSError when the port is taken."""
    _, address, _ = page.launch(
        server_name=settings.host,
        server_port=settings.port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        show_error=True,
        inbrowser=False,
        max_file_size=MAX_BYTES,
        enable_monitoring=False,
        run_history=False,
        ssr_mode=False,
        favicon_path=STATIC / "icon.svg",
        pwa=False,
        mcp_server=False,
        footer_links=["api"],
        theme=_theme(),
        head=_head(),
    )
    return address


def _head() -> str:
    """The page's own style and script. Not through Gradio's `css`, which rewrites selectors, but not all."""
    style, script = ((STATIC / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return f"<style>{style}</style><script>{script}</script>"


def _theme() -> gr.themes.Base:
    """Gradio's plain theme in the system's fonts, with one accent colour. Loads nothing."""
    sans = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Consolas", "monospace"]
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        secondary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        font=sans,
        font_mono=mono,
        radius_size=gr.themes.sizes.radius_md,
    )
