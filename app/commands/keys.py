"""`python -m app keys ...`: the keys with which programs ask; one is told on standard output when it is made, and never
again.

Knows the command line and nothing of how keys are kept.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from typing import Any

from app.commands.printing import table
from app.commands.terminal import database_commands
from app.options import settings_from
from common.problems import BadRequest
from kb.annotations.people import person_called
from kb.catalogue.database import Database
from kb.keys.keys import add_key, keys, revoke
from kb.keys.records import Right


def add_commands(commands: Any) -> None:
    """Adds them to the parser of `python -m app`."""
    command = database_commands(commands, "keys", "the keys with which programs ask")
    command("list", _list, "show the keys, what they may and when they were used last")
    adding = command("add", _add, "make a key, which is shown this once")
    revoking = command("revoke", _revoke, "take a key back, at once and everywhere")
    for each in (adding, revoking):
        each.add_argument("name", metavar="NAME", help="of the key, to know it again")
    adding.add_argument(
        "--rights", default=f"{Right.ASK},{Right.RETRIEVE}", metavar="RIGHT,...",
        help=f"what it may, of {', '.join(Right)} (default: ask,retrieve)",
    )  # fmt: skip
    adding.add_argument("--days", type=int, metavar="N", help="for how long (default: until it is revoked)")
    adding.add_argument("--person", default="", metavar="NAME", help="whose judgments it gives, with the right judge")


def _add(args: argparse.Namespace) -> int:
    rights = [each.strip() for each in args.rights.split(",") if each.strip()]
    with closing(Database(settings_from(args).catalogue_place)) as database:
        if args.person and person_called(database, args.person) is None:
            raise BadRequest(f"Nobody called {args.person} judges here; python -m app people invite adds somebody.")
        token, key = add_key(database, args.name, rights, args.days, args.person)
    ends = f", until {key.until:%Y-%m-%d}" if key.until else ""
    print(f"{key.name} may {' and '.join(sorted(key.rights))}{ends}:", file=sys.stderr)
    print(token, flush=True)
    print("It is shown this once; keep it where only the program reads it.", file=sys.stderr)
    return 0


def _list(args: argparse.Namespace) -> int:
    with closing(Database(settings_from(args).catalogue_place)) as database:
        found = keys(database)
    rows = [["key", "begins", "rights", "person", "made", "until", "last used"]]
    for key in found:
        until = f"{key.until:%Y-%m-%d}" if key.until else ""
        ends = f"revoked {key.revoked:%Y-%m-%d}" if key.revoked else f"ended {until}" if key.ended else until
        used = key.used.isoformat() if key.used else "never"
        made = f"{key.made:%Y-%m-%d}"
        rows.append([key.name, key.prefix, ",".join(sorted(key.rights)), key.person, made, ends, used])
    table(rows)
    return 0


def _revoke(args: argparse.Namespace) -> int:
    with closing(Database(settings_from(args).catalogue_place)) as database:
        revoke(database, args.name)
    print(f"{args.name} is refused from now on")
    return 0
