"""The Corpora page: what there is, how its ingestion goes, and reading in it; adding to it is app/web/corpora/form.py.

It holds no logic of its own: it hands what was typed and pressed to app/service/ingestions.py and the catalogue, and
shows what comes back, every failure as a sentence. What is under way is asked for anew each time, so a page that is
reloaded, or another browser, shows the same. Where corpora may not be changed the form for that is not there at all,
and app/service/ingestions.py refuses what is sent to it nevertheless.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.service.results import REFUSED
from app.web import notices
from app.web.components import Chosen, html, label
from app.web.corpora import corpora_html, form, reading_html
from app.web.corpora.reading_html import Leaf
from app.web.error_sentences import may_go_better, sentence_for
from app.web.languages import in_words, number, say, still
from app.web.progress import Watched
from common.problems import BadRequest, Unreachable

if TYPE_CHECKING:  # they come with the catalogue and the sources, which take seconds to import
    from app.service.corpus_state import CorpusState
    from app.service.ingestions import Ingestions
    from kb.catalogue import Catalogue

PREVIEWED = 8  # documents
PER_PAGE = 20
MOST_FOUND = 200  # passages by words, over all pages
PASSAGES = 50  # of a document at first, and more each time
MOST_PASSAGES = 1000
MAX_COMMAND = 4_000  # characters
MAX_TYPED = 2_000  # characters
PRESSED = ".cc-pressed"  # the button in a card or in what is read that was pressed last; see corpora.js


@dataclass(frozen=True)
class Reading:
    """Where somebody is in a corpus. before: the last documents of the pages before this one; page: of what was found.
    open: the document that is open, and how many of its passages are shown."""

    corpus: str = ""
    words: str = ""
    before: tuple[str, ...] = ()
    page: int = 0
    open: str = ""
    passages: int = PASSAGES


def build_corpora(get: Callable[[], Ingestions | None], may_change: bool, timer: gr.Timer) -> Watched:
    """The contents of the tab, within its context; returned is what of them shows how far things are.

    get: gives None as long as the program is starting. timer: what asks for that."""
    here = Corpora(get)
    quiet = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    problem = html(elem_id="cc-problem")  # of the buttons on cards and in what is read; see corpora.js
    listed = html(corpora_html.starting(), elem_id="cc-corpora")
    # Written by the page's script, so it must be in the page; see corpora.js.
    command = gr.Textbox(label=label("command"), elem_id="cc-command", max_length=MAX_COMMAND)
    reading = gr.State(Reading(), time_to_live=6 * 3600)
    known = gr.State((), time_to_live=6 * 3600)  # the names of the corpora that can be read in
    shown = [listed, timer]
    if may_change:
        form.build(here.preview, here.start, shown, quiet)
    with gr.Column(elem_id="cc-reading"):
        html(f"<h2>{still('read_in')}</h2>", elem_id="cc-heading")
        with gr.Row(elem_id="cc-find"):
            chosen = Chosen([], label=label("corpus"), elem_id="cc-chosen", filterable=False)
            words = gr.Textbox(
                label=label("words"), placeholder=label("words_search"), elem_id="cc-words",
                max_length=MAX_TYPED,
            )  # fmt: skip
            find = gr.Button(label("show"), elem_id="cc-show")
        unread = html(elem_id="cc-unread")
        pages = html(elem_id="cc-pages")
    read = [pages, reading]
    gr.on([find.click, words.submit, chosen.input], here.search, [chosen, words], [unread, *read], **quiet)
    command.change(
        here.command, [command, reading], [problem, *shown, chosen, words, *read], trigger_mode="multiple", **quiet
    )
    return Watched(here.look, [known], [listed, chosen, known])


class Corpora:
    """The page's event handlers. None of them raises."""

    def __init__(self, get: Callable[[], Ingestions | None]) -> None:
        self._get = get

    def look(self, known: tuple[tuple[str, str], ...]) -> tuple[tuple[Any, ...], bool]:
        """How everything is now. Returns (list, corpora to read in, the same for the next time), and whether anything
        is under way. A list that somebody may be choosing from is left alone."""
        try:
            states = self._ready().states()
        except NotYet:
            return (corpora_html.starting(), gr.skip(), known), True
        except Exception as problem:
            return (self._error(problem), gr.skip(), known), isinstance(problem, Unreachable)
        choices = _choices(states)
        changed = gr.skip() if choices == known else Chosen(choices=list(choices))
        return (corpora_html.corpora(states, self._ready().allowed), changed, choices), _busy(states)

    def preview(self, request: gr.Request | None, choice: str, files: Any, *typed: str | None) -> tuple[str, str]:
        """The first documents. Returns (problem, what was found)."""
        try:
            ingestions = self._ready(request)
            asked = form.asked(choice, typed, named=False)
            if choice == form.UPLOAD:
                about = asked.values
                found = ingestions.preview_files(
                    _paths(files), PREVIEWED, about.get("corpus", ""), about.get("pages")
                )
            else:
                found = ingestions.preview(asked, PREVIEWED)
        except Exception as problem:
            return self._error(problem, "#cc-look"), ""
        return "", corpora_html.preview(found)

    def start(self, request: gr.Request | None, choice: str, files: Any, *typed: str | None) -> tuple[Any, ...]:
        """Begin an ingestion. Returns (problem, list, timer, files, said, found)."""
        from app.service.corpus_files import left_out  # here by now, as what manages the corpora is

        try:
            ingestions = self._ready(request)
            asked = form.asked(choice, typed)
            if choice == form.UPLOAD:
                names, paths = ("corpus", "licence", "language", "pages"), _paths(files)
                begun, left = ingestions.upload(paths, *map(asked.values.get, names)), left_out(paths)
            else:
                begun, left = ingestions.start(asked), []
            said = corpora_html.told(say("corpora.begun", name=begun), [each.where for each in left])
            return "", *self._shown(ingestions.states()), None, said, ""
        except Exception as problem:
            return self._error(problem, "#cc-start"), gr.skip(), gr.skip(), gr.skip(), "", gr.skip()

    def search(self, corpus: str | None, words: str | None) -> tuple[str, str, Reading]:
        """Begin to read in a corpus, or in what of it has some words. Returns (problem, pages, where)."""
        return self._read(Reading(corpus or "", (words or "").strip()[:MAX_TYPED]), "#cc-show")

    def command(self, written: str, reading: Reading, request: gr.Request | None = None) -> tuple[Any, ...]:
        """Do what a button in the page's HTML says. Returns (problem, list, timer, chosen, words, pages, where)."""
        keep = gr.skip()
        try:
            ingestions = self._ready()
            do, about = _command(written)
            corpus = about.get("corpus", "")
            changes = {"pause": ingestions.pause, "resume": ingestions.resume, "delete": ingestions.delete}
            if do in changes:
                self._ready(request)
                changes[do](corpus)
                return "", *self._shown(ingestions.states()), keep, keep, keep, keep
            if do == "browse":
                problem, pages, where = self._read(Reading(corpus), PRESSED)
                choices = list(_choices(ingestions.states()))
                return problem, keep, keep, Chosen(choices=choices, value=corpus), "", pages, where
            problem, pages, where = self._read(_turned(do, about, reading), PRESSED)
            return problem, keep, keep, keep, keep, pages, where
        except Exception as problem:
            return self._error(problem, PRESSED), *([keep] * 6)

    def _read(self, where: Reading, button: str) -> tuple[str, str, Reading]:
        try:
            ingestions = self._ready()
            if not where.corpus and not where.open:
                raise BadRequest(say("corpora.choose_first"))
            return "", _pages(ingestions.catalogue, where), where
        except Exception as problem:
            return self._error(problem, button), gr.skip(), where

    def _shown(self, states: Sequence[CorpusState]) -> tuple[Any, Any]:
        allowed = self._ready().allowed
        # What else is under way the timer knows, and ends then.
        return corpora_html.corpora(states, allowed), gr.Timer(active=True) if _busy(states) else gr.skip()

    def _error(self, problem: Exception, button: str = "") -> str:
        """What went wrong; `button`: the selector of the one that Retry presses where that makes sense."""
        if isinstance(problem, NotYet):
            sentence, again = in_words("The program is still starting; try again in a moment."), True
        else:
            sentence, again = sentence_for(problem), may_go_better(problem)
        return notices.anew(notices.error(sentence, button if again else ""), secrets.token_hex(4))

    def _ready(self, request: gr.Request | None = None) -> Ingestions:
        """What manages the corpora; with a request, only when that may change them. Raises NotYet and Problem."""
        ingestions = self._get()
        if ingestions is None:
            raise NotYet
        if request is not None and not ingestions.settings.may_manage_as(request.headers.get("host", "")):
            raise BadRequest(REFUSED)
        return ingestions


class NotYet(Exception):
    """The program is still starting."""


def _pages(catalogue: Catalogue, where: Reading) -> str:
    """What is to be read, as HTML."""
    from app.service import catalogue_queries as reading  # here by now, as the catalogue is

    if where.open:
        opened = reading.opened(catalogue, where.open, where.passages + 1)
        more = len(opened.passages) > where.passages and where.passages < MOST_PASSAGES
        return reading_html.document(
            opened.document, opened.passages[: where.passages], opened.twins, more
        )
    if where.words:
        first = where.page * PER_PAGE
        found = reading.found(catalogue, where.words, where.corpus, min(MOST_FOUND, first + PER_PAGE + 1))
        some = found[first : first + PER_PAGE]
        after = len(found) > first + PER_PAGE
        heading = _from("corpora.passages_from", first, some)
        return reading_html.hits(some, where.words, Leaf(heading, where.page > 0, after))
    after = where.before[-1] if where.before else ""
    documents = reading.documents(catalogue, where.corpus, after, PER_PAGE + 1)
    some = documents[:PER_PAGE]
    first = len(where.before) * PER_PAGE
    heading = _from("corpora.documents_from", first, some)
    leaf = Leaf(heading, bool(where.before), len(documents) > PER_PAGE, some[-1].id if some else "")
    return reading_html.documents(some, leaf)


def _from(key: str, first: int, some: Sequence[object]) -> str:
    """Which of all those are that are shown; "" for none."""
    return say(key, first=number(first + 1), last=number(first + len(some))) if some else ""


def _turned(do: str, about: dict[str, str], reading: Reading) -> Reading:
    """Where somebody is after pressing a button. Raises Problem for what is none."""
    if do == "open":
        return replace(reading, open=about.get("document", ""), passages=PASSAGES)
    if do == "more":
        return replace(reading, passages=min(MOST_PASSAGES, 4 * reading.passages))
    if do == "back":
        return replace(reading, open="")
    if do == "before":
        return replace(reading, page=max(0, reading.page - 1), before=reading.before[:-1])
    if do == "after":
        return replace(reading, page=reading.page + 1, before=(*reading.before, about.get("last", "")))
    raise BadRequest("This button does nothing here; reload the page.")


def _command(written: str) -> tuple[str, dict[str, str]]:
    """(what to do, with what) as the page's script wrote it. Raises Problem."""
    try:
        told = json.loads(written[:MAX_COMMAND])
        about = {str(name): value for name, value in told.items() if isinstance(value, str)}
        return about["do"], about
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BadRequest("The page sent something that cannot be read; reload it.") from None


def _busy(states: Sequence[CorpusState]) -> bool:
    return any(state.busy for state in states)


def _choices(states: Sequence[CorpusState]) -> tuple[tuple[str, str], ...]:
    """(title, name) of the corpora that can be read in."""
    return tuple((state.title or state.name, state.name) for state in states if state.documents)


def _paths(files: Any) -> list[Path]:
    return [Path(file) for file in files or []]
