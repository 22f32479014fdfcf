"""How FLMR writes queries and documents as token ids (ColBERT's way, with [unused0] and [unused1] as markers).

Knows nothing of the model; any BERT tokenizer of transformers serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import BertTokenizer, PreTrainedTokenizerBase

QUERY_MARKER_ID = 1  # [unused0]
DOCUMENT_MARKER_ID = 2  # [unused1]


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The BERT tokenizer of a folder with a `vocab.txt`; lower case, as all published checkpoints.

    Raises FileNotFoundError when there is none."""
    words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    return BertTokenizer(vocab={word: i for i, word in enumerate(words)}, do_lower_case=True)


def tokenize_queries(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int = 32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, both (B, max_length) int64; padding is [MASK], which is not attended to."""
    batch = tokenizer(
        [f". {t}" for t in texts],
        padding="max_length",
        truncation=True,
        max_length=max_length,
        return_tensors="pt",
    )
    ids, mask = batch["input_ids"], batch["attention_mask"]
    ids[:, 1] = QUERY_MARKER_ID
    ids[ids == tokenizer.pad_token_id] = tokenizer.mask_token_id
    return ids, mask


def tokenize_documents(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int = 512, pad_to_max: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, both (B, L) int64; L is the longest text's length, or `max_length` if asked."""
    batch = tokenizer(
        [f". {t}" for t in texts],
        padding="max_length" if pad_to_max else "longest",
        truncation=True,
        max_length=max_length,
        return_tensors="pt",
    )
    ids = batch["input_ids"]
    ids[:, 1] = DOCUMENT_MARKER_ID
    return ids, batch["attention_mask"]
