"""Gradio's components as the pages need them, where Gradio alone would refuse too much.

They are classes of their own, not changed instances: once a handler gives an update (`gr.skip()` is one), Gradio goes
on with a new instance of the component's class.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.i18n import I18nData

from app.web.languages import for_browser
from app.web.request_files import NONSENSE, Plain, refusal

MOST_NAMES = 1000
MAX_NAME = 200  # characters

# Which corpora there are, a page is told when it is loaded. One that is older than the program that serves it, or of a
# session that is forgotten, has choices that Gradio would know nothing of and refuse; the service checks the names.


class Ticked(gr.CheckboxGroup, metaclass=Plain):
    """Names that are ticked, whether or not they are among the choices."""

    is_template = True

    def preprocess(self, payload: Any) -> list[str]:
        names = [] if payload is None else payload
        if not isinstance(names, list) or len(names) > MOST_NAMES or not all(map(_is_name, names)):
            raise refusal(NONSENSE)
        return names


class Chosen(gr.Dropdown, metaclass=Plain):
    """A name that is chosen, or None, whether or not it is among the choices."""

    is_template = True

    def preprocess(self, payload: Any) -> str | None:
        if payload is not None and not _is_name(payload):
            raise refusal(NONSENSE)
        return payload


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME


class Translations(gr.I18n):
    """What Gradio puts in the place of labels in the browser: in the language of the request that asks for the page,
    under the name of the language that Gradio falls back to, whichever it takes the browser's for."""

    @property
    def translations_dict(self) -> dict[str, dict[str, str]]:
        return {"en": for_browser()}


I18N = Translations()


def label(key: str) -> I18nData:
    """A component's label, value or placeholder, which Gradio looks up in the browser."""
    return I18N(f"label.{key}")


def html(value: str = "", **options: Any) -> gr.HTML:
    """HTML without Gradio's own look for it."""
    return gr.HTML(value, apply_default_css=False, **options)
