"""Questions in another language than the passages: searched for in that of the passages, where a model can say them in
it; and where there is no answer, it is told why.

Knows nothing of how a language is recognised, or of models.
"""

from __future__ import annotations

from dataclasses import replace

from app.service.trace import Trace
from generator.answers import Answer
from generator.grounding.language import UNKNOWN, asked_in_another, called
from kb.catalogue import Catalogue


def for_the_search(catalogue: Catalogue, trace: Trace) -> str:
    """The question as it is to be searched for: as it was asked, unless that is in another language than all passages
    are in. What cannot be said in theirs stays as it is."""
    told = called(info.language for info in catalogue.corpora() if info.name in trace.names)
    if told == UNKNOWN or not asked_in_another(trace.asked, told):
        return trace.asked
    return trace.answerer.translated(trace.asked, told)


def explained(trace: Trace) -> Answer | None:
    """The answer; where quotes alone are looked for, and the language is why there is none, it says so."""
    answer = trace.answer
    if answer is None or answer.answered or trace.answerers.own is not None:
        return answer
    told = called(passage.language for passage in trace.passages)
    if told == UNKNOWN or not asked_in_another(trace.asked, told):
        return answer
    why = f"The question seems to be in another language than the passages, which are in {told}: ask in {told}."
    return replace(answer, text=f"{answer.text} {why}")
