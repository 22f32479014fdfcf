"""`python -m kb delete NAME`: a corpus goes with its documents, its indexes and the files that were uploaded for it.

Knows nothing of how any of them is kept.
"""

from __future__ import annotations

import argparse
import sys

from app.service.corpus_names import check_known
from app.settings import Settings
from common.problems import DiskFull, Problem
from kb.catalogue import Catalogue

PATIENCE = 600.0  # seconds for a run under way to pause; a batch of it may take minutes


def delete(args: argparse.Namespace, catalogue: Catalogue, settings: Settings) -> None:
    """Raises Problem; can be done again then."""
    from app.service.corpus_deletion import delete_all_of, pause_runs  # with what takes time to import

    check_known(catalogue, args.name)
    told = f"waiting for an ingestion into {args.name} to pause; Ctrl-C ends that"
    pause_runs(catalogue, args.name, PATIENCE, waiting=lambda: print(told, file=sys.stderr, flush=True))
    holds = next((each for each in catalogue.corpora() if each.name == args.name), None)  # what a run added last too
    try:
        delete_all_of(catalogue, settings.data_dir, args.name)
    except DiskFull as problem:
        raise DiskFull(f"{problem} What is in {settings.cache_dir} can be fetched again.") from None
    except OSError as problem:
        reason = problem.strerror or problem
        raise Problem(f"Not all of {args.name} could be deleted ({reason}); mend that and delete it again.") from None
    documents, passages = (holds.documents, holds.passages) if holds else (0, 0)
    print(f"deleted {args.name}: {documents:,} documents with {passages:,} passages, and their indexes")
