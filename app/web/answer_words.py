"""What pages of an answer that stand alone say, in the language that is spoken. Knows nothing of how they are made."""

from __future__ import annotations

from dataclasses import fields, replace

from app.service.answer_formats import Told
from app.service.answer_page import Words
from app.web.languages import in_words, say, speaking


def words() -> Words:
    here = speaking()
    named = {each.name for each in fields(Words)} - {"language", "direction"}
    return Words(here.code, here.direction, **{name: say(f"page.{name}", **_LATER) for name in named})


# Values that the page itself puts in.
_LATER = {name: f"{{{name}}}" for name in ("reason", "corpora", "answerer")}


def told_in_words(told: Told) -> Told:
    """With what is said in place of an answer in that language too."""
    if told.answered:
        return told
    return replace(told, text=in_words(told.text), reason=in_words(told.reason))
