"""The Corpora page's words as HTML: cards, progress, previews, documents and passages. Pure functions.

Titles, texts, errors and paths come from anywhere and are untrusted: all go through `escape`, and links are made only
from http and https addresses. It knows nothing of Gradio or of where the data came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.service.job_states import (
    INDEX_AT_REST,
    INGESTION_BROKEN_OFF,
    INGESTION_UNDER_WAY,
    IndexState,
    IngestionState,
)
from app.web.escaping import escape, marked, question_stems, safe_link
from app.web.notices import licence_said
from common.jobs import duration
from common.passage import Passage
from kb.records import UNKNOWN_LANGUAGE, Document, Item, Note, Skipped, TextHit

if TYPE_CHECKING:  # they come with the catalogue, which takes seconds to import
    from app.service.corpus_state import CorpusState

BEGINNING = 400  # characters of a text that are shown before it is opened
SHOWN_TWINS = 5

_BADGES = {
    IngestionState.WAITING: "Waiting for its turn",
    IngestionState.STARTING: "Starting",
    IngestionState.RUNNING: "Being ingested",
    IngestionState.PAUSING: "Pausing",
    IngestionState.PAUSED: "Paused",
    IngestionState.COMPARING: "Nearly complete",
    IngestionState.FINISHED: "Texts complete",
    IngestionState.FAILED: "Failed",
    IngestionState.INTERRUPTED: "Interrupted",
    IngestionState.DELETING: "Being deleted",
    IngestionState.NONE: "Never ingested",
}


@dataclass(frozen=True)
class Leaf:
    """A page of a list: what it shows in words, whether there is something before and after it, and the id of the last
    document on it."""

    heading: str
    before: bool
    after: bool
    last: str = ""


def starting() -> str:
    """What stands in the place of the corpora while the program is still loading."""
    return f'<section class="cc-list" aria-busy="true">{_quiet("Starting; the corpora are here soon.")}</section>'


def corpora(states: Sequence[CorpusState], may_change: bool, now: datetime | None = None) -> str:
    """A card for each corpus, with what can be done with it."""
    if not states:
        more = "Add one below." if may_change else "Whoever runs this page can add one."
        return f'<section class="cc-list" aria-label="Corpora">{_quiet(f"There is no corpus yet. {more}")}</section>'
    now = now or datetime.now(UTC)
    cards = "".join(_card(state, may_change, now) for state in states)
    note = "" if may_change else _quiet(
        "Here you can look at the corpora. Whoever runs this page can allow changing them with CITESIGHT_MANAGE=true."
    )  # fmt: skip
    heading = '<h2 class="cs-sr">Corpora</h2>'
    return f'<section class="cc-list" aria-label="Corpora">{heading}{note}<ul class="cc-cards">{cards}</ul></section>'


def _card(state: CorpusState, may_change: bool, now: datetime) -> str:
    title = escape(state.title or state.name)
    calm = state.state in (IngestionState.FINISHED, IngestionState.NONE)
    bad = state.state in (IngestionState.FAILED, IngestionState.INTERRUPTED) or _is_bare(state)
    badge = "bad" if bad else "calm" if calm else "busy"
    facts = [_count(state.documents, "document"), _count(state.passages, "passage"), size(state.text_bytes)]
    facts += [escape(licence_said(state.licence)), escape(_language(state.language))]
    names = [] if state.title == state.name else [f"<code>{escape(state.name)}</code>"]
    names += ["asked when nothing is ticked"] if state.usual else []
    lines = [
        f'<h3 dir="auto">{title}</h3>',
        f'<p class="cc-name">{" · ".join(names)}</p>' if names else "",
        _facts(facts),
        f'<p class="cc-run"><span class="cc-badge cc-{badge}">{_word(state)}</span> '
        f"<span>{_run(state, now)}</span></p>",
    ]
    if state.state in INGESTION_UNDER_WAY:
        lines.append(_bar(state.progress, f"Ingestion of {state.name}"))
    if state.origin:
        lines.append(f'<p class="cc-from">From {escape(state.origin)}</p>')
    if state.newer is not None:
        lines.append(
            f'<p class="cc-from">A version cut anew has {_count(state.newer, "document")}; questions are answered from '
            "the one before until it is complete and indexed.</p>"
        )
    if state.error:
        lines.append(f'<p class="cs-error">{escape(state.error)}</p>')
    lines += [_skipped(state), _noted(state), _index(state)]
    lines.append(f'<div class="cc-buttons">{_buttons(state, may_change)}</div>')
    return f'<li><article class="cc-card" data-corpus="{escape(state.name)}">{"".join(lines)}</article></li>'


def _is_bare(state: CorpusState) -> bool:
    """Whether a run went through and there is nothing that could be asked about."""
    return state.state == IngestionState.FINISHED and not state.passages


def _word(state: CorpusState) -> str:
    """What stands on the badge, as HTML."""
    if _is_bare(state):
        return "Nothing could be taken" if state.skipped else "Empty"
    if state.state == IngestionState.FINISHED and state.index is not None and state.index.state == IndexState.READY:
        return "Complete"
    return _BADGES.get(state.state, escape(state.state))


def _run(state: CorpusState, now: datetime) -> str:
    """The last run in a sentence."""
    if state.state == IngestionState.NONE:
        return ""
    if state.state == IngestionState.WAITING:
        return "Two others are being ingested."
    if state.state == IngestionState.STARTING:
        return "Preparing to read."
    if state.state == IngestionState.COMPARING:
        return "Looking for what is said in it more than once."
    if state.state == IngestionState.DELETING:
        return "Its documents and its index are going."
    done = f"{state.seen:,} of {_count(state.total, 'document')}" if state.total else _count(state.seen, "document")
    if state.state in (IngestionState.RUNNING, IngestionState.PAUSING):
        parts = [done]
        if state.rate:
            parts.append(f"{state.rate:,.0f} a second" if state.rate >= 1 else f"{state.rate * 60:,.0f} a minute")
        if state.left is not None:
            parts.append(f"{duration(state.left)} left")
        if state.state == IngestionState.PAUSING:
            parts.append("it stops after the documents at hand")
        if not state.here:
            parts.append("not started from this page")
        return ", ".join(parts) + "."
    when = moment(state.finished or state.started, now)
    if state.stale:
        return f"Begun {moment(state.started, now)}, at {done}; the program that did it has ended without a word."
    if state.state == IngestionState.PAUSED:
        return f"At {done}, {when}."
    return f"Last run {when}."


def _skipped(state: CorpusState) -> str:
    said = f"{_count(state.skipped, 'thing')} could not be taken"
    listed = [(skip.where, skip.why) for skip in state.skips]
    return _told_of(state, "skips", said, state.skipped, listed)


def _noted(state: CorpusState) -> str:
    said = f"{_count(state.noted, 'note')} on what was taken"
    return _told_of(state, "notes", said, state.noted, [(note.where, note.said) for note in state.notes])


def _told_of(state: CorpusState, key: str, said: str, number: int, listed: Sequence[tuple[str, str]]) -> str:
    """So many things of a run, in a sentence; and where and what they are, as far as they are listed."""
    if not number:
        return ""
    if not listed:
        return f'<p class="cc-from">{said}.</p>'
    items = "".join(f"<li><b>{escape(where)}</b> {escape(what)}</li>" for where, what in listed)
    rest = number - len(listed)
    more = f"<li>and {rest:,} more; <code>python -m kb runs --json</code> lists them</li>" if rest > 0 else ""
    opened = " open" if _is_bare(state) else ""  # then it is all there is to say
    key = f'data-key="{key} {escape(state.name)}"{opened}'
    return f'<details class="cc-skips" {key}><summary>{said}</summary><ul>{items}{more}</ul></details>'


def _index(state: CorpusState) -> str:
    """How far the index is, when this process is at it."""
    index = state.index
    if index is None or state.state == IngestionState.DELETING:
        return ""
    if state.state in INGESTION_UNDER_WAY and index.state in INDEX_AT_REST:
        return ""  # it is of what was there before, and is brought up to date afterwards
    if index.state == IndexState.READY:
        return '<p class="cc-index">All of it can be asked about.</p>'
    if index.state == IndexState.FAILED:
        return f'<p class="cc-index cc-index-failed">{escape(index.message)}</p>'
    share = index.done / index.total if index.total and index.state == IndexState.INDEXING else None
    return f'<p class="cc-index">{escape(index.message)}</p>' + _bar(share, f"Index of {state.name}")


def _bar(share: float | None, name: str) -> str:
    if share is None:
        return '<div class="cs-progress cs-unknown" aria-hidden="true"><i></i></div>'
    percent = min(100.0, max(0.0, 100 * share))
    return (
        f'<div class="cs-progress" role="progressbar" aria-label="{escape(name)}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{percent:.0f}"><i style="width:{percent:.1f}%"></i></div>'
    )


def _buttons(state: CorpusState, may_change: bool) -> str:
    buttons = [_button("browse", state.name, "Browse")] if state.documents else []
    if may_change:
        if state.state in (IngestionState.WAITING, IngestionState.STARTING, IngestionState.RUNNING):
            buttons.append(_button("pause", state.name, "Pause"))
        elif state.can_repeat and state.state in INGESTION_BROKEN_OFF:
            buttons.append(_button("resume", state.name, "Resume"))
        elif state.can_repeat and state.state == IngestionState.FINISHED:
            buttons.append(_button("resume", state.name, "Look for changes"))
        if state.state != IngestionState.DELETING:
            what = f"{_count(state.documents, 'document')} and the index"
            sure = f"Delete {what} for good?"
            if state.usual:
                sure += " It is the corpus that is asked when nothing is ticked."
            buttons.append(_button("delete", state.name, "Delete", sure))
    return "".join(buttons)


def _button(do: str, value: str, text: str, sure: str = "", kind: str = "corpus") -> str:
    """A button that app/web/static/corpora.js turns into a command; with `sure`, after that has been asked."""
    asked = f' data-sure="{escape(sure)}"' if sure else ""
    key = f"{do} {escape(value)}"
    return (
        f'<button type="button" class="cc-do" data-do="{do}" data-{kind}="{escape(value)}" data-key="{key}"{asked}>'
        f"{escape(text)}</button>"
    )


def told(sentence: str) -> str:
    """A sentence about what was begun; nothing for an empty one."""
    return f'<p class="cc-told" role="status">{escape(sentence)}</p>' if sentence else ""


def previewing() -> str:
    """What stands in the preview's place meanwhile."""
    return f'<section class="cc-preview" aria-busy="true">{_quiet("Reading the first documents…")}</section>'


def preview(found: Sequence[Item]) -> str:
    """The first documents of a source, what of it cannot be taken, and notes on what can."""
    if not found:
        return f'<section class="cc-preview" aria-label="Preview">{_quiet("There is no document in it.")}</section>'
    items = []
    for each in found:
        if isinstance(each, Skipped):
            items.append(
                f'<li class="cc-cannot"><b>{escape(each.where)}</b><p>It cannot be taken: {escape(each.why)}</p></li>'
            )
        elif isinstance(each, Note):
            items.append(f"<li><b>{escape(each.where)}</b><p>{escape(each.said)}</p></li>")
        else:
            text = "\n".join([*each.texts, *(section.text for section in each.sections)])
            lines = _shortened(text) or "It has no text."
            title = escape(each.title) or "Untitled"
            number = len(each.pictures)
            pictures = _quiet(f"With {number:,} picture{'s' * (number > 1)}.") if number else ""
            items.append(f'<li><b dir="auto">{title}</b><p dir="auto">{escape(lines)}</p>{pictures}</li>')
    return (
        '<section class="cc-preview" aria-label="Preview"><h3>The first of what is in it</h3>'
        f'<ol class="cc-found">{"".join(items)}</ol></section>'
    )


def documents(found: Sequence[Document], leaf: Leaf) -> str:
    """A page of a corpus's documents."""
    if not found:
        return _leaf(_quiet("There are no documents here."), leaf)
    items = "".join(
        f"<li>{_opener(each.id, each.id, each.title, _shortened(each.description, 120))}</li>" for each in found
    )
    return _leaf(f'<ul class="cc-documents">{items}</ul>', leaf)


def hits(found: Sequence[TextHit], words: str, leaf: Leaf) -> str:
    """A page of the passages found by words."""
    if not found:
        return _leaf(_quiet("No passage has any of these words."), leaf)
    stems = question_stems(words)
    items = "".join(
        f"<li>{_opener(hit.passage.document_id, hit.passage.id, hit.passage.heading)}"
        f'<p dir="auto">{marked(_shortened(hit.passage.text), stems, ())}</p></li>'
        for hit in found
    )
    return _leaf(f'<ul class="cc-documents cc-hits">{items}</ul>', leaf)


def _leaf(body: str, leaf: Leaf) -> str:
    back = _button("before", leaf.last, "‹ Previous page", kind="last") if leaf.before else ""
    on = _button("after", leaf.last, "Next page ›", kind="last") if leaf.after else ""
    turn = f'<div class="cc-turn">{back}{on}</div>' if back or on else ""
    heading = _quiet(leaf.heading)
    return f'<section class="cc-browse" aria-label="Documents">{heading}{body}{turn}</section>'


def _opener(document_id: str, key: str, title: str, about: str = "") -> str:
    """A button that opens a document."""
    said = f'<span dir="auto">{escape(about)}</span>' if about else ""
    return (
        f'<button type="button" class="cc-do cc-open" data-do="open" data-document="{escape(document_id)}" '
        f'data-key="open {escape(key)}"><b dir="auto">{escape(title) or "Untitled"}</b>{said}</button>'
    )


def _quiet(text: str) -> str:
    return f'<p class="cc-quiet" dir="auto">{escape(text)}</p>' if text else ""


def document(
    one: Document,
    passages: Sequence[Passage],
    twins: Mapping[str, Sequence[tuple[Passage, float]]],
    more: bool,
) -> str:
    """A document with its first passages; `twins` are passages that say what one of them says, by its id."""
    facts = [f"<code>{escape(one.id)}</code>", escape(licence_said(one.licence)), escape(_language(one.language))]
    link = safe_link(one.url)
    if link:
        facts.append(
            f'<a href="{escape(link)}" target="_blank" rel="noopener noreferrer nofollow">'
            f'{escape(urlsplit(link).hostname or link)}<span aria-hidden="true"> ↗</span></a>'
        )
    about = _quiet(" · ".join(said for said in (one.description, one.topic) if said))
    items = "".join(_passage(passage, twins.get(passage.id, ())) for passage in passages)
    rest = _button("more", one.id, "Show more passages", kind="document") if more else ""
    back = _button("back", "list", "‹ Back to the list", kind="to")
    return (
        f'<section class="cc-document" aria-label="Document">{back}'
        f'<h3 dir="auto">{escape(one.title) or "Untitled"}</h3>'
        f'{about}{_facts(facts)}<ol class="cc-passages">{items}</ol>{rest}</section>'
    )


def _passage(passage: Passage, twins: Sequence[tuple[Passage, float]]) -> str:
    tokens = "" if passage.tokens is None else _count(passage.tokens, "token")
    facts = _facts([f"<code>{escape(passage.id)}</code>", tokens, escape(licence_said(passage.licence))])
    section = f'<h4 dir="auto">{escape(passage.section)}</h4>' if passage.section else ""
    also = ""
    if twins:
        links = "".join(
            f"<li>{_opener(twin.document_id, f'{twin.id} from {passage.id}', twin.heading)}"
            f"<span>{_likeness(similarity)}, in {escape(twin.corpus)}</span></li>"
            for twin, similarity in twins[:SHOWN_TWINS]
        )
        rest = len(twins) - SHOWN_TWINS
        links += f"<li>and {rest:,} more</li>" if rest > 0 else ""
        also = f'<div class="cc-twins"><b>Said elsewhere too</b><ul>{links}</ul></div>'
    return (
        f'<li class="cc-passage">{section}<p class="cc-text" dir="auto">{escape(passage.text)}</p>{also}{facts}</li>'
    )


def _facts(facts: Sequence[str]) -> str:
    """Facts, which are HTML already, in a row."""
    return f'<ul class="cc-facts">{"".join(f"<li>{fact}</li>" for fact in facts if fact)}</ul>'


def _likeness(similarity: float) -> str:
    return "the same" if similarity >= 1 else f"{similarity:.0%} the same"


def size(octets: int) -> str:
    """The size of texts as a person says it."""
    for unit, one in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if octets >= one:
            return f"{octets / one:.1f} {unit}"
    return f"{octets} bytes"


def moment(iso: str, now: datetime) -> str:
    """How long ago that was, with the exact time beside it."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return ""
    seconds = max(0.0, (now - when).total_seconds())
    if seconds < 60:
        said = "just now"
    elif seconds < 3600:
        said = f"{seconds // 60:.0f} min ago"
    elif seconds < 48 * 3600:
        said = f"{seconds // 3600:.0f} h ago"
    else:
        said = f"on {when.day} {when:%B %Y}"
    return f'<time datetime="{escape(iso)}" title="{when:%Y-%m-%d %H:%M} UTC">{said}</time>'


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _language(language: str) -> str:
    return "" if language in ("", UNKNOWN_LANGUAGE) else language


def _shortened(text: str, most: int = BEGINNING) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
