"""Reading in a corpus on the Corpora page, as HTML: its documents, what words find, and one document's passages.

Titles, texts and addresses come from anywhere and are untrusted: all go through `escape`, and links are made only from
http and https addresses. Knows nothing of Gradio or of where the data came from. Pure functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.web.corpora.pieces_html import button, in_a_row, known_language, quiet, shortened
from app.web.escaping import escape, marked, question_stems, safe_link
from app.web.languages import counted, number, percent, say
from app.web.notices import licence_said
from common.passage import Passage
from kb.records import Document, TextHit

SHOWN_TWINS = 5


@dataclass(frozen=True)
class Leaf:
    """A page of a list: what it shows in words, whether there is something before and after it, and the id of the last
    document on it."""

    heading: str
    before: bool
    after: bool
    last: str = ""


def documents(found: Sequence[Document], leaf: Leaf) -> str:
    """A page of a corpus's documents."""
    if not found:
        return _leaf(quiet(say("corpora.no_documents")), leaf)
    items = "".join(
        f"<li>{_opener(each.id, each.id, each.title, shortened(each.description, 120))}</li>" for each in found
    )
    return _leaf(f'<ul class="cc-documents">{items}</ul>', leaf)


def hits(found: Sequence[TextHit], words: str, leaf: Leaf) -> str:
    """A page of the passages found by words."""
    if not found:
        return _leaf(quiet(say("corpora.no_words")), leaf)
    stems = question_stems(words)
    items = "".join(
        f"<li>{_opener(hit.passage.document_id, hit.passage.id, hit.passage.heading)}"
        f'<p dir="auto">{marked(shortened(hit.passage.text), stems, ())}</p></li>'
        for hit in found
    )
    return _leaf(f'<ul class="cc-documents cc-hits">{items}</ul>', leaf)


def _leaf(body: str, leaf: Leaf) -> str:
    back = button("before", leaf.last, f"‹ {say('corpora.before')}", kind="last") if leaf.before else ""
    on = button("after", leaf.last, f"{say('corpora.after')} ›", kind="last") if leaf.after else ""
    turn = f'<div class="cc-turn">{back}{on}</div>' if back or on else ""
    heading = quiet(leaf.heading)
    return f'<section class="cc-browse" aria-label="{say("corpora.documents_label")}">{heading}{body}{turn}</section>'


def _opener(document_id: str, key: str, title: str, about: str = "") -> str:
    """A button that opens a document."""
    said = f'<span dir="auto">{escape(about)}</span>' if about else ""
    return (
        f'<button type="button" class="cc-do cc-open" data-do="open" data-document="{escape(document_id)}" '
        f'data-key="open {escape(key)}"><b dir="auto">{escape(title) or say("corpora.untitled")}</b>{said}</button>'
    )


def document(
    one: Document,
    passages: Sequence[Passage],
    twins: Mapping[str, Sequence[tuple[Passage, float]]],
    more: bool,
) -> str:
    """A document with its first passages; `twins` are passages that say what one of them says, by its id."""
    facts = [f"<code>{escape(one.id)}</code>", escape(licence_said(one.licence)), escape(known_language(one.language))]
    link = safe_link(one.url)
    if link:
        facts.append(
            f'<a href="{escape(link)}" target="_blank" rel="noopener noreferrer nofollow">'
            f'{escape(urlsplit(link).hostname or link)}<span aria-hidden="true"> ↗</span></a>'
        )
    about = quiet(" · ".join(said for said in (one.description, one.topic) if said))
    items = "".join(_passage(passage, twins.get(passage.id, ())) for passage in passages)
    rest = button("more", one.id, say("corpora.more_passages"), kind="document") if more else ""
    back = button("back", "list", f"‹ {say('corpora.back')}", kind="to")
    return (
        f'<section class="cc-document" aria-label="{say("corpora.document_label")}">{back}'
        f'<h3 dir="auto">{escape(one.title) or say("corpora.untitled")}</h3>'
        f'{about}{in_a_row(facts)}<ol class="cc-passages">{items}</ol>{rest}</section>'
    )


def _passage(passage: Passage, twins: Sequence[tuple[Passage, float]]) -> str:
    tokens = "" if passage.tokens is None else counted("corpora.tokens", passage.tokens)
    facts = in_a_row([f"<code>{escape(passage.id)}</code>", tokens, escape(licence_said(passage.licence))])
    section = f'<h4 dir="auto">{escape(passage.section)}</h4>' if passage.section else ""
    also = ""
    if twins:
        links = "".join(
            f"<li>{_opener(twin.document_id, f'{twin.id} from {passage.id}', twin.heading)}"
            f"<span>{say('corpora.in_corpus', likeness=_likeness(similarity), corpus=escape(twin.corpus))}</span></li>"
            for twin, similarity in twins[:SHOWN_TWINS]
        )
        rest = len(twins) - SHOWN_TWINS
        links += f"<li>{say('corpora.and_more', count=number(rest))}</li>" if rest > 0 else ""
        also = f'<div class="cc-twins"><b>{say("corpora.also")}</b><ul>{links}</ul></div>'
    return (
        f'<li class="cc-passage">{section}<p class="cc-text" dir="auto">{escape(passage.text)}</p>{also}{facts}</li>'
    )


def _likeness(similarity: float) -> str:
    return say("corpora.same") if similarity >= 1 else say("corpora.same_share", share=percent(similarity))
