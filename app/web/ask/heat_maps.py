"""Pictures for the page: the photo made small, and heat maps of which patches matched a passage.

Arrays and Pillow images in, `data:` addresses out. It knows nothing of where the numbers came from, of HTML
or of Gradio.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

PHOTO_SIDE = 1000  # pixels; the page never shows the photo larger
MAP_SIDE = 168  # pixels of a heat map's long side; the browser stretches it smoothly over the photo
WHOLE = (0.0, 0.0, 1.0, 1.0)
MOSTLY = 0.5  # part of what is on a map, that lies in one place
LARGEST = 4 * MAP_SIDE  # pixels, with what lies around the map; a map of a sliver of the photo is coarser

# From no match to best match: straw, amber, vermilion; the colour deepens as the photo shows through less.
_COLOURS = np.array([[255, 214, 90], [255, 146, 20], [214, 30, 12]], dtype=np.float32)
_OPACITY = np.array([0.0, 0.4, 0.64], dtype=np.float32)
_ROWS = ("upper part", "middle", "lower part")
_COLUMNS = ("left side", "middle", "right side")
_PLACES = (
    ("upper left", "upper middle", "upper right"),
    ("left", "middle", "right"),
    ("lower left", "lower middle", "lower right"),
)


def photo_address(photo: Image.Image) -> str:
    """The photo as a data: address, its long side at most PHOTO_SIDE pixels."""
    small = photo.convert("RGB")
    small.thumbnail((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.LANCZOS)
    return _address(small, "JPEG", quality=86)


def thumbnail_address(photo: Image.Image, side: int) -> str:
    """The middle of the photo as a square of so many pixels, as a data: address."""
    return _address(ImageOps.fit(photo.convert("RGB"), (side, side), Image.Resampling.LANCZOS), "JPEG", quality=80)


def heat_address(shares: np.ndarray, area: Sequence[float] = WHOLE) -> str:
    """A transparent map of (down, across) shares as a data: address, to be laid over the whole photo: 0 is clear, 1 is
    full colour, so that maps of several passages can be compared.

    `area`: the part of the photo that the patches cover, as fractions: left, top, right, bottom.
    """
    return _address(_placed(heat_image(shares), area), "PNG", optimize=True)


def _placed(heat: Image.Image, area: Sequence[float]) -> Image.Image:
    """The map in its place on a clear picture that stands for the whole photo."""
    if tuple(area) == WHOLE:
        return heat
    left, top, right, bottom = area
    width, height = heat.width / (right - left), heat.height / (bottom - top)
    scale = min(1.0, LARGEST / max(width, height))
    width, height = max(1, round(width * scale)), max(1, round(height * scale))
    x, y = min(round(left * width), width - 1), min(round(top * height), height - 1)
    size = max(1, round(right * width) - x), max(1, round(bottom * height) - y)
    whole = Image.new("RGBA", (width, height))
    whole.paste(heat.resize(size, Image.Resampling.BILINEAR), (x, y))
    return whole


def heat_image(shares: np.ndarray) -> Image.Image:
    """The RGBA picture behind `heat_address`, without what lies around it. ValueError when `shares` is not a grid."""
    level = _level(shares)
    scale = max(1, MAP_SIDE // max(level.shape))
    size = (level.shape[1] * scale, level.shape[0] * scale)
    smooth = np.clip(np.asarray(Image.fromarray(level, "F").resize(size, Image.Resampling.BICUBIC)), 0, 1)
    steps = np.linspace(0, 1, len(_COLOURS))
    bands = [np.interp(smooth, steps, _COLOURS[:, band]) for band in range(3)]
    bands.append(255 * np.interp(smooth, steps, _OPACITY))
    return Image.fromarray(np.stack(bands, axis=-1).round().astype(np.uint8), "RGBA")


def where(shares: np.ndarray, area: Sequence[float] = WHOLE) -> str:
    """Where a map of (down, across) shares lies in the whole photo, in words, as in "mostly the upper left"; "" where
    there is nothing on it. `area` as of `heat_address`. ValueError when `shares` is not a grid."""
    level = _level(shares)
    if not level.any():
        return ""
    left, top, right, bottom = area
    thirds = np.zeros((3, 3))
    down, across = _thirds(top, bottom, level.shape[0]), _thirds(left, right, level.shape[1])
    np.add.at(thirds, (down[:, None], across[None, :]), level)
    thirds /= thirds.sum()
    rows, columns = thirds.sum(axis=1), thirds.sum(axis=0)
    row, column = int(rows.argmax()), int(columns.argmax())
    if thirds.max() >= MOSTLY:
        row, column = divmod(int(thirds.argmax()), 3)
        return f"mostly the {_PLACES[row][column]}"
    if max(rows.max(), columns.max()) >= MOSTLY:
        return f"mostly the {_ROWS[row] if rows.max() >= columns.max() else _COLUMNS[column]}"
    return "over much of it"


def _thirds(start: float, end: float, count: int) -> np.ndarray:
    """In which third of the photo, 0 to 2, the middle of each of so many patches from start to end lies."""
    middles = start + (np.arange(count) + 0.5) / count * (end - start)
    return np.clip((3 * middles).astype(int), 0, 2)


def _level(shares: np.ndarray) -> np.ndarray:
    """The grid from 0 to 1, with 0 for what is no number. Raises ValueError."""
    if shares.ndim != 2 or not shares.size:
        raise ValueError(f"a grid of patches was expected, not shape {shares.shape}")
    return np.clip(np.nan_to_num(shares.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0), 0, 1)


def _address(picture: Image.Image, kind: str, **options: object) -> str:
    with io.BytesIO() as file:
        picture.save(file, kind, **options)
        data = base64.b64encode(file.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{data}"
