"""`python -m app bench-load`: many people ask a server at once, over HTTP, and what each gets is compared with what one
alone gets. Knows the measuring, which is imported when it begins, and nothing of how a server answers.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from app.commands.arguments import count
from app.commands.terminal import check_photos
from app.options import add_common_options, settings_from
from common.problems import Problem


def add_command(commands: argparse._SubParsersAction) -> None:
    """Adds `bench-load` to the commands of `python -m app`."""
    load = commands.add_parser(
        "bench-load",
        help="measure what many people at once get",
        description="Start a server on a free port, have so many users ask it over HTTP, and compare with one alone.",
    )
    load.add_argument("--users", type=count(), default=50, metavar="N", help="who ask at once (default: 50)")
    load.add_argument("--minutes", type=float, default=3.0, metavar="M", help="for how long (default: 3)")
    load.add_argument("--corpus", metavar="NAME", help="the collection (default: wikipedia-vital)")
    load.add_argument("--json", action="store_true", help="print JSON")
    add_common_options(load)
    load.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from benchmarks.everything import QUESTIONS
    from benchmarks.http_user import Failed
    from benchmarks.load import write_photos
    from benchmarks.many_users import lines, measure_many, questions_for, wait_until_ready
    from benchmarks.server import serving

    settings = settings_from(args)
    check_photos(settings)
    if not 0 < args.minutes <= 24 * 60:
        raise Problem("--minutes must be more than 0, and no more than a day.")
    names = ("data_dir", "database_url", "profile", "corpus")
    given = {f"CITESIGHT_{name.upper()}": value for name, value in settings.plain(names).items() if value}
    asked = questions_for(args.users)
    with tempfile.TemporaryDirectory() as folder, serving(given) as server:
        photos = write_photos(Path(folder), asked)
        questions = [(photo, QUESTIONS[number % len(QUESTIONS)]) for number, photo in enumerate(photos)]
        try:
            wait_until_ready(server, (photos[0], "Is the index ready?"))
            figures = measure_many(server, questions, args.users, 60 * args.minutes, _tell)
        except Failed as failed:
            raise Problem(f"The server answered nothing ({str(failed)[:300]}).") from failed
    figures["machine_load"] = os.getloadavg()[0]
    print(json.dumps(figures, indent=2) if args.json else "\n".join(lines(figures)), flush=True)
    if figures["errors"] or figures["differing"]:
        first = f", the first: {figures['first_error'][:300]}" if figures["errors"] else ""
        raise Problem(f"{figures['errors']} questions failed and {figures['differing']} answers differ{first}.")
    return 0


def _tell(line: str) -> None:
    print(f"{line} …", file=sys.stderr, flush=True)
