"""The Corpora page: what there is, how its ingestion goes, adding to it, and reading in it.

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

from app.service.results import REFUSED, UserProblem
from app.web.ask import html as ask_html
from app.web.components import Chosen, html
from app.web.corpora import html as corpora_html
from app.web.corpora.html import Leaf
from app.web.files import Files
from app.web.problems import may_go_better, sentence_for

if TYPE_CHECKING:  # they come with the catalogue and the sources, which take seconds to import
    from app.service.ingestions import Ingestions
    from app.service.states import CorpusState
    from kb.catalogue import Catalogue
    from kb.sources.registry import Asked

POLL_SECONDS = 1.0
PREVIEWED = 8  # documents
PER_PAGE = 20
MOST_FOUND = 200  # passages by words, over all pages
PASSAGES = 50  # of a document at first, and more each time
MOST_PASSAGES = 1000
MAX_COMMAND = 4_000  # characters
MAX_TYPED = 2_000
PRESSED = ".cc-pressed"  # the button in a card or in what is read that was pressed last; see corpora.js


@dataclass(frozen=True)
class Kind:
    """A kind of source in plain words: what it is called, what its field asks for, and what else it wants."""

    name: str
    kind: str
    field: str = ""
    about: str = ""
    named: bool = True  # whether the corpus can be given a name
    described: bool = False  # ... a licence and a language
    data: bool = False  # ... another place than the usual one
    previewed: bool = False


UPLOAD = "Files from this device"
TAKEN = "Text, Markdown, web pages and PDFs; or one JSONL or CSV file that has text, and perhaps id, title and url."
KINDS = {
    each.name: each
    for each in (
        Kind(UPLOAD, "upload", described=True, previewed=True),
        Kind(
            "A folder on the machine that runs this page", "folder", "Folder",
            "Its path there. Text, Markdown, web pages and PDFs in it and below it are read.",
            described=True, previewed=True,
        ),
        Kind(
            "A JSONL or CSV file on that machine", "table", "File",
            "Its path there. It has text, and perhaps id, title, url, language and licence.",
            described=True, previewed=True,
        ),
        Kind(
            "A Wikipedia dump on that machine", "wikipedia-dump", "File",
            "Its path there, of a file like enwiki-latest-pages-articles-multistream.xml.bz2, in any language.",
        ),
        Kind(
            "A Wikipedia from the Hugging Face Hub", "wikipedia-hub", "Date and language",
            "As in 20231101.en, the parts of the data set wikimedia/wikipedia.",
        ),
        Kind("Wikipedia's vital articles, beginnings only", "wikipedia-vital", named=False),
        Kind(
            "The passages of an M2KR data set", "m2kr", "Data set",
            "As in EVQA, Infoseek, OKVQA, WIT, OVEN, KVQA, LLaVA, IGLUE or MSMARCO.", data=True,
        ),
        Kind(
            "OK-VQA's passages from Google", "okvqa-google", "File",
            "The path of FLMR's CSV file on that machine; leave it empty to fetch them from the Hub.",
        ),
        Kind(
            "Web pages that Google finds for questions", "google-search", "File of questions",
            "Its path on that machine, a question a line. Google's key must be set where the page is run.", named=False,
        ),
    )
}  # fmt: skip


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


def build_corpora(get: Callable[[], Ingestions | None], may_change: bool) -> dict[str, Any]:
    """The contents of the tab, within its context; returned is the event that brings them up to date.

    get: gives None as long as the program is starting."""
    here = Corpora(get)
    quiet = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    problem = html(elem_id="cc-problem")  # of the buttons on cards and in what is read; see corpora.js
    listed = html(corpora_html.starting(), elem_id="cc-corpora")
    # Written by the page's script, so it must be in the page; see corpora.js.
    command = gr.Textbox(label="Command", elem_id="cc-command", max_length=MAX_COMMAND)
    reading = gr.State(Reading(), time_to_live=6 * 3600)
    timer = gr.Timer(POLL_SECONDS, active=False)
    known = gr.State((), time_to_live=6 * 3600)  # the names of the corpora that can be read in
    shown = [listed, timer]
    if may_change:
        _form(here, shown, quiet)
    with gr.Column(elem_id="cc-reading"):
        html("<h2>Read in a corpus</h2>", elem_id="cc-heading")
        with gr.Row(elem_id="cc-find"):
            chosen = Chosen([], label="Corpus", elem_id="cc-chosen", filterable=False)
            words = gr.Textbox(
                label="Words", placeholder="Search, or leave it empty to see all", elem_id="cc-words",
                max_length=MAX_TYPED,
            )  # fmt: skip
            find = gr.Button("Show", elem_id="cc-show")
        unread = html(elem_id="cc-unread")
        pages = html(elem_id="cc-pages")
    read = [pages, reading]
    gr.on([find.click, words.submit, chosen.input], here.search, [chosen, words], [unread, *read], **quiet)
    command.change(
        here.command, [command, reading], [problem, *shown, chosen, words, *read], trigger_mode="multiple", **quiet
    )
    update = {"fn": here.look, "inputs": known, "outputs": [*shown, chosen, known], **quiet}
    timer.tick(**update)
    return update


def _form(here: Corpora, shown: list[Any], quiet: dict[str, Any]) -> None:
    """What begins an ingestion; `shown` are the list and the timer."""
    with gr.Accordion("Add a corpus", open=False, elem_id="cc-add"):
        kind = gr.Dropdown(
            list(KINDS), value=UPLOAD, label="Where it comes from", elem_id="cc-kind", filterable=False
        )
        with gr.Column(elem_id="cc-from-files") as from_files:
            files = Files(label="Files", file_count="multiple", height=140, elem_id="cc-files")
            html(f'<p class="cc-quiet">{TAKEN}</p>')
        what = gr.Textbox(label="Folder", visible=False, elem_id="cc-what", max_length=MAX_TYPED)
        data = gr.Textbox(
            label="Another place", info="A folder on that machine or a data set on the Hub; empty for its authors'.",
            visible=False, elem_id="cc-data", max_length=MAX_TYPED,
        )  # fmt: skip
        with gr.Row(elem_id="cc-about"):
            name = gr.Textbox(label="Name of the corpus", placeholder="my-notes", elem_id="cc-name", max_length=64)
            licence = gr.Textbox(label="Licence", placeholder="unknown", elem_id="cc-licence", max_length=64)
            language = gr.Textbox(label="Language", placeholder="en", elem_id="cc-language", max_length=16)
        with gr.Row(elem_id="cc-begin"):
            look = gr.Button("Preview", elem_id="cc-look")
            start = gr.Button("Start", variant="primary", elem_id="cc-start")
        problem = html(elem_id="cc-unbegun")
        said = html(elem_id="cc-said")
        found = html(elem_id="cc-preview")
    told = [kind, files, what, data, name, licence, language]
    kind.input(here.choose, kind, [from_files, what, data, name, licence, language, look, found], **quiet)
    gr.on([files.upload, files.clear], lambda: "", None, found, **quiet)
    look.click(corpora_html.previewing, None, found, **quiet).then(
        here.preview, told, [problem, found], concurrency_limit=1, **(quiet | {"queue": True})
    )
    start.click(here.start, told, [problem, *shown, files, said, found], **quiet)


class Corpora:
    """The page's event handlers. None of them raises."""

    def __init__(self, get: Callable[[], Ingestions | None]) -> None:
        self._get = get

    def look(self, known: tuple[tuple[str, str], ...]) -> tuple[Any, ...]:
        """How everything is now. Returns (list, timer, corpora to read in, the same for the next time).

        The timer stops when nothing is under way any more; a list that somebody may be choosing from is left alone."""
        try:
            states = self._ready().states()
        except NotYet:
            return corpora_html.starting(), gr.Timer(active=True), gr.skip(), known
        except Exception as problem:
            return self._error(problem), gr.Timer(active=False), gr.skip(), known
        choices = _choices(states)
        return *self._shown(states), gr.skip() if choices == known else Chosen(choices=list(choices)), choices

    def choose(self, name: str) -> tuple[Any, ...]:
        """The fields of a kind. Returns (files' column, what, data, name, licence, language, preview, found).

        What was typed stays: a field that appears can be typed in before all of its new properties have arrived."""
        kind = KINDS.get(name) or KINDS[UPLOAD]
        return (
            gr.Column(visible=kind.kind == "upload"),
            gr.Textbox(label=kind.field or "Path", info=kind.about, visible=bool(kind.field)),
            gr.Textbox(visible=kind.data),
            gr.Textbox(visible=kind.named),
            gr.Textbox(visible=kind.described),
            gr.Textbox(visible=kind.described),
            gr.Button(visible=kind.previewed),
            "",
        )

    def preview(
        self, kind: str, files: Any, what: str | None, data: str | None, name: str | None, licence: str | None,
        language: str | None, request: gr.Request | None = None,
    ) -> tuple[str, str]:  # fmt: skip
        """The first documents. Returns (problem, what was found)."""
        try:
            ingestions = self._ready(request)
            if KINDS.get(kind) == KINDS[UPLOAD]:
                found = ingestions.preview_files(_paths(files), PREVIEWED)
            else:
                asked = self._asked(kind, what, data, (name or "").strip() or "preview", licence, language)
                found = ingestions.preview(asked, PREVIEWED)
        except Exception as problem:
            return self._error(problem, "#cc-look"), ""
        return "", corpora_html.preview(found)

    def start(
        self, kind: str, files: Any, what: str | None, data: str | None, name: str | None, licence: str | None,
        language: str | None, request: gr.Request | None = None,
    ) -> tuple[Any, ...]:  # fmt: skip
        """Begin an ingestion. Returns (problem, list, timer, files, said, found)."""
        try:
            ingestions = self._ready(request)
            asked = self._asked(kind, what, data, name, licence, language)
            if asked.kind == "upload":
                begun = ingestions.upload(_paths(files), asked.corpus or "", asked.licence, asked.language)
            else:
                begun = ingestions.start(asked)
            said = f"{begun} is being ingested. You can close this page meanwhile; it goes on."
            return "", *self._shown(ingestions.states()), None, corpora_html.told(said), ""
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
                raise UserProblem("Choose a corpus to read in first.")
            return "", _pages(ingestions.catalogue, where), where
        except Exception as problem:
            return self._error(problem, button), gr.skip(), where

    def _shown(self, states: Sequence[CorpusState]) -> tuple[Any, Any]:
        allowed = self._ready().allowed
        return corpora_html.corpora(states, allowed), gr.Timer(active=any(state.busy for state in states))

    def _error(self, problem: Exception, button: str = "") -> str:
        """What went wrong; `button`: the selector of the one that Retry presses where that makes sense."""
        if isinstance(problem, NotYet):
            sentence, again = "The program is still starting; try again in a moment.", True
        else:
            sentence, again = sentence_for(problem), may_go_better(problem)
        return ask_html.anew(ask_html.error(sentence, button if again else ""), secrets.token_hex(4))

    def _ready(self, request: gr.Request | None = None) -> Ingestions:
        """What manages the corpora; with a request, only when that may change them. Raises NotYet and UserProblem."""
        ingestions = self._get()
        if ingestions is None:
            raise NotYet
        if request is not None and not ingestions.settings.may_manage_as(request.headers.get("host", "")):
            raise UserProblem(REFUSED)
        return ingestions

    def _asked(
        self, kind: str, what: str | None, data: str | None, name: str | None, licence: str | None, language: str | None
    ) -> Asked:
        """What the form asks for. Raises UserProblem for what is missing in it."""
        from kb.sources.registry import Asked  # here by now, since there are Ingestions

        chosen = KINDS.get(kind)
        if chosen is None:
            raise UserProblem("Choose where the corpus comes from.")
        what, data, name, licence, language = (
            (typed or "").strip()[:MAX_TYPED] or None for typed in (what, data, name, licence, language)
        )
        needs_name = chosen.kind in ("upload", "folder", "table", "wikipedia-dump")
        if chosen.field and what is None and chosen.kind != "okvqa-google":
            raise UserProblem(f"Fill in the field “{chosen.field}” first.")
        if needs_name and name is None:
            raise UserProblem("Give the corpus a name first.")
        source = chosen.kind
        if source == "table":
            source = "csv" if what.lower().removesuffix(".gz").endswith((".csv", ".tsv")) else "jsonl"
        asked = Asked(source, what if chosen.field else None, name if chosen.named else None)
        if chosen.data:
            asked = replace(asked, data=data)
        if chosen.described:
            asked = replace(asked, licence=licence, language=language)
        if source == "google-search":
            asked = replace(asked, what=None, questions=Path(what))
        return asked


class NotYet(Exception):
    """The program is still starting."""


def _pages(catalogue: Catalogue, where: Reading) -> str:
    """What is to be read, as HTML."""
    from app.service import catalogue_queries as reading  # here by now, as the catalogue is

    if where.open:
        opened = reading.opened(catalogue, where.open, where.passages + 1)
        more = len(opened.passages) > where.passages and where.passages < MOST_PASSAGES
        return corpora_html.document(
            opened.document, opened.passages[: where.passages], opened.twins, more
        )
    if where.words:
        first = where.page * PER_PAGE
        found = reading.found(catalogue, where.words, where.corpus, min(MOST_FOUND, first + PER_PAGE + 1))
        some = found[first : first + PER_PAGE]
        after = len(found) > first + PER_PAGE
        heading = f"Passages {first + 1:,} to {first + len(some):,}, best first" if some else ""
        return corpora_html.hits(some, where.words, Leaf(heading, where.page > 0, after))
    after = where.before[-1] if where.before else ""
    documents = reading.documents(catalogue, where.corpus, after, PER_PAGE + 1)
    some = documents[:PER_PAGE]
    first = len(where.before) * PER_PAGE
    heading = f"Documents {first + 1:,} to {first + len(some):,}, in the order they came" if some else ""
    leaf = Leaf(heading, bool(where.before), len(documents) > PER_PAGE, some[-1].id if some else "")
    return corpora_html.documents(some, leaf)


def _turned(do: str, about: dict[str, str], reading: Reading) -> Reading:
    """Where somebody is after pressing a button. Raises UserProblem for what is none."""
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
    raise UserProblem("This button does nothing here; reload the page.")


def _command(written: str) -> tuple[str, dict[str, str]]:
    """(what to do, with what) as the page's script wrote it. Raises UserProblem."""
    try:
        told = json.loads(written[:MAX_COMMAND])
        about = {str(name): value for name, value in told.items() if isinstance(value, str)}
        return about["do"], about
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UserProblem("The page sent something that cannot be read; reload it.") from None


def _choices(states: Sequence[CorpusState]) -> tuple[tuple[str, str], ...]:
    """(title, name) of the corpora that can be read in."""
    return tuple((state.title or state.name, state.name) for state in states if state.documents)


def _paths(files: Any) -> list[Path]:
    return [Path(file) for file in files or []]
