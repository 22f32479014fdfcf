"""The Corpora page's words as HTML: cards, progress and previews. Pure functions.

Titles, texts, errors and paths come from anywhere and are untrusted: all go through `escape`. The page's own texts are
those of the language that is spoken. Knows nothing of Gradio, of where the data came from, or of reading in a corpus.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app.service.job_states import (
    INDEX_AT_REST,
    INGESTION_BROKEN_OFF,
    INGESTION_UNDER_WAY,
    IndexState,
    IngestionState,
)
from app.web.corpora.pieces_html import button, in_a_row, known_language, quiet, shortened
from app.web.escaping import escape
from app.web.languages import PLACE, counted, in_words, number, say, speaking, still
from app.web.notices import licence_said
from common.jobs import duration
from kb.records import Item, Note, Skipped

if TYPE_CHECKING:  # they come with the catalogue, which takes seconds to import
    from app.service.corpus_state import CorpusState

MOST_NAMED = 8  # files that were left out
_BADGES = {
    IngestionState.WAITING: "corpora.waiting",
    IngestionState.STARTING: "corpora.starting",
    IngestionState.RUNNING: "corpora.running",
    IngestionState.PAUSING: "corpora.pausing",
    IngestionState.PAUSED: "corpora.paused",
    IngestionState.COMPARING: "corpora.comparing",
    IngestionState.FINISHED: "corpora.finished",
    IngestionState.FAILED: "corpora.failed",
    IngestionState.INTERRUPTED: "corpora.interrupted",
    IngestionState.DELETING: "corpora.deleting",
    IngestionState.NONE: "corpora.never",
}


def starting() -> str:
    """What stands in the place of the corpora while the program is still loading."""
    return f'<section class="cc-list" aria-busy="true"><p class="cc-quiet">{still("corpora_starting")}</p></section>'


def corpora(states: Sequence[CorpusState], may_change: bool, now: datetime | None = None) -> str:
    """A card for each corpus, with what can be done with it."""
    if not states:
        none = quiet(say("corpora.none_add" if may_change else "corpora.none"))
        return f'<section class="cc-list" aria-label="{say("corpora.label")}">{none}</section>'
    now = now or datetime.now(UTC)
    cards = "".join(_card(state, may_change, now) for state in states)
    note = "" if may_change else quiet(say("corpora.look_only"))
    heading = f'<h2 class="cs-sr">{say("corpora.label")}</h2>'
    inside = f'{heading}{note}<ul class="cc-cards">{cards}</ul>'
    return f'<section class="cc-list" aria-label="{say("corpora.label")}">{inside}</section>'


def _card(state: CorpusState, may_change: bool, now: datetime) -> str:
    title = escape(state.title or state.name)
    calm = state.state in (IngestionState.FINISHED, IngestionState.NONE)
    bad = state.state in (IngestionState.FAILED, IngestionState.INTERRUPTED) or _is_bare(state)
    badge = "bad" if bad else "calm" if calm else "busy"
    facts = [_documents(state.documents), counted("corpora.passages", state.passages), size(state.text_bytes)]
    facts += [escape(licence_said(state.licence)), escape(known_language(state.language))]
    names = [] if state.title == state.name else [f"<code>{escape(state.name)}</code>"]
    names += [say("corpora.usual")] if state.usual else []
    lines = [
        f'<h3 dir="auto">{title}</h3>',
        f'<p class="cc-name">{" · ".join(names)}</p>' if names else "",
        in_a_row(facts),
        f'<p class="cc-run"><span class="cc-badge cc-{badge}">{_word(state)}</span> '
        f"<span>{_run(state, now)}</span></p>",
    ]
    if state.state in INGESTION_UNDER_WAY:
        lines.append(_bar(state.progress, say("corpora.ingestion_of", name=state.name)))
    if state.origin:
        lines.append(f'<p class="cc-from">{say("corpora.from_origin", origin=_in_words(state.origin, PLACE))}</p>')
    if state.newer is not None:
        lines.append(f'<p class="cc-from">{say("corpora.newer", documents=_documents(state.newer))}</p>')
    if state.error:
        lines.append(f'<p class="cs-error">{_in_words(state.error)}</p>')
    lines += [_skipped(state), _noted(state), _index(state)]
    lines.append(f'<div class="cc-buttons">{_buttons(state, may_change)}</div>')
    return f'<li><article class="cc-card" data-corpus="{escape(state.name)}">{"".join(lines)}</article></li>'


def _is_bare(state: CorpusState) -> bool:
    """Whether a run went through and there is nothing that could be asked about."""
    return state.state == IngestionState.FINISHED and not state.passages


def _word(state: CorpusState) -> str:
    """What stands on the badge, as HTML."""
    if _is_bare(state):
        return say("corpora.nothing_taken" if state.skipped else "corpora.empty")
    if state.state == IngestionState.FINISHED and state.index is not None and state.index.state == IndexState.READY:
        return say("corpora.complete")
    return say(_BADGES[state.state]) if state.state in _BADGES else escape(state.state)


def _run(state: CorpusState, now: datetime) -> str:
    """The last run in a sentence."""
    if state.state == IngestionState.NONE:
        return ""
    if state.state == IngestionState.WAITING:
        return say("corpora.two_others")
    if state.state == IngestionState.STARTING:
        return say("corpora.preparing")
    if state.state == IngestionState.COMPARING:
        return say("corpora.looking_twice")
    if state.state == IngestionState.DELETING:
        return say("corpora.going")
    done = _documents(state.seen)
    if state.total:
        done = say("corpora.of", done=number(state.seen), documents=_documents(state.total))
    if state.state in (IngestionState.RUNNING, IngestionState.PAUSING):
        parts = [done]
        if state.rate:
            slow = state.rate < 1
            rate = number(state.rate * 60 if slow else state.rate)
            parts.append(say("corpora.a_minute" if slow else "corpora.a_second", rate=rate))
        if state.left is not None:
            parts.append(say("corpora.left", time=in_words(duration(state.left))))
        if state.state == IngestionState.PAUSING:
            parts.append(say("corpora.stops"))
        if not state.here:
            parts.append(say("corpora.elsewhere"))
        return say("comma").join(parts) + say("stop")
    when = moment(state.finished or state.started, now)
    if state.stale:
        return say("corpora.stale", when=moment(state.started, now), done=done)
    if state.state == IngestionState.PAUSED:
        return say("corpora.at", done=done, when=when)
    return say("corpora.last_run", when=when)


def _skipped(state: CorpusState) -> str:
    said = counted("corpora.skipped", state.skipped)
    listed = [(skip.where, skip.why) for skip in state.skips]
    return _told_of(state, "skips", said, state.skipped, listed)


def _noted(state: CorpusState) -> str:
    said = counted("corpora.noted", state.noted)
    return _told_of(state, "notes", said, state.noted, [(note.where, note.said) for note in state.notes])


def _told_of(state: CorpusState, key: str, said: str, all_of_it: int, listed: Sequence[tuple[str, str]]) -> str:
    """So many things of a run, in a sentence; and where and what they are, as far as they are listed."""
    if not all_of_it:
        return ""
    if not listed:
        return f'<p class="cc-from">{said}{say("stop")}</p>'
    items = "".join(f"<li><b>{_in_words(where, PLACE)}</b> {_in_words(what)}</li>" for where, what in listed)
    rest = all_of_it - len(listed)
    command = "<code>python -m kb runs --json</code>"
    more = f"<li>{say('corpora.lists_them', count=number(rest), command=command)}</li>" if rest > 0 else ""
    opened = " open" if _is_bare(state) else ""  # then it is all there is to say
    key = f'data-key="{key} {escape(state.name)}"{opened}'
    return f'<details class="cc-skips" {key}><summary>{said}</summary><ul>{items}{more}</ul></details>'


def _in_words(sentence: str, *kind: str) -> str:
    return escape(in_words(sentence, *kind))


def _index(state: CorpusState) -> str:
    """How far the index is, when this process is at it."""
    index = state.index
    if index is None or state.state == IngestionState.DELETING:
        return ""
    if state.state in INGESTION_UNDER_WAY and index.state in INDEX_AT_REST:
        return ""  # it is of what was there before, and is brought up to date afterwards
    if index.state == IndexState.READY:
        return f'<p class="cc-index">{say("corpora.all_asked")}</p>'
    if index.state == IndexState.FAILED:
        return f'<p class="cc-index cc-index-failed">{_in_words(index.message)}</p>'
    share = index.done / index.total if index.total and index.state == IndexState.INDEXING else None
    return f'<p class="cc-index">{_in_words(index.message)}</p>' + _bar(
        share, say("corpora.index_of", name=state.name)
    )


def _bar(share: float | None, name: str) -> str:
    if share is None:
        return '<div class="cs-progress cs-unknown" aria-hidden="true"><i></i></div>'
    done = min(100.0, max(0.0, 100 * share))
    return (
        f'<div class="cs-progress" role="progressbar" aria-label="{escape(name)}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{done:.0f}"><i style="width:{done:.1f}%"></i></div>'
    )


def _buttons(state: CorpusState, may_change: bool) -> str:
    buttons = [button("browse", state.name, say("corpora.browse"))] if state.documents else []
    if may_change:
        if state.state in (IngestionState.WAITING, IngestionState.STARTING, IngestionState.RUNNING):
            buttons.append(button("pause", state.name, say("corpora.pause")))
        elif state.can_repeat and state.state in INGESTION_BROKEN_OFF:
            buttons.append(button("resume", state.name, say("corpora.resume")))
        elif state.can_repeat and state.state == IngestionState.FINISHED:
            buttons.append(button("resume", state.name, say("corpora.changes")))
        if state.state != IngestionState.DELETING:
            sure = say("corpora.sure", documents=_documents(state.documents))
            if state.usual:
                sure += f" {say('corpora.sure_usual')}"
            buttons.append(button("delete", state.name, say("corpora.delete"), sure))
    return "".join(buttons)


def told(sentence: str, left: Sequence[str] = ()) -> str:
    """A sentence about what was begun, and the names of files that were left out of it."""
    if left:
        names = [f"<bdi>{escape(name)}</bdi>" for name in left[:MOST_NAMED]]
        more = [say("corpora.and_more", count=number(len(left) - MOST_NAMED))] if len(left) > MOST_NAMED else []
        names_said = say("between").join([*names, *more])
        return f'<p class="cc-told" role="status">{escape(sentence)} {say("corpora.left_out", names=names_said)}</p>'
    return f'<p class="cc-told" role="status">{escape(sentence)}</p>'


def previewing() -> str:
    """What stands in the preview's place meanwhile."""
    return f'<section class="cc-preview" aria-busy="true">{quiet(say("corpora.previewing"))}</section>'


def preview(found: Sequence[Item]) -> str:
    """The first documents of a source, what of it cannot be taken, and notes on what can."""
    if not found:
        none = quiet(say("corpora.no_document"))
        return f'<section class="cc-preview" aria-label="{say("corpora.preview")}">{none}</section>'
    items = []
    for each in found:
        if isinstance(each, Skipped):
            why = say("corpora.cannot", why=_in_words(each.why))
            items.append(f'<li class="cc-cannot"><b>{_in_words(each.where, PLACE)}</b><p>{why}</p></li>')
        elif isinstance(each, Note):
            items.append(f"<li><b>{_in_words(each.where, PLACE)}</b><p>{_in_words(each.said)}</p></li>")
        else:
            text = "\n".join([*each.texts, *(section.text for section in each.sections)])
            lines = shortened(text) or say("corpora.no_text")
            title = escape(each.title) or say("corpora.untitled")
            beside = len(each.pictures)
            pictures = quiet(counted("corpora.pictures", beside)) if beside else ""
            items.append(f'<li><b dir="auto">{title}</b><p dir="auto">{escape(lines)}</p>{pictures}</li>')
    return (
        f'<section class="cc-preview" aria-label="{say("corpora.preview")}"><h3>{say("corpora.first")}</h3>'
        f'<ol class="cc-found">{"".join(items)}</ol></section>'
    )


def size(octets: int) -> str:
    """The size of texts as a person says it."""
    for unit, one in (("corpora.gb", 1e9), ("corpora.mb", 1e6), ("corpora.kb", 1e3)):
        if octets >= one:
            return say(unit, number=number(octets / one, 1))
    return counted("corpora.bytes", octets)


def moment(iso: str, now: datetime) -> str:
    """How long ago that was, with the exact time beside it."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return ""
    seconds = max(0.0, (now - when).total_seconds())
    if seconds < 60:
        said = say("corpora.just_now")
    elif seconds < 3600:
        said = say("corpora.minutes_ago", count=f"{seconds // 60:.0f}")
    elif seconds < 48 * 3600:
        said = say("corpora.hours_ago", count=f"{seconds // 3600:.0f}")
    else:
        named = f"{when.day} {when:%B %Y}" if speaking().code == "en" else f"{when:%Y-%m-%d}"
        said = say("corpora.on", date=named)
    return f'<time datetime="{escape(iso)}" title="{when:%Y-%m-%d %H:%M} UTC">{said}</time>'


def _documents(count: int) -> str:
    return counted("corpora.documents", count)
