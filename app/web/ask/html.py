"""The page's words as HTML: answer, evidence cards, status line, errors. Pure functions from data to strings.

Everything that comes from a corpus, a model or a person is untrusted and goes through `escape` before it
becomes part of a page; links are made only from http and https addresses. It knows nothing of Gradio, of
models, or of where the data came from.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.service.results import WHOLE, EvidencePassage, IndexStatus, Region, Result, Subject
from generator.answers import UNCHECKED, UNSUPPORTED, Candidate, Citation, Statement, Turn
from generator.extractive.templates import DISAGREE

UNFOLDED, FIRST = 8, 5  # so many passages are shown as they are; of more, only the first ones, the others folded away

# Characters that reorder or hide the text around them, and control characters: never shown.
_UNSEEN = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]"
)
_WORD = re.compile(r"\w+(?:['’]\w+)*")
_SPACED_MARKER = re.compile(r"(?<![ \t])[ \t]*\[\d{1,3}\]")
_MARKER = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]([.,;:!?)]*)")
_STOP = frozenset(
    "a about after all also am an and any are as at be been before being between both but by can "
    "could did do does doing each else ever for from get got had has have having he her here hers "
    "him his how i if in into is it its just kind like many may me might more most much my no nor "
    "not of off on once only or other our out over own please same shall she should show shown so "
    "some such tell than that the their them then there these they thing this those through to too "
    "type under up us very was we were what when where which while who whom whose why will with "
    "would you your picture photo photograph image".split()
)


def escape(text: str) -> str:
    """Text as inert HTML: no tag, attribute end, template placeholder or direction override is left."""
    safe = html.escape(_UNSEEN.sub("", text), quote=True)
    # gr.HTML fills a template; it does not evaluate values today, and these keep it so whatever it does.
    return safe.replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;").replace("`", "&#96;")


def safe_link(url: str) -> str | None:
    """The address if a browser may be sent there (http or https with a host), else None."""
    url = url.strip()
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    web = parts.scheme.lower() in ("http", "https") and parts.hostname
    return url if web and not re.search(r"[\s\\]", url) else None


def stem(word: str) -> str:
    """A word without its commonest English endings, lower case: runs, running -> run; fastest -> fast."""
    word = re.sub(r"['’]s$", "", word.casefold())
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-3] + "y" if word.endswith("ies") and len(word) > 4 else word[:-1]
    for ending, least in (("ing", 3), ("est", 4), ("ed", 3), ("er", 4), ("ly", 4)):
        if word.endswith(ending) and len(word) - len(ending) >= least:
            word = word[: -len(ending)]
            if word[-1] == word[-2] and word[-1] not in "aeiouls":
                word = word[:-1]
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def question_stems(question: str) -> frozenset[str]:
    """The stems of a question's content words."""
    return frozenset(
        stem(word) for word in _WORD.findall(question) if word.casefold() not in _STOP and len(word) > 1
    )


def marked(text: str, stems: Iterable[str], quotes: Iterable[tuple[int, int]]) -> str:
    """A passage as HTML: words with one of `stems` in <mark>, the spans of `quotes` in <span class=cs-quote>.

    Offsets outside the text are cut to it. Every piece of the text is escaped by itself.
    """
    wanted = frozenset(stems)
    words = [m.span() for m in _WORD.finditer(text) if stem(m.group()) in wanted] if wanted else []
    spans = [(max(0, start), min(len(text), end)) for start, end in quotes if start < end]
    cuts = sorted({0, len(text)}.union(*words, *spans))
    hits = dict(words)
    quoted: dict[int, int] = {}
    for left, right in spans:
        quoted[left] = max(right, quoted.get(left, 0))
    hit_until = quoted_until = 0
    pieces: list[str] = []
    quoting = False
    for start, end in zip(cuts, cuts[1:], strict=False):
        quoted_until = max(quoted_until, quoted.get(start, 0))
        inside = start < quoted_until
        if inside != quoting:
            pieces.append('<span class="cs-quote">' if inside else "</span>")
            quoting = inside
        piece = escape(text[start:end])
        hit_until = hits.get(start, hit_until)
        pieces.append(f"<mark>{piece}</mark>" if start < hit_until else piece)
    return "".join(pieces) + ("</span>" if quoting else "")


def _cited(text: str, titles: dict[int, str]) -> str:
    """Answer text as HTML with [n] turned into buttons where n is a passage; other brackets stay text."""

    def buttons(match: re.Match[str]) -> str:
        numbers = [int(number) for number in match.group(1).split(",")]
        if not all(number in titles for number in numbers):
            return match.group()
        marks = "".join(
            f'<button type="button" class="cs-cite" data-rank="{number}" '
            f'aria-label="Source {number}: {titles[number]}">{number}</button>'
            for number in numbers
        )
        # A stop must not stand alone at the beginning of a line.
        return f'<span class="cs-held">{marks}{match.group(2)}</span>' if match.group(2) else marks

    return _MARKER.sub(buttons, escape(text))


def _titles(passages: Sequence[EvidencePassage]) -> dict[int, str]:
    return {passage.rank: escape(passage.title) for passage in passages}


def empty_answer() -> str:
    """What stands in the answer's place before the first question."""
    return (
        '<section class="cs-panel cs-empty" aria-label="Answer">'
        "<h2>Your answer will appear here</h2>"
        "<ol><li><b>Give a photo</b> of an animal, a building, a plant, a thing.</li>"
        "<li><b>Ask about it.</b> The photo and the words are searched together.</li>"
        "<li><b>Check the answer.</b> Every number in it leads to the passage it came from, "
        "and the photo shows which parts of it led there.</li></ol>"
        '<p class="cs-hint">New here? Pick one of the examples.</p></section>'
    )


def working(message: str) -> str:
    """What stands in the answer's place while a question is worked on."""
    return (
        '<section class="cs-panel cs-working" aria-label="Answer" aria-busy="true">'
        f'<p><span class="cs-pulse" aria-hidden="true"></span>{escape(message)}</p></section>'
    )


def partial_answer(
    text: str, passages: Sequence[EvidencePassage], question: str = "", own: str | None = None
) -> str:
    """The answer so far, and once it is complete what the model says so far without the evidence."""
    return (
        '<section class="cs-panel cs-answer" aria-label="Answer" aria-busy="true"><h2>Answer</h2>'
        f'{_asked(question)}<p class="cs-said" dir="auto">{_cited(text, _titles(passages))}</p>{_own(own)}</section>'
    )


def final_answer(result: Result) -> str:
    """The whole answer, or calmly that there is none, with what it took."""
    titles = _titles(result.passages)
    said = _said(result.answer.text, titles, result.answer.statements)
    if result.answer.answered:
        heading, kind = "Answer", "cs-answer"
    else:
        disagree = result.answer.reason == DISAGREE
        heading = "The passages disagree" if disagree else "No answer in the evidence"
        kind = "cs-abstained"
        reason = escape(result.answer.reason.strip().rstrip("."))
        if not said.strip():
            said = f"The passages found do not answer this{': ' + reason if reason else ''}."
    notes = [f'<p class="cs-timing">{_timing(result)}</p>']
    if result.indexed < result.total:
        notes.insert(
            0,
            f'<p class="cs-note">Answered from the {result.indexed:,} of {result.total:,} passages indexed '
            "so far; ask again later to search them all.</p>",
        )
    advice = ""
    if not result.answer.answered:
        nearest = "The nearest passages are listed below. " if result.passages else ""
        if disagree:
            todo = "Read what each of them says."
        elif result.answer.named:  # no photo makes its passage say more
            todo = f"{nearest}Ask in other words, or for something that they do say."
        else:
            todo = f"{nearest}Try a closer photo, or name the thing in the question."
        advice = f'<p class="cs-note">{todo}</p>'
    searched = ""
    if result.searched and result.searched != result.question:
        searched = f'<p class="cs-searched">Searched for: <q dir="auto">{escape(result.searched)}</q></p>'
    return (
        f'<section class="cs-panel {kind}" aria-label="Answer"><h2>{heading}</h2>{_asked(result.question)}{searched}'
        f'{_shown(result.subject)}{_support(result.answer.statements)}<p class="cs-said" dir="auto">{said}</p>'
        f'{advice}{_own(result.own)}'
        f'{_candidates(result.answer.candidates, titles)}{"".join(notes)}</section>'
    )


def unanswered(question: str) -> str:
    """What stands in the answer's place when evidence was found and then something went wrong."""
    return (
        '<section class="cs-panel cs-abstained" aria-label="Answer"><h2>No answer</h2>'
        f'{_asked(question)}<p class="cs-note">The passages found are below; ask again for an answer.</p></section>'
    )


def broken_off(answer: str) -> str:
    """An answer as far as it came, when no more will come of it."""
    said = "cs-said" in answer
    how = "; what is here is not all of it" if said else " before its first word"
    note = (
        f'<p class="cs-note">The answer was broken off{how}. '
        '<button type="button" class="cs-retry" data-again="#cs-ask">Retry</button></p>'
    )
    if not said:
        return f'<section class="cs-panel cs-abstained" aria-label="Answer">{note}</section>'
    return answer.replace(' aria-busy="true"', "").removesuffix("</section>") + f"{note}</section>"


def earlier(turns: Sequence[Turn]) -> str:
    """The questions and answers before this one, folded away; nothing where there are none."""
    if not turns:
        return ""
    items = "".join(
        f'<li><b dir="auto">{escape(turn.question)}</b>'
        f'<span dir="auto">{escape(_SPACED_MARKER.sub("", turn.answer))}</span></li>'
        for turn in turns
    )
    count = "1 earlier question" if len(turns) == 1 else f"{len(turns)} earlier questions"
    return f'<details class="cs-earlier"><summary>{count} in this conversation</summary><ol>{items}</ol></details>'


def _asked(question: str) -> str:
    return f'<p class="cs-asked" dir="auto">{escape(question)}</p>' if question else ""


def _shown(subject: Subject | None) -> str:
    """What the photo shows, as far as anybody can tell."""
    said = "" if subject is None else subject.said()
    return f'<p class="cs-subject" dir="auto">The photo: {escape(said)}</p>' if said else ""


def _said(text: str, titles: dict[int, str], statements: Iterable[Statement]) -> str:
    """Answer text as HTML with its marks as buttons, and the sentences marked that nothing supports or checks."""
    pieces, done = [], 0
    for each in statements:
        if each.support not in _TAGS or not done <= each.start < each.end <= len(text):
            continue
        pieces.append(_cited(text[done : each.start], titles))
        pieces.append(
            f'<span class="cs-{each.support}">{_cited(text[each.start : each.end], titles)}</span>'
            f'<span class="cs-tag">{_TAGS[each.support]}</span>'
        )
        done = each.end
    return "".join(pieces) + _cited(text[done:], titles)


_TAGS = {UNSUPPORTED: "not from the evidence", UNCHECKED: "not checked"}


def _support(statements: Sequence[Statement]) -> str:
    """How many of an answer's sentences are from the evidence; nothing where it only quotes."""
    if not statements:
        return ""
    count = len(statements)
    of = f"of {count} sentences" if count > 1 else "sentence"
    made_up, unchecked = (sum(each.support == kind for each in statements) for kind in (UNSUPPORTED, UNCHECKED))
    lines = []
    if made_up:
        lines.append(f"{made_up} {of} {'is' if made_up == 1 else 'are'} not from the evidence.")
    if unchecked:
        were = "was" if unchecked == 1 else "were"
        lines.append(f"{unchecked} {of} {were} not checked, being in another language than the evidence, or too many.")
    if not lines:
        lines.append(f"All {count} sentences are from the evidence." if count > 1 else "It is from the evidence.")
    return f'<p class="cs-note cs-support">{" ".join(lines)}</p>'


def _own(text: str | None) -> str:
    if text is None:
        return ""
    return (
        '<div class="cs-own"><h3>Without the evidence, the model says</h3>'
        f'<p dir="auto">{escape(text) or "…"}</p></div>'
    )


def _candidates(candidates: Sequence[Candidate], titles: dict[int, str]) -> str:
    """What each passage alone would have answered, as a table."""
    if not candidates:
        return ""
    rows = "".join(
        f'<tr><td>{_cited(f"[{each.number}]", titles)}</td><td dir="auto">{escape(each.text)}</td>'
        f"<td>{_share(each.retrieval)}</td><td>{_share(each.generation)}</td><td>{_share(each.joint)}</td></tr>"
        for each in candidates
    )
    return (
        '<div class="cs-candidates"><h3>What each passage alone would answer</h3><table><thead><tr>'
        '<th scope="col"><span class="cs-sr">Passage</span></th><th scope="col">Answer</th>'
        '<th scope="col">Right passage</th><th scope="col">Answer from it</th>'
        f'<th scope="col">Both</th></tr></thead><tbody>{rows}</tbody></table>'
        '<p class="cs-hint">How probable it is that the passage is the right one, that the answer follows from it, and '
        "the product of both, by which they are ranked.</p></div>"
    )


def _share(probability: float) -> str:
    return "&lt;1%" if 0 < probability < 0.005 else f"{probability:.0%}"


def _timing(result: Result) -> str:
    by = "" if result.answerer in ("", "extractive") else f" by {escape(result.answerer)}"
    line = timing_line(result.timings) + by
    return f"Known from before; then a{line[1:]}" if result.cached else line


def timing_line(timings: dict[str, float]) -> str:
    """'Answered in 0.6 s: photo 90 ms, search 40 ms' from milliseconds by step."""
    names = {
        "load": "photo",
        "rewrite": "follow-up",
        "encode": "encoding",
        "search": "search",
        "passages": "texts",
        "answer": "answer",
        "own": "without evidence",
    }
    total = timings.get("total", sum(timings.values()))
    steps = [f"{name} {timings[key]:.0f} ms" for key, name in names.items() if timings.get(key, 0) >= 0.5]
    return f"Answered in {total / 1000:.1f} s" + (": " + ", ".join(steps) if steps else "")


def evidence(
    run: str,
    passages: Sequence[EvidencePassage],
    question: str,
    citations: Sequence[Citation],
    selected: int,
    with_photo: bool,
) -> str:
    """The evidence cards, the selected one pressed. `run` tells one question's cards from the next one's."""
    if not passages:
        return ""
    stems = question_stems(question)
    cards = [_card(passage, stems, citations, passage.rank == selected) for passage in passages]
    unfolded = FIRST if len(cards) > UNFOLDED else len(cards)
    more = ""
    if cards[unfolded:]:
        opened = " open" if any(each.rank == selected for each in passages[unfolded:]) else ""
        more = (
            f'<details class="cs-more" data-key="more {escape(run)}"{opened}>'
            f"<summary>{len(cards) - unfolded} more passages</summary>"
            f'<ol class="cs-cards" start="{unfolded + 1}">{"".join(cards[unfolded:])}</ol></details>'
        )
    hint = "Choose a passage to see which parts of the photo speak for it." if with_photo else ""
    quoted = '<span><span class="cs-quote">cited</span> in the answer</span>' if citations else ""
    return (
        f'<section class="cs-evidence" aria-label="Evidence" data-run="{escape(run)}">'
        f'<div class="cs-head"><h2>Evidence</h2><p class="cs-key">{quoted}'
        f"<span><mark>word</mark> of the question</span></p></div>"
        f'{f"<p class=cs-hint>{hint}</p>" if hint else ""}<ol class="cs-cards">{"".join(cards[:unfolded])}</ol>'
        f"{more}</section>"
    )


def _card(
    passage: EvidencePassage, stems: frozenset[str], citations: Sequence[Citation], selected: bool
) -> str:
    quotes = [(c.start, c.end) for c in citations if c.passage_id == passage.id]
    title = escape(passage.title) or "Untitled"
    link = safe_link(passage.url)
    source = (
        f'<a href="{escape(link)}" target="_blank" rel="noopener noreferrer nofollow">'
        f'{escape(urlsplit(link).hostname or link)}<span aria-hidden="true"> ↗</span>'
        f'<span class="cs-sr">, the source of {title}, in a new tab</span></a>'
        if link
        else "<span>no link to the source</span>"
    )
    about = f'<span class="cs-about">{escape(passage.description)}</span>' if passage.description else ""
    section = f" › {escape(passage.section)}" if passage.section else ""
    seen = f'<span class="cs-about">recognised at sight, +{passage.seen:.2f}</span>' if passage.seen >= 0.005 else ""
    share = max(0, min(100, round(passage.score * 100)))
    rank = passage.rank
    return (
        f'<li><article class="cs-card{" cs-selected" if selected else ""}" data-rank="{rank}">'
        f'<h3><button type="button" class="cs-pick" data-rank="{rank}" id="cs-pick-{rank}" '
        f'aria-pressed="{"true" if selected else "false"}">'
        f'<span class="cs-rank"><span class="cs-sr">Passage </span>{rank}</span>'
        f'<span class="cs-title" dir="auto">{title}{section}{about}{seen}</span>'
        f"{'<span class=cs-cited>cited</span>' if quotes else ''}"
        f'<span class="cs-score" title="Mean similarity of the question and photo to this passage, 0 to 1">'
        f'<span class="cs-sr">score </span>{passage.score:.2f}'
        f'<span class="cs-bar" aria-hidden="true"><i style="width:{share}%"></i></span></span></button></h3>'
        f'<p class="cs-passage" dir="auto">{marked(passage.text, stems, quotes)}</p>'
        f'<p class="cs-source">{source}<span>{escape(passage.licence)}</span>'
        f"<span>{escape(passage.corpus)}</span></p></article></li>"
    )


@dataclass(frozen=True)
class HeatMap:
    """What in the photo speaks for a passage. picture: a data: address of a picture this program made. where: in words,
    "" for nowhere. alone: no other passage was found that it could be compared with."""

    picture: str
    where: str
    alone: bool = False


def photo_figure(
    run: str, photo: str, maps: dict[int, HeatMap], titles: dict[int, str], selected: int, region: Region = WHOLE
) -> str:
    """The photo with one heat map per passage, the selected one shown, and the part that was asked about.

    photo: a data: address of a picture this program made; maps, titles: by rank, the titles plain.
    """
    part = ",".join(f"{edge:.4f}" for edge in region) if region != WHOLE else ""
    alike = not any(each.where for each in maps.values())
    layers = "".join(
        f'<img class="cs-layer" data-rank="{rank}" src="{each.picture}" alt=""{"" if rank == selected else " hidden"}>'
        for rank, each in maps.items()
    )
    captions = "".join(
        f'<span class="cs-where" data-rank="{rank}"{"" if rank == selected else " hidden"}>'
        f"{_speaks(each, titles.get(rank, ''), alike)}</span>"
        for rank, each in maps.items()
    )
    return (
        f'<figure class="cs-figure" data-run="{escape(run)}" data-part="{part}"><div class="cs-stage">'
        f'<img class="cs-photo" src="{photo}" alt="Your photo">{layers}</div>'
        f'<figcaption>{captions}<span class="cs-legend" aria-hidden="true">less <i></i> more</span></figcaption>'
        '<div class="cs-tools">'
        '<button type="button" class="cs-plain" aria-pressed="false">Plain photo</button>'
        '<button type="button" class="cs-select" aria-pressed="false">Select a part</button>'
        '<button type="button" class="cs-change">Change photo</button></div></figure>'
    )


def _speaks(heat: HeatMap, title: str, alike: bool) -> str:
    """What a heat map shows, in a sentence, which is all that those have who do not see it."""
    name = f'<b dir="auto">{escape(title)}</b>'
    if heat.alone:
        return f"Where the photo matched {name}{': ' + heat.where if heat.where else ''}."
    if alike:
        return "No part of the photo tells the passages found apart."
    if not heat.where:
        return f"No part of the photo speaks for {name} rather than for the other passages found."
    return f"What in the photo speaks for {name} rather than for the other passages found: {heat.where}."


def error(sentence: str, again: str = "") -> str:
    """A sentence about what went wrong, announced at once; nothing for an empty one.

    again: the selector of the button that Retry presses, which app/web/static/errors.js does; "" for no Retry."""
    retry = f' <button type="button" class="cs-retry" data-again="{escape(again)}">Retry</button>' if again else ""
    return f'<p class="cs-error" role="alert">{escape(sentence)}{retry}</p>' if sentence else ""


def anew(words: str, mark: object) -> str:
    """Words that differ from the same ones with another mark: what is set to what it was, a browser leaves as the
    page's script has made of it, which has said that an answer was stopped, or shown an error already."""
    return f"{words}<!-- {escape(str(mark))} -->"


def status_line(status: IndexStatus) -> str:
    """How far the index is; nothing once it is ready."""
    if status.state == "ready":
        return ""
    message = escape(status.message)
    if status.state == "failed":
        return f'<div class="cs-status cs-failed" role="alert"><p>{message}</p></div>'
    bar = '<div class="cs-progress cs-unknown" aria-hidden="true"><i></i></div>'
    count = ""
    if status.total > 0:
        share = min(100.0, 100 * status.done / status.total)
        bar = (
            f'<div class="cs-progress" role="progressbar" aria-label="Progress" aria-valuemin="0" '
            f'aria-valuemax="{status.total}" aria-valuenow="{status.done}">'
            f'<i style="width:{share:.1f}%"></i></div>'
        )
        if status.state != "starting":  # whose message has gigabytes in it; nobody reads bytes
            count = f'<span class="cs-count">{status.done:,} of {status.total:,}</span>'
    return f'<div class="cs-status"><p>{message}{count}</p>{bar}</div>'
