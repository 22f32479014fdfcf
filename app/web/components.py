"""Gradio's components as the pages need them, where Gradio alone would refuse too much.

They are classes of their own, not changed instances: once a handler gives an update (`gr.skip()` is one), Gradio goes
on with a new instance of the component's class.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

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


def html(value: str = "", **options: Any) -> gr.HTML:
    """HTML without Gradio's own look for it."""
    return gr.HTML(value, apply_default_css=False, **options)
