"""What the page shows of a question while it is answered: from each step of the service to what stands in each place.

Knows nothing of turns, of who still listens, or of how an answer comes about.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from app.limits import MAX_TURNS
from app.service.questions import QUESTIONS_ALONE
from app.service.results import WHOLE, EvidenceFound, PartialOwn, PartialText, PictureMatch, Result, Step
from app.web import notices
from app.web.ask import answer_html, evidence_html, heat_maps
from app.web.ask.evidence_html import HeatMap, PictureHeat
from app.web.conversations import Kept
from app.web.error_sentences import may_go_better, sentence_for
from app.web.languages import in_words, say
from app.web.request_files import NOT_HERE
from generator.answers import Citation, Turn

PLACES = ("answer", "evidence", "figure", "problem", "earlier", "turns", "text")
EACH = "each"  # how the model answers: of each passage alone


def told(**places: Any) -> tuple[Any, ...]:
    """What stands in each of PLACES now; those that are left out stay as they are."""
    return tuple(places.get(place, gr.skip()) for place in PLACES)


@dataclass(frozen=True)
class PageQuestion:
    """A question as a page sends it. region: "left,top,right,bottom" as fractions of the photo, "" for all of it.
    number: of the question, from 1. conversation: the id by which it is kept. session: of the page. text: what stands
    in the photo, as it was read or as the person says; "" where that is not known yet."""

    photo: str | None
    question: str | None
    corpora: Sequence[str] | None = None
    passages: float = 5
    region: str | None = ""
    each: str | None = None
    own: bool | None = False
    turns: Sequence[Turn] = ()
    number: float | None = None
    conversation: str | None = None
    session: str = ""
    text: str | None = ""

    def lacking(self, photos: bool = True) -> str:
        """What is missing for it to be asked, as a sentence; "" for nothing. photos: whether it comes with a photo."""
        return lacking(self.photo, self.question, photos)

    def part(self) -> tuple[float, ...] | None:
        """What the page's script wrote of the region; None for all of the photo. The service refuses nonsense."""
        if not self.region:
            return None
        try:
            return tuple(float(edge) for edge in self.region.split(","))
        except ValueError:
            return (math.nan,)

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Those of `AnswerService.ask`."""
        how = {"turns": self.turns, "region": self.part(), "each": self.each == EACH, "own": bool(self.own)}
        how["text"] = self.text if (self.text or "").strip() else None
        return (self.photo, self.question, self.corpora or None, int(self.passages)), how


def lacking(photo: str | None, question: str | None, photos: bool = True) -> str:
    if not photos:
        nothing = "" if (question or "").strip() else say("notice.type_first")
        return in_words(QUESTIONS_ALONE) if photo else nothing
    if not photo:
        return say("notice.photo_first")
    if not Path(photo).is_file():
        return in_words(NOT_HERE)
    if not (question or "").strip():
        return say("notice.question_first")
    return ""


def left_as(kept: Kept) -> str:
    """The answer of a conversation as it was left; what stands in its place before the first question."""
    answer = kept.answer or answer_html.empty_answer()
    return answer if kept.complete else answer_html.broken_off(answer)


@dataclass
class AnswerShown:
    """What the page shows of a question so far. before: what it showed before the question was asked. key: by which the
    answer, once it is whole, can be sent to annotation."""

    asked: PageQuestion
    before: Kept = Kept()
    run: str = field(default_factory=lambda: secrets.token_hex(4))
    key: str = field(default_factory=lambda: secrets.token_hex(16))
    found: EvidenceFound | None = None
    maps: dict[int, HeatMap] = field(default_factory=dict)
    alike: dict[int, PictureHeat] = field(default_factory=dict)
    photo: str = ""  # as an address
    said: str = ""
    loading: str = ""

    def begun(self) -> tuple[Any, ...]:
        working = answer_html.working(say("notice.looking" if self.asked.photo else "notice.searching"))
        return told(answer=working, evidence="", earlier=answer_html.earlier(self.asked.turns))

    def waits(self, loading: str) -> tuple[Any, ...]:
        """When nothing new has come; loading: what is being loaded meanwhile, as a sentence, "" for nothing."""
        before, self.loading = self.loading, loading
        if self.said or loading == before:
            return told()
        return told(answer=answer_html.working(in_words(loading) or say("notice.reading")))

    def after(self, step: Step) -> tuple[Any, ...]:
        """What is told of a step of the service."""
        asked = self.asked
        if isinstance(step, EvidenceFound):
            self.found, self.maps = step, heat_maps_of(step)
            self.photo = heat_maps.photo_address(step.photo) if self.maps else ""
            reading = answer_html.working(say("notice.reading"))
            return told(answer=reading, evidence=self._cards((), 1), figure=self._figure(1))
        if isinstance(step, PartialText | PartialOwn):
            own = step.text if isinstance(step, PartialOwn) else None
            self.said = self.said if isinstance(step, PartialOwn) else step.text
            return told(answer=answer_html.partial_answer(self.said, self.found.passages, asked.question, own))
        return self._whole(step)

    def _whole(self, result: Result) -> tuple[Any, ...]:
        citations = result.answer.citations if result.answer.speaks else ()
        selected = citations[0].number if citations else 1
        self.alike = {match.rank: picture_heat(match) for match in result.matches}
        return told(
            answer=answer_html.final_answer(result, self.key),
            evidence=self._cards(citations, selected),
            figure=self._figure(selected),
            problem="",
            turns=[*self.asked.turns, result.turn()][-MAX_TURNS:],
            **self._read(result),
        )

    def _read(self, result: Result) -> dict[str, str]:
        """What was read in the photo, for the person to correct; what they wrote there stays."""
        if result.text is None or result.text.corrected:
            return {}
        return {"text": "\n".join(line.text for line in result.text.lines)}

    def failed(self, problem: Exception) -> tuple[Any, ...]:
        """Whatever it was, the person gets a sentence, and keeps what was found."""
        sentence = notices.error(sentence_for(problem), "#cs-ask" if may_go_better(problem) else "")
        if self.found is not None and self.found.passages:
            return told(answer=answer_html.unanswered(self.asked.question), problem=sentence)
        before = self.before
        was = {"answer": left_as(before), "evidence": before.evidence, "earlier": before.earlier}
        if before.figure or not self.asked.turns:
            was["figure"] = before.figure
        return told(problem=sentence, **was)

    def _cards(self, citations: Sequence[Citation], selected: int) -> str:
        found = self.found
        shown = (selected, bool(self.maps), self.alike, found.reranked, found.unsearched)
        return evidence_html.evidence(self.run, found.passages, found.searched, citations, *shown)

    def _figure(self, selected: int) -> str:
        titles = {passage.rank: passage.title for passage in self.found.passages}
        part = self.asked.part() or WHOLE
        return evidence_html.photo_figure(self.run, self.photo, self.maps, titles, selected, part) if self.maps else ""


def picture_heat(match: PictureMatch) -> PictureHeat:
    return PictureHeat(match.number, heat_maps.heat_address(match.where), heat_maps.where(match.where))


def heat_maps_of(found: EvidenceFound) -> dict[int, HeatMap]:
    """A heat map by rank, for the passages that have one."""
    heat, area = found.heat(), found.query.area
    return {
        rank: HeatMap(heat_maps.heat_address(shares, area), heat_maps.where(shares, area), len(heat) == 1)
        for rank, shares in heat.items()
    }
