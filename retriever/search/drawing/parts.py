"""What the panels of a picture share: sizes, colours, and small pieces. Knows nothing of explanations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from retriever.search.drawing.text import clean, length_of, say

WIDTH = 1200  # pixels
MARGIN = 36
INSIDE = WIDTH - 2 * MARGIN
WORD_LENGTH = 60  # characters; also of what stands between two words. A line has room for that many
SENTENCE_LENGTH = 300
NOTABLE = 0.04  # of what the photo matched: less is not worth naming
_STRIP = 96  # pixels, of a legend

PAPER, FAINT, LINE = (255, 255, 255), (104, 112, 122), (222, 226, 230)
KIND_COLOURS = {
    "text": (46, 108, 178), "prefix": (126, 84, 168), "patch": (208, 74, 24), "picture": (176, 128, 20),
    "latent": (92, 128, 92),
}  # fmt: skip
# From least to most, in steps of about equal lightness: straw, amber, orange, vermilion.
_RAMP = np.array([[255, 226, 158], [253, 196, 88], [249, 158, 44], [236, 116, 28], [208, 74, 24]], np.float32)
# Marks behind words stay light enough to read the word on them.
MARKS = np.concatenate([np.array([PAPER], np.float32), _RAMP[:4]])
# With these opacities, equal steps of heat look about equally large over a dark, a middling and a light photo.
HEAT = _RAMP[1:]
OPACITY = np.array([0.0, 0.36, 0.66], np.float32)


def shown_word(word: str) -> str:
    return clean(word, WORD_LENGTH) or "\u25a1"  # an empty box


def percent(part: float, whole: float) -> str:
    if whole <= 0:
        return "–"
    share = 100 * part / whole
    return f"{share:.0f}%" if abs(share) >= 9.95 else f"{share:.1f}%"


def sheet(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (width, height), PAPER)
    return sheet, ImageDraw.Draw(sheet)


def key(draw: ImageDraw.ImageDraw, left: float, base: int, kind: str, text: str) -> float:
    """A coloured square and what it stands for; returns where the next one begins."""
    draw.rectangle((left, base - 11, left + 11, base), fill=KIND_COLOURS[kind])
    say(draw, left + 19, base, text, 14, FAINT)
    return left + 19 + length_of(text, 14) + 26


def ramp(levels: np.ndarray | float, colours: np.ndarray) -> np.ndarray:
    """Colours (..., 3) float32 for levels from 0 to 1, between `colours` at even steps."""
    steps = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(levels, steps, colours[:, band]) for band in range(3)], axis=-1).astype(np.float32)


def opacity_of(levels: np.ndarray | float) -> np.ndarray:
    return np.interp(levels, np.linspace(0, 1, len(OPACITY)), OPACITY)


def in_pixels(area: Sequence[float], width: int, height: int) -> tuple[int, int, int, int]:
    """Fractions of a photo as pixels: left, top, right, bottom; never empty."""
    left, right = _span(area[0], area[2], width)
    top, bottom = _span(area[1], area[3], height)
    return left, top, right, bottom


def _span(low: float, high: float, pixels: int) -> tuple[int, int]:
    first = min(max(0, round(low * pixels)), pixels - 1)
    return first, min(max(first + 1, round(high * pixels)), pixels)


def as_colour(bands: np.ndarray) -> tuple[int, ...]:
    return tuple(int(band) for band in bands.round())


def legend(draw: ImageDraw.ImageDraw, left: float, base: int, ends: Sequence[str], heat: bool) -> float:
    """A strip of the colours between what its ends mean; returns where it ends."""
    left = say(draw, left, base, ends[0], 13, FAINT) + 8
    for x in range(_STRIP):
        level = x / (_STRIP - 1)
        colour = ramp(level, HEAT if heat else MARKS)
        if heat:  # as over a mid-grey photo
            colour = colour * opacity_of(level) + 150 * (1 - opacity_of(level))
        draw.line((left + x, base - 11, left + x, base), fill=as_colour(colour))
    draw.rectangle((left - 1, base - 12, left + _STRIP, base + 1), outline=LINE)
    return say(draw, left + _STRIP + 8, base, ends[1], 13, FAINT)


def legend_length(ends: Sequence[str]) -> float:
    return length_of(ends[0], 13) + 8 + _STRIP + 8 + length_of(ends[1], 13)
