"""What stands on the Ask page and where. Knows nothing of what happens when it is used; see wiring.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from app.settings import UPLOAD_OLD, Settings
from app.web.ask import answer_html, heat_maps
from app.web.ask.answering import EACH
from app.web.components import Ticked, html
from app.web.request_files import Photo
from common.images import load_image
from common.problems import Problem
from retriever.encoders.registry import PROFILES, takes_photos
from retriever.reading.photo_text import MOST_CHARACTERS

MOST_PASSAGES = 20  # the slider's end; the API takes as many as the service does
TOGETHER = "From all passages together"
THUMBNAIL = 88  # pixels of an example's picture, shown half as large for screens that have more of them
ALONE = '<p class="cs-hint">This retriever reads only the question.</p>'
SELECT = '<button type="button" class="cs-select" aria-pressed="false">Select a part</button>'

Example = tuple[str, Path, str]  # name, photo, question
Try = tuple[gr.Button, Path, str]


@dataclass(frozen=True)
class Controls:
    """What the events read and write. unfit: what is wrong with the photo. region: the chosen part, filled by part.js.
    text: what was read in the photo. number: how many questions this page has asked (Asker.end). conversation: its id,
    by which it is kept (kept.js). earlier, answer, evidence, figure, problem, status: HTML."""

    tab: gr.Tab
    status: gr.HTML
    photo: Photo
    figure: gr.HTML
    unfit: gr.HTML
    text: gr.Textbox
    region: gr.Textbox
    number: gr.Number
    conversation: gr.Textbox
    question: gr.Textbox
    ask: gr.Button
    stop: gr.Button
    new: gr.Button
    problem: gr.HTML
    tries: list[Try]
    corpora: Ticked
    passages: gr.Slider
    each: gr.Radio
    own: gr.Checkbox
    earlier: gr.HTML
    answer: gr.HTML
    evidence: gr.HTML
    turns: gr.State


def lay_out(settings: Settings, examples: Sequence[Example]) -> Controls:
    """Puts them, in their tab, into the page that is being built."""
    with gr.Tab("Ask") as tab:
        status = html(elem_id="cs-status")
    photos = known_photos(settings)
    with tab, gr.Row(elem_id="cs-main", elem_classes=[] if photos else ["cs-no-photos"]):
        with gr.Column(elem_id="cs-left"):
            typed = _typed(photos)
            if settings.question_log:
                html(LOGGED, elem_id="cs-logged")
            tries = _tries(settings, examples if photos else [])
            where = _where(settings)
        with gr.Column(elem_id="cs-right"):
            earlier = html(elem_id="cs-earlier")
            answer = html(answer_html.empty_answer(), elem_id="cs-answer")
            evidence = html(elem_id="cs-evidence")
    return Controls(
        tab=tab,
        status=status,
        tries=tries,
        earlier=earlier,
        answer=answer,
        evidence=evidence,
        turns=gr.State([], time_to_live=int(UPLOAD_OLD)),
        **typed,
        **where,
    )


def known_photos(settings: Settings) -> bool:
    """Whether questions may have a photo, as far as is known before the encoder is there."""
    try:
        return takes_photos(settings.profile)
    except Problem:  # which loading it will tell
        return True


def _typed(photos: bool) -> dict[str, gr.components.Component]:
    """The photo, the question and what is pressed, by the names of Controls; what is computed first is above. photos:
    whether a question may have one."""
    photo = Photo(
        type="filepath",
        sources=["upload", "clipboard", "webcam"],
        label="Photo",
        height=300,
        buttons=[],
        alt_text="Your photo",
        placeholder="Drop a photo here\nor click to choose one",
        elem_id="cs-photo",
        visible=photos,
    )
    figure = html(elem_id="cs-figure")
    html(SELECT if photos else ALONE, elem_id="cs-part" if photos else "cs-alone")
    text = gr.Textbox(
        label="Read from the photo",
        info="If this is wrong, correct it and ask again; emptied, it is read anew.",
        placeholder=" ",  # by which the page's style knows that there is nothing, and hides it
        lines=1,
        max_lines=4,
        max_length=MOST_CHARACTERS,
        elem_id="cs-text",
    )
    return {
        "photo": photo,
        "figure": figure,
        "unfit": html(elem_id="cs-unfit"),
        "region": gr.Textbox(label="Part of the photo", elem_id="cs-region"),  # in the page, for its script
        "text": text,
        "number": gr.Number(0, visible=False),
        "conversation": gr.Textbox("", visible="hidden"),
        "question": gr.Textbox(
            label="Question",
            placeholder="What would you like to know about it?" if photos else "What would you like to know?",
            lines=1,
            max_lines=4,
            elem_id="cs-question",
        ),
        "ask": gr.Button("Ask", variant="primary", elem_id="cs-ask"),
        "stop": gr.Button("Stop", elem_id="cs-stop"),
        "new": gr.Button("New conversation", size="sm", elem_id="cs-new"),
        "problem": html(elem_id="cs-problem"),
    }


LOGGED = '<p class="cs-hint">What is asked here is kept, with its photo, and may be judged by people.</p>'


def _tries(settings: Settings, examples: Sequence[Example]) -> list[Try]:
    with gr.Column(elem_id="cs-examples", visible=bool(examples)):
        html('<h2 class="cs-small">Try one</h2>')
        tries = [(_try_button(name, file, text), file, text) for name, file, text in examples]
        # Of two that are asked together, the first says what a photo shows.
        profile = PROFILES.get(settings.profile) or PROFILES.get(settings.profile.partition("+")[0].strip())
        if profile is not None and profile.recognises:
            html(f'<p class="cs-hint">{profile.recognises}</p>', elem_id="cs-recognises")
    return tries


def _where(settings: Settings) -> dict[str, gr.components.Component]:
    """Where to look and how to answer, by the names of Controls."""
    model = settings.model is not None
    with gr.Accordion("Where to look, how to answer" if model else "Where to look", open=False, elem_id="cs-where"):
        return {
            "corpora": Ticked(
                label="Collections",
                info="With none ticked, the usual one is searched.",
                choices=[],
                elem_id="cs-corpora",
            ),
            "passages": gr.Slider(
                1,
                MOST_PASSAGES,
                value=min(settings.passages, MOST_PASSAGES),
                step=1,
                label="Passages to find",
                elem_id="cs-passages",
            ),
            "each": gr.Radio(
                [TOGETHER, EACH], value=TOGETHER, label="How the model answers", visible=model, elem_id="cs-each"
            ),
            "own": gr.Checkbox(
                False, label="Also show what the model says without the evidence", visible=model, elem_id="cs-own"
            ),
        }


def _try_button(name: str, file: Path, text: str) -> gr.Button:
    """A button that asks an example; so does opening the page as `/?example=name`."""
    icon = {"path": "", "url": heat_maps.thumbnail_address(load_image(file), THUMBNAIL)}  # as Gradio serves a file
    return gr.Button(text, icon=icon, size="sm", elem_classes="cs-try", elem_id=f"cs-try-{name}")
