"""`python -m app pool PROJECT`: passages and answers for the items of an annotation project.

Knows the command line and nothing of how anything is found, which is imported when it begins.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from app.commands.annotation_exports import photos_in
from app.commands.arguments import count
from app.commands.printing import printable
from app.commands.terminal import prepare
from app.options import add_answer_options, add_common_options, settings_from

MOST = 100  # passages of an item
_SHOWN = 10  # items whose photo is gone


def add_command(commands: Any) -> None:
    """Adds it to the parser of `python -m app`."""
    about = "put passages, and answers, to the items of an annotation project"
    command = commands.add_parser(
        "pool", help=about,
        description=f"{about[0].upper()}{about[1:]}. Another model or collection adds what it finds to what is there; "
        "what was pooled is passed over.",
    )  # fmt: skip
    command.add_argument("project", metavar="PROJECT", help="made by python -m kb annotations create")
    command.add_argument("--k", type=count(most=MOST), default=20, metavar="N", help="passages an item (default: 20)")
    command.add_argument("--answers", action="store_true", help="answers too")
    command.add_argument("--corpus", metavar="NAME", help="the collection that is searched (default: wikipedia-vital)")
    add_common_options(command)
    add_answer_options(command)
    command.set_defaults(run=_pool)


def _pool(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from app.service.assembly import build_service
    from app.service.pooling import pool

    settings = settings_from(args)
    service = build_service(settings)
    try:
        prepare(service)
        with tqdm(desc="pooling", unit="item") as bar:

            def progress(done: int, total: int) -> None:
                bar.total = total
                bar.update(done - bar.n)

            report = pool(service, photos_in(settings), args.project, args.k, args.answers, progress)
    finally:
        service.close()
    print(f"{args.project}: {report.items:,} items, {report.added:,} new candidates, {report.merged:,} were there")
    if report.lost:
        some = printable(", ".join(report.lost[:_SHOWN]))
        print(f"{len(report.lost):,} items have lost their photo, such as {some}; add them again.", file=sys.stderr)
    return int(bool(report.lost))
