"""Writing short texts on a picture: which font, how long, where to cut and break, which signs to leave out.

Texts are untrusted and of any script. Knows nothing of what is written or why.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache

from PIL import ImageDraw, ImageFont

Colour = tuple[int, int, int]
INK: Colour = (32, 36, 42)

# The first that is installed and has a text's letters; Pillow's own font, the last resort, has little beyond ASCII.
_FONTS = (
    ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf"),
    ("NotoSans-Regular.ttf", "NotoSans-Bold.ttf"),
    ("LiberationSans-Regular.ttf", "LiberationSans-Bold.ttf"),
    ("arial.ttf", "arialbd.ttf"),
    ("Arial.ttf", "Arial Bold.ttf"),
    ("NotoSansCJK-Regular.ttc", "NotoSansCJK-Bold.ttc"),
)
_SIMPLER = str.maketrans({"–": "-", "—": "-", "‘": "'", "’": "'", "“": '"', "”": '"', "×": "x", "→": ">", "⁄": "/"})
_JOINERS = "\u200c\u200d"  # invisible, but some scripts need them inside words
LEFT_TO_RIGHT = "\u200e"  # after a word of Hebrew or Arabic, keeps a number that follows on its right
_INVISIBLE = _JOINERS + LEFT_TO_RIGHT


def leftwards(text: str) -> bool:
    """Whether the first letter that has a direction is of a script written from right to left."""
    directions = (unicodedata.bidirectional(letter) for letter in text[:1000])
    return next((direction for direction in directions if direction in ("L", "R", "AL")), "L") != "L"


def clean(text: str, length: int) -> str:
    """The text on one line, without what is not printable, and cut to at most `length` characters."""
    text = text[: 4 * length]  # enough, and nothing below is slow then
    kept = "".join(sign if sign.isprintable() or sign in _JOINERS else " " for sign in text)
    kept = " ".join(kept.split())
    return kept if len(kept) <= length else kept[: length - 1].rstrip() + "…"


def say(
    draw: ImageDraw.ImageDraw,
    left: float,
    base: float,
    text: str,
    size: int,
    colour: Colour = INK,
    bold: bool = False,
) -> float:
    """Writes on one line whose letters stand on `base`; returns where the text ends."""
    text, font = _set(text, size, bold)
    draw.text((left, base), text, colour, font, anchor="ls")
    return left + font.getlength(text)


def say_right(draw: ImageDraw.ImageDraw, right: float, base: float, text: str, size: int, colour: Colour) -> None:
    """As `say`, but so that the text ends at `right`."""
    say(draw, right - length_of(text, size), base, text, size, colour)


def length_of(text: str, size: int, bold: bool = False) -> float:
    """Pixels that the text is long."""
    text, font = _set(text, size, bold)
    return font.getlength(text)


def fitted(text: str, size: int, room: float, bold: bool = False) -> str:
    """The text, or as much of its beginning as has room."""
    if length_of(text, size, bold) <= room:
        return text
    while text and length_of(text + "…", size, bold) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def wrapped(text: str, size: int, width: float) -> list[str]:
    """The text in lines no longer than `width` pixels, broken at white space; a longer word is cut."""
    lines: list[str] = []
    for word in text.split():
        if lines and length_of(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(fitted(word, size, width))
    return lines


@lru_cache(maxsize=8192)
def _set(text: str, size: int, bold: bool) -> tuple[str, ImageFont.FreeTypeFont]:
    """The text as it can be written, and a font that has its letters; simpler letters stand in for lacking ones."""
    fonts = _fonts(size, bold)
    for font in fonts:
        if all(_has(font, letter) for letter in text):
            return text, font
    return "".join(letter if _has(fonts[0], letter) else _simpler(letter) for letter in text), fonts[0]


@cache
def _fonts(size: int, bold: bool) -> tuple[ImageFont.FreeTypeFont, ...]:
    found = []
    for names in _FONTS:
        try:
            found.append(ImageFont.truetype(names[bold], size))
        except OSError:  # not on this machine
            continue
    return (*found, ImageFont.load_default(size))


@lru_cache(maxsize=16384)
def _has(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    return letter in _INVISIBLE or bytes(font.getmask(letter)) != bytes(font.getmask("\uffff"))  # a sign no font has


def _simpler(letter: str) -> str:
    """`letter` in ASCII where that can be done, or itself: it is then written as an empty box."""
    plain = unicodedata.normalize("NFKD", letter).translate(_SIMPLER)
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return plain if plain.isascii() else letter
