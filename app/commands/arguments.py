"""Kinds of numbers and paths that commands take, for argparse, which says the sentence with the option's name."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path


def place(text: str) -> Path:
    """Reads the name of a file or folder; `~` is the home folder also where no shell said so, as in `--output=~/x`."""
    return Path(os.path.expanduser(text))


def count(least: int = 1, most: int | None = None) -> Callable[[str], int]:
    """Reads a whole number from `least` to `most`."""
    bounds = f"{least} or more" if most is None else f"{least} to {most}"

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
            raise argparse.ArgumentTypeError(f"it must be a whole number, {bounds}")
        return int(text)

    return read


def share(text: str) -> float:
    """Reads a number from 0 to less than 1."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError("it must be a number, 0 or more and less than 1")
    return number
