"""An explanation as a picture: the photo with its heat map, the question's words and what they matched, the passage
with its words marked by what they won of the score.

Knows nothing of models, of indexes or of how a score is explained. Texts are untrusted: everything is cleaned and cut
to a length that has room.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from common.problems import Problem
from retriever.search.drawing.parts import (
    FAINT,
    INSIDE,
    KIND_COLOURS,
    LINE,
    MARGIN,
    PAPER,
    SENTENCE_LENGTH,
    WIDTH,
    key,
    percent,
    sheet,
)
from retriever.search.drawing.passage import passage_panel
from retriever.search.drawing.photo import photo_panel
from retriever.search.drawing.question import question_table
from retriever.search.drawing.text import clean, fitted, length_of, say, wrapped
from retriever.search.drawing.whole import whole_panel
from retriever.search.explanation import Explanation


def save_picture(explanation: Explanation, photo: Image.Image | None, path: Path) -> None:
    """Draws and writes a PNG. Raises Problem when it cannot be written."""
    check_writable(path)
    with io.BytesIO() as file:
        draw_explanation(explanation, photo).save(file, "PNG", optimize=True)
        png = file.getvalue()
    try:
        path.write_bytes(png)
    except OSError as problem:
        raise Problem(f"The picture {path} cannot be written: {problem.strerror or problem}.") from problem


def check_writable(path: Path) -> None:
    """Raises Problem when it is plain beforehand that no PNG can be written there; long work may lie between."""
    if path.suffix.lower() != ".png":
        raise Problem(f"The picture is a PNG; give it a name that ends in .png, not {path.name!r}.")
    try:
        if path.is_dir():
            raise Problem(f"{path} is a folder; name a file in it, for instance {path / 'explanation.png'}.")
        if not path.parent.is_dir():
            raise Problem(f"There is no folder {path.parent} to write the picture to; make it first.")
    except OSError as problem:  # a name that is too long, for one
        raise Problem(f"The picture {path} cannot be written: {problem.strerror or problem}.") from problem


def draw_explanation(explanation: Explanation, photo: Image.Image | None) -> Image.Image:
    """The whole picture, RGB, WIDTH wide and as high as it needs. `photo`: RGB, the one that was explained."""
    parts = [_header(explanation)]
    if explanation.whole:
        parts.append(whole_panel(explanation, photo))
        return _stacked(parts)
    if photo is None:
        parts.append(question_table(explanation, 2 * INSIDE // 3))
    else:
        left = photo_panel(explanation, photo)
        right = question_table(explanation, INSIDE - left.width - 32)
        both = Image.new("RGB", (INSIDE, max(left.height, right.height)), PAPER)
        both.paste(left, (0, 0))
        both.paste(right, (left.width + 32, 0))
        parts.append(both)
    parts.append(passage_panel(explanation))
    return _stacked(parts)


def _stacked(parts: list[Image.Image]) -> Image.Image:
    gap = 26
    height = 2 * MARGIN + sum(part.height for part in parts) + gap * (len(parts) - 1)
    page = Image.new("RGB", (WIDTH, height), PAPER)
    top = MARGIN
    for part in parts:
        page.paste(part, (MARGIN, top))
        top += part.height + gap
    return page


def _header(explanation: Explanation) -> Image.Image:
    """Title, score, question, and a bar of what the score is made of."""
    score = f"score {explanation.score:.4f}"
    room = INSIDE - length_of(score, 24, True) - 30
    question = clean(explanation.question, SENTENCE_LENGTH)
    asked = wrapped(f"Question: {question}" if question else "No question, only the photo.", 16, INSIDE)[:3]
    picture, draw = sheet(INSIDE, 44 + 24 * len(asked) + 56)
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
        label = key(draw, label, top + 36, kind, f"{explanation.kind_names()[kind]} {percent(part, whole)}")
    return picture
