"""What several command lines share: a command with its options, progress on standard error while an index is built,
files of labels.

Knows the service's status and nothing of what is asked; imports what takes time only where that is needed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.options import add_common_options, add_database_options
from app.service.job_states import IndexState
from app.settings import Settings
from common.problems import Problem, unreadable

if TYPE_CHECKING:
    from PIL import Image
    from tqdm import tqdm

    from app.service.ask import AnswerService
    from app.service.results import IndexStatus

PHOTO_QUESTION = "What is this?"  # what is asked of a photo where nothing else is

_BARS = {  # state of the index -> what is counted
    IndexState.STARTING: ("Fetching the model", "B"),
    IndexState.FETCHING: ("Fetching", " documents"),
    IndexState.INDEXING: ("Indexing", " passages"),
}


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace, Settings], None], about: str, profile: bool = True
) -> argparse.ArgumentParser:
    """Adds a command of the retriever, with the options that all have. about: one sentence, begun small. profile:
    whether the model is chosen by --profile; an option that chose nothing would be believed."""
    command = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
    command.set_defaults(run=run)
    if profile:
        add_common_options(command)
    else:
        add_database_options(command)
    return command


def database_commands(
    commands: Any, group: str, about: str
) -> Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]:
    """Adds a group of commands that need the database alone; gives what adds one to it, by its name, what runs it, and
    what it is about."""
    parser = commands.add_parser(group, help=about, description=about.capitalize() + ".")
    own = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], about: str) -> argparse.ArgumentParser:
        made = own.add_parser(name, help=about, description=about.capitalize() + ".")
        add_database_options(made)
        made.set_defaults(run=run)
        return made

    return command


def prepare(service: AnswerService, corpus: str | None = None) -> None:
    """Bring the index of a corpus (None: that of the settings) up to date, showing progress. Problem when there is
    nothing to search then."""
    progress = IndexProgress()
    status = service.prepare(progress, corpus)
    progress.close()
    if status.state == IndexState.FAILED:
        if not status.done:
            raise Problem(status.message)
        print(f"warning: {status.message} Going on with what is indexed.", file=sys.stderr)


class IndexProgress:
    """A bar on standard error for each state that takes time; none when everything is there already."""

    def __init__(self) -> None:
        self._bar: tqdm | None = None
        self._state = ""

    def __call__(self, status: IndexStatus) -> None:
        if status.state != self._state:
            self.close()
            self._state = status.state
        if self._bar is None and status.state in _BARS and status.done < status.total:
            from tqdm import tqdm

            name, unit = _BARS[status.state]
            self._bar = tqdm(
                total=status.total,
                initial=status.done,
                desc=name,
                unit=unit,
                unit_scale=unit == "B",
                mininterval=1,
            )
        if self._bar is not None:
            self._bar.update(status.done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def check_photos(settings: Settings) -> None:
    """Problem if the profile is known to read only questions, before anything is fetched or indexed."""
    from retriever.encoders.registry import takes_photos

    if not takes_photos(settings.profile):
        raise Problem(
            f"The profile {settings.profile} reads only the question, and this is done with photos; leave them out or "
            "choose another profile, such as mini."
        )


def photo_named(file: str | None, settings: Settings) -> Image.Image | None:
    """The photo of a question; None without one. Raises Problem, also for a profile that reads only questions."""
    if not file:
        return None
    from common.images import load_image

    check_photos(settings)
    return load_image(file)


def refuse(sentence: str) -> int:
    """Say what is wrong; returns the exit code for it."""
    print(f"error: {sentence}", file=sys.stderr)
    return 2


def read_entries(path: Path, fields: tuple[str, ...]) -> list[dict]:
    """Raises Problem unless the file is a JSON list of objects with those fields."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise unreadable(path, problem) from None
    except ValueError:
        raise Problem(f"{path} is not JSON.") from None
    if not isinstance(entries, list) or not entries or not all(
        isinstance(e, dict) and all(f in e for f in fields) for e in entries
    ):
        raise Problem(f"{path} must be a JSON list of objects with {' and '.join(fields)}.")
    return entries
