"""What happens on the Ask page: a question is asked, a photo is looked at, a conversation begins and comes back.

The handlers hold no logic of their own: they hand raw files and text to the answer service and say what comes back as
HTML, every failure as a sentence. They know nothing of models, of SQL or of how an index works.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from anyio import to_thread
from gradio.context import LocalContext
from PIL import Image, UnidentifiedImageError

from app.service.job_states import INDEX_AT_REST
from app.service.questions import checked_count, opened
from app.service.results import Result
from app.settings import LONGEST_ANSWER, QUESTIONS_AT_ONCE, QUESTIONS_UNHEARD, QUESTIONS_WAITING, SESSIONS, UPLOAD_OLD
from app.web import notices
from app.web.api import corpora_from, turns_from
from app.web.ask import answer_html
from app.web.ask.answering import PLACES, AnswerShown, PageQuestion, ShownAnswer, lacking, left_as, told
from app.web.ask.layout import known_photos
from app.web.components import Ticked
from app.web.conversations import Conversations, Kept
from app.web.error_sentences import sentence_for
from app.web.listeners import Listener, Listeners
from app.web.request_files import NOT_HERE, placed, refusal
from app.web.waiting_line import Ended, WaitingLine
from common.photo_formats import FORMATS
from common.problems import Problem
from common.recently_used import RecentlyUsed
from common.worker_thread import PAUSE, TOO_MANY, Gone, cancellable, last_of
from generator.answers import Turn

if TYPE_CHECKING:
    from app.service.ask import AnswerService
    from app.service.starting_service import StartingService

LOOK = 0.02  # seconds between two looks whether they do
FORGOTTEN = (
    "This conversation is no longer kept here: the program was started again, or it is old. "
    "To ask on, add the photo again."
)
# A photo of another kind is shown as the picture that was made of it.
SHOWN_BY_BROWSERS = {each.name for each in FORMATS if each.shown}


class Asker:
    """The page's event handlers, bound to a service. Only `ask` raises, and only gr.Error."""

    def __init__(
        self,
        service: AnswerService | StartingService,
        listeners: Listeners,
        log: Callable[[ShownAnswer], None] = lambda shown: None,
    ) -> None:
        """log: told of every answer that a page was given."""
        self.service = service
        self._log = log
        self._listeners = listeners
        self._ended = Ended(SESSIONS)
        self._line = WaitingLine(QUESTIONS_AT_ONCE, QUESTIONS_WAITING)
        self._kept = Conversations(SESSIONS, UPLOAD_OLD)
        self.answers: RecentlyUsed[ShownAnswer] = RecentlyUsed(SESSIONS)  # that can be sent to annotation
        self._unheard = 0  # questions of programs that do not listen yet

    def _photos(self) -> bool:
        """Whether questions come with a photo: as the encoder says or, until it is there, what is known of it."""
        takes = self.service.takes()
        return known_photos(self.service.settings) if takes is None else takes.photos

    def end(self, number: float | None, page: gr.Request) -> None:
        """The page wants no answers any more to its questions up to this number."""
        self._ended.end(page.session_hash, number or 0)

    def wait(
        self, photo: str | None, question: str | None, number: float | None, page: gr.Request
    ) -> tuple[Any, str]:
        """What is told before a question has its turn, which ends those before it. Returns (answer, problem)."""
        if problem := lacking(photo, question, self._photos()):
            return gr.skip(), notices.anew(notices.error(problem), number)
        self._ended.end(page.session_hash, (number or 0) - 1)
        return notices.anew(answer_html.working("Waiting for its turn…"), number), ""

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
        text: str | None,
        page: gr.Request,
    ) -> AsyncIterator[tuple[Any, ...]]:
        """`respond`, when the question has its turn; until then, how many are before it. Holds no thread meanwhile.

        Yields what is told in PLACES, and the conversation's id, by which it is kept as it goes: another one where the
        conversation has gone on elsewhere since these turns."""
        asked = PageQuestion(
            photo, question, corpora, passages, region, each, own, turns, number, conversation, page.session_hash, text
        )
        if asked.lacking(self._photos()):  # `wait` has said so
            yield *told(), gr.skip()
            return
        try:
            place = self._line.enter()
        except Problem as problem:
            sentence = notices.error(sentence_for(problem), "#cs-ask")
            yield *told(answer=left_as(self._before(asked)), problem=sentence), gr.skip()
            return
        with place:
            before = 0
            while (waits_for := place.before()) and not self._ended.has(asked.session, number or 0):
                line = {} if waits_for == before else {"answer": answer_html.working(waiting_line(waits_for))}
                before = waits_for
                # Also when there is nothing new, so that Gradio can see whether anybody is there.
                yield *told(**line), gr.skip()
                await asyncio.sleep(PAUSE)
            if self._ended.has(asked.session, number or 0):
                yield *told(), gr.skip()
                return
            before_it = self._before(asked)
            with self._kept.answering(conversation, turns) as kept_by:
                # Of a generator that gives nothing at all Gradio would make an empty page.
                yield *told(), gr.skip() if kept_by == conversation else kept_by
                kept = Kept(photo, question or "", region or "", turns=tuple(turns), text=text or "", complete=False)
                with closing(self.respond(asked, before_it)) as steps:
                    while (step := await to_thread.run_sync(next, steps, None)) is not None:
                        kept = _with_step(kept, step)
                        self._kept.keep(kept_by, kept)
                        yield *step, gr.skip()
                if not self._ended.has(asked.session, number or 0):
                    self._kept.keep(kept_by, replace(kept, complete=True))

    def _before(self, asked: PageQuestion) -> Kept:
        """What the page shows when it asks, unless the conversation has gone on elsewhere."""
        kept = self._kept.of(asked.conversation)
        return kept if kept is not None and kept.turns == tuple(asked.turns) else Kept()

    def respond(self, asked: PageQuestion, before: Kept | None = None) -> Iterator[tuple[Any, ...]]:
        """Answer on the page. Yields what is told in PLACES; before: what the page showed, which a refusal leaves.

        The answer ends without another word when this question is ended, or the page asks a later one."""
        number = asked.number or 0
        self._ended.end(asked.session, number - 1)
        if self._ended.has(asked.session, number):
            return
        if problem := asked.lacking(self._photos()):
            yield told(problem=notices.anew(notices.error(problem), number))
            return
        shown = AnswerShown(asked, before or Kept())
        yield shown.begun()
        given, how = asked.arguments()
        try:
            with closing(cancellable(self.service.ask(*given, **how), PAUSE, LONGEST_ANSWER)) as steps:
                for step in steps:
                    if self._ended.has(asked.session, number):
                        return
                    answer = None
                    if isinstance(step, Result) and not step.answer.broken:
                        answer = ShownAnswer(asked.photo, replace(step, query=None, alignments=()))
                        self.answers.put(shown.key, answer)
                    yield shown.waits(self.service.loading()) if step is None else shown.after(step)
                    if answer is not None:
                        self._log(answer)
        except Exception as problem:
            if not self._ended.has(asked.session, number):
                yield shown.failed(problem)

    def begin(self, photo: str | None = None) -> tuple[list[Turn], str]:
        """A new conversation about a photo, or about none yet. Returns (turns, id)."""
        return [], self._kept.begin(Kept(photo))

    def example(self, file: Path, question: str) -> Callable[[], tuple[Any, ...]]:
        """Gives `begin` with an example, and (photo, question)."""
        return lambda: (*self.begin(placed(file)), placed(file), question)

    def restore(self, conversation: str | None, typed: str | None) -> tuple[Any, ...]:
        """What the page showed before it was loaded anew, with what was typed in it last.

        Returns (id, photo, question, region, answer, evidence, figure, unfit, earlier, turns, text)."""
        kept = self._kept.of(conversation)
        if kept is None:
            forgotten = notices.error(FORGOTTEN) if conversation else gr.skip()
            nothing = [gr.skip()] * 4
            return self._kept.begin(Kept()), gr.skip(), typed or gr.skip(), *nothing, forgotten, *[gr.skip()] * 3
        photo, problem = kept.photo, ""
        if photo is not None and not Path(photo).is_file():
            photo, problem = None, notices.error(NOT_HERE)
        shown = (left_as(kept), kept.evidence, kept.figure, problem, kept.earlier, list(kept.turns), kept.text)
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
        text: str | None = None,
        page: gr.Request = None,  # which Gradio always gives
    ) -> dict[str, Any]:
        """The `/ask` endpoint: `Result.as_dict()`. Raises gr.Error with a sentence. Ends when who asked has gone."""
        if problem := lacking(image, question, self._photos()):
            raise refusal(problem)
        listener = self._listeners.of(page.session_hash, LocalContext.event_id.get(None) or "")
        try:
            await self._listening(listener)
            count = None if passages is None else checked_count(passages)
            how = {"turns": turns_from(earlier), "region": region, "each": bool(each), "own": bool(own), "text": text}
            with self._line.enter() as place:
                while place.before():
                    if listener.gone():
                        raise Gone
                    await asyncio.sleep(PAUSE)
                steps = self.service.ask(image, question, corpora_from(corpora), count, **how)
                result = await to_thread.run_sync(last_of, cancellable(steps, PAUSE, LONGEST_ANSWER), listener.gone)
            return result.as_dict()
        except Exception as problem:
            raise refusal(sentence_for(problem)) from None

    async def _listening(self, listener: Listener) -> None:
        """Waits until who asked by program listens for the answer, which takes nobody's place. Raises Gone, Problem."""
        if self._unheard >= QUESTIONS_UNHEARD:
            raise Problem(TOO_MANY)
        self._unheard += 1
        try:
            while not listener.heard():
                if listener.gone():
                    raise Gone
                await asyncio.sleep(LOOK)
        finally:
            self._unheard -= 1

    def check_photo(self, photo: str | None) -> tuple[Any, ...]:
        """Look at a photo as soon as it is given, and `begin` with it. Returns that, and (photo, unfit); a photo that a
        browser shows is left alone, since another may be there by now."""
        if photo is None:
            return *self.begin(), None, ""
        try:
            picture = opened(photo)
        except Exception as problem:
            return *self.begin(), None, notices.error(sentence_for(problem))
        return *self.begin(photo), (gr.skip() if _browser_shows(photo) else picture), ""

    def progress(self, ticked: list[str] | None) -> tuple[tuple[Any, Any], bool]:
        """How far the index is. Returns (status line, corpora), and whether anything is under way."""
        try:
            status = self.service.status()
            known = [corpus for corpus in self.service.corpora() if corpus.passages]  # there is nothing in the others
        except Exception as problem:
            return (notices.error(sentence_for(problem)), gr.skip()), False
        names = [corpus.name for corpus in known]
        kept = [name for name in ticked or [] if name in names]
        if not kept and self.service.settings.corpus in names:
            kept = [self.service.settings.corpus]
        choices = [(f"{corpus.title} ({corpus.passages:,} passages)", corpus.name) for corpus in known]
        said = notices.status_line(status), Ticked(choices=choices, value=kept)
        return said, status.state not in INDEX_AT_REST


def _with_step(kept: Kept, step: tuple[Any, ...]) -> Kept:
    """What is kept, with what is told in PLACES now."""
    said = {place: said for place, said in zip(PLACES, step, strict=True) if place != "problem" and not _skips(said)}
    if "turns" in said:
        said["turns"] = tuple(said["turns"])
    return replace(kept, **said)


def _skips(said: Any) -> bool:
    return isinstance(said, dict)  # Gradio's word for leaving as it is


def waiting_line(before: int) -> str:
    """What is said while a question waits for so many others to be answered."""
    return f"Waiting for its turn: {'one question is' if before == 1 else f'{before} questions are'} before it…"


def _browser_shows(path: str) -> bool:
    try:
        with Image.open(path) as image:
            return image.format in SHOWN_BY_BROWSERS
    except (OSError, UnidentifiedImageError):
        return False
