"""Pictures for the page: the photo made small, and heat maps of which patches matched a passage.

Arrays and Pillow images in, `data:` addresses out. It knows nothing of where the numbers came from, of HTML
or of Gradio.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

PHOTO_SIDE = 1000  # pixels; the page never shows the photo larger
MAP_SIDE = 168  # pixels of a heat map's long side; the browser stretches it smoothly over the photo
WHOLE = (0.0, 0.0, 1.0, 1.0)
LARGEST = 4 * MAP_SIDE  # pixels, with what lies around the map; a map of a sliver of the photo is coarser

# From no match to best match: straw, amber, vermilion; the colour deepens as the photo shows through less.
_COLOURS = np.array([[255, 214, 90], [255, 146, 20], [214, 30, 12]], dtype=np.float32)
_OPACITY = np.array([0.0, 0.4, 0.64], dtype=np.float32)


def photo_address(photo: Image.Image) -> str:
    """The photo as a data: address, its long side at most PHOTO_SIDE pixels."""
    small = photo.convert("RGB")
    small.thumbnail((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.LANCZOS)
    return _address(small, "JPEG", quality=86)


def heat_address(shares: np.ndarray, area: Sequence[float] = WHOLE) -> str:
    """A transparent map of (down, across) shares >= 0 as a data: address, to be laid over the whole photo.

    Relative to the passage itself: the weaker half of the patches stays clear, the strongest is full colour.
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
    if shares.ndim != 2 or not shares.size:
        raise ValueError(f"a grid of patches was expected, not shape {shares.shape}")
    grid = np.nan_to_num(shares.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(np.median(grid)), float(grid.max())
    level = np.clip((grid - low) / (high - low), 0, 1) if high > low else np.zeros_like(grid)
    scale = max(1, MAP_SIDE // max(grid.shape))
    size = (grid.shape[1] * scale, grid.shape[0] * scale)
    smooth = np.clip(np.asarray(Image.fromarray(level, "F").resize(size, Image.Resampling.BICUBIC)), 0, 1)
    steps = np.linspace(0, 1, len(_COLOURS))
    bands = [np.interp(smooth, steps, _COLOURS[:, band]) for band in range(3)]
    bands.append(255 * np.interp(smooth, steps, _OPACITY))
    return Image.fromarray(np.stack(bands, axis=-1).round().astype(np.uint8), "RGBA")


def _address(picture: Image.Image, kind: str, **options: object) -> str:
    with io.BytesIO() as file:
        picture.save(file, kind, **options)
        data = base64.b64encode(file.getvalue()).decode("ascii")
    return f"data:image/{kind.lower()};base64,{data}"
