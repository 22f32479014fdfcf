"""The command line of the catalogue: ingest a source, show what is there, search by words.

python -m kb ingest wikipedia-vital --limit 100
python -m kb stats --json
python -m kb search-text "striped cat" --json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from app.settings import Settings, SettingsProblem, load_settings
from kb.catalogue import Catalogue
from kb.ingest import ingest
from kb.records import CatalogueProblem, TextHit
from kb.sources import SOURCES
from wheelcache import WheelProblem


def main(argv: Sequence[str] | None = None, settings: Settings | None = None) -> int:
    """Run one command and return its exit code: 0, 2 after `error: ...` on stderr, 130 when interrupted."""
    args = _parser().parse_args(argv)
    try:
        settings = settings or load_settings(data_dir=args.data_dir, database_url=args.database_url)
        catalogue = Catalogue(settings.catalogue_url)
        try:
            args.run(args, catalogue, settings)
            sys.stdout.flush()
        finally:
            catalogue.close()
    except (CatalogueProblem, WheelProblem, SettingsProblem) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader, `head` for one, has had enough; Python would complain of it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("stopped; the same command goes on where this one ended", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    # Options may stand before and after the command; SUPPRESS keeps the latter from erasing the former.
    before, after = argparse.ArgumentParser(add_help=False), argparse.ArgumentParser(add_help=False)
    for options, default in ((before, None), (after, argparse.SUPPRESS)):
        options.add_argument(
            "--data-dir", metavar="DIR", default=default, help="folder of everything that is kept"
        )
        options.add_argument(
            "--database-url",
            metavar="URL",
            default=default,
            help="SQLAlchemy URL (default: a SQLite file in DIR)",
        )
    parser = argparse.ArgumentParser(
        prog="python -m kb", description="The catalogue of evidence.", parents=[before]
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("ingest", parents=[after], help="bring a source into the catalogue")
    command.add_argument("source", metavar="SOURCE", help=f"one of: {', '.join(sorted(SOURCES))}")
    command.add_argument("--limit", type=_count, metavar="N", help="only the first N documents")
    command.set_defaults(run=_ingest)

    command = commands.add_parser("stats", parents=[after], help="show what is in the catalogue")
    command.add_argument("--json", action="store_true", help="as JSON")
    command.set_defaults(run=_stats)

    command = commands.add_parser("search-text", parents=[after], help="find passages by their words")
    command.add_argument("words", metavar="WORDS", help="words, best matches first; any of them may match")
    command.add_argument(
        "--limit", type=_count, default=10, metavar="N", help="at most N passages (default: 10)"
    )
    command.add_argument("--json", action="store_true", help="as JSON")
    command.set_defaults(run=_search)
    return parser


def _count(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is not a number from 1 upwards")
    return int(value)


def _ingest(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    with ExitStack() as stack:
        bars: list[tqdm] = []

        def progress(done: int, total: int) -> None:
            if not bars:  # by now a fetch is over and an unknown source has been refused
                bar = tqdm(total=total, unit=" documents", desc=args.source, file=sys.stderr)
                bars.append(stack.enter_context(bar))
            bars[0].update(done - bars[0].n)

        report = ingest(catalogue, args.source, settings.cache_dir, args.limit, progress)
    print(
        f"{report.source}: {report.added} new, {report.updated} updated, {report.unchanged} unchanged "
        f"in {report.seconds:.1f} s"
    )


def _stats(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    stats = catalogue.stats()
    if args.json:
        print(json.dumps(stats, ensure_ascii=False, indent=2))
        return
    print(f"database: {stats['dialect']}")
    rows = [["corpus", "documents", "passages", "text", "licence", "last run"]]
    for corpus in stats["corpora"]:
        run = corpus["last_run"]
        last = f"{run['state']} {run['finished'] or run['started']}" if run else "none"
        size = f"{corpus['text_bytes'] / 1e6:.1f} MB"
        rows.append(
            [corpus["name"], str(corpus["documents"]), str(corpus["passages"]), size, corpus["licence"], last]
        )
    _table(rows)


def _search(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    hits = catalogue.search_text(args.words, args.limit)
    if args.json:
        print(json.dumps([_shown(hit) for hit in hits], ensure_ascii=False, indent=2))
        return
    if not hits:
        print("No passage has any of these words.")
        return
    rows = [["score", "title", "text"]]
    for hit in hits:
        text = hit.passage.text
        rows.append([f"{hit.score:.3f}", hit.passage.title, text if len(text) <= 70 else text[:67] + "..."])
    _table(rows)


def _shown(hit: TextHit) -> dict[str, Any]:
    passage = asdict(hit.passage)
    return {name: passage[name] for name in ("id", "title")} | {
        "score": hit.score,
        "text": hit.passage.text,
        "url": hit.passage.url,
    }


def _table(rows: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
