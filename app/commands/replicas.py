"""`python -m retriever replicas`: the processes that search the shards of a corpus's indexes on a Ray cluster are told
of, replaced one after another without a question failing, or ended.

Knows nothing of encoders or questions.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from app.commands.terminal import add_command
from app.service.corpus_deletion import indexes_of
from app.service.indexes import over_of
from app.settings import Settings
from common.problems import Problem
from retriever.sharding.layout import is_sharded, read_layout


def add_commands(commands: Any) -> None:
    """Adds it to the retriever's parser."""
    about = "look at, replace one after another, or end the processes that search shards on a Ray cluster"
    command = add_command(commands, "replicas", _run, about)
    command.add_argument("what", choices=("status", "restart", "stop"), help="what to do with them")
    command.add_argument("--corpus", help="the collection (default: wikipedia-vital)")


def _run(args: argparse.Namespace, settings: Settings) -> None:
    over = over_of(settings)
    if over is None:
        raise Problem("Say on which Ray cluster the replicas are: CITESIGHT_RAY=HOST:PORT.")
    folders = _sharded(settings)
    if not folders:
        raise Problem(f"The collection {settings.corpus} has no index in shards; build one with index --ray.")
    from retriever.cluster.fleet import Fleet  # with Ray, which few have installed
    from retriever.cluster.over import join

    join(over.address)
    for path in folders:
        layout = read_layout(path)
        fleet = Fleet(path.resolve(), layout, over.replicas, over.cache)
        if args.what == "stop":
            fleet.stop()
        elif args.what == "restart":
            fleet.restart(lambda done, total: print(f"{done} of {total} replaced", file=sys.stderr, flush=True))
        print(f"{path.name}: generation {layout.generation}, {layout.passages:,} passages")
        for shard, living in zip(layout.shards, fleet.living(), strict=True):
            print(f"  {shard.name}: {shard.passages:,} passages, {living} of {over.replicas} replicas")


def _sharded(settings: Settings) -> list[Path]:
    """The folders of the corpus's indexes that lie in shards, of all its versions and encoders."""
    return sorted(filter(is_sharded, indexes_of(settings.data_dir, settings.corpus)))
