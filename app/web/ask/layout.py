"""What stands on the Ask page and where. Knows nothing of what happens when it is used; see wiring.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from app.settings import Settings
from app.web.ask import answer_html, heat_maps
from app.web.ask.answering import EACH
from app.web.components import Ticked, html, label
from app.web.languages import say, still, still_sentence
from app.web.request_files import Photo
from common.images import load_image
from common.problems import Problem
from retriever.encoders.registry import PROFILES, takes_photos
from retriever.reading.photo_text import MOST_CHARACTERS

MOST_PASSAGES = 20  # the slider's end; the API takes as many as the service does
TOGETHER = "together"  # how the model answers
THUMBNAIL = 88  # pixels of an example's picture, shown half as large for screens that have more of them
SELECT = '<button type="button" class="cs-select" aria-pressed="false"></button>'  # which part.js names

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
    with gr.Tab(label("tab_ask"), elem_id="tab-ask") as tab:
        status = html(elem_id="cs-status")
    photos = known_photos(settings)
    with tab, gr.Row(elem_id="cs-main", elem_classes=[] if photos else ["cs-no-photos"]):
        with gr.Column(elem_id="cs-left"):
            typed = _typed(photos)
            if settings.question_log:
                html(logged_for(settings.question_log_days), elem_id="cs-logged")
            tries = _tries(settings, examples if photos else [])
            where = _where(settings)
        with gr.Column(elem_id="cs-right"):
            earlier = html(elem_id="cs-earlier")
            answer = html(answer_html.empty_answer(), elem_id="cs-answer")
            evidence = html(elem_id="cs-evidence")
            html(kept_for(settings.keep_hours), elem_id="cs-kept")
    return Controls(
        tab=tab,
        status=status,
        tries=tries,
        earlier=earlier,
        answer=answer,
        evidence=evidence,
        turns=gr.State(None, time_to_live=int(settings.keep_seconds)),
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
        label=label("photo"),
        height=300,
        buttons=[],
        alt_text="Your photo",  # which page.js says in the page's language
        placeholder=label("drop"),
        elem_id="cs-photo",
        visible=photos,
    )
    figure = html(elem_id="cs-figure")
    alone = f'<p class="cs-hint">{still("alone")}</p>'
    html(SELECT if photos else alone, elem_id="cs-part" if photos else "cs-alone")
    text = gr.Textbox(
        label=label("read"),
        info=label("read_info"),
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
        "region": gr.Textbox(label=label("part"), elem_id="cs-region"),  # in the page, for its script
        "text": text,
        "number": gr.Number(0, visible=False),
        "conversation": gr.Textbox("", visible="hidden"),
        "question": gr.Textbox(
            label=label("question"),
            placeholder=label("ask_about_it" if photos else "ask_anything"),
            lines=1,
            max_lines=4,
            elem_id="cs-question",
        ),
        "ask": gr.Button(label("ask"), variant="primary", elem_id="cs-ask"),
        "stop": gr.Button(label("stop"), elem_id="cs-stop"),
        "new": gr.Button(label("new"), size="sm", elem_id="cs-new"),
        "problem": html(elem_id="cs-problem"),
    }


def logged_for(days: int) -> str:
    """That questions are kept for people, and how long, as HTML."""
    ends = f' {still("logged_days")} <bdi>{days}</bdi>' if days else ""
    return f'<p class="cs-hint">{still("logged")}{ends}</p>'


def kept_for(hours: float) -> str:
    """How long what people bring is kept here, as HTML."""
    return f'<p class="cs-hint">{still("kept_hours")} <bdi>{hours:g}</bdi>\N{NO-BREAK SPACE}{still("hours")}</p>'


def _tries(settings: Settings, examples: Sequence[Example]) -> list[Try]:
    with gr.Column(elem_id="cs-examples", visible=bool(examples)):
        html(f'<h2 class="cs-small">{still("try_one")}</h2>')
        tries = [(_try_button(name, file, text), file, text) for name, file, text in examples]
        # Of two that are asked together, the first says what a photo shows.
        profile = PROFILES.get(settings.profile) or PROFILES.get(settings.profile.partition("+")[0].strip())
        if profile is not None and profile.recognises:
            html(f'<p class="cs-hint">{still_sentence(profile.recognises)}</p>', elem_id="cs-recognises")
    return tries


def _where(settings: Settings) -> dict[str, gr.components.Component]:
    """Where to look and how to answer, by the names of Controls."""
    model = settings.model is not None
    with gr.Accordion(label("where_how" if model else "where"), open=False, elem_id="cs-where"):
        return {
            "corpora": Ticked(
                label=label("collections"),
                info=label("collections_info"),
                choices=[],
                elem_id="cs-corpora",
            ),
            "passages": gr.Slider(
                1,
                MOST_PASSAGES,
                value=min(settings.passages, MOST_PASSAGES),
                step=1,
                label=label("passages"),
                elem_id="cs-passages",
            ),
            "each": gr.Radio(ways(), value=TOGETHER, label=label("each"), visible=model, elem_id="cs-each"),
            "own": gr.Checkbox(False, label=label("own"), visible=model, elem_id="cs-own"),
        }


def ways() -> list[tuple[str, str]]:
    """How the model can answer, as choices in the language that is spoken."""
    return [(say("notice.together"), TOGETHER), (say("notice.each"), EACH)]


def _try_button(name: str, file: Path, text: str) -> gr.Button:
    """A button that asks an example; so does opening the page as `/?example=name`."""
    icon = {"path": "", "url": heat_maps.thumbnail_address(load_image(file), THUMBNAIL)}  # as Gradio serves a file
    return gr.Button(text, icon=icon, size="sm", elem_classes="cs-try", elem_id=f"cs-try-{name}")
