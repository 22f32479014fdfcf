"""Text from outside, made fit to be shown. Knows nothing of where it is shown."""

from __future__ import annotations

from pathlib import Path

# Of a character class: control characters but for tab and newlines, what has no width or turns the direction around,
# lone surrogates. Not the two joiners, which change how letters look that are there.
UNSAFE = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c"
    "\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
)
_LONGEST_PATH = 4096


def shown(text: object, most: int = 200) -> str:
    """Something from outside as it may stand in a sentence: on one line, printable, of at most so many characters; a
    path (Path) whole."""
    most = _LONGEST_PATH if isinstance(text, Path) else most
    line = " ".join(str(text)[: 4 * most].split())
    line = "".join(c if c.isprintable() else "\ufffd" for c in line[: most + 1])
    return line if len(line) <= most else line[: most - 1] + "…"
