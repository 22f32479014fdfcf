"""The answer as HTML, from before the first question to what it took. Pure functions from data to strings.

Everything goes through `escape`. Knows nothing of Gradio, of models, or of where the data came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from app.service.results import Result
from app.settings import MAX_TURNS
from app.web.escaping import escape
from common.passage import Evidence
from generator.answers import DISAGREE, UNCHECKED, UNSUPPORTED, Candidate, Statement, Turn

_SPACED_MARKER = re.compile(r"(?<![ \t])[ \t]*\[\d{1,3}\]")
_MARKER = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]([.,;:!?)]*)")
_TAGS = {UNSUPPORTED: "not from the evidence", UNCHECKED: "not checked"}


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


def _titles(passages: Sequence[Evidence]) -> dict[int, str]:
    return {passage.rank: escape(passage.title) for passage in passages}


def empty_answer() -> str:
    """What stands in the answer's place before the first question."""
    return (
        '<section class="cs-panel cs-empty" aria-label="Answer">'
        "<h2>Your answer will appear here</h2>"
        '<ol><li class="cs-of-photo"><b>Give a photo</b> of an animal, a building, a plant, a thing.</li>'
        '<li><b>Ask<span class="cs-of-photo"> about it</span>.</b> '
        '<span class="cs-of-photo">The photo and the words are searched together.</span></li>'
        "<li><b>Check the answer.</b> Every number in it leads to the passage it came from"
        '<span class="cs-of-photo">, and the photo shows which parts of it led there</span>.</li></ol>'
        '<p class="cs-hint cs-of-photo">New here? Pick one of the examples.</p></section>'
    )


def working(message: str) -> str:
    """What stands in the answer's place while a question is worked on."""
    return (
        '<section class="cs-panel cs-working" aria-label="Answer" aria-busy="true">'
        f'<p><span class="cs-pulse" aria-hidden="true"></span>{escape(message)}</p></section>'
    )


def partial_answer(
    text: str, passages: Sequence[Evidence], question: str = "", own: str | None = None
) -> str:
    """The answer so far, and once it is complete what the model says so far without the evidence."""
    return (
        '<section class="cs-panel cs-answer" aria-label="Answer" aria-busy="true"><h2>Answer</h2>'
        f'{_asked(question)}<p class="cs-said" dir="auto">{_cited(text, _titles(passages))}</p>{_own(own)}</section>'
    )


def final_answer(result: Result, key: str = "") -> str:
    """The whole answer, or calmly that there is none, with what it took. key: by which it can be sent to annotation,
    which it cannot without one."""
    titles = _titles(result.passages)
    said = _said(result.answer.text, titles, result.answer.statements)
    if result.answer.answered:
        heading, kind = "Answer", "cs-answer"
    else:
        disagree = result.answer.reason == DISAGREE
        heading = "The passages disagree" if disagree else "No answer in the evidence"
        heading = "The answer broke off" if result.answer.broken else heading
        kind = "cs-abstained"
        reason = escape(result.answer.reason.strip().rstrip("."))
        if not said.strip():
            said = f"The passages found do not answer this{': ' + reason if reason else ''}."
    send = ""
    if key and not result.answer.broken:
        send = f'<button type="button" class="cs-send" data-answer="{escape(key)}">Send to annotation</button>'
    notes = [f'<div class="cs-foot"><p class="cs-timing">{_timing(result)}</p>{send}</div>']
    if result.indexed < result.total:
        notes.insert(
            0,
            f'<p class="cs-note">Answered from the {result.indexed:,} of {result.total:,} passages indexed '
            "so far; ask again later to search them all.</p>",
        )
    advice = ""
    if not result.answer.answered:
        nearest = "The nearest passages are listed below. " if result.passages else ""
        if result.answer.broken:
            todo = f"This is as far as it came. {escape(result.answer.broken)}"
        elif disagree:
            todo = "Read what each of them says."
        elif result.answer.named:  # no photo makes its passage say more
            todo = f"{nearest}Ask in other words, or for something that they do say."
        else:
            todo = f"{nearest}{'Try a closer photo, or name' if result.photo else 'Name'} the thing in the question."
        advice = f'<p class="cs-note">{todo}</p>'
    searched = ""
    if result.searched and result.searched != result.question:
        searched = f'<p class="cs-searched">Searched for: <q dir="auto">{escape(result.searched)}</q></p>'
    return (
        f'<section class="cs-panel {kind}" aria-label="Answer"><h2>{heading}</h2>{_asked(result.question)}{searched}'
        f'{_shown(result)}{_support(result.answer.statements)}<p class="cs-said" dir="auto">{said}</p>'
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
    if len(turns) >= MAX_TURNS:  # no more are kept, so nobody knows how many there were
        count = f"The last {count}"
    return f'<details class="cs-earlier"><summary>{count} in this conversation</summary><ol>{items}</ol></details>'


def _asked(question: str) -> str:
    return f'<p class="cs-asked" dir="auto">{escape(question)}</p>' if question else ""


def _shown(result: Result) -> str:
    """What the photo shows, as far as anybody can tell, or that it has no part in the answer."""
    if result.left_out:
        return '<p class="cs-subject">The photo was left out: the question names a subject of its own.</p>'
    said = "" if result.subject is None else result.subject.said()
    lines = [f"The photo: {said}"] if said else []
    if result.text is not None and result.text.cut and not result.text.corrected:
        lines.append("There is more text in the photo than was read.")
    lines += [result.unread] if result.unread else []
    return "".join(f'<p class="cs-subject" dir="auto">{escape(line)}</p>' for line in lines)


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
    timings = {step: spent for step, spent in result.timings.items() if result.photo or step != "load"}
    line = timing_line(timings) + by
    if result.answer.broken:
        line = line.replace("Answered in", "Broke off after", 1)
    return f"Known from before; then a{line[1:]}" if result.cached else line


def timing_line(timings: dict[str, float]) -> str:
    """'Answered in 0.6 s: photo 90 ms, search 40 ms' from milliseconds by step."""
    names = {
        "load": "photo",
        "rewrite": "follow-up",
        "encode": "encoding",
        "read": "reading the photo",
        "search": "search",
        "rerank": "reranking",
        "passages": "texts",
        "answer": "answer",
        "own": "without evidence",
    }
    total = timings.get("total", sum(timings.values()))
    steps = [f"{name} {timings[key]:.0f} ms" for key, name in names.items() if timings.get(key, 0) >= 0.5]
    return f"Answered in {total / 1000:.1f} s" + (": " + ", ".join(steps) if steps else "")
