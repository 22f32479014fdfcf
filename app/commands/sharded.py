"""`python -m retriever bench-sharded`: what an index in shards costs and gives, measured, and calculated for more.

Knows the command line and nothing of how it is measured.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from app.commands.arguments import count
from app.commands.terminal import add_command
from app.settings import Settings
from benchmarks import prediction
from benchmarks.sharded_build import PASSAGES, lines, measure_build
from benchmarks.sharded_search import SEARCHED, of_corpus
from benchmarks.sharded_search import lines as search_lines


def add_commands(commands: Any) -> None:
    """Adds it to the retriever's parser."""
    command = add_command(commands, "bench-sharded", _run, "measure an index in shards, built on a Ray cluster")
    command.add_argument("--corpus", help="the collection (default: wikipedia-vital)")
    command.add_argument("--indexed", type=count(), metavar="N", help="passages of it that are indexed (default: 1500)")
    command.add_argument("--rounds", type=count(), default=2, help="of which the best counts (default: 2)")
    command.add_argument(
        "--predict", action="store_true", help="measure nothing; print what many millions of passages would need"
    )
    command.add_argument(
        "--search", action="store_true", help="measure searching it, in one process and by replicas, on a built index"
    )
    command.add_argument("--shards", type=count(most=16), default=4, help="with --search (default: 4)")
    command.add_argument("--json", action="store_true", help="print JSON")


def _run(args: argparse.Namespace, settings: Settings) -> None:
    if args.predict:
        sizes = {size: prediction.predict(size) for size in prediction.SIZES}
        print(json.dumps(sizes, indent=2) if args.json else "\n".join(prediction.table()))
        return
    if args.search:
        found = of_corpus(settings, args.indexed or SEARCHED, args.shards, args.rounds)
        print(json.dumps(found, indent=2) if args.json else "\n".join(search_lines(found)))
        return
    report = measure_build(settings, args.indexed or PASSAGES, args.rounds)
    print(json.dumps(report, indent=2) if args.json else "\n".join(lines(report)))
