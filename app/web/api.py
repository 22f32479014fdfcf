"""`/ask`: the page's question for programs, with plain values in and one JSON object out.

Knows nothing of what the page shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from app.limits import MAX_SAID, MAX_TURNS
from app.web.request_files import Photo
from common.images import ACCEPTED
from common.problems import BadRequest
from generator.answers import Turn


def add_endpoint(ask: Callable[..., Any], photo: Photo, question: gr.Textbox, passages_found: int) -> None:
    """Adds it to the page that is being built. passages_found: where a program does not say how many."""
    corpora = gr.Dropdown(
        [], multiselect=True, allow_custom_value=True, value=[], label="corpora", visible=False
    )
    passages = gr.Number(passages_found, precision=0, label="passages", visible=False)
    region = gr.JSON(None, label="region", visible=False)
    earlier = gr.JSON(None, label="earlier", visible=False)
    each = gr.Checkbox(False, label="each", visible=False)
    own = gr.Checkbox(False, label="own", visible=False)
    text = gr.Textbox(None, label="text", visible=False)
    answer = gr.JSON(visible=False, label="result")
    gr.Button(visible=False).click(
        ask,
        [photo, question, corpora, passages, region, earlier, each, own, text],
        answer,
        api_name="ask",
        api_description="Answer a question about a photo from the indexed passages, with citations. "
        f"image: the file of a photo, as {ACCEPTED}. "
        "corpora: names of the collections to search, empty for the usual one. passages: how many to find. "
        "region: the part of the photo that is asked about, [left, top, right, bottom] as fractions of it. "
        "earlier: what earlier answers of the conversation hold as `turn`, in a list, oldest first. "
        "each: ask the model of each passage alone. own: say too what it answers without any passage. "
        "text: what is written in the photo; where it is left out, that is read, if the settings say so.",
        concurrency_limit=None,
    )


def turns_from(earlier: Any) -> list[Turn]:
    """The turns of a conversation as a program sent them. Raises Problem."""
    wrong = BadRequest("The earlier turns must be a list of objects with question and answer.")
    if not isinstance(earlier or [], list):
        raise wrong
    turns = []
    for said in (earlier or [])[-MAX_TURNS:]:
        if not isinstance(said, dict):
            raise wrong
        parts = (said.get("question"), said.get("answer"), said.get("subject", ""), said.get("photo", ""))
        if not all(isinstance(part, str) for part in parts):
            raise wrong
        turns.append(Turn(*(part[:MAX_SAID] for part in parts)))
    return turns


def corpora_from(said: Any) -> list[str] | None:
    """The names of corpora that a program sent, None where it sent none. Raises Problem."""
    if not isinstance(said or [], list) or not all(isinstance(name, str) for name in said or []):
        raise BadRequest("The corpora must be a list of names.")
    return said or None
