"""The picture beside a passage in a row of parquet: its file's bytes in the column `image`, or its path below a folder
of images in the column `img_path`, as M2KR and its training sets have them.

What is wrong with a picture is told when it is read, and the passage is taken all the same. Knows nothing of the rest
of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa

from common.problems import Problem
from kb.records import GivenPicture
from kb.sources.picture_files import reader

BYTES, PATH = "image", "img_path"
_MOST_NAME = 2000  # characters


def picture_columns(schema: pa.Schema, images: Path | None) -> tuple[str, ...]:
    """Those of the two that the rows have and that can be read; paths only where there is a folder of images."""
    fits = {BYTES: _is_image, PATH: lambda kind: images is not None and _is_text(kind)}
    return tuple(name for name, is_fit in fits.items() if name in schema.names and is_fit(schema.field(name).type))


def picture_of(row: Mapping[str, object], images: Path | None) -> tuple[GivenPicture, ...]:
    """The picture of a row of those columns, if it has one."""
    held, path = row.get(BYTES), row.get(PATH)
    named = path if isinstance(path, str) else ""
    if isinstance(held, dict):  # as the Hub's data sets have images
        named = named or (held["path"] if isinstance(held.get("path"), str) else "")
        held = held.get("bytes")
    name = "".join(filter(str.isprintable, named.strip()))[:_MOST_NAME]
    if isinstance(held, bytes):
        return (GivenPicture(name or "image", read=_holding(held)),)
    if not name or images is None:
        return ()
    return (GivenPicture(name, read=reader(images, named.strip())),)


def check_folder(images: Path) -> None:
    """Raises Problem for what is no folder of images."""
    if not images.is_dir():
        raise Problem(f"There is no folder {images}; give the one that the paths of images start from.")


def _holding(data: bytes) -> Callable[[], bytes]:
    return lambda: data


def _is_image(kind: pa.DataType) -> bool:
    """Bytes, or a structure that holds them as `bytes`."""
    if pa.types.is_struct(kind):
        return any(each.name == "bytes" and _is_image(each.type) for each in kind)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_null(kind)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)
