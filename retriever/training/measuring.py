"""How well a model in training finds the passages of questions that are held out: Recall@K in a pool of passages.

The pool is small and scored whole, and searched through the index that people search with, whose compression suits one
model more than another; M2KR's own figures are those of `python -m retriever eval m2kr`. Knows nothing of steps or
files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from PIL import Image

from common.images import load_image
from common.problems import Problem
from retriever.training.batches import image_file, image_of, keys_of, positives_of, wanted_by
from retriever.training.features import Photo, Tower, plain_photo, seen
from retriever.training.gathering import gathered_list, processes, rank
from retriever.training.indexed import pool_index
from retriever.training.inputs import Inputs, RetInputs, document_inputs, query_inputs
from retriever.training.loss import score_table
from retriever.training.recipe import HeldOut
from retriever.training.sources import Questions
from retriever.training.vectors import Network, document_vectors, query_vectors

_AT_A_TIME = 32  # questions or passages that are encoded


@dataclass(frozen=True)
class Pool:
    """A held-out set: `rows` of its questions, and the passages that each is asked of, with the images beside them, ""
    for none, and their keys."""

    found: Questions
    rows: range
    texts: list[str]
    images: list[str]
    keys: list[tuple[int, ...]]


def make_pool(found: Questions, held: HeldOut) -> Pool:
    """The first of the questions, all their positives, and other passages up to the size that is asked for."""
    rows = range(min(held.questions, len(found.rows)))
    passages: dict[tuple[str, str], tuple[int, ...]] = {}
    for each, text, image in _candidates(found, rows):
        if len(passages) >= held.pool and each is None:
            break
        if text.strip() or image:
            passages.setdefault((text, image), keys_of(found.name, each or "", text, image))
    return Pool(found, rows, [text for text, _ in passages], [image for _, image in passages], list(passages.values()))


def _candidates(found: Questions, rows: range) -> Iterator[tuple[str | None, str, str]]:
    """Id, text and image of all positives; then of others, whose id does not matter, None."""
    for number in rows:
        yield from positives_of(found.rows[number])
    if found.passages is not None:
        for number in range(len(found.passages)):
            row = found.passages[number]
            yield None, row["text"], row["image"] or ""
    else:
        for number in range(rows.stop, len(found.rows)):
            yield from ((None, text, image) for _, text, image in positives_of(found.rows[number]))


@torch.no_grad()
def recall(
    network: Network,
    inputs: Inputs,
    tower: Tower | None,
    pool: Pool,
    vectors: tuple[str, ...],
    depths: Sequence[int],
) -> dict[str, float]:
    """recall@K for each depth, with all passages scored, and "index recall@K", of what the index finds; `questions`,
    how many were asked, and `skipped`, how many have an image that cannot be used.

    The network is in evaluation mode; `tower` is its own that keeps features, if there is one. Each process asks its
    part of the questions. Raises Problem where none can be asked."""
    asked, wanted, skipped = [], [], 0
    mine = pool.rows[rank() :: processes()]
    for start in range(0, len(mine), _AT_A_TIME):
        rows = [pool.found.rows[number] for number in mine[start : start + _AT_A_TIME]]
        pairs = _usable(pool.found, rows, tower, "vision" in vectors)
        skipped += len(rows) - len(pairs)
        if pairs:
            asked.append(_vectors(network, inputs, tower, pool.found, pairs, vectors))
            wanted += [wanted_by(pool.found.name, row) for row, _ in pairs]
    ranks = _ranks(network, inputs, pool, asked, wanted, max(depths)) if asked else []
    ranks, skips = gathered_list(ranks), gathered_list([skipped])
    if not ranks:
        raise Problem(
            f"No question held out in {pool.found.name} has an image that can be used; check the folder of its images."
        )
    found = {
        f"{kind}recall@{k}": sum(pair[which] is not None and pair[which] <= k for pair in ranks) / len(ranks)
        for which, kind in enumerate(("", "index "))
        for k in depths
    }
    return found | {"questions": len(ranks), "skipped": sum(skips)}


def _ranks(
    network: Network,
    inputs: Inputs,
    pool: Pool,
    asked: list[tuple[torch.Tensor, torch.Tensor]],
    wanted: list[frozenset[int]],
    depth: int,
) -> list[tuple[int | None, int | None]]:
    """Of each question, the place of a right passage among all, and in what the index finds, `depth` of them."""
    query, weights = (torch.cat(each) for each in zip(*asked, strict=True))
    columns = []
    with pool_index(query, weights) as index:
        for start in range(0, len(pool.texts), _AT_A_TIME):
            some = slice(start, start + _AT_A_TIME)
            pictures = [_picture(pool.found, image, inputs) for image in pool.images[some]]
            made = document_inputs(inputs, pool.texts[some], pictures)
            rows, mask = document_vectors(network, {name: each.to(network.device) for name, each in made.items()})
            columns.append(score_table(query, weights, rows, mask).cpu())
            index.add(rows, mask)
        found = index.find(depth)
    ranks = []
    for keys, scores, numbers in zip(wanted, torch.cat(columns, 1), found, strict=True):
        right = torch.tensor([not keys.isdisjoint(each) for each in pool.keys])
        place = next((place for place, number in enumerate(numbers, 1) if right[number]), None)
        ranks.append((_rank(scores, right), place))
    return ranks


def _rank(scores: torch.Tensor, right: torch.Tensor) -> int | None:
    """The best place of a right passage, behind those that score the same; None where scores are no numbers."""
    if not scores.isfinite().all() or not right.any():
        return None
    return 1 + int((scores[~right] >= scores[right].max()).sum())


def _picture(found: Questions, image: str, inputs: Inputs) -> Image.Image | None:
    """That beside a passage, for a model that looks at it; one that cannot be used is left out."""
    if not image or not isinstance(inputs, RetInputs):
        return None
    try:
        return load_image(image_file(image, found.images))
    except Problem:
        return None


def _usable(
    found: Questions, rows: list[dict], tower: Tower | None, with_images: bool
) -> list[tuple[dict, Photo | None]]:
    """Rows with their photos, without those whose image cannot be used."""
    look = tower.kept.look if tower else plain_photo
    pairs = []
    for row in rows:
        try:
            pairs.append((row, look(image_of(found, row)) if with_images else None))
        except Problem:
            continue
    return pairs


def _vectors(
    network: Network,
    inputs: Inputs,
    tower: Tower | None,
    found: Questions,
    pairs: list[tuple[dict, Photo | None]],
    vectors: tuple[str, ...],
) -> tuple[torch.Tensor, torch.Tensor]:
    """(Q, n, dim) and weights (Q, n) of questions."""
    questions = [found.question(row) for row, _ in pairs]
    instructions = [row["instruction"] or (found.instructions or ("",))[0] for row, _ in pairs]
    photos = [photo for _, photo in pairs if photo is not None]
    made, to_see = query_inputs(inputs, questions, instructions, photos)
    made |= seen(to_see, tower)
    return query_vectors(network, {name: each.to(network.device) for name, each in made.items()}, vectors)
