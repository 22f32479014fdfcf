"""The form that adds a corpus: a choice of sources and the boxes that the chosen one wants.

Choices and boxes are those of the kinds of source (kb/sources/kinds.py), and files from the browser's device. What
they say of themselves in English is said in the language of the page. Knows nothing of what becomes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from app.web.components import I18N, html, label
from app.web.corpora import corpora_html
from app.web.languages import in_words, key_of, say, still
from app.web.request_files import Files
from common.problems import BadRequest
from kb.sources.folder import PAGES
from kb.sources.kinds import COMMON, FLAG, LANGUAGE, LICENCE, NAMED, TICKED, Field, SourceKind
from kb.sources.registry import KINDS, Asked

UPLOAD = "Files from this device"
MOST_TYPED = 2_000  # characters in a box; what is too long for a name is refused and not cut
_UPLOADED = (PAGES, NAMED, LICENCE, LANGUAGE)
_SOURCE = "source."


def choices() -> list[tuple[str, str]]:
    """What can be chosen: as it is said in the language that is spoken, and by its own name."""
    return [(translated(each), each) for each in (UPLOAD, *dict.fromkeys(kind.label for kind in KINDS.values()))]


def boxes() -> list[Field]:
    """A field for each box, those of the kinds alone first."""
    fields = {field.name: field for field in COMMON}
    own = {field.name: field for kind in KINDS.values() for field in kind.fields if field.name not in fields}
    return [*own.values(), *fields.values()]


def build(preview: Callable[..., Any], start: Callable[..., Any], shown: list[Any], quiet: dict[str, Any]) -> None:
    """The form, within its context; `shown` are the list of corpora and the timer."""
    with gr.Accordion(label("add"), open=False, elem_id="cc-add"):
        choice = gr.Dropdown(choices(), value=UPLOAD, label=label("from"), elem_id="cc-kind", filterable=False)
        with gr.Column(elem_id="cc-from-files") as from_files:
            files = Files(label=label("files"), file_count="multiple", height=140, elem_id="cc-files")
            html(f'<p class="cc-quiet">{still("taken")}</p>')
        fields = boxes()
        typed = [_box(field, visible=field in _UPLOADED) for field in fields if field not in COMMON]
        with gr.Row(elem_id="cc-about"):
            typed += [_box(field) for field in fields if field in COMMON]
        with gr.Row(elem_id="cc-begin"):
            look = gr.Button(label("preview"), elem_id="cc-look")
            begin = gr.Button(label("start"), variant="primary", elem_id="cc-start")
        problem = html(elem_id="cc-unbegun")
        said = html(elem_id="cc-said")
        found = html(elem_id="cc-preview")
    told = [choice, files, *typed]
    gr.on(None, lambda: gr.Dropdown(choices=choices()), None, choice, **quiet)  # Gradio translates no choices
    choice.input(chosen, choice, [from_files, *typed, look, found], **quiet)
    gr.on([files.upload, files.clear], lambda: "", None, found, **quiet)
    look.click(corpora_html.previewing, None, found, **quiet).then(
        preview, told, [problem, found], concurrency_limit=1, **(quiet | {"queue": True})
    )
    begin.click(start, told, [problem, *shown, files, said, found], **quiet)


def chosen(choice: str) -> tuple[Any, ...]:
    """The boxes of a choice. Returns (files' column, the boxes, preview, found).

    What was typed stays: a field that appears can be typed in before all of its new properties have arrived."""
    kinds = _kinds(choice)
    wanted = {field.name: field for field in (kinds[0].fields if kinds else _UPLOADED) if field.on_page}
    return (
        gr.Column(visible=not kinds),
        *(_box(wanted.get(field.name, field), field.name in wanted, translated) for field in boxes()),
        gr.Button(visible=not kinds or kinds[0].preview is not None),
        "",
    )


def asked(choice: str, typed: Sequence[str | bool | None], named: bool = True) -> Asked:
    """What the form asks for; typed: what stands in the boxes; named: whether the corpus must have its name. Raises
    BadRequest for what is missing."""
    kinds = _kinds(choice)
    if not kinds and choice != UPLOAD:
        raise BadRequest("Choose where the corpus comes from.")
    fields = [field for field in (kinds[0].fields if kinds else _UPLOADED) if field.on_page]
    told = dict(zip((box.name for box in boxes()), (TICKED if each is True else each for each in typed), strict=True))
    values = {field.name: (told[field.name] or "").strip()[:MOST_TYPED] for field in fields}
    for field in fields:
        if field.required and not values[field.name] and (named or field.name != NAMED.name):
            fill_in = say("corpora.fill_in", field=translated(field.label))
            raise BadRequest(f"{field.missing} first." if field.missing else fill_in)
    file = values.get("what", "").lower().removesuffix(".gz")
    kind = next((kind for kind in kinds if kind.endings and file.endswith(kind.endings)), None)
    kind = kind or next((kind for kind in kinds if not kind.endings), None)
    return Asked("folder" if kind is None else kind.name, {name: value for name, value in values.items() if value})


def _kinds(choice: str) -> list[SourceKind]:
    return [kind for kind in KINDS.values() if kind.label == choice]


def translated(text: str) -> str:
    """What a kind of source says, in the language that is spoken."""
    return in_words(text, _SOURCE)


def _looked_up(text: str) -> Any:
    """The same for what is made before anybody asks for the page: Gradio looks it up in the browser."""
    key = key_of(_SOURCE, text)
    return I18N(key) if key else text


def _box(
    field: Field, visible: bool = True, words: Callable[[str], Any] = _looked_up
) -> gr.Textbox | gr.Checkbox:
    """words: puts what the field says into the language of the page."""
    if field.value == FLAG:
        name = f"cc-tick-{field.name}"
        return gr.Checkbox(label=words(field.label), info=words(field.help), visible=visible, elem_id=name)
    return gr.Textbox(
        label=words(field.label), info=None if field.example else words(field.help), max_length=MOST_TYPED,
        placeholder=words(field.example) if field.example else None, visible=visible, elem_id=f"cc-{field.name}",
    )  # fmt: skip
