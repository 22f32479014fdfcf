"""The question's words and what they matched. Knows nothing of the rest of the picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from retriever.search.drawing.parts import (
    FAINT,
    KIND_COLOURS,
    LINE,
    NOTABLE,
    WORD_LENGTH,
    percent,
    sheet,
    shown_word,
)
from retriever.search.drawing.text import INK, LEFT_TO_RIGHT, clean, fitted, leftwards, say, say_right, wrapped
from retriever.search.explanation import Explanation, QuestionWord

QUESTION_ROWS = 20


def question_table(explanation: Explanation, width: int) -> Image.Image:
    """The question's words: what each added to the score and what it matched; then what the photo's vectors matched."""
    words, left_out = _strongest(explanation.question_words(), QUESTION_ROWS)
    photo_lines = [
        (kind, line) for kind in ("prefix", "patch") for line in wrapped(_matches_of(explanation, kind), 14, width - 20)
    ]
    rows = len(words) + bool(left_out)
    picture, draw = sheet(width, 34 + 25 * rows + (14 + 22 * len(photo_lines) if photo_lines else 0))
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
        say_right(draw, match - 14, top + 17, percent(word.contribution, explanation.score), 13, FAINT)
        matched = explanation.words[word.best]
        room = end - match - 50
        say(draw, match, top + 17, fitted(shown_word(matched.label), 15, room), 15, FAINT if matched.special else INK)
        say_right(draw, end, top + 17, f"{word.similarity:.2f}", 13, FAINT)
        top += 25
    if left_out:
        rest = percent(sum(word.contribution for word in left_out), explanation.score)
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
            named.append(f"{shown_word(label)}{mark} {percent(won, whole)}")
    name = explanation.kind_names()[kind]
    vectors = "1 vector" if count == 1 else f"{count} vectors"
    return f"{name[0].upper()}{name[1:]} ({vectors}) matched {', '.join(named) or 'no word in particular'}."
