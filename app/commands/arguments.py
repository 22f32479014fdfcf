"""Kinds of numbers and paths that commands take, for argparse, which says the sentence with the option's name; and
that what a command writes is nothing that it reads."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from common.problems import Problem


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


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths mean the same file, also through links, or where there is none yet."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return os.path.realpath(one) == os.path.realpath(other)


def check_outputs(outputs: Mapping[str, Path | None], inputs: Iterable[Path]) -> None:
    """That files to write, each by its option, None where that was not given, are neither folders nor what is read, nor
    the same file twice: found at the end, it would cost the work or the input. Raises Problem."""
    read = list(inputs)
    met: dict[str, Path] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        if path.is_dir():
            raise Problem(f"{option} names the folder {path}; name a file in it.")
        if own := next((each for each in read if same_file(path, each)), None):
            raise Problem(f"{option} names {own} itself; name another file.")
        if twice := next((each for each, there in met.items() if same_file(path, there)), None):
            raise Problem(f"{option} and {twice} name the same file; name another for one of them.")
        met[option] = path
