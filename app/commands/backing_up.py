"""`python -m kb backup DIR` and `python -m kb restore DIR`. Knows nothing of what a backup consists of."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from app.commands.arguments import place
from app.settings import Settings
from kb.catalogue import Catalogue


def add_backup_commands(command: Any) -> None:
    """Adds both; `command` makes one."""
    about = "copy catalogue, indexes and pictures of one moment, also while others write"
    command("backup", _backup, about, json=False).add_argument("folder", type=place, metavar="DIR", help="a new folder")
    about = "make a data folder, and the database, of a backup"
    command("restore", restore_backup, about, json=False).add_argument(
        "folder", type=place, metavar="DIR", help="of the backup"
    )


def _backup(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    from app.service.backup import back_up  # with the index, which takes seconds to import

    done = back_up(catalogue, settings, args.folder)
    for told in done.left_out:
        print(f"warning: {told}", file=sys.stderr)
    print(f"{args.folder}: catalogue and {len(done.indexes)} indexes, {done.files:,} files, {done.size / 1e6:,.1f} MB")


def restore_backup(args: argparse.Namespace, settings: Settings) -> None:
    """Without a catalogue: there must be none."""
    from app.service.backup import bring_back

    bring_back(args.folder, settings)
    print(f"restored into {settings.data_dir}; python -m kb check looks whether all of it agrees")
