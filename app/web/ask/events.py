"""What happens on the Ask page: a question is asked, a photo is looked at, a conversation begins and comes back.

The handlers hold no logic of their own: they hand raw files and text to the answer service and say what comes back as
HTML, every failure as a sentence. They know nothing of models, of SQL or of how an index works.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import gradio as gr
from anyio import to_thread
from gradio.context import LocalContext
from PIL import Image, UnidentifiedImageError

from app.followers import followers
from app.limits import LONGEST_ANSWER, QUESTIONS_AT_ONCE, QUESTIONS_UNHEARD, QUESTIONS_WAITING, SESSIONS
from app.service.job_states import INDEX_AT_REST
from app.service.questions import checked_count, opened
from app.service.results import Result, Step
from app.service.shown_answers import ShownAnswer
from app.web import notices
from app.web.api import corpora_from, turns_from
from app.web.ask import answer_html
from app.web.ask.answering import PLACES, AnswerShown, PageQuestion, lacking, left_as, told
from app.web.ask.layout import known_photos
from app.web.ask.shown import AnswersHere, ShownAnswers
from app.web.clients import client_of
from app.web.components import Ticked
from app.web.conversations import Answering, Conversations, Keeping, Kept, new_id
from app.web.error_sentences import sentence_for
from app.web.languages import counted, in_words, say
from app.web.listeners import Listener, Listeners
from app.web.metrics import LEFT, LINE, REFUSED, Metrics
from app.web.rates import Askings, was_counted
from app.web.request_files import NOT_HERE, placed, refusal
from app.web.waiting_line import Ended, Place, WaitingLine
from common.following import Followed, following
from common.photo_formats import FORMATS
from common.problems import Problem, Unreachable
from common.worker_thread import PAUSE, TOO_MANY, Gone, cancellable, last_of
from generator.answers import Turn

if TYPE_CHECKING:
    from app.service.ask import AnswerService
    from app.service.starting_service import StartingService
    from app.web.several.counting import Together

LOOK = 0.02  # seconds between two looks whether they do
# A photo of another kind is shown as the picture that was made of it.
SHOWN_BY_BROWSERS = {each.name for each in FORMATS if each.shown}


class Asker:
    """The page's event handlers, bound to a service. Only `ask` raises, and only gr.Error."""

    def __init__(
        self,
        service: AnswerService | StartingService,
        listeners: Listeners,
        log: Callable[[ShownAnswer], None] = lambda shown: None,
        kept: Keeping | None = None,
        answers: ShownAnswers | None = None,
        together: Together | None = None,
    ) -> None:
        """log: told of every answer that a page was given. kept: where conversations are, and answers: where those that
        can be sent to annotation are; None: in this process. together: counts what several processes are asked."""
        self.service = service
        self._log = log
        self._listeners = listeners
        self._ended = Ended(SESSIONS)
        self._line = WaitingLine(QUESTIONS_AT_ONCE, QUESTIONS_WAITING)
        self._kept = Conversations(SESSIONS, service.settings.keep_seconds) if kept is None else kept
        here = AnswersHere(SESSIONS, service.settings.keep_seconds)
        self.answers: ShownAnswers = here if answers is None else answers
        self.hears = followers(service.settings)
        self.metrics = Metrics(service, lambda: self._line.waiting)
        self.askings = Askings(service.settings.rates, self.metrics.refused, together=together)
        self._unheard = 0  # questions of programs that do not listen yet

    def _photos(self) -> bool:
        """Whether questions come with a photo: as the encoder says or, until it is there, what is known of it."""
        takes = self.service.takes()
        return known_photos(self.service.settings) if takes is None else takes.photos

    def _followed(self, way: str, photo: str | None, question: str | None, page: gr.Request) -> Followed:
        """A question that has come, for those who follow it."""
        about, client = {"way": way, "photo": photo is not None}, client_of(page.request.scope)
        return Followed(self.hears, about, {"asked": question or "", "client": client}, LEFT)

    def _asked(self, followed: Followed, *given: Any, **how: Any) -> Iterator[Step]:
        """What the service says to a question, counted and followed."""
        with following(followed):
            yield from self.metrics.counted(self.service.ask(*given, **how), followed)

    def enter(self, person: str) -> Place:
        """A place in the line. Raises Problem where very many wait."""
        try:
            return self._line.enter(person)
        except Problem:
            self.metrics.refused(LINE)
            raise

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
        return notices.anew(answer_html.working(say("notice.waiting")), number), ""

    async def respond_in_turn(
        self,
        photo: str | None,
        question: str | None,
        corpora: list[str] | None,
        passages: float,
        region: str | None,
        each: str | None,
        own: bool | None,
        turns: list[Turn] | None,
        number: float | None,
        conversation: str | None,
        text: str | None,
        page: gr.Request,
    ) -> AsyncIterator[tuple[Any, ...]]:
        """`respond`, when the question has its turn; until then, how many are before it. Holds no thread meanwhile.

        Yields what is told in PLACES, and the conversation's id, by which it is kept as it goes: another one where the
        conversation has gone on elsewhere since these turns. turns: None where this process does not know the page,
        which another one served."""
        if turns is None:
            kept = await to_thread.run_sync(self._known, conversation)
            turns = [] if kept is None else list(kept.turns)
        asked = PageQuestion(
            photo, question, corpora, passages, region, each, own, turns, number, conversation, page.session_hash, text
        )
        if asked.lacking(self._photos()):  # `wait` has said so
            yield *told(), gr.skip()
            return
        with ExitStack() as held:
            followed = held.enter_context(self._followed("page", photo, question, page).asked())
            try:
                payers = self.askings.payers(page.request.scope, asked.session)
                held.enter_context(self.askings.asking(payers))
                await self.askings.count(payers)
                place = held.enter_context(self.enter(asked.session))
            except Problem as problem:
                followed.outcome = REFUSED
                sentence = notices.error(sentence_for(problem), "#cs-ask")
                before_it = await to_thread.run_sync(self._before, asked)
                yield *told(answer=left_as(before_it), problem=sentence), gr.skip()
                return
            began, before = perf_counter(), 0
            while (waits_for := place.before()) and not self._ended.has(asked.session, number or 0):
                line = {} if waits_for == before else {"answer": answer_html.working(waiting_line(waits_for))}
                before = waits_for
                # Also when there is nothing new, so that Gradio can see whether anybody is there.
                yield *told(**line), gr.skip()
                await place.turn(PAUSE)
            if self._ended.has(asked.session, number or 0):
                yield *told(), gr.skip()
                return
            followed.stage("wait", began, perf_counter())
            before_it = await to_thread.run_sync(self._before, asked)
            answering = Answering(self._kept, conversation, turns)
            try:
                kept_by = await to_thread.run_sync(answering.__enter__)
                # Of a generator that gives nothing at all Gradio would make an empty page.
                yield *told(), gr.skip() if kept_by == conversation else kept_by
                kept = Kept(photo, question or "", region or "", turns=tuple(turns), text=text or "", complete=False)
                with closing(self.respond(asked, before_it, followed)) as steps:
                    while (step := await to_thread.run_sync(next, steps, None)) is not None:
                        kept = _with_step(kept, step)
                        self._kept.keep(kept_by, kept)
                        yield *step, gr.skip()
                if not self._ended.has(asked.session, number or 0):
                    self._kept.keep(kept_by, replace(kept, complete=True))
            finally:
                answering.__exit__()

    def _before(self, asked: PageQuestion) -> Kept:
        """What the page shows when it asks, unless the conversation has gone on elsewhere."""
        kept = self._known(asked.conversation)
        return kept if kept is not None and kept.turns == tuple(asked.turns) else Kept()

    def _known(self, conversation: str | None) -> Kept | None:
        """What is kept of a conversation, as far as it can be seen just now."""
        try:
            return self._kept.of(conversation)
        except Problem:
            return None

    def respond(
        self, asked: PageQuestion, before: Kept | None = None, followed: Followed | None = None
    ) -> Iterator[tuple[Any, ...]]:
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
        followed = followed or Followed()
        try:
            with closing(cancellable(self._asked(followed, *given, **how), PAUSE, LONGEST_ANSWER)) as steps:
                for step in steps:
                    if self._ended.has(asked.session, number):
                        return
                    answer = None
                    if isinstance(step, Result) and not step.answer.broken:
                        answer = ShownAnswer.of(asked.photo, step, self.service.settings)
                        self.answers.put(shown.key, answer)
                    yield shown.waits(self.service.loading()) if step is None else shown.after(step)
                    if answer is not None:
                        self._log(answer)
        except Exception as problem:
            if not self._ended.has(asked.session, number):
                with following(followed):
                    said = shown.failed(problem)
                yield said

    def begin(self, photo: str | None = None) -> tuple[list[Turn], str]:
        """A new conversation about a photo, or about none yet. Returns (turns, id)."""
        return [], self._begun(Kept(photo))

    def _begun(self, kept: Kept) -> str:
        conversation = new_id()
        self._kept.keep(conversation, kept)
        return conversation

    def example(self, file: Path, question: str) -> Callable[[], tuple[Any, ...]]:
        """Gives `begin` with an example, and (photo, question)."""
        return lambda: (*self.begin(placed(file)), placed(file), question)

    def restore(self, conversation: str | None, typed: str | None) -> tuple[Any, ...]:
        """What the page showed before it was loaded anew, with what was typed in it last.

        Returns (id, photo, question, region, answer, evidence, figure, unfit, earlier, turns, text)."""
        nothing = [gr.skip()] * 4
        try:
            kept = self._kept.of(conversation)
        except Problem as problem:  # it is there, and is shown when the page is loaded again
            said = notices.error(sentence_for(problem))
            return conversation, gr.skip(), typed or gr.skip(), *nothing, said, *[gr.skip()] * 3
        if kept is None:
            forgotten = notices.error(say("notice.forgotten")) if conversation else gr.skip()
            return self._begun(Kept()), gr.skip(), typed or gr.skip(), *nothing, forgotten, *[gr.skip()] * 3
        photo, problem = kept.photo, ""
        if photo is not None and not Path(photo).is_file():
            photo, problem = None, notices.error(in_words(NOT_HERE))
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
        payers, held = self.askings.payers(page.request.scope), ExitStack()
        followed = held.enter_context(self._followed("program", image, question, page).asked())
        try:
            if not was_counted(page.request.scope):
                await self.askings.count(payers)
            held.enter_context(self.askings.asking(payers))
            await self._listening(listener)
            count = None if passages is None else checked_count(passages)
            how = {"turns": turns_from(earlier), "region": region, "each": bool(each), "own": bool(own), "text": text}
            place, began = held.enter_context(self.enter(client_of(page.request.scope))), perf_counter()
            while place.before():
                if listener.gone():
                    raise Gone
                await place.turn(PAUSE)
            followed.stage("wait", began, perf_counter())
            steps = self._asked(followed, image, question, corpora_from(corpora), count, **how)
            result = await to_thread.run_sync(last_of, cancellable(steps, PAUSE, LONGEST_ANSWER), listener.gone)
            return result.as_dict()
        except Exception as problem:
            if isinstance(problem, Problem) and followed.outcome == LEFT:
                followed.outcome = REFUSED
            with following(followed):
                raise refusal(sentence_for(problem)) from None
        finally:
            held.close()

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
            return (notices.error(sentence_for(problem)), gr.skip()), isinstance(problem, Unreachable)
        names = [corpus.name for corpus in known]
        kept = [name for name in ticked or [] if name in names]
        if not kept and self.service.settings.corpus in names:
            kept = [self.service.settings.corpus]
        choices = [
            (counted("notice.collection", corpus.passages, title=corpus.title), corpus.name) for corpus in known
        ]
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
    return counted("notice.waiting_behind", before)


def _browser_shows(path: str) -> bool:
    try:
        with Image.open(path) as image:
            return image.format in SHOWN_BY_BROWSERS
    except (OSError, UnidentifiedImageError):
        return False
