"""Photo and passage as they are, of a model whose vectors stand for no words and no places: there is nothing to mark.

Knows nothing of the rest of the picture.
"""

from __future__ import annotations

from PIL import Image

from retriever.search.drawing.parts import FAINT, INSIDE, LINE, sheet
from retriever.search.drawing.photo import scaled
from retriever.search.drawing.text import clean, say, wrapped
from retriever.search.explanation import Explanation

GAP = 32
MOST_CHARACTERS = 4000  # of the passage


def whole_panel(explanation: Explanation, photo: Image.Image | None) -> Image.Image:
    """What the model's vectors stand for, the photo, if there is one, and the passage."""
    shown = None if photo is None else scaled(photo)
    left = 0 if shown is None else shown.width + GAP
    width = INSIDE - left
    notes = wrapped(explanation.whole, 14, width)
    lines = wrapped(clean(explanation.text, MOST_CHARACTERS), 17, width)
    height = 20 * len(notes) + 44 + 26 * len(lines)
    picture, draw = sheet(INSIDE, height if shown is None else max(height, shown.height))
    if shown is not None:
        picture.paste(shown, (0, 0))
    top = 0
    for note in notes:
        say(draw, left, top + 14, note, 14, FAINT)
        top += 20
    say(draw, left, top + 28, "Passage", 13, FAINT)
    draw.line((left, top + 38, INSIDE, top + 38), fill=LINE)
    top += 44
    for line in lines:
        say(draw, left, top + 19, line, 17)
        top += 26
    return picture
