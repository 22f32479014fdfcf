"""The photo with its heat map, and words named where they matched best. Knows nothing of the rest of the picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from retriever.search.drawing.parts import (
    FAINT,
    HEAT,
    LINE,
    NOTABLE,
    PAPER,
    in_pixels,
    legend,
    opacity_of,
    percent,
    ramp,
    sheet,
    shown_word,
)
from retriever.search.drawing.text import INK, fitted, length_of, say, wrapped
from retriever.search.explain import above_weakest
from retriever.search.explanation import Explanation

PHOTO_SIDE = 540  # pixels of the photo's long side
PHOTO_LEAST = 48  # pixels of its short side: a sliver is widened, so that there is something to see
TAGS = 4  # words named on the photo


def heat_over(photo: Image.Image, shares: np.ndarray, area: Sequence[float]) -> Image.Image:
    """The photo, RGB, with the map of `shares` (down, across), 0 to 1, over `area` of it.

    What lies outside the area is washed out, and a line is drawn between."""
    width, height = photo.size
    left, top, right, bottom = in_pixels(area, width, height)
    colours = np.asarray(photo, np.float32)
    grey = np.asarray(photo.convert("L"), np.float32)[..., None]
    # Half of the photo's own colour goes, so that what is coloured is the map.
    inside = (0.5 * colours + 0.5 * grey)[top:bottom, left:right]
    levels = Image.fromarray(shares.astype(np.float32))
    levels = np.asarray(levels.resize((right - left, bottom - top), Image.Resampling.BICUBIC)).clip(0, 1)
    opacity = opacity_of(levels)[..., None]
    result = 0.2 * grey + 0.8 * np.array([244, 245, 246], np.float32) + np.zeros(3, np.float32)
    result[top:bottom, left:right] = inside * (1 - opacity) + ramp(levels, HEAT) * opacity
    picture = Image.fromarray(result.round().astype(np.uint8))
    if (left, top, right, bottom) != (0, 0, width, height):
        ImageDraw.Draw(picture).rectangle((left, top, right - 1, bottom - 1), outline=INK)
    return picture


def scaled(photo: Image.Image) -> Image.Image:
    """The photo, RGB, of the size that it is shown in."""
    scale = PHOTO_SIDE / max(photo.size)
    size = tuple(max(PHOTO_LEAST, round(side * scale)) for side in photo.size)
    return photo.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def photo_panel(explanation: Explanation, photo: Image.Image) -> Image.Image:
    """The photo with heat map, words named where they matched best, and a legend."""
    shown = scaled(photo)
    size = shown.size
    patches = explanation.patches()
    width = max(size[0], 400)  # room for the legend
    if not patches.size:
        notes = wrapped("This model has no vectors for parts of the photo, so there is no map.", 14, width)
        panel, draw = sheet(width, size[1] + 12 + 20 * len(notes))
        panel.paste(shown, (0, 0))
        for number, note in enumerate(notes):
            say(draw, 0, size[1] + 24 + 20 * number, note, 14, FAINT)
        return panel

    shown = heat_over(shown, above_weakest(patches), explanation.area)
    _name_matches(ImageDraw.Draw(shown), explanation, size)
    box = in_pixels(explanation.area, *size)
    cut = box != (0, 0, *size)
    panel, draw = sheet(width, size[1] + (60 if cut else 36))
    panel.paste(shown, (0, 0))
    draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=LINE)
    base = size[1] + 26
    ends = [percent(part, explanation.score) for part in (patches.min(), patches.max())]
    left = say(draw, 0, base, "One patch:", 14, FAINT) + 10
    left = legend(draw, left, base, ends, heat=True)
    say(draw, left + 6, base, "of the score", 14, FAINT)
    if cut:
        say(draw, 0, base + 24, "The model does not see what lies outside the frame.", 14, FAINT)
    return panel


def _name_matches(draw: ImageDraw.ImageDraw, explanation: Explanation, size: tuple[int, int]) -> None:
    """The passage words that won most from patches, each where the patch is that it won most from."""
    down, across = explanation.grid
    left, top, right, bottom = in_pixels(explanation.area, *size)
    best: dict[int, tuple[float, tuple[int, int]]] = {}
    for row in explanation.rows:
        if row.patch is not None:
            word = explanation.tokens[row.best].word
            best[word] = max(best.get(word, (0.0, row.patch)), (row.contribution, row.patch))
    taken: list[tuple[float, float, float, float]] = []
    patches = explanation.parts()["patch"]
    named: set[str] = set()
    for word in sorted(best, key=lambda number: -explanation.words[number].won.patch):
        label = explanation.words[word].label
        if len(taken) == TAGS or explanation.words[word].won.patch < NOTABLE * patches:
            break
        if label.casefold() in named:
            continue
        name = fitted(shown_word(label), 13, size[0] / 2, True)
        row, column = best[word][1]
        x = left + (column + 0.5) * (right - left) / across
        y = top + (row + 0.5) * (bottom - top) / down
        wide = length_of(name, 13, True) + 12
        x0 = min(max(2.0, x - wide / 2), size[0] - wide - 3)
        y0 = min(max(2.0, y - 11), size[1] - 25.0)
        place = (x0, y0, x0 + wide, y0 + 22)
        if not any(_overlap(place, other) for other in taken):
            taken.append(place)
            named.add(label.casefold())
            draw.rounded_rectangle(place, 5, fill=INK, outline=PAPER)
            say(draw, x0 + 6, y0 + 16, name, 13, PAPER, bold=True)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two boxes (left, top, right, bottom) touch, or nearly."""
    return all(one[i] < other[i + 2] + 3 and other[i] < one[i + 2] + 3 for i in (0, 1))
