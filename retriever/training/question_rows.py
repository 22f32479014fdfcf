"""A question as a row of a table, of the columns that sources.py has them in. Knows nothing of files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def without_negatives(
    question: str, instruction: str, image: str | None, ids: Sequence[str], texts: Sequence[str], images: list[str]
) -> dict[str, Any]:
    """ids, texts, images: of the positives, "" for one that has no image."""
    return {
        "question": question,
        "instruction": instruction,
        "image": image,
        "bytes": None,
        "ids": ids,
        "texts": texts,
        "images": images if any(images) else None,
        "negative_ids": [],
        "negative_texts": [],
        "negative_images": None,
        "negative_gains": None,
        "scores": None,
    }
