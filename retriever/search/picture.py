"""An explanation as a picture: the photo with its heat map, the question's words and what they matched, the passage
with its words marked by what they won of the score.

Drawn with Pillow alone. Knows nothing of models, of indexes or of how a score is explained (explain.py). Texts are
untrusted: everything is cleaned and cut to a length that has room.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from retriever.search.explain import ExplainProblem, Explanation, QuestionWord, Word, above_weakest
from retriever.search.lettering import (
    INK,
    LEFT_TO_RIGHT,
    clean,
    fitted,
    leftwards,
    length_of,
    say,
    say_right,
    wrapped,
)

WIDTH = 1200  # pixels
MARGIN = 36
INSIDE = WIDTH - 2 * MARGIN
PHOTO_SIDE = 540  # pixels of the photo's long side
PHOTO_LEAST = 48  # pixels of its short side: a sliver is widened, so that there is something to see
QUESTION_ROWS = 20
TAGS = 4  # words named on the photo
WORD_LENGTH = 60  # characters; also of what stands between two words. A line has room for that many
SENTENCE_LENGTH = 300
MORE = " …"
NOTABLE = 0.04  # of what the photo matched: less is not worth naming
_STRIP = 96  # pixels, of a legend

PAPER, FAINT, LINE = (255, 255, 255), (104, 112, 122), (222, 226, 230)
KIND_COLOURS = {"text": (46, 108, 178), "prefix": (126, 84, 168), "patch": (208, 74, 24)}
# From least to most, in steps of about equal lightness: straw, amber, orange, vermilion.
_RAMP = np.array([[255, 226, 158], [253, 196, 88], [249, 158, 44], [236, 116, 28], [208, 74, 24]], np.float32)
# Marks behind words stay light enough to read the word on them.
MARKS = np.concatenate([np.array([PAPER], np.float32), _RAMP[:4]])
# With these opacities, equal steps of heat look about equally large over a dark, a middling and a light photo.
HEAT = _RAMP[1:]
OPACITY = np.array([0.0, 0.36, 0.66], np.float32)


def save_picture(explanation: Explanation, photo: Image.Image | None, path: Path) -> None:
    """Draws and writes a PNG. Raises ExplainProblem when it cannot be written."""
    check_writable(path)
    with io.BytesIO() as file:
        draw_explanation(explanation, photo).save(file, "PNG", optimize=True)
        png = file.getvalue()
    try:
        path.write_bytes(png)
    except OSError as problem:
        raise ExplainProblem(f"The picture {path} cannot be written: {problem.strerror or problem}.") from problem


def check_writable(path: Path) -> None:
    """Raises ExplainProblem when it is plain beforehand that no PNG can be written there; long work may lie between."""
    if path.suffix.lower() != ".png":
        raise ExplainProblem(f"The picture is a PNG; give it a name that ends in .png, not {path.name!r}.")
    try:
        if path.is_dir():
            raise ExplainProblem(f"{path} is a folder; name a file in it, for instance {path / 'explanation.png'}.")
        if not path.parent.is_dir():
            raise ExplainProblem(f"There is no folder {path.parent} to write the picture to; make it first.")
    except OSError as problem:  # a name that is too long, for one
        raise ExplainProblem(f"The picture {path} cannot be written: {problem.strerror or problem}.") from problem


def draw_explanation(explanation: Explanation, photo: Image.Image | None) -> Image.Image:
    """The whole picture, RGB, WIDTH wide and as high as it needs. `photo`: RGB, the one that was explained."""
    parts = [_header(explanation)]
    if photo is None:
        parts.append(_question_table(explanation, 2 * INSIDE // 3))
    else:
        left = _photo_panel(explanation, photo)
        right = _question_table(explanation, INSIDE - left.width - 32)
        both = Image.new("RGB", (INSIDE, max(left.height, right.height)), PAPER)
        both.paste(left, (0, 0))
        both.paste(right, (left.width + 32, 0))
        parts.append(both)
    parts.append(_passage(explanation))
    gap = 26
    height = 2 * MARGIN + sum(part.height for part in parts) + gap * (len(parts) - 1)
    page = Image.new("RGB", (WIDTH, height), PAPER)
    top = MARGIN
    for part in parts:
        page.paste(part, (MARGIN, top))
        top += part.height + gap
    return page


def heat_over(photo: Image.Image, shares: np.ndarray, area: Sequence[float]) -> Image.Image:
    """The photo, RGB, with the map of `shares` (down, across), 0 to 1, over `area` of it.

    What lies outside the area is washed out, and a line is drawn between."""
    width, height = photo.size
    left, top, right, bottom = _box(area, width, height)
    colours = np.asarray(photo, np.float32)
    grey = np.asarray(photo.convert("L"), np.float32)[..., None]
    # Half of the photo's own colour goes, so that what is coloured is the map.
    inside = (0.5 * colours + 0.5 * grey)[top:bottom, left:right]
    levels = Image.fromarray(shares.astype(np.float32))
    levels = np.asarray(levels.resize((right - left, bottom - top), Image.Resampling.BICUBIC)).clip(0, 1)
    opacity = _opacity(levels)[..., None]
    result = 0.2 * grey + 0.8 * np.array([244, 245, 246], np.float32) + np.zeros(3, np.float32)
    result[top:bottom, left:right] = inside * (1 - opacity) + ramp(levels, HEAT) * opacity
    picture = Image.fromarray(result.round().astype(np.uint8))
    if (left, top, right, bottom) != (0, 0, width, height):
        ImageDraw.Draw(picture).rectangle((left, top, right - 1, bottom - 1), outline=INK)
    return picture


def ramp(levels: np.ndarray | float, colours: np.ndarray) -> np.ndarray:
    """Colours (..., 3) float32 for levels from 0 to 1, between `colours` at even steps."""
    steps = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(levels, steps, colours[:, band]) for band in range(3)], axis=-1).astype(np.float32)


def _opacity(levels: np.ndarray | float) -> np.ndarray:
    return np.interp(levels, np.linspace(0, 1, len(OPACITY)), OPACITY)


def _header(explanation: Explanation) -> Image.Image:
    """Title, score, question, and a bar of what the score is made of."""
    score = f"score {explanation.score:.4f}"
    room = INSIDE - length_of(score, 24, True) - 30
    question = clean(explanation.question, SENTENCE_LENGTH)
    asked = wrapped(f"Question: {question}" if question else "No question, only the photo.", 16, INSIDE)[:3]
    picture, draw = _sheet(INSIDE, 44 + 24 * len(asked) + 56)
    say(draw, 0, 26, fitted(clean(explanation.title, SENTENCE_LENGTH), 24, room, True), 24, bold=True)
    say(draw, INSIDE - length_of(score, 24, True), 26, score, 24, bold=True)
    top = 44
    for line in asked:
        say(draw, 0, top + 16, line, 16, FAINT)
        top += 24

    present = {row.kind for row in explanation.rows}
    made = {kind: max(0.0, part) for kind, part in explanation.parts().items() if kind in present}
    whole = sum(made.values()) or 1.0
    top += 8
    draw.rectangle((0, top, INSIDE - 1, top + 13), fill=LINE)
    left, label = 0.0, 0.0
    for kind, part in made.items():
        right = left + part / whole * INSIDE
        if round(right) > round(left):
            draw.rectangle((round(left), top, round(right) - 1, top + 13), fill=KIND_COLOURS[kind])
        left = right
        label = _key(draw, label, top + 36, kind, f"{explanation.kind_names()[kind]} {_percent(part, whole)}")
    return picture


def _key(draw: ImageDraw.ImageDraw, left: float, base: int, kind: str, text: str) -> float:
    """A coloured square and what it stands for; returns where the next one begins."""
    draw.rectangle((left, base - 11, left + 11, base), fill=KIND_COLOURS[kind])
    say(draw, left + 19, base, text, 14, FAINT)
    return left + 19 + length_of(text, 14) + 26


def _photo_panel(explanation: Explanation, photo: Image.Image) -> Image.Image:
    """The photo with heat map, words named where they matched best, and a legend."""
    scale = PHOTO_SIDE / max(photo.size)
    size = tuple(max(PHOTO_LEAST, round(side * scale)) for side in photo.size)
    shown = photo.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    patches = explanation.patches()
    width = max(size[0], 400)  # room for the legend
    if not patches.size:
        notes = wrapped("This model has no vectors for parts of the photo, so there is no map.", 14, width)
        panel, draw = _sheet(width, size[1] + 12 + 20 * len(notes))
        panel.paste(shown, (0, 0))
        for number, note in enumerate(notes):
            say(draw, 0, size[1] + 24 + 20 * number, note, 14, FAINT)
        return panel

    shown = heat_over(shown, above_weakest(patches), explanation.area)
    _name_matches(ImageDraw.Draw(shown), explanation, size)
    box = _box(explanation.area, *size)
    cut = box != (0, 0, *size)
    panel, draw = _sheet(width, size[1] + (60 if cut else 36))
    panel.paste(shown, (0, 0))
    draw.rectangle((0, 0, size[0] - 1, size[1] - 1), outline=LINE)
    base = size[1] + 26
    ends = [_percent(part, explanation.score) for part in (patches.min(), patches.max())]
    left = say(draw, 0, base, "One patch:", 14, FAINT) + 10
    left = _legend(draw, left, base, ends, heat=True)
    say(draw, left + 6, base, "of the score", 14, FAINT)
    if cut:
        say(draw, 0, base + 24, "The model does not see what lies outside the frame.", 14, FAINT)
    return panel


def _name_matches(draw: ImageDraw.ImageDraw, explanation: Explanation, size: tuple[int, int]) -> None:
    """The passage words that won most from patches, each where the patch is that it won most from."""
    down, across = explanation.grid
    left, top, right, bottom = _box(explanation.area, *size)
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
        name = fitted(_shown(label), 13, size[0] / 2, True)
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


def _question_table(explanation: Explanation, width: int) -> Image.Image:
    """The question's words: what each added to the score and what it matched; then what the photo's vectors matched."""
    words, left_out = _strongest(explanation.question_words(), QUESTION_ROWS)
    photo_lines = [
        (kind, line)
        for kind in ("prefix", "patch")
        for line in wrapped(_matches_of(explanation, kind), 14, width - 20)
    ]
    rows = len(words) + bool(left_out)
    picture, draw = _sheet(width, 34 + 25 * rows + (14 + 22 * len(photo_lines) if photo_lines else 0))
    # Columns: the word, its bar, its part of the score in numbers, its match, the similarity.
    bar, bar_end = round(0.27 * width), round(0.47 * width)
    match, end = bar_end + 70, width
    say(draw, 0, 14, "Question word", 13, FAINT)
    say(draw, bar, 14, "part of the score", 13, FAINT)
    say(draw, match, 14, "best match", 13, FAINT)
    say_right(draw, end, 14, "similarity", 13, FAINT)
    draw.line((0, 24, width, 24), fill=LINE)
    most = max((word.contribution for word in words if word.count == 1), default=0.0)
    top = 30
    for word in words:
        name = f"{word.name} ×{word.count}" if word.count > 1 else word.name
        colour = FAINT if word.special else INK
        say(draw, 0, top + 17, fitted(clean(name, WORD_LENGTH), 15, bar - 10), 15, colour)
        if word.count == 1 and word.contribution > 0:  # many together would dwarf the others
            reach = bar + max(1, round(word.contribution / most * (bar_end - bar)))
            draw.rectangle((bar, top + 6, reach, top + 17), fill=KIND_COLOURS["text"])
        say_right(draw, match - 14, top + 17, _percent(word.contribution, explanation.score), 13, FAINT)
        matched = explanation.words[word.best]
        room = end - match - 50
        say(draw, match, top + 17, fitted(_shown(matched.label), 15, room), 15, FAINT if matched.special else INK)
        say_right(draw, end, top + 17, f"{word.similarity:.2f}", 13, FAINT)
        top += 25
    if left_out:
        rest = _percent(sum(word.contribution for word in left_out), explanation.score)
        say(draw, 0, top + 17, f"… and {len(left_out)} weaker words, together {rest}", 14, FAINT)
        top += 25
    top += 14
    last = ""
    for kind, line in photo_lines:
        if kind != last:
            draw.rectangle((0, top + 5, 11, top + 16), fill=KIND_COLOURS[kind])
        say(draw, 20, top + 16, line, 14)
        last = kind
        top += 22
    return picture


def _strongest(words: Sequence[QuestionWord], count: int) -> tuple[list[QuestionWord], list[QuestionWord]]:
    """The words that add most, in reading order, and the others."""
    kept = set(sorted(range(len(words)), key=lambda i: -words[i].contribution)[:count])
    return [w for i, w in enumerate(words) if i in kept], [w for i, w in enumerate(words) if i not in kept]


def _matches_of(explanation: Explanation, kind: str) -> str:
    """What the rows of a kind matched most, in words; "" when there are none."""
    count = sum(row.kind == kind for row in explanation.rows)
    if not count:
        return ""
    whole = explanation.parts()[kind]
    named = []
    for label, won in explanation.winners(kind)[:5]:
        if whole > 0 and won >= NOTABLE * whole:
            mark = LEFT_TO_RIGHT if leftwards(label) else ""
            named.append(f"{_shown(label)}{mark} {_percent(won, whole)}")
    name = explanation.kind_names()[kind]
    vectors = "1 vector" if count == 1 else f"{count} vectors"
    return f"{name[0].upper()}{name[1:]} ({vectors}) matched {', '.join(named) or 'no word in particular'}."


# --- the passage


@dataclass(frozen=True)
class _Run:
    """A piece of a line: text and the position of its word, None for what stands between words."""

    text: str
    word: int | None
    special: bool = False


def _passage(explanation: Explanation) -> Image.Image:
    """The passage in lines, each word marked by what it won, and underlined by what it won it from."""
    size, pitch = 17, 34
    rows, from_right = _passage_lines(explanation, size), leftwards(explanation.text)
    cut = _rest(explanation.text, max(word.end for word in explanation.words)) == MORE
    picture, draw = _sheet(INSIDE, 44 + pitch * len(rows) + (24 if cut else 0))
    say(draw, 0, 14, "Passage", 13, FAINT)
    most = max((word.won.all for word in explanation.words), default=0.0)
    note = "of the score, underlined by what matched"
    ends = ["0%", _percent(max(0.0, most), explanation.score)]
    left = INSIDE - length_of(note, 13) - 8 - _legend_length(ends) - length_of("A word won", 13) - 10
    left = say(draw, left, 14, "A word won", 13, FAINT) + 10
    left = _legend(draw, left, 14, ends, heat=False)
    say(draw, left + 8, 14, note, 13, FAINT)
    draw.line((0, 24, INSIDE, 24), fill=LINE)
    for number, line in enumerate(rows):
        base = 40 + pitch * number + 18
        x = 0.0
        for run in line:
            wide = length_of(run.text, 13 if run.special else size)
            at = INSIDE - x - wide if from_right else x
            if run.word is not None:
                _mark(draw, explanation.words[run.word], most, (at, base, at + wide))
            say(draw, at, base, run.text, 13 if run.special else size)
            x += wide
    if cut:
        say(draw, 0, picture.height - 6, "The model read no further than this.", 14, FAINT)
    return picture


def _mark(draw: ImageDraw.ImageDraw, word: Word, most: float, place: tuple[float, int, float]) -> None:
    """The colour behind a word and the line under it. `place`: left, base line, right."""
    level = max(0.0, word.won.all) / most if most > 0 else 0.0
    left, base, right = place
    box = (round(left) - 1, base - 17, round(right), base + 5)
    draw.rectangle(box, fill=_colour(ramp(level, MARKS)), outline=LINE if word.special else None)
    parts = {kind: max(0.0, getattr(word.won, kind)) for kind in KIND_COLOURS}
    whole = sum(parts.values())
    if level < 0.04 or not whole:
        return
    x = float(box[0])
    for kind, part in parts.items():
        reach = x + part / whole * (box[2] - box[0] + 1)
        if round(reach) > round(x):
            draw.rectangle((round(x), base + 6, round(reach) - 1, base + 8), fill=KIND_COLOURS[kind])
        x = reach


def _passage_lines(explanation: Explanation, size: int) -> list[list[_Run]]:
    """The runs of each line. Breaks where there is white space, and inside what is wider than a line."""
    lines: list[list[_Run]] = [[]]
    used = 0.0
    space = length_of(" ", size)
    for is_space, group in groupby(_runs(explanation), key=lambda run: run is None):
        if is_space:
            continue
        cluster = [(run, length_of(run.text, 13 if run.special else size)) for run in group]
        if lines[-1] and used + space + sum(wide for _, wide in cluster) > INSIDE:
            lines.append([])
            used = 0.0
        elif lines[-1]:
            lines[-1].append(_Run(" ", None))
            used += space
        for run, wide in cluster:
            if lines[-1] and used + wide > INSIDE:
                lines.append([])
                used = 0.0
            lines[-1].append(run)
            used += wide
    return lines


def _runs(explanation: Explanation) -> Iterator[_Run | None]:
    """The passage as far as the model read it: words, the signs between them, None for white space."""
    text, words = explanation.text, list(enumerate(explanation.words))
    first = next((number for number, word in words if not word.special), len(words))
    at = 0
    for number, word in words:
        if word.special:
            if number > first:
                yield from _signs(_rest(text, at))
                at = len(text)
            yield from (None, _Run(f" {word.name} ", number, special=True), None)
        else:
            yield from _signs(text[at : word.start])
            yield _Run(_shown(word.name), number)
            at = max(at, word.end)
    yield from _signs(_rest(text, at))


def _rest(text: str, at: int) -> str:
    """What follows the last word that the model read: closing signs, or a sign that there is more."""
    return MORE if any(sign.isalnum() for sign in text[at:]) else text[at:]


def _signs(signs: str) -> Iterator[_Run | None]:
    if len(signs) > WORD_LENGTH:
        signs = signs[: WORD_LENGTH - 1] + "…"
    for part in re.split(r"(\s+)", signs):
        shown = clean(part, WORD_LENGTH)
        if shown:
            yield _Run(shown, None)
        elif part:
            yield None


# --- small parts


def _shown(word: str) -> str:
    return clean(word, WORD_LENGTH) or "\u25a1"  # an empty box


def _percent(part: float, whole: float) -> str:
    if whole <= 0:
        return "–"
    share = 100 * part / whole
    return f"{share:.0f}%" if abs(share) >= 9.95 else f"{share:.1f}%"


def _sheet(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (width, height), PAPER)
    return sheet, ImageDraw.Draw(sheet)


def _box(area: Sequence[float], width: int, height: int) -> tuple[int, int, int, int]:
    """Fractions of a photo as pixels: left, top, right, bottom; never empty."""
    left, right = _span(area[0], area[2], width)
    top, bottom = _span(area[1], area[3], height)
    return left, top, right, bottom


def _span(low: float, high: float, pixels: int) -> tuple[int, int]:
    first = min(max(0, round(low * pixels)), pixels - 1)
    return first, min(max(first + 1, round(high * pixels)), pixels)


def _colour(bands: np.ndarray) -> tuple[int, ...]:
    return tuple(int(band) for band in bands.round())


def _legend(draw: ImageDraw.ImageDraw, left: float, base: int, ends: Sequence[str], heat: bool) -> float:
    """A strip of the colours between what its ends mean; returns where it ends."""
    left = say(draw, left, base, ends[0], 13, FAINT) + 8
    for x in range(_STRIP):
        level = x / (_STRIP - 1)
        colour = ramp(level, HEAT if heat else MARKS)
        if heat:  # as over a mid-grey photo
            colour = colour * _opacity(level) + 150 * (1 - _opacity(level))
        draw.line((left + x, base - 11, left + x, base), fill=_colour(colour))
    draw.rectangle((left - 1, base - 12, left + _STRIP, base + 1), outline=LINE)
    return say(draw, left + _STRIP + 8, base, ends[1], 13, FAINT)


def _legend_length(ends: Sequence[str]) -> float:
    return length_of(ends[0], 13) + 8 + _STRIP + 8 + length_of(ends[1], 13)
