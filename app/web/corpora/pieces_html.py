"""Pieces of HTML that the Corpora page's cards and its documents are both made of. Pure functions.

What is given is untrusted and goes through `escape`, unless it says that it is HTML. Knows nothing of corpora.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.web.escaping import escape
from kb.records import UNKNOWN_LANGUAGE

BEGINNING = 400  # characters of a text that are shown before it is opened


def button(do: str, value: str, text: str, sure: str = "", kind: str = "corpus") -> str:
    """A button that app/web/static/corpora.js turns into a command; with `sure`, after that has been asked."""
    asked = f' data-sure="{escape(sure)}"' if sure else ""
    key = f"{do} {escape(value)}"
    return (
        f'<button type="button" class="cc-do" data-do="{do}" data-{kind}="{escape(value)}" data-key="{key}"{asked}>'
        f"{escape(text)}</button>"
    )


def quiet(text: str) -> str:
    """What is said beside the thing itself; nothing for an empty text."""
    return f'<p class="cc-quiet" dir="auto">{escape(text)}</p>' if text else ""


def in_a_row(facts: Sequence[str]) -> str:
    """Facts, which are HTML already, in a row."""
    return f'<ul class="cc-facts">{"".join(f"<li>{fact}</li>" for fact in facts if fact)}</ul>'


def known_language(language: str) -> str:
    """The language of texts, "" where nobody knows it."""
    return "" if language in ("", UNKNOWN_LANGUAGE) else language


def shortened(text: str, most: int = BEGINNING) -> str:
    """At most so many characters of a text."""
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
