"""`python -m retriever index --ray`: building an index in shards on a Ray cluster.

Knows nothing of how that is done.
"""

from __future__ import annotations

import argparse

from app.commands.arguments import count
from app.commands.terminal import IndexProgress
from app.service.cluster_indexing import index_on_cluster
from app.service.job_states import IndexState
from app.service.opening import check_beginning, open_catalogue
from app.settings import Settings
from common.problems import Problem


def add_options(command: argparse.ArgumentParser) -> None:
    """--ray, and what goes with it."""
    command.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="build the index in shards on the Ray cluster at HOST:PORT, on the one that this machine belongs to "
        "(auto), or on one of this machine alone (local)",
    )
    command.add_argument("--shards", type=count(most=1000), metavar="N", help="with --ray: shards of a new index")
    command.add_argument("--workers", type=count(), metavar="N", help="with --ray: encoders at most")


def index(args: argparse.Namespace, settings: Settings) -> None:
    """Build or go on with an index in shards, showing progress. Raises Problem."""
    check_beginning(settings)
    catalogue, progress = open_catalogue(settings), IndexProgress()
    try:
        status = index_on_cluster(settings, catalogue, args.ray, args.shards, args.workers, progress)
    finally:
        progress.close()
        catalogue.close()
    if status.state == IndexState.FAILED:
        raise Problem(status.message)
    print(status.message)
