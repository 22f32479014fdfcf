"""Which control of the Ask page does what: its events, those of the browser and those of the server.

Knows nothing of what the handlers do (events.py) or of where the controls stand (layout.py).
"""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from app.web.ask import answer_html
from app.web.ask.events import Asker
from app.web.ask.layout import Controls, ways

QUIET = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
_NOTHING = [answer_html.empty_answer(), "", "", ""]  # of answer, evidence, earlier, figure


def wire(page: gr.Blocks, at: Controls, asker: Asker, looking: dict[str, Any]) -> None:
    """Connects the controls of the page that is being built. looking: the event that tells how far everything is."""
    _asking(at, asker, looking)
    _beginning(at, asker)
    _keeping(page, at, asker)


def _said(at: Controls) -> list[gr.HTML]:
    return [at.answer, at.evidence, at.earlier, at.figure]


def _asking(at: Controls, asker: Asker, looking: dict[str, Any]) -> None:
    asks = [at.ask.click, at.question.submit]
    # The browser does one after the other, so these are done by the first word of the answer.
    gr.on(asks, None, at.number, at.number, js="(number) => window.asking(number)", **QUIET)
    gr.on(asks, asker.wait, [at.photo, at.question, at.number], [at.answer, at.problem], **QUIET)
    how = [at.corpora, at.passages, at.region, at.each, at.own]
    asked = gr.on(
        asks,
        asker.respond_in_turn,
        [at.photo, at.question, *how, at.turns, at.number, at.conversation, at.text],
        [at.answer, at.evidence, at.figure, at.problem, at.earlier, at.turns, at.text, at.conversation],
        show_progress="hidden",
        concurrency_limit=None,  # see Turns
        api_visibility="private",
        trigger_mode="always_last",  # one answer at a time in these places, and the last stands
    )
    asked.failure(None, js="() => window.brokenOff()")
    # Again once it has ended, since words that were on their way may have come after the script's.
    keep = [gr.skip()] * len(_NOTHING)
    last = f"() => (window.stopped(true), window.begunAnew() ? {json.dumps(_NOTHING)} : {json.dumps(keep)})"
    asked.then(None, None, _said(at), js=last, **QUIET)
    # A question can set indexing going again.
    asked.then(**looking)


def _beginning(at: Controls, asker: Asker) -> None:
    """Stopping an answer, and leaving it for another photo, an example or a new conversation."""
    # In the browser, and before anything that asks the server: later it would take away what was done meanwhile. What
    # is asked meanwhile waits for the id and the turns of the new conversation.
    anew = f"() => (window.beginAnew(), {json.dumps([*_NOTHING, '', '', '', ''])})"
    fresh = {"inputs": None, "outputs": [*_said(at), at.region, at.problem, at.unfit, at.text], "js": anew, **QUIET}
    say = "(number) => (window.stopped(), number)"
    end = {"inputs": at.number, "outputs": None, "js": say, **QUIET}
    begun = {"js": "() => window.begun()", **QUIET}
    at.stop.click(asker.end, **end)
    for happens in (at.new.click, at.photo.upload, at.photo.clear, *(button.click for button, _, _ in at.tries)):
        happens(None, **fresh)
        happens(asker.end, **end)  # else the answer would write itself, and its turn, over what is begun anew
    started = [at.turns, at.conversation]
    each = {"trigger_mode": "multiple", **QUIET}  # also while the one before is under way
    at.new.click(asker.begin, at.photo, started, **each).then(None, **begun)
    looked = at.photo.upload(asker.check_photo, at.photo, [*started, at.photo, at.unfit], **each)
    looked.then(None, js="() => window.begun('script.photo_there')", **QUIET)
    at.photo.clear(asker.begin, None, started, **each).then(None, **begun)
    for button, file, text in at.tries:
        chosen = button.click(asker.example(file, text), None, [*started, at.photo, at.question], **each)
        chosen.then(None, js="() => window.begun('', true)", **QUIET)


def _keeping(page: gr.Blocks, at: Controls, asker: Asker) -> None:
    """What the page showed before it was loaded anew, and the example that its address asks for."""
    shown = [at.conversation, at.photo, at.question, at.region, at.answer, at.evidence, at.figure, at.unfit]
    restored = [*shown, at.earlier, at.turns, at.text]
    which = "() => window.conversation()"
    asked = page.load(asker.restore, [at.conversation, at.question], restored, js=which, **QUIET)
    before = [at.question, *_said(at)]
    forgotten = f"(question, answer) => window.shownBefore(question, answer) ?? {json.dumps([gr.skip()] * len(before))}"
    asked.then(None, [at.question, at.answer], before, js=forgotten, **QUIET)
    at.conversation.change(None, at.conversation, None, js="(id) => window.named(id)", **QUIET)
    if at.each.visible:  # Gradio translates no choices
        page.load(lambda: gr.Radio(choices=ways()), None, at.each, **QUIET)
    page.load(None, js="() => window.openExample()")
