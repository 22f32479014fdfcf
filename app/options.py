"""Options of commands that are settings as well. Knows nothing of what the commands do."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from app.settings import Settings, load_settings


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that ask a model: --data-dir, --database-url, --profile. Defaults stay None."""
    add_database_options(parser)
    _add_options(parser, ("profile",))


def add_database_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that only need the database: --data-dir, --database-url. Defaults stay None."""
    _add_options(parser, ("data_dir", "database_url"))


def add_answer_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of commands that answer: --model, --served-url, --rerank. Defaults stay None. A key is no option,
    since others on the machine can read those."""
    _add_options(parser, ("model", "served_url", "rerank"))


def _add_options(parser: argparse.ArgumentParser, fields: Sequence[str]) -> None:
    for field in fields:
        about = Settings.model_fields[field]
        shown = "" if about.default is None else f" (default: {about.default})"
        parser.add_argument(
            "--" + field.replace("_", "-"),
            metavar=field.split("_")[-1].upper(),
            help=(about.description or "") + shown,
        )


def settings_from(args: argparse.Namespace) -> Settings:
    """The settings of a parsed command line: every attribute of `args` named like a setting overrides it."""
    return load_settings(**{name: getattr(args, name, None) for name in Settings.model_fields})
