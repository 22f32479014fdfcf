"""What callers give an index, checked: the model it must be of, passages to add, queries with their weights, ids to
keep to.

Knows nothing of searching or of writing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from common.problems import Problem
from retriever.index import segments
from retriever.index.base import Within
from retriever.index.commit import Commit
from retriever.index.segments import MOST_PASSAGES, Piece


def check_fingerprint(path: Path, made_by: str, wanted: str | None) -> None:
    """Raises Problem where the index was made by another model than the wanted one (None: any)."""
    if wanted is not None and wanted != made_by:
        raise Problem(
            f"The index at {path} was made by {made_by or 'an unnamed model'} and not by "
            f"{wanted or 'an unnamed model'}; open it with that model or build it anew."
        )


def fresh_pieces(commit: Commit, ids: Sequence[str], vectors: Sequence[np.ndarray]) -> list[Piece]:
    """What add() was given, as segments in memory."""
    dim = commit.manifest.dim
    if len(ids) != len(vectors):
        raise ValueError(f"There are {len(ids)} ids and {len(vectors)} passages' vectors; give one array for each id.")
    for passage_id in ids:
        if not isinstance(passage_id, str) or not passage_id:
            raise ValueError(f"A passage id must be a string of at least one character, not {passage_id!r}.")
    seen: set[str] = set()
    arrays = []
    for passage_id, number, array in zip(ids, commit.numbers(ids), vectors, strict=True):
        if passage_id in seen or number is not None:
            where = "given twice" if passage_id in seen else "in the index already"
            raise Problem(f"The passage id {passage_id!r} is {where}; give each passage once.")
        seen.add(passage_id)
        array = np.asarray(array)
        if array.ndim != 2 or array.dtype.kind not in "fiu":
            raise ValueError(f"The vectors of passage {passage_id!r} must be a (tokens, {dim}) array of numbers.")
        if not len(array):
            raise Problem(f"The passage {passage_id!r} has no vectors; leave out passages without text.")
        if array.shape[1] != dim:
            raise Problem(
                f"The vectors of passage {passage_id!r} have {array.shape[1]} dimensions and not {dim}; "
                "use the model the index was made by."
            )
        with np.errstate(over="ignore"):
            array = array.astype("<f2")
        if not np.isfinite(array).all():
            raise Problem(
                f"The vectors of passage {passage_id!r} hold numbers that are not finite in 16 bits; check "
                "the model that made them."
            )
        arrays.append(array)
    return [
        Piece(segments.from_arrays(ids[start : start + MOST_PASSAGES], arrays[start : start + MOST_PASSAGES]))
        for start in range(0, len(ids), MOST_PASSAGES)
    ]


def checked_query(dim: int, query: np.ndarray) -> np.ndarray:
    """A query (n, dim) float32."""
    query = np.asarray(query)
    if query.ndim != 2 or query.dtype.kind not in "fiu":
        raise ValueError("A query must be an array of numbers of shape (vectors, dim).")
    if query.shape[1] != dim:
        raise Problem(
            f"The query has {query.shape[1]} dimensions and the index has {dim}; use the model the index was made by."
        )
    with np.errstate(over="ignore"):
        query = query.astype(np.float32)
    if not np.isfinite(query).all():
        raise Problem("The query holds numbers that are not finite; check the model that made it.")
    return query


def weighted_query(dim: int, query: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The rows (n, dim) float32 that count, and their weights (n,) float32."""
    query = checked_query(dim, query)
    weights = np.ones(len(query), np.float32) if weights is None else np.asarray(weights).astype(np.float32)
    if weights.shape != (len(query),) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"weights must be {len(query)} finite numbers, none below zero.")
    counts = (weights > 0) & query.any(axis=1)
    return np.ascontiguousarray(query[counts]), weights[counts]


def checked_search(
    dim: int,
    queries: Sequence[np.ndarray],
    k: int,
    weights: Sequence[np.ndarray | None] | None,
    candidates: int | None,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """weighted_query() of each query, and the numbers looked at."""
    if k < 1:
        raise ValueError("k must be at least 1.")
    if candidates is not None and candidates < 1:
        raise ValueError("candidates must be at least 1.")
    if weights is not None and len(weights) != len(queries):
        raise ValueError(f"There are {len(queries)} queries and weights for {len(weights)}; give each its own.")
    each = [None] * len(queries) if weights is None else weights
    return [weighted_query(dim, query, some) for query, some in zip(queries, each, strict=True)]


def allowed_passages(commit: Commit, within: Within) -> tuple[np.ndarray, ...]:
    """Which passages a search may find, (P,) bool for each segment."""
    if isinstance(within, str):
        raise ValueError("within must be a collection of ids or a function of an id, not one string.")
    offsets = commit.snapshot.offsets
    allowed = np.zeros(int(offsets[-1]), bool)
    if callable(within):
        for piece, offset in zip(commit.pieces, offsets[:-1].tolist(), strict=True):
            for row, passage_id in piece.ids():
                allowed[offset + row] = bool(within(passage_id))
    else:
        allowed[[number for number in commit.numbers(list(within)) if number is not None]] = True
    return tuple(np.split(allowed, offsets[1:-1]))
