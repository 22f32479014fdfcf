"""`python -m retriever mine`: hard negatives for questions of one's own, out of a collection.

Joins the catalogue and the index to retriever/training/mining.py, which knows of neither.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from app.commands.arguments import check_outputs, count, place, share
from app.commands.terminal import add_command, check_photos, prepare
from app.service.ask import AnswerService
from app.service.assembly import build_service
from app.settings import Settings
from common.passage import Passage
from retriever.encoders.base import QueryVectors
from retriever.encoders.registry import profile_of
from retriever.index import Hit
from retriever.training.mining import Corpus, Mined, Wanted, check_rows, mine


def add_commands(commands: Any) -> None:
    """Adds it to the retriever's parser."""
    command = add_command(commands, "mine", _mine, "find hard negatives for questions of one's own")
    command.add_argument("--data", type=place, required=True, metavar="JSONL", help="questions with their positives")
    command.add_argument("--output", type=place, required=True, metavar="JSONL", help="where to write them anew")
    command.add_argument("--corpus", help="the collection that is searched (default: wikipedia-vital)")
    command.add_argument("--images", type=place, metavar="DIR", help="their images (default: beside the questions)")
    command.add_argument(
        "--count", type=count(most=10_000), default=10, help="negatives for a question, at most (default: 10)"
    )
    command.add_argument(
        "--margin", type=share, default=0.05,
        help="leave out what scores less than this share below the positive (default: 0.05)",
    )  # fmt: skip
    command.add_argument(
        "--depth", type=count(most=10_000), default=100,
        help="passages looked through for them, up to 16 times as many where that gives too few (default: 100)",
    )  # fmt: skip
    command.add_argument("--scores", action="store_true", help="write scores too, for another model to learn from")


def _mine(args: argparse.Namespace, settings: Settings) -> None:
    check_outputs({"--output": args.output}, [args.data])
    profile_of(settings.profile)  # of two, one would mine
    service = build_service(settings)
    try:
        if not service.catalogue.count(settings.corpus):  # one that is fetched by its name
            prepare(service)
        corpus = _corpus(service, settings.corpus)
        rows = check_rows(args.data, corpus)
        if rows.images:
            check_photos(settings)
        prepare(service)
        wanted = Wanted(args.count, args.margin, args.depth, args.scores)
        with tqdm(total=rows.count, desc="Mining", unit=" questions", mininterval=1, file=sys.stderr) as bar:
            found = mine(
                rows, args.images or args.data.parent, service.encoder(), corpus, wanted, args.output,
                lambda done, total: bar.update(done - bar.n),
            )  # fmt: skip
    finally:
        service.close()
    print(_said(found, args.output))


def _said(found: Mined, output: Path) -> str:
    each = found.negatives / max(1, found.found)
    said = [
        f"{found.questions:,} questions, negatives found for {found.found:,} of them, {each:.1f} each: {output}",
        f"Left out: {found.near:,} passages that score nearly as the positive, {found.answering:,} that contain an "
        f"answer, {found.no_image:,} questions whose image cannot be used.",
    ]
    if found.kept:
        said.append(f"Of the questions that were left out, {found.kept:,} keep the negatives that they had before.")
    return "\n".join(said)


def _corpus(service: AnswerService, name: str) -> Corpus:
    """The collection as mining sees it."""
    catalogue, corpus = service.catalogue, f"{name}:"

    def search(queries: Sequence[QueryVectors], k: int, within: Collection[str] | None) -> list[list[Hit]]:
        index = service.indexes.searchable([name])[name]
        vectors, weights = [each.vectors for each in queries], [each.weights for each in queries]
        with service.indexes.searching([name]):
            return index.search_batch(vectors, k, weights, within)

    def named(names: Sequence[str]) -> dict[str, list[str]]:
        found = {each.id: [each.id] for each in catalogue.passages(names) if each.corpus == name}
        for each in catalogue.documents([corpus + key for key in names if key not in found]):
            found[each.id.removeprefix(corpus)] = [passage.id for passage in catalogue.passages_of(each.id)]
        return found

    def key(passage: Passage) -> str:
        return passage.document_id.removeprefix(corpus)

    return Corpus(name, search, catalogue.passages, named, key)
