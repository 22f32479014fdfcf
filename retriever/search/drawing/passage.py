"""The passage, its words marked by what they won of the score. Knows nothing of the rest of the picture."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from PIL import Image, ImageDraw

from retriever.search.drawing.parts import (
    FAINT,
    INSIDE,
    KIND_COLOURS,
    LINE,
    MARKS,
    WORD_LENGTH,
    as_colour,
    legend,
    legend_length,
    percent,
    ramp,
    sheet,
    shown_word,
)
from retriever.search.drawing.text import clean, leftwards, length_of, say
from retriever.search.explanation import Explanation, Word

MORE = " …"
MOST_MARKS = 64  # that stand for no words; of more, those are drawn that won something


@dataclass(frozen=True)
class _Run:
    """A piece of a line: text and the position of its word, None for what stands between words."""

    text: str
    word: int | None
    special: bool = False


def passage_panel(explanation: Explanation) -> Image.Image:
    """The passage in lines, each word marked by what it won, and underlined by what it won it from."""
    size, pitch = 17, 34
    rows, from_right = _passage_lines(explanation, size), leftwards(explanation.text)
    cut = _rest(explanation.text, max(word.end for word in explanation.words)) == MORE
    picture, draw = sheet(INSIDE, 44 + pitch * len(rows) + (24 if cut else 0))
    say(draw, 0, 14, "Passage", 13, FAINT)
    most = max((word.won.all for word in explanation.words), default=0.0)
    note = "of the score, underlined by what matched"
    ends = ["0%", percent(max(0.0, most), explanation.score)]
    left = INSIDE - length_of(note, 13) - 8 - legend_length(ends) - length_of("A word won", 13) - 10
    left = say(draw, left, 14, "A word won", 13, FAINT) + 10
    left = legend(draw, left, 14, ends, heat=False)
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
    draw.rectangle(box, fill=as_colour(ramp(level, MARKS)), outline=LINE if word.special else None)
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
    if sum(word.special for _, word in words) > MOST_MARKS:  # those of patches of a page
        words = [(number, word) for number, word in words if not word.special or word.won.all]
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
            yield _Run(shown_word(word.name), number)
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
