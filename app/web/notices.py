"""What both pages tell at any time as HTML: what went wrong, how far the index is, a licence. Pure functions;
the page's own texts, and what of the service's has been translated, are those of the language that is spoken.

Knows nothing of questions or corpora.
"""

from __future__ import annotations

from app.service.job_states import IndexState
from app.service.results import IndexStatus
from app.web.escaping import escape
from app.web.languages import in_words, number, say
from kb.records import UNKNOWN_LICENCE


def licence_said(licence: str) -> str:
    """What is said of a licence, which may not be known; not escaped."""
    return say("notice.licence_unknown") if licence in ("", UNKNOWN_LICENCE) else licence


def error(sentence: str, again: str = "") -> str:
    """A sentence about what went wrong, announced at once; nothing for an empty one.

    again: the selector of the button that Retry presses, which app/web/static/errors.js does; "" for no Retry."""
    retry = ""
    if again:
        retry = f' <button type="button" class="cs-retry" data-again="{escape(again)}">{say("notice.retry")}</button>'
    return f'<p class="cs-error" role="alert">{escape(sentence)}{retry}</p>' if sentence else ""


def anew(words: str, mark: object) -> str:
    """Words that differ from the same ones with another mark: what is set to what it was, a browser leaves as the
    page's script has made of it, which has said that an answer was stopped, or shown an error already."""
    return f"{words}<!-- {escape(str(mark))} -->"


def status_line(status: IndexStatus) -> str:
    """How far the index is; nothing once it is ready."""
    if status.state == IndexState.READY:
        return ""
    message = escape(in_words(status.message))
    if status.state == IndexState.FAILED:
        return f'<div class="cs-status cs-failed" role="alert"><p>{message}</p></div>'
    bar = '<div class="cs-progress cs-unknown" aria-hidden="true"><i></i></div>'
    count = ""
    if status.total > 0:
        share = min(100.0, 100 * status.done / status.total)
        bar = (
            f'<div class="cs-progress" role="progressbar" aria-label="{say("notice.progress")}" aria-valuemin="0" '
            f'aria-valuemax="{status.total}" aria-valuenow="{status.done}">'
            f'<i style="width:{share:.1f}%"></i></div>'
        )
        if status.state != IndexState.STARTING:  # whose message has gigabytes in it; nobody reads bytes
            of = say("notice.of", done=number(status.done), total=number(status.total))
            count = f'<span class="cs-count">{of}</span>'
    return f'<div class="cs-status"><p>{message}{count}</p>{bar}</div>'
