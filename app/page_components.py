"""Gradio's components and server as the pages need them, where Gradio alone would refuse too much or fetch too much.

They are classes of their own, not changed instances: once a handler gives an update (`gr.skip()` is one), Gradio goes
on with a new instance of the component's class.
"""

from __future__ import annotations

from abc import ABCMeta
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.component_meta import ComponentMeta
from gradio.data_classes import FileData, ListFiles
from gradio.media import MEDIA_ROOT
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

MOST_NAMES = 1000
MAX_NAME = 200  # characters

# Photographs that come with Gradio: name in the page's address, file, what to ask.
EXAMPLES = [
    (name, MEDIA_ROOT / "images" / file, question)
    for name, file, question in (
        ("cheetah", "cheetah1.jpg", "How fast can this animal run?"),
        ("lion", "lion.jpg", "Where does this animal live?"),
        ("tower", "tower.jpg", "Who designed this tower in Paris?"),
    )
]


class _Plain(ComponentMeta):
    """Makes a class without writing a .pyi file beside this one, as Gradio's own does."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> type:
        return ABCMeta.__new__(cls, name, bases, attributes)


class Photo(gr.Image, metaclass=_Plain):
    """Lets the file through as it was given: Gradio would decode it, and fail on a bad one with a traceback.

    Addresses are not fetched: the server should not go where a stranger sends it. Those of the page's own
    examples are known without fetching.
    """

    is_template = True  # to the browser it is what it is made from

    def preprocess(self, payload: FileData | None) -> str | None:
        return payload.path if payload else None

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        path = url_or_file_path
        if isinstance(path, str) and "://" in path:
            name = path.rsplit("/", 1)[-1]
            known = [str(file) for each, file, _ in EXAMPLES if name == file.name or path.endswith(f"?example={each}")]
            if not known:
                raise gr.Error("Give the photo as a file; addresses are not fetched.", print_exception=False)
            path = known[0]
        return await super().async_move_resource_to_block_cache(path)


class Files(gr.File, metaclass=_Plain):
    """Lets files through as they were uploaded: what is taken is decided, and told, elsewhere. Addresses are not
    fetched: the server should not go where a page sends it."""

    is_template = True

    def preprocess(self, payload: ListFiles | None) -> list[str]:
        return [file.path for file in payload] if payload else []

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        if isinstance(url_or_file_path, str) and "://" in url_or_file_path:
            raise gr.Error("Give files; addresses are not fetched.", print_exception=False)
        return await super().async_move_resource_to_block_cache(url_or_file_path)


# Which corpora there are, a page is told when it is loaded. One that is older than the program that serves it, or of a
# session that is forgotten, has choices that Gradio would know nothing of and refuse; the service checks the names.


class Ticked(gr.CheckboxGroup, metaclass=_Plain):
    """Names that are ticked, whether or not they are among the choices."""

    is_template = True

    def preprocess(self, payload: Any) -> list[str]:
        names = [] if payload is None else payload
        if not isinstance(names, list) or len(names) > MOST_NAMES or not all(map(_is_name, names)):
            raise _nonsense()
        return names


class Chosen(gr.Dropdown, metaclass=_Plain):
    """A name that is chosen, or None, whether or not it is among the choices."""

    is_template = True

    def preprocess(self, payload: Any) -> str | None:
        if payload is not None and not _is_name(payload):
            raise _nonsense()
        return payload


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME


def _nonsense() -> gr.Error:
    return gr.Error("The page sent something that cannot be read; reload it.", print_exception=False)


class NoAddresses:
    """Keeps Gradio from fetching any web address for anybody, as it does under the path of its files."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].lower().partition("/file=")[2].startswith(("http:", "https:")):
            await PlainTextResponse("Addresses are not fetched.", 403)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def html(value: str = "", **options: Any) -> gr.HTML:
    """HTML without Gradio's own look for it."""
    return gr.HTML(value, apply_default_css=False, **options)
