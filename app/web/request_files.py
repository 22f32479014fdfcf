"""Which files a request may name, and Gradio's components that take files: what was uploaded here, and examples.

Gradio looks only at file objects that carry its own mark, and then fetches addresses; a path without the mark reaches a
component as it is. Here every value of every request is looked at before Gradio does anything with it. Knows nothing of
what is in the files.

The components are classes of their own, not changed instances: once a handler gives an update (`gr.skip()` is one),
Gradio goes on with a new instance of the component's class.
"""

from __future__ import annotations

import logging
import os
import shutil
import stat
from abc import ABCMeta
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.component_meta import ComponentMeta
from gradio.data_classes import FileData, ListFiles
from gradio.i18n import I18nData
from gradio.media import MEDIA_ROOT
from gradio.utils import get_upload_folder
from starlette.types import ASGIApp

from app.web.languages import catalogue, in_words, spoken, wanted
from app.web.listeners import Listeners

if TYPE_CHECKING:
    from app.web.rates import Askings
    from app.web.several.shared import Shared

log = logging.getLogger(__name__)

NOT_HERE = "This file was not uploaded here, or is no longer kept; add it again."
NO_ADDRESSES = "Give a file; addresses are not fetched."
NONSENSE = "What was sent cannot be read; reload the page, or look at how the API is used."
MOST_VALUES = 10_000  # of one input, those within it included
MOST_WITHIN = 50  # how often one may lie within another

# Photographs that come with Gradio: name in the page's address, file, what to ask.
EXAMPLES = [
    (name, MEDIA_ROOT / "images" / file, question)
    for name, file, question in (
        ("cheetah", "cheetah1.jpg", "How fast can this animal run?"),
        ("lion", "lion.jpg", "Where does this animal live?"),
        ("tower", "tower.jpg", "Who designed this tower in Paris?"),
    )
]


def refusal(sentence: str) -> gr.Error:
    """What a person, or a program, is told in place of an answer."""
    return gr.Error(in_words(sentence), print_exception=False)


def uploaded(path: Any) -> str:
    """The path, of an ordinary file in Gradio's upload folder.

    Raises gr.Error, with the same sentence whether there is no such file or one that is none of the asker's business.
    """
    try:
        place = Path(path).resolve()
        inside = place.is_relative_to(Path(get_upload_folder()).resolve())
        # Only then is anything asked about the file itself.
        if inside and stat.S_ISREG(os.stat(place).st_mode):
            return str(path)
    except (OSError, ValueError, TypeError, RuntimeError):  # such as a name that no file can have, a loop of links
        pass
    raise refusal(NOT_HERE)


def check_files(component: gr.components.Component, value: Any) -> None:
    """Raises gr.Error when a value that a request brings for the component names a file, or an address, that it may
    not. Every file object in it is looked at, marked as Gradio's or not; a component that takes no files may be sent
    none that is marked, since Gradio would fetch it."""
    takes_files = isinstance(component, Photo | Files)
    for each in _objects(value):
        meta = each.get("meta")
        marked = isinstance(meta, dict) and "_type" in meta
        if marked or (takes_files and "path" in each):
            path = each.get("path")
            if not takes_files or not isinstance(path, str):
                raise refusal(NONSENSE)
            if "://" not in path:
                uploaded(path)
            elif not isinstance(component, Photo) or example_at(path) is None:
                raise refusal(NO_ADDRESSES)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in a value, itself included. Raises gr.Error when there is too much in it."""
    waiting, seen = [(value, 0)], 0
    while waiting:
        each, within = waiting.pop()
        seen += 1
        if seen > MOST_VALUES or within > MOST_WITHIN:
            raise refusal(NONSENSE)
        if isinstance(each, dict):
            yield each
            waiting.extend((inner, within + 1) for inner in each.values())
        elif isinstance(each, list):
            waiting.extend((inner, within + 1) for inner in each)


def placed(example: Path) -> str:
    """The path of an example as pages are told it: among the uploads, since its own says where this program lies."""
    place = Path(get_upload_folder(), ".examples", example.name)
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_suffix(f".{os.getpid()}.part")
        shutil.copyfile(example, part)
        os.replace(part, place)
    return str(place)


def example_at(address: str) -> str | None:
    """The file of the example that a page's address means; None for any other address."""
    name = address.rsplit("/", 1)[-1]
    for each, file, _ in EXAMPLES:
        if name == file.name or address.endswith(f"?example={each}"):
            return placed(file)
    return None


class Page(gr.Blocks):
    """Gradio's page, which looks at the files of a request before Gradio does, and answers it in its language.
    `listeners`: who hears its answers; `annotation`: what answers the Annotate tab; `shared`: with other processes;
    `askings`: how much who asks; `programs`: what answers programs; `keys`: what finds out by which key they ask."""

    listeners: Listeners
    annotation: ASGIApp
    shared: Shared | None
    askings: Askings
    programs: ASGIApp
    keys: Callable[[ASGIApp], ASGIApp]

    @property
    def config(self) -> Any:
        """What the page is made from, with the labels of the language of whoever asks for it now."""
        texts = getattr(self, "i18n_instance", None)
        if not self._config or texts is None:
            return self._config
        return {**self._config, "i18n_translations": texts.translations_dict}

    @config.setter
    def config(self, config: Any) -> None:
        self._config = config

    def get_api_info(self, *given: Any, **how: Any) -> Any:
        """What programs are told of the endpoints, with the labels of components in words."""
        info = super().get_api_info(*given, **how)
        for endpoint in [*info["named_endpoints"].values(), *info["unnamed_endpoints"].values()]:
            for each in (*endpoint["parameters"], *endpoint["returns"]):
                if isinstance(each["label"], I18nData):
                    each["label"] = catalogue("en")[each["label"].key]
        return info

    async def process_api(
        self, block_fn: Any, inputs: list[Any], state: Any = None, request: Any = None, *rest: Any, **more: Any
    ) -> dict[str, Any]:
        with spoken(wanted(getattr(request, "headers", {}))):
            return await super().process_api(block_fn, inputs, state, request, *rest, **more)

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> list[Any]:
        for component, value in zip(block_fn.inputs, inputs, strict=False):  # Gradio tells who sent too few
            check_files(component, value)
        try:
            return await super().preprocess_data(block_fn, inputs, state, explicit_call)
        except gr.Error as problem:
            problem.print_exception = False  # what a stranger sends is no fault of the program
            raise
        except Exception as problem:  # a value of a shape that its component does not know
            log.warning("a request could not be read: %s", type(problem).__name__)
            raise refusal(NONSENSE) from None


class Plain(ComponentMeta):
    """Makes a class without writing a .pyi file beside this one, as Gradio's own does."""

    def __new__(cls, name: str, bases: tuple[type, ...], attributes: dict[str, Any]) -> type:
        return ABCMeta.__new__(cls, name, bases, attributes)


class Photo(gr.Image, metaclass=Plain):
    """Lets the file through as it was uploaded: Gradio would decode it, and fail on a bad one with a traceback.

    Addresses are not fetched: the server should not go where a stranger sends it. Those of the page's own
    examples are known without fetching.
    """

    is_template = True  # to the browser it is what it is made from

    def preprocess(self, payload: FileData | None) -> str | None:
        return uploaded(payload.path) if payload else None

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        path = url_or_file_path
        if isinstance(path, str) and "://" in path:
            path = example_at(path)
            if path is None:
                raise refusal(NO_ADDRESSES)
        return await super().async_move_resource_to_block_cache(path)


class Files(gr.File, metaclass=Plain):
    """Lets files through as they were uploaded: what is taken is decided, and told, elsewhere. Addresses are not
    fetched: the server should not go where a page sends it."""

    is_template = True

    def preprocess(self, payload: ListFiles | None) -> list[str]:
        return [uploaded(file.path) for file in payload] if payload else []

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        if isinstance(url_or_file_path, str) and "://" in url_or_file_path:
            raise refusal(NO_ADDRESSES)
        return await super().async_move_resource_to_block_cache(url_or_file_path)
