"""Questions in another language than the passages: searched for in that of the passages, where a model can say them in
it; and where there is no answer, it is told why.

Knows nothing of how a language is recognised, or of models.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from app.service.trace import Trace
from generator.answers import Answer
from generator.grounding.language import UNKNOWN, asked_in_another
from kb.catalogue import Catalogue

# Of corpora and passages; "simple" is that of the Wikipedia in simple English.
_CODES = {
    "en": "English", "simple": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian",
    "pt": "Portuguese", "nl": "Dutch", "sv": "Swedish",
}  # fmt: skip


def for_the_search(catalogue: Catalogue, trace: Trace) -> str:
    """The question as it is to be searched for: as it was asked, unless that is in another language than all passages
    are in. What cannot be said in theirs stays as it is."""
    told = _language_of(info.language for info in catalogue.corpora() if info.name in trace.names)
    if told == UNKNOWN or not asked_in_another(trace.asked, told):
        return trace.asked
    return trace.answerer.translated(trace.asked, told)


def explained(trace: Trace) -> Answer | None:
    """The answer; where quotes alone are looked for, and the language is why there is none, it says so."""
    answer = trace.answer
    if answer is None or answer.answered or trace.answerers.own is not None:
        return answer
    told = _language_of(passage.language for passage in trace.passages)
    if told == UNKNOWN or not asked_in_another(trace.asked, told):
        return answer
    why = (
        f"The question seems to be in another language than the passages, which are in {told}: ask in {told}, or set a "
        "model that translates (CITESIGHT_MODEL)."
    )
    return replace(answer, text=f"{answer.text} {why}")


def _language_of(codes: Iterable[str]) -> str:
    """The name of the one language that these stand for."""
    names = {_CODES.get(code.casefold().partition("-")[0], UNKNOWN) for code in codes}
    return names.pop() if len(names) == 1 else UNKNOWN
