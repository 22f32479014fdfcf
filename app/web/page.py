"""The Ask page: a photo and a question in, a cited answer with its evidence out; and the same as `/ask`.

Gradio lives here and nowhere else. The page holds no logic of its own: it hands raw files and text to the
answer service and shows what comes back, every failure as a sentence. It knows nothing of models, of SQL or
of how an index works.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import math
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from anyio import to_thread
from gradio.context import LocalContext
from gradio.utils import get_upload_folder
from PIL import Image, UnidentifiedImageError
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from app.service.questions import checked_count
from app.service.results import MAX_TURNS, WHOLE, EvidenceFound, PartialOwn, PartialText, UserProblem
from app.service.stoppable import PAUSE, Gone, TooMany, last_of, stoppable
from app.settings import AT_ONCE, MAX_UPLOAD, Settings
from app.web.ask import heat_maps
from app.web.ask import html as ask_html
from app.web.ask.html import HeatMap
from app.web.components import Ticked, html
from app.web.conversations import Conversations, Kept
from app.web.corpora.page import build_corpora
from app.web.ended import Ended
from app.web.files import EXAMPLES, NOT_HERE, Page, Photo, placed, refusal
from app.web.listeners import Listeners
from app.web.middleware import Bodies, Origins, Routes, SafeHeaders
from app.web.turns import Full, Turns
from app.web.upload_limits import OLD, PATH, UploadLimits, Uploads
from generator.answers import Citation, Turn
from retriever.images import MAX_BYTES, ImageProblem, load_image

if TYPE_CHECKING:
    from app.service.ask import AnswerService
    from app.service.ingestions import Ingestions
    from app.service.startup import LateService

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
STYLES = ("page", "corpora")
# Each uses what is in those before it.
SCRIPTS = ("base", "asking", "page", "corpora", "errors", "kept", "part", "photo", "focus")
MOST_PASSAGES = 20  # the slider's end; the API takes as many as the service does
POLL_SECONDS = 1.5
WAITING = 32  # that may wait for their turn
LONGEST = 900.0  # seconds after which an answer is ended, whatever it waits for
KEEP_PHOTOS = (1800, int(OLD))  # seconds: look for old uploads so often, delete those older than this
THREADS = 80  # of Gradio's; many more than may wait for their turn
QUEUED = 200  # events of all kinds that Gradio keeps waiting
SESSIONS = 300  # that the server remembers; each holds the photo and the evidence last shown, up to megabytes
# What every browser shows; a photo of another kind is shown as the picture that was made of it.
SHOWN_BY_BROWSERS = {"JPEG", "PNG", "GIF", "WEBP", "BMP"}

TOGETHER = "From all passages together"
EACH = "From each passage alone; the most probable wins"
THUMBNAIL = 88  # pixels of an example's picture, shown half as large for screens that have more of them
SELECT = '<button type="button" class="cs-select" aria-pressed="false">Select a part</button>'
READING = "Reading what was found…"
RECOGNISES = (
    "It knows common animals, things, vehicles and food at sight; no persons, no writing, and buildings and works of "
    "art only by their kind."
)
MAX_REQUEST = 400_000  # bytes of any but an upload; all turns of a conversation have room
MAX_SAID = 10_000  # characters of an earlier question or answer that a program sends back
TAGLINE = "Ask a photo a question. Get an answer that shows its evidence."


def build_page(
    service: AnswerService | LateService, ingestions: Callable[[], Ingestions | None] = lambda: None
) -> Page:
    """The page of a service. The service need not have started: the page says how far it is.

    ingestions: gives what manages the corpora, once it is there."""
    listeners = Listeners()
    asker = Asker(service, listeners)
    examples = [example for example in EXAMPLES if example[1].is_file()]
    gr.set_static_paths([placed(file) for _, file, _ in examples])  # neither copied again nor deleted
    with Page(title="CiteSight", analytics_enabled=False, delete_cache=KEEP_PHOTOS) as page:
        html(f'<header class="cs-top"><h1>CiteSight</h1><p>{TAGLINE}</p></header>', elem_id="cs-header")
        with gr.Tab("Ask") as asking:
            status = html(elem_id="cs-status")
        with asking, gr.Row(elem_id="cs-main"):
            with gr.Column(elem_id="cs-left"):
                photo = Photo(
                    type="filepath",
                    sources=["upload", "clipboard", "webcam"],
                    label="Photo",
                    height=300,
                    buttons=[],
                    alt_text="Your photo",
                    placeholder="Drop a photo here\nor click to choose one",
                    elem_id="cs-photo",
                )
                figure = html(elem_id="cs-figure")
                html(SELECT, elem_id="cs-part")
                unfit = html(elem_id="cs-unfit")  # what is wrong with the photo, beside it
                # Filled by the page's script, so it must be in the page; see page.js.
                region = gr.Textbox(label="Part of the photo", elem_id="cs-region")
                number = gr.Number(0, visible=False)  # how many questions this page has asked; see Asker.end
                conversation = gr.Textbox("", visible="hidden")  # its id, by which it is kept; see kept.js
                question = gr.Textbox(
                    label="Question",
                    placeholder="What would you like to know about it?",
                    lines=1,
                    max_lines=4,
                    elem_id="cs-question",
                )
                ask = gr.Button("Ask", variant="primary", elem_id="cs-ask")
                stop = gr.Button("Stop", elem_id="cs-stop")
                new = gr.Button("New conversation", size="sm", elem_id="cs-new")
                problem = html(elem_id="cs-problem")
                with gr.Column(elem_id="cs-examples"):
                    html('<h2 class="cs-small">Try one</h2>')
                    tries = [(_try_button(name, file, text), file, text) for name, file, text in examples]
                    if service.settings.profile == "mini":
                        html(f'<p class="cs-hint">{RECOGNISES}</p>', elem_id="cs-recognises")
                where = "Where to look" if service.settings.model is None else "Where to look, how to answer"
                with gr.Accordion(where, open=False, elem_id="cs-where"):
                    corpora = Ticked(
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
                    each, own = _model_options(service.settings.model is not None)
            with gr.Column(elem_id="cs-right"):
                earlier = html(elem_id="cs-earlier")
                answer = html(ask_html.empty_answer(), elem_id="cs-answer")
                evidence = html(elem_id="cs-evidence")
        with gr.Tab("Corpora") as managing:
            refresh = build_corpora(ingestions, service.settings.may_manage, sentence_for, may_go_better)
        timer = gr.Timer(POLL_SECONDS, active=False)
        turns = gr.State([], time_to_live=KEEP_PHOTOS[1])

        quiet = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        asks = [ask.click, question.submit]
        # The browser does one after the other, so these are done by the first word of the answer.
        gr.on(asks, None, number, number, js="(number) => window.asking(number)", **quiet)
        gr.on(asks, asker.wait, [photo, question, number], [answer, problem], **quiet)
        asked = gr.on(
            asks,
            asker.respond_in_turn,
            [photo, question, corpora, passages, region, each, own, turns, number, conversation],
            [answer, evidence, figure, problem, earlier, turns],
            show_progress="hidden",
            concurrency_limit=None,  # see Turns
            api_visibility="private",
            trigger_mode="always_last",  # one answer at a time in these places, and the last stands
        )
        asked.failure(None, js="() => window.brokenOff()")
        # Again once it has ended, since words that were on their way may have come after the script's.
        said = [answer, evidence, earlier, figure]
        nothing = [ask_html.empty_answer(), "", "", ""]
        keep = [gr.skip()] * len(said)
        last = f"() => (window.stopped(true), window.begunAnew() ? {json.dumps(nothing)} : {json.dumps(keep)})"
        asked.then(None, None, said, js=last, **quiet)
        talk = [earlier, turns]
        # In the browser, and before anything that asks the server: later it would take away what was done meanwhile.
        # What is asked meanwhile waits for the id and the turns of the new conversation.
        anew = f"() => (window.beginAnew(), {json.dumps([*nothing, '', '', ''])})"
        fresh = {"fn": None, "inputs": None, "outputs": [*said, region, problem, unfit], "js": anew, **quiet}
        begun = {"fn": None, "js": "() => window.begun()", **quiet}
        say = "(number) => (window.stopped(), number)"
        end = {"fn": asker.end, "inputs": number, "outputs": None, "js": say, **quiet}
        stop.click(**end)
        for happens in (new.click, photo.upload, photo.clear, *(button.click for button, _, _ in tries)):
            happens(**fresh)
            happens(**end)  # else the answer would write itself, and its turn, over what is begun anew
        started = [turns, conversation]
        new.click(asker.begin, photo, started, **quiet).then(**begun)
        looked = photo.upload(asker.check_photo, photo, [*started, photo, unfit], **quiet)
        looked.then(None, js="() => window.begun('The photo is there.')", **quiet)
        photo.clear(asker.begin, None, started, **quiet).then(**begun)
        for button, file, text in tries:
            chosen = button.click(asker.example(file, text), None, [*started, photo, question], **quiet)
            chosen.then(None, js="() => window.begun('', true)", **quiet)

        polled = [status, timer, corpora]
        page.load(asker.progress, corpora, polled, **quiet)
        shown = [conversation, photo, question, region, answer, evidence, figure, unfit, *talk]
        page.load(asker.restore, [conversation, question], shown, js="() => window.conversation()", **quiet)
        conversation.change(None, conversation, None, js="(id) => window.named(id)", **quiet)
        page.load(None, js="() => window.openExample()")
        timer.tick(asker.progress, corpora, polled, **quiet)
        asking.select(asker.progress, corpora, polled, **quiet)
        managing.select(**refresh)
        page.load(**refresh)
        asked.then(asker.progress, corpora, polled, **quiet)  # a question can set indexing going again

        _add_endpoint(asker, photo, question)
    page.listeners = listeners
    return page.queue(max_size=QUEUED, api_open=False)


def _add_endpoint(asker: Asker, photo: Photo, question: gr.Textbox) -> None:
    """`/ask`: the same question for `gradio_client`, with plain values in and one JSON object out."""
    corpora = gr.Dropdown(
        [], multiselect=True, allow_custom_value=True, value=[], label="corpora", visible=False
    )
    passages = gr.Number(asker.service.settings.passages, precision=0, label="passages", visible=False)
    region = gr.JSON(None, label="region", visible=False)
    earlier = gr.JSON(None, label="earlier", visible=False)
    each = gr.Checkbox(False, label="each", visible=False)
    own = gr.Checkbox(False, label="own", visible=False)
    answer = gr.JSON(visible=False, label="result")
    gr.Button(visible=False).click(
        asker.ask,
        [photo, question, corpora, passages, region, earlier, each, own],
        answer,
        api_name="ask",
        api_description="Answer a question about a photo from the indexed passages, with citations. "
        "corpora: names of the collections to search, empty for the usual one. passages: how many to find. "
        "region: the part of the photo that is asked about, [left, top, right, bottom] as fractions of it. "
        "earlier: what earlier answers of the conversation hold as `turn`, in a list, oldest first. "
        "each: ask the model of each passage alone. own: say too what it answers without any passage.",
        concurrency_limit=None,
    )


class Asker:
    """The page's event handlers, bound to a service. Only `ask` raises, and only gr.Error."""

    def __init__(self, service: AnswerService | LateService, listeners: Listeners) -> None:
        self.service = service
        self._listeners = listeners
        self._ended = Ended(SESSIONS)
        self._turns = Turns(AT_ONCE, WAITING)
        self._kept = Conversations(SESSIONS, OLD)

    def end(self, number: float | None, page: gr.Request) -> None:
        """The page wants no answers any more to its questions up to this number."""
        self._ended.end(page.session_hash, number or 0)

    def wait(
        self, photo: str | None, question: str | None, number: float | None, page: gr.Request
    ) -> tuple[Any, str]:
        """What is told before a question has its turn, which ends those before it. Returns (answer, problem)."""
        lacking = _lacking(photo, question)
        if lacking:
            return gr.skip(), ask_html.anew(ask_html.error(lacking), number)
        self._ended.end(page.session_hash, (number or 0) - 1)
        return ask_html.anew(ask_html.working("Waiting for its turn…"), number), ""

    async def respond_in_turn(
        self,
        photo: str | None,
        question: str | None,
        corpora: list[str] | None,
        passages: float,
        region: str | None,
        each: str | None,
        own: bool | None,
        turns: list[Turn],
        number: float | None,
        conversation: str | None,
        page: gr.Request,
    ) -> AsyncIterator[tuple[Any, ...]]:
        """`respond`, when the question has its turn; until then, how many are before it. Holds no thread meanwhile.

        What the page shows is kept as it goes, by the conversation's id."""
        keep = gr.skip()
        try:
            place = self._turns.enter()
        except Full:
            yield ask_html.empty_answer(), keep, keep, ask_html.error(sentence_for(Full()), "#cs-ask"), keep, keep
            return
        with place:
            told = 0
            while before := place.before():
                waiting = ask_html.working(waiting_line(before)) if before != told else keep
                told = before
                # Also when there is nothing new, so that Gradio can see whether anybody is there.
                yield waiting, keep, keep, keep, keep, keep
                await asyncio.sleep(PAUSE)
                if self._ended.has(page.session_hash, number or 0):
                    return
            # Of a generator that gives nothing at all Gradio would make an empty page.
            yield keep, keep, keep, keep, keep, keep
            how = (photo, question, corpora, passages, region, each, own, turns, number, page)
            kept = Kept(photo, question or "", region or "", turns=tuple(turns), complete=False)
            with closing(self.respond(*how)) as steps:
                while (step := await to_thread.run_sync(next, steps, None)) is not None:
                    kept = _with_step(kept, step)
                    self._kept.keep(conversation, kept)
                    yield step
            if not self._ended.has(page.session_hash, number or 0):
                self._kept.keep(conversation, replace(kept, complete=True))

    def respond(
        self,
        photo: str | None,
        question: str | None,
        corpora: list[str] | None,
        passages: float,
        region: str | None,
        each: str | None,
        own: bool | None,
        turns: list[Turn],
        number: float | None,
        page: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        """Answer on the page. Yields (answer, evidence, figure, problem, earlier, turns); what is unchanged is skipped.

        region: "left,top,right,bottom" as fractions of the photo, or "" for all of it. number: of the question, from
        1; the answer ends without another word when this question is ended, or the page asks a later one."""
        number = number or 0
        self._ended.end(page.session_hash, number - 1)
        if self._ended.has(page.session_hash, number):
            return
        keep = gr.skip()
        lacking = _lacking(photo, question)
        if lacking:
            yield keep, keep, keep, ask_html.anew(ask_html.error(lacking), number), keep, keep
            return
        history = ask_html.earlier(turns)
        yield ask_html.working("Looking at the photo and searching…"), "", keep, "", history, keep
        run, found, maps, address, said, loading = secrets.token_hex(4), (), {}, "", "", ""
        part = _region(region)

        def cards(citations: Sequence[Citation], selected: int) -> str:
            return ask_html.evidence(run, found, searched, citations, selected, bool(maps))

        def photo_with_maps(selected: int) -> str:
            titles = {passage.rank: passage.title for passage in found}
            return ask_html.photo_figure(run, address, maps, titles, selected, part or WHOLE) if maps else ""

        try:
            how = {"turns": turns, "region": part, "each": each == EACH, "own": bool(own)}
            asked = self.service.ask(photo, question, corpora or None, int(passages), **how)
            with closing(stoppable(asked, PAUSE, LONGEST)) as steps:
                for step in steps:
                    if self._ended.has(page.session_hash, number):
                        return
                    if step is None:
                        before, loading = loading, self.service.loading()
                        told = keep
                        if not said and loading != before:
                            told = ask_html.working(loading or READING)
                        yield told, keep, keep, keep, keep, keep
                    elif isinstance(step, EvidenceFound):
                        found, searched = step.passages, step.searched
                        maps = self._maps(step)
                        address = heat_maps.photo_address(load_image(photo)) if maps else ""
                        working = ask_html.working(READING)
                        yield working, cards((), 1), photo_with_maps(1), keep, keep, keep
                    elif isinstance(step, PartialText):
                        said = step.text
                        yield ask_html.partial_answer(said, found, question), keep, keep, keep, keep, keep
                    elif isinstance(step, PartialOwn):
                        both = ask_html.partial_answer(said, found, question, step.text)
                        yield both, keep, keep, keep, keep, keep
                    else:
                        citations = step.answer.citations if step.answer.speaks else ()
                        selected = citations[0].number if citations else 1
                        done = ask_html.final_answer(step)
                        talk = [*turns, step.turn()][-MAX_TURNS:]
                        yield done, cards(citations, selected), photo_with_maps(selected), "", keep, talk
        except Exception as problem:  # whatever it was, the person gets a sentence, and keeps what was found
            sentence = ask_html.error(sentence_for(problem), "#cs-ask" if may_go_better(problem) else "")
            if self._ended.has(page.session_hash, number):
                return
            if found:
                yield ask_html.unanswered(question), keep, keep, sentence, keep, keep
            else:
                yield ask_html.empty_answer(), "", keep if turns else "", sentence, keep, keep

    def begin(self, photo: str | None = None) -> tuple[list[Turn], str]:
        """A new conversation about a photo, or about none yet. Returns (turns, id)."""
        return [], self._kept.begin(Kept(photo))

    def example(self, file: Path, question: str) -> Callable[[], tuple[Any, ...]]:
        """Gives `begin` with an example, and (photo, question)."""
        return lambda: (*self.begin(placed(file)), placed(file), question)

    def restore(self, conversation: str | None, typed: str | None) -> tuple[Any, ...]:
        """What the page showed before it was loaded anew, with what was typed in it last.

        Returns (id, photo, question, region, answer, evidence, figure, unfit, earlier, turns)."""
        kept = self._kept.of(conversation)
        if kept is None:
            return self._kept.begin(Kept()), gr.skip(), typed or gr.skip(), *[gr.skip()] * 7
        photo, problem = kept.photo, ""
        if photo is not None and not Path(photo).is_file():
            photo, problem = None, ask_html.error(NOT_HERE)
        answer = kept.answer or ask_html.empty_answer()
        if not kept.complete:
            answer = ask_html.broken_off(answer)
        shown = (answer, kept.evidence, kept.figure, problem, kept.earlier, list(kept.turns))
        return conversation, photo, typed or kept.question, kept.region, *shown

    async def ask(
        self,
        image: str | None,
        question: str | None,
        corpora: Any,
        passages: Any,
        region: Any = None,  # what has a value here may be left out by a program
        earlier: Any = None,
        each: bool = False,
        own: bool = False,
        page: gr.Request = None,  # which Gradio always gives
    ) -> dict[str, Any]:
        """The `/ask` endpoint: `Result.as_dict()`. Raises gr.Error with a sentence. Ends when who asked has gone."""
        lacking = _lacking(image, question)
        if lacking:
            raise refusal(lacking)
        gone = self._listeners.gone((page.session_hash, LocalContext.event_id.get(None) or ""))
        try:
            count = None if passages is None else checked_count(passages)
            how = {"turns": _turns(earlier), "region": region, "each": bool(each), "own": bool(own)}
            with self._turns.enter() as place:
                while place.before():
                    if gone():
                        raise Gone
                    await asyncio.sleep(PAUSE)
                steps = stoppable(self.service.ask(image, question, _corpora(corpora), count, **how), PAUSE, LONGEST)
                result = await to_thread.run_sync(last_of, steps, gone)
            return result.as_dict()
        except Exception as problem:
            raise refusal(sentence_for(problem)) from None

    def check_photo(self, photo: str | None) -> tuple[Any, ...]:
        """Look at a photo as soon as it is given, and `begin` with it. Returns that, and (photo, unfit)."""
        if photo is None:
            return *self.begin(), None, ""
        try:
            picture = load_image(photo)
        except Exception as problem:
            return *self.begin(), None, ask_html.error(sentence_for(problem))
        return *self.begin(photo), (photo if _browser_shows(photo) else picture), ""

    def progress(self, ticked: list[str] | None) -> tuple[Any, Any, Any]:
        """How far the index is. Returns (status line, timer, corpora); the timer stops when it is done."""
        try:
            status = self.service.status()
            known = self.service.corpora()
        except Exception as problem:
            return ask_html.error(sentence_for(problem)), gr.Timer(active=False), gr.skip()
        names = [corpus.name for corpus in known]
        kept = [name for name in ticked or [] if name in names]
        if not kept and self.service.settings.corpus in names:
            kept = [self.service.settings.corpus]
        choices = [(f"{corpus.title} ({corpus.passages:,} passages)", corpus.name) for corpus in known]
        busy = status.state not in ("ready", "failed")
        return (
            ask_html.status_line(status),
            gr.Timer(active=busy),
            Ticked(choices=choices, value=kept),
        )

    def _maps(self, found: EvidenceFound) -> dict[int, HeatMap]:
        """A heat map by rank, for the passages that have one."""
        maps = {}
        regions = self.service.regions(found.query, [passage.id for passage in found.passages])
        for passage in found.passages:
            shares = regions.get(passage.id)  # None: it has left the index since; the question can be answered
            if shares is not None and shares.size:
                picture = heat_maps.heat_address(shares, found.query.area)
                maps[passage.rank] = HeatMap(picture, heat_maps.where(shares, found.query.area), len(regions) == 1)
        return maps


def sentence_for(problem: Exception) -> str:
    """What to tell the person; anything unforeseen goes to the log in full and to the person in general."""
    if isinstance(problem, UserProblem | ImageProblem):
        return str(problem)
    if isinstance(problem, TooMany | Full):
        return "Too many questions are being worked on; ask again in a minute."
    if isinstance(problem, TimeoutError | Gone):
        return "The answer took too long and was ended; ask again."
    log.error("a question failed", exc_info=problem)
    if isinstance(problem, OSError) and problem.errno == errno.ENOSPC:
        return "The disk of this machine is full; free some space and ask again."
    if isinstance(problem, MemoryError):
        return "This machine ran out of memory; close something and ask again."
    return "Something unforeseen went wrong, not with your question; try again, or look at the program's log."


def _with_step(kept: Kept, step: tuple[Any, ...]) -> Kept:
    """What is kept, with what the page is told now: (answer, evidence, figure, problem, earlier, turns)."""
    names = ("answer", "evidence", "figure", None, "earlier", "turns")
    told = {name: said for name, said in zip(names, step, strict=True) if name and not _skips(said)}
    if "turns" in told:
        told["turns"] = tuple(told["turns"])
    return replace(kept, **told)


def _skips(said: Any) -> bool:
    return isinstance(said, dict)  # Gradio's word for leaving as it is


def waiting_line(before: int) -> str:
    """What is said while a question waits for so many others to be answered."""
    return f"Waiting for its turn: {'one question is' if before == 1 else f'{before} questions are'} before it…"


def may_go_better(problem: Exception) -> bool:
    """Whether it makes sense to try the same again."""
    return problem.again if isinstance(problem, UserProblem) else not isinstance(problem, ImageProblem)


def _lacking(photo: str | None, question: str | None) -> str:
    if not photo:
        return "Add a photo first: upload, paste or take one, or pick an example."
    if not Path(photo).is_file():
        return NOT_HERE
    if not (question or "").strip():
        return "Type a question about the photo first."
    return ""


def _turns(earlier: Any) -> list[Turn]:
    """The turns of a conversation as a program sent them. Raises UserProblem."""
    wrong = UserProblem("The earlier turns must be a list of objects with question and answer.")
    if not isinstance(earlier or [], list):
        raise wrong
    turns = []
    for said in (earlier or [])[-MAX_TURNS:]:
        if not isinstance(said, dict):
            raise wrong
        parts = (said.get("question"), said.get("answer"), said.get("subject", ""), said.get("photo", ""))
        if not all(isinstance(part, str) for part in parts):
            raise wrong
        turns.append(Turn(*(part[:MAX_SAID] for part in parts)))
    return turns


def _corpora(said: Any) -> list[str] | None:
    """The names of corpora that a program sent, None where it sent none. Raises UserProblem."""
    if not isinstance(said or [], list) or not all(isinstance(name, str) for name in said or []):
        raise UserProblem("The corpora must be a list of names.")
    return said or None


def _region(said: str | None) -> tuple[float, ...] | None:
    """What the page's script wrote; None for all of the photo. What makes no sense is refused by the service."""
    if not said:
        return None
    try:
        return tuple(float(edge) for edge in said.split(","))
    except ValueError:
        return (math.nan,)


def _model_options(there: bool) -> tuple[gr.Radio, gr.Checkbox]:
    """How a model is to answer; hidden where there is none."""
    each = gr.Radio(
        [TOGETHER, EACH], value=TOGETHER, label="How the model answers", visible=there, elem_id="cs-each"
    )
    own = gr.Checkbox(
        False, label="Also show what the model says without the evidence", visible=there, elem_id="cs-own"
    )
    return each, own


def _browser_shows(path: str) -> bool:
    try:
        with Image.open(path) as image:
            return image.format in SHOWN_BY_BROWSERS
    except (OSError, UnidentifiedImageError):
        return False


def _try_button(name: str, file: Path, text: str) -> gr.Button:
    """A button that asks an example; so does opening the page as `/?example=name`."""
    icon = {"path": "", "url": heat_maps.thumbnail_address(load_image(file), THUMBNAIL)}  # as Gradio serves a file
    return gr.Button(text, icon=icon, size="sm", elem_classes="cs-try", elem_id=f"cs-try-{name}")


def launch(page: Page, settings: Settings) -> str:
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
        state_session_capacity=SESSIONS,
        max_threads=THREADS,
        app_kwargs={"middleware": _middleware(page, settings)},
        footer_links=["api"],
        theme=_theme(),
        head=_head(),
    )
    return address


def _middleware(page: Page, settings: Settings) -> list[Middleware]:
    """What a request passes before Gradio, from the outside in."""
    most = MAX_UPLOAD if settings.may_manage else MAX_BYTES
    limits = UploadLimits(request=most + (1 << 20), client_bytes=5 * most)
    return [
        Middleware(SafeHeaders, framed_by=settings.frame_ancestors),
        Middleware(Origins, names=settings.names, pages=settings.other_names),
        Middleware(Routes),
        Middleware(Bodies, most=MAX_REQUEST, but=PATH),
        Middleware(Uploads, Path(get_upload_folder()), limits, proxied=settings.space_host is not None),
        Middleware(page.listeners.middleware),
        # Gradio compresses its files, but not the page, its configuration and what it answers.
        Middleware(GZipMiddleware),
    ]


def _head() -> str:
    """The page's own style and script. Not through Gradio's `css`, which rewrites selectors, but not all."""
    style, script = (
        "".join((STATIC / f"{name}.{kind}").read_text(encoding="utf-8") for name in names)
        for kind, names in (("css", STYLES), ("js", SCRIPTS))
    )
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
