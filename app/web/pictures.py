"""The pictures of documents over HTTP: `pictures/HASH.jpg`, and `pictures/HASH.small.jpg` for a card.

They are files of the program's own making (kb/pictures.py) and never change under their names. Knows nothing of which
documents they are of.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from common.passage import Picture
from kb.pictures import SMALL_SIDE, Pictures

PATH = "/pictures/"
_FOR_GOOD = {"Cache-Control": "public, max-age=31536000, immutable"}


def file_called(pictures: Pictures, name: str) -> FileResponse | None:
    """The file that is asked for by its name; None where there is none, and for all else of their folder."""
    content_hash, _, small = name.removesuffix(".jpg").partition(".")
    try:
        path = pictures.path(content_hash, small={"": False, "small": True}[small])
    except (KeyError, ValueError):
        return None
    return FileResponse(path, media_type="image/jpeg", headers=_FOR_GOOD) if path.is_file() else None


def pictures_app(pictures: Pictures) -> Starlette:
    """Gives the files, and nothing else of their folder."""

    def answer(request: Request) -> Response:
        found = file_called(pictures, request.path_params["name"])
        return found or PlainTextResponse("There is no such picture.", 404)

    return Starlette(routes=[Route(f"{PATH}{{name}}", answer)])


def address(picture: Picture, small: bool = False) -> str:
    """Relative to the page."""
    return f"{PATH[1:]}{picture.content_hash}{'.small' if small else ''}.jpg"


def small_size(picture: Picture) -> tuple[int, int]:
    """Width and height in pixels of the smaller one, so that nothing moves when it comes."""
    shrink = max(1.0, max(picture.width, picture.height) / SMALL_SIDE)
    return max(1, round(picture.width / shrink)), max(1, round(picture.height / shrink))
