"""What happens on the Ask page: a question is asked, a photo is looked at, a conversation begins and comes back.

The handlers hold no logic of their own: they hand raw files and text to the answer service and say what comes back as
HTML, every failure as a sentence. They know nothing of models, of SQL or of how an index works.
"""

from __future__ import annotations

import asyncio
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
from PIL import Image, UnidentifiedImageError

from app.service.questions import checked_count
from app.service.results import MAX_TURNS, WHOLE, EvidenceFound, PartialOwn, PartialText
from app.service.stoppable import PAUSE, Gone, last_of, stoppable
from app.settings import AT_ONCE
from app.web.api import corpora_from, turns_from
from app.web.ask import heat_maps
from app.web.ask import html as ask_html
from app.web.ask.html import HeatMap
from app.web.components import Ticked
from app.web.conversations import Conversations, Kept
from app.web.ended import Ended
from app.web.files import NOT_HERE, placed, refusal
from app.web.listeners import Listeners
from app.web.problems import may_go_better, sentence_for
from app.web.turns import Full, Turns
from app.web.upload_limits import OLD
from generator.answers import Citation, Turn
from retriever.images import load_image

if TYPE_CHECKING:
    from app.service.ask import AnswerService
    from app.service.startup import LateService

WAITING = 32  # that may wait for their turn
LONGEST = 900.0  # seconds after which an answer is ended, whatever it waits for
SESSIONS = 300  # that the server remembers; each holds the photo and the evidence last shown, up to megabytes
# What every browser shows; a photo of another kind is shown as the picture that was made of it.
SHOWN_BY_BROWSERS = {"JPEG", "PNG", "GIF", "WEBP", "BMP"}
EACH = "From each passage alone; the most probable wins"
READING = "Reading what was found…"


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
            how = {"turns": turns_from(earlier), "region": region, "each": bool(each), "own": bool(own)}
            with self._turns.enter() as place:
                while place.before():
                    if gone():
                        raise Gone
                    await asyncio.sleep(PAUSE)
                steps = self.service.ask(image, question, corpora_from(corpora), count, **how)
                result = await to_thread.run_sync(last_of, stoppable(steps, PAUSE, LONGEST), gone)
            return result.as_dict()
        except Exception as problem:
            raise refusal(sentence_for(problem)) from None

    def check_photo(self, photo: str | None) -> tuple[Any, ...]:
        """Look at a photo as soon as it is given, and `begin` with it. Returns that, and (photo, unfit); a photo that a
        browser shows is left alone, since another may be there by now."""
        if photo is None:
            return *self.begin(), None, ""
        try:
            picture = load_image(photo)
        except Exception as problem:
            return *self.begin(), None, ask_html.error(sentence_for(problem))
        return *self.begin(photo), (gr.skip() if _browser_shows(photo) else picture), ""

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


def _lacking(photo: str | None, question: str | None) -> str:
    if not photo:
        return "Add a photo first: upload, paste or take one, or pick an example."
    if not Path(photo).is_file():
        return NOT_HERE
    if not (question or "").strip():
        return "Type a question about the photo first."
    return ""


def _region(said: str | None) -> tuple[float, ...] | None:
    """What the page's script wrote; None for all of the photo. What makes no sense is refused by the service."""
    if not said:
        return None
    try:
        return tuple(float(edge) for edge in said.split(","))
    except ValueError:
        return (math.nan,)


def _browser_shows(path: str) -> bool:
    try:
        with Image.open(path) as image:
            return image.format in SHOWN_BY_BROWSERS
    except (OSError, UnidentifiedImageError):
        return False
