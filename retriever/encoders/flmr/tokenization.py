"""How FLMR writes queries and documents as token ids (ColBERT's way, with [unused0] and [unused1] as markers).

Knows nothing of the model; any BERT tokenizer of transformers serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import BertTokenizer, PreTrainedTokenizerBase
from transformers.utils import cached_file

from retriever.encoders.batching import padded

# Where they lie in a checkpoint.
QUERY_TOKENIZER = "query_tokenizer"
CONTEXT_TOKENIZER = "context_tokenizer"

QUERY_MARKER_ID = 1  # [unused0]
DOCUMENT_MARKER_ID = 2  # [unused1]
_FRONT = ". "  # of a text; its token's place is the marker's


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The BERT tokenizer of a folder with a `vocab.txt`; lower case, as all published checkpoints.

    Raises FileNotFoundError when there is none."""
    words = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    return BertTokenizer(vocab={word: i for i, word in enumerate(words)}, do_lower_case=True)


def find_tokenizer(checkpoint: str, name: str, **lookup) -> PreTrainedTokenizerBase | None:
    """The tokenizer `name` of a checkpoint in a folder or on the Hub; None if it has none.

    `lookup`: options of transformers for finding a file, such as cache_dir, revision and token."""
    file = cached_file(
        checkpoint, "vocab.txt", subfolder=name, _raise_exceptions_for_missing_entries=False, **lookup
    )
    return None if file is None else load_tokenizer(Path(file).parent)


def query_text(instruction: str, question: str, separator: str | None) -> str:
    """Instruction and question as the published models were trained to read them (PreFLMR's protocol).

    The instruction ends in a colon, and each colon in it becomes `separator`, the token that ends an instruction;
    None leaves it as it is."""
    instruction = instruction.strip()
    if instruction and not instruction.endswith(":"):
        instruction += ":"
    if separator is not None:
        instruction = instruction.replace(":", separator)
    return f"{instruction}  {question} "


def tokenize_queries(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int = 32
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, both (B, max_length) int64; padding is [MASK], which is not attended to."""
    batch = tokenizer(
        [_FRONT + text for text in texts],
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
    ids = document_ids(tokenizer, texts, max_length)
    return padded(ids, tokenizer.pad_token_id, max_length if pad_to_max else 0)


def document_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int = 512) -> list[list[int]]:
    """The token ids of each document, not padded."""
    if not texts:  # which the tokenizer does not take
        return []
    tokens = tokenizer([_FRONT + text for text in texts], truncation=True, max_length=max_length)["input_ids"]
    for ids in tokens:
        ids[1] = DOCUMENT_MARKER_ID
    return tokens


def document_places(tokenizer: PreTrainedTokenizerBase, text: str, max_length: int = 512) -> list[tuple[int, int]]:
    """Where each of a document's tokens stands in its text, (start, end); (0, 0) for marks."""
    places = tokenizer(_FRONT + text, truncation=True, max_length=max_length, return_offsets_mapping=True)
    return [(max(0, start - len(_FRONT)), max(0, end - len(_FRONT))) for start, end in places["offset_mapping"]]
