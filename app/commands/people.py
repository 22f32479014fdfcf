"""`python -m app people ...`: who signs in to annotate, invited with a code that is told on standard output alone.

Knows the command line and nothing of how codes are made or passwords kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from app.commands.printing import table
from app.commands.terminal import database_commands
from app.options import settings_from
from app.settings import Settings
from kb.annotations.people import change_role, remove_person
from kb.annotations.records import Role
from kb.annotations.signing_in import accounts, invite, sign_out_everywhere
from kb.catalogue.database import Database

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # what is listened on -> one of the addresses that leads there


def add_commands(commands: Any) -> None:
    """Adds them to the parser of `python -m app`."""
    command = database_commands(commands, "people", "who signs in to annotate")
    command("list", _list, "show who judges, and how they can sign in")
    inviting = command("invite", _invite, "make a code with which somebody, who is added if need be, sets a password")
    removing = command("remove", _remove, "take somebody off; what they judged stays")
    giving = command("role", _role, "give somebody another role")
    ending = command("sign-out", _sign_out, "end all sessions of somebody")
    for each in (inviting, removing, giving, ending):
        each.add_argument("name", metavar="NAME")
    inviting.add_argument(
        "--role", choices=list(Role), default=Role.ANNOTATOR, help="of who is added (default: annotator)"
    )
    giving.add_argument("role", metavar="ROLE", choices=list(Role), help=f"one of {', '.join(Role)}")


@contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    database = Database(settings.catalogue_place)
    try:
        yield database
    finally:
        database.close()


def _list(args: argparse.Namespace) -> int:
    with _opened(settings_from(args)) as database:
        found = accounts(database)
    rows = [["person", "role", "password", "invitation"]]
    for each in found:
        ends = f"{'until' if each.open else 'too old since'} {_when(each.invited_until)}" if each.invited_until else ""
        rows.append([each.person.name, each.person.role, "yes" if each.has_password else "no", ends])
    table(rows)
    return 0


def _invite(args: argparse.Namespace) -> int:
    settings = settings_from(args)
    with _opened(settings) as database:
        code = invite(database, args.name, args.role)
        made = next(each for each in accounts(database) if each.person.name == args.name)
    address = address_of(settings)
    print(f"{args.name} can choose a password as {made.person.role} until {_when(made.invited_until)}, once:")
    print(f"code  {code}\nlink  {address}/?invitation={code}#annotate", flush=True)
    print(
        f"Who comes from another machine or through a proxy puts the address of the page in place of {address}.",
        file=sys.stderr,
    )
    return 0


def address_of(settings: Settings) -> str:
    """Where the page is on this machine."""
    host = _EVERYWHERE.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _remove(args: argparse.Namespace) -> int:
    with _opened(settings_from(args)) as database:
        remove_person(database, args.name)
    print(f"{args.name} judges no more and is signed out; what was judged stays")
    return 0


def _role(args: argparse.Namespace) -> int:
    with _opened(settings_from(args)) as database:
        change_role(database, args.name, args.role)
    print(f"{args.name}: {args.role} from now on")
    return 0


def _sign_out(args: argparse.Namespace) -> int:
    with _opened(settings_from(args)) as database:
        ended = sign_out_everywhere(database, args.name)
    print(f"{args.name}: {ended} {'session' if ended == 1 else 'sessions'} ended")
    return 0


def _when(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
