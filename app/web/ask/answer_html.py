"""The answer as HTML, from before the first question to what it took. Pure functions from data to strings.

Everything goes through `escape`; the page's own texts are those of the language that is spoken, or, where nobody has
asked yet, are put into it by the page (`still`). Knows nothing of Gradio, of models, or of where the data came from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from app.limits import MAX_TURNS
from app.service.results import Result
from app.web.escaping import escape
from app.web.languages import counted, in_words, number, percent, say, speaking, still
from common.passage import Evidence
from generator.answers import DISAGREE, UNCHECKED, UNSUPPORTED, Candidate, Statement, Turn
from generator.grounding.language import language

_SPACED_MARKER = re.compile(r"(?<![ \t])[ \t]*\[\d{1,3}\]")
_MARKER = re.compile(r"\[(\d{1,3}(?:\s*,\s*\d{1,3})*)\]([.,;:!?)]*)")
_CODES = {
    "English": "en", "German": "de", "French": "fr", "Spanish": "es", "Italian": "it", "Portuguese": "pt",
    "Dutch": "nl", "Swedish": "sv", "Han": "zh", "Arabic": "ar",
}  # fmt: skip
_TAG = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_STEPS = ("load", "rewrite", "encode", "read", "search", "rerank", "passages", "answer", "own")
_TAGS = {UNSUPPORTED: "answer.tag_unsupported", UNCHECKED: "answer.tag_unchecked"}


def _cited(text: str, titles: dict[int, str]) -> str:
    """Answer text as HTML with [n] turned into buttons where n is a passage; other brackets stay text."""

    def buttons(match: re.Match[str]) -> str:
        numbers = [int(mark) for mark in match.group(1).split(",")]
        if not all(mark in titles for mark in numbers):
            return match.group()
        marks = "".join(
            f'<button type="button" class="cs-cite" data-rank="{mark}" '
            f'aria-label="{say("answer.source", number=mark, title=titles[mark])}">{mark}</button>'
            for mark in numbers
        )
        # A stop must not stand alone at the beginning of a line.
        return f'<span class="cs-held">{marks}{match.group(2)}</span>' if match.group(2) else marks

    return _MARKER.sub(buttons, escape(text))


def _titles(passages: Sequence[Evidence]) -> dict[int, str]:
    return {passage.rank: escape(passage.title) for passage in passages}


def empty_answer() -> str:
    """What stands in the answer's place before the first question."""
    return (
        f'<section class="cs-panel cs-empty"><h2>{still("empty")}</h2>'
        f'<ol><li class="cs-of-photo"><b>{still("give")}</b> {still("give_of")}</li>'
        f'<li><b>{still("ask")}</b> <span class="cs-of-photo">{still("ask_together")}</span></li>'
        f'<li><b>{still("check")}</b> {still("check_numbers")} '
        f'<span class="cs-of-photo">{still("check_photo")}</span></li></ol>'
        f'<p class="cs-hint cs-of-photo">{still("new_here")}</p></section>'
    )


def _panel(kind: str, inside: str, busy: bool = False) -> str:
    """busy: whether more is to come of it."""
    more = ' aria-busy="true"' if busy else ""
    return f'<section class="cs-panel {kind}" aria-label="{say("answer.label")}"{more}>{inside}</section>'


def working(message: str) -> str:
    """What stands in the answer's place while a question is worked on."""
    said = f'<p><span class="cs-pulse" aria-hidden="true"></span>{escape(message)}</p>'
    return _panel("cs-working", said, busy=True)


def partial_answer(
    text: str, passages: Sequence[Evidence], question: str = "", own: str | None = None
) -> str:
    """The answer so far, and once it is complete what the model says so far without the evidence."""
    said = f'<p class="cs-said" dir="auto">{_cited(in_words(text), _titles(passages))}</p>'
    return _panel("cs-answer", f"<h2>{say('answer.heading')}</h2>{_asked(question)}{said}{_own(own)}", busy=True)


def _take(key: str) -> str:
    """Links to the answer's files (app/web/taken_answers.py), beside the page's own address."""
    page = say("answer.page")
    kinds = (("answer.md", "Markdown"), ("sources.bib", "BibTeX"), ("answer.json", "JSON"), ("answer.html", page))
    links = "".join(f'<a href="answers/{escape(key)}/{name}" download>{kind}</a>' for name, kind in kinds)
    return f'<span class="cs-take">{say("answer.save")} {links}</span>'


def final_answer(result: Result, key: str = "") -> str:
    """The whole answer, or calmly that there is none, with what it took. key: by which it can be sent to annotation,
    which it cannot without one."""
    titles = _titles(result.passages)
    said = _said(_in_words(result), titles, result.answer.statements)
    if result.answer.answered:
        heading, kind = "answer.heading", "cs-answer"
    else:
        heading = "answer.disagree" if result.answer.reason == DISAGREE else "answer.none"
        heading = "answer.broke_off" if result.answer.broken else heading
        kind = "cs-abstained"
        reason = escape(in_words(result.answer.reason.strip().rstrip(".")))
        if not said.strip():
            said = say("answer.silent_why", reason=reason) if reason else say("answer.silent")
    send = ""
    if key and not result.answer.broken:
        send = _take(key) + (
            f'<button type="button" class="cs-send" data-answer="{escape(key)}">{say("answer.send")}</button>'
        )
    notes = f'<div class="cs-foot"><p class="cs-timing">{_timing(result)}</p>{send}</div>'
    if result.indexed < result.total:
        done = say("answer.so_far", done=number(result.indexed), total=number(result.total))
        notes = f'<p class="cs-note">{done}</p>{notes}'
    advice = "" if result.answer.answered else f'<p class="cs-note">{_advice(result)}</p>'
    searched = ""
    if result.searched and result.searched != result.question:
        searched = f'<p class="cs-searched">{say("answer.searched")} <q dir="auto">{escape(result.searched)}</q></p>'
    return _panel(
        kind,
        f"<h2>{say(heading)}</h2>{_asked(result.question)}{searched}"
        f"{_shown(result)}{_support(result.answer.statements)}"
        f'<p class="cs-said" dir="auto"{_spoken_in(result)}>{said}</p>'
        f"{advice}{_own(result.own)}{_candidates(result.answer.candidates, titles)}{notes}",
    )


def _in_words(result: Result) -> str:
    """The answer's text: what is said in place of an answer is the program's own, and nobody's statement."""
    text = result.answer.text
    return text if result.answer.answered or result.answer.statements else in_words(text)


def _spoken_in(result: Result) -> str:
    """The attribute that says which language the answer is in; nothing where that is not known."""
    text = result.answer.text
    if not result.answer.answered and not result.answer.statements:
        code = "en" if in_words(text) == text else speaking().code
    else:
        numbers = {each.number for each in result.answer.citations}
        cited = next((each.language for each in result.passages if each.rank in numbers), "")
        code = _CODES.get(language(text), "en" if cited == "simple" else cited)
    return f' lang="{code}"' if _TAG.fullmatch(code) else ""


def _advice(result: Result) -> str:
    """What can be done where there is no answer."""
    if result.answer.broken:
        return f"{say('answer.as_far')} {escape(in_words(result.answer.broken))}"
    if result.answer.reason == DISAGREE:
        return say("answer.read_each")
    if result.subject is not None and result.subject.awaited:  # only waiting helps, and the answer says so
        todo = ""
    elif result.answer.named:  # no photo makes its passage say more
        todo = say("answer.other_words")
    else:
        todo = say("answer.closer_photo" if result.photo else "answer.name_it")
    return f"{say('answer.nearest')} {todo}".rstrip() if result.passages else todo


def unanswered(question: str) -> str:
    """What stands in the answer's place when evidence was found and then something went wrong."""
    said = f'{_asked(question)}<p class="cs-note">{say("answer.ask_again")}</p>'
    return _panel("cs-abstained", f"<h2>{say('answer.no_answer')}</h2>{said}")


def broken_off(answer: str) -> str:
    """An answer as far as it came, when no more will come of it."""
    said = "cs-said" in answer
    note = (
        f'<p class="cs-note">{say("answer.broken_partly" if said else "answer.broken_unbegun")} '
        f'<button type="button" class="cs-retry" data-again="#cs-ask">{say("notice.retry")}</button></p>'
    )
    if not said:
        return _panel("cs-abstained", note)
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
    # Where there are so many, no more are kept, and nobody knows how many there were.
    count = counted("answer.earlier_last" if len(turns) >= MAX_TURNS else "answer.earlier", len(turns))
    return f'<details class="cs-earlier"><summary>{count}</summary><ol>{items}</ol></details>'


def _asked(question: str) -> str:
    return f'<p class="cs-asked" dir="auto">{escape(question)}</p>' if question else ""


def _shown(result: Result) -> str:
    """What the photo shows, as far as anybody can tell, or that it has no part in the answer."""
    if result.left_out:
        return f'<p class="cs-subject">{say("answer.left_out")}</p>'
    said = "" if result.subject is None else result.subject.said()
    lines = [say("answer.shows", subject=in_words(said))] if said else []
    if result.text is not None and result.text.cut and not result.text.corrected:
        lines.append(say("answer.more_text"))
    lines += [in_words(result.unread)] if result.unread else []
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
            f'<span class="cs-tag">{say(_TAGS[each.support])}</span>'
        )
        done = each.end
    return "".join(pieces) + _cited(text[done:], titles)


def _support(statements: Sequence[Statement]) -> str:
    """How many of an answer's sentences are from the evidence; nothing where it only quotes."""
    if not statements:
        return ""
    count = len(statements)
    lines = []
    for kind, key in ((UNSUPPORTED, "answer.unsupported"), (UNCHECKED, "answer.unchecked")):
        such = sum(each.support == kind for each in statements)
        if such:
            lines.append(counted(key, such, of=number(count)) if count > 1 else say(f"{key}_alone"))
    if not lines:
        lines.append(counted("answer.supported", count))
    return f'<p class="cs-note cs-support">{" ".join(lines)}</p>'


def _own(text: str | None) -> str:
    if text is None:
        return ""
    return (
        f'<div class="cs-own"><h3>{say("answer.own")}</h3>'
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
        f'<div class="cs-candidates"><h3>{say("answer.candidates")}</h3><table><thead><tr>'
        f'<th scope="col"><span class="cs-sr">{say("answer.passage")}</span></th>'
        f'<th scope="col">{say("answer.answer")}</th><th scope="col">{say("answer.right_passage")}</th>'
        f'<th scope="col">{say("answer.from_it")}</th><th scope="col">{say("answer.both")}</th>'
        f"</tr></thead><tbody>{rows}</tbody></table>"
        f'<p class="cs-hint">{say("answer.candidates_hint")}</p></div>'
    )


def _share(probability: float) -> str:
    return f"&lt;{percent(0.01)}" if 0 < probability < 0.005 else percent(probability)


def _timing(result: Result) -> str:
    timings = {step: spent for step, spent in result.timings.items() if result.photo or step != "load"}
    how = "answer.took_known" if result.cached else "answer.took"
    line = timing_line(timings, "answer.took_broken" if result.answer.broken else how)
    if result.answerer in ("", "extractive"):
        return line
    return say("answer.by", took=line, model=escape(result.answerer))


def timing_line(timings: dict[str, float], how: str = "answer.took") -> str:
    """'Answered in 0.6 s: photo 90 ms, search 40 ms' from milliseconds by step."""
    total = timings.get("total", sum(timings.values()))
    steps = [
        say("answer.step", step=say(f"step.{step}"), spent=f"{timings[step]:.0f}")
        for step in _STEPS
        if timings.get(step, 0) >= 0.5
    ]
    took = say(how, seconds=number(total / 1000, 1))
    return say("answer.took_steps", took=took, steps=say("comma").join(steps)) if steps else took
