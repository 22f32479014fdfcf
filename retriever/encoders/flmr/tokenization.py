"""How FLMR writes queries and documents as token ids (ColBERT's way, with [unused0] and [unused1] as markers).

Knows nothing of the model; any BERT tokenizer of transformers serves.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import BertTokenizer, PreTrainedTokenizerBase
from transformers.utils import cached_file

# Where they lie in a checkpoint.
QUERY_TOKENIZER = "query_tokenizer"
CONTEXT_TOKENIZER = "context_tokenizer"

QUERY_MARKER_ID = 1  # [unused0]
DOCUMENT_MARKER_ID = 2  # [unused1]


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
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int = 512,
    pad_to_max: bool = False,
    offsets: bool = False,
) -> tuple[torch.Tensor, ...]:
    """Ids and attention mask, both (B, L) int64; L is the longest text's length, or `max_length` if asked.

    With `offsets`, also a list for each text of each token's (start, end) in it, (0, 0) for marks."""
    front = ". "  # its token's place is the marker's
    batch = tokenizer(
        [front + t for t in texts],
        padding="max_length" if pad_to_max else "longest",
        truncation=True,
        max_length=max_length,
        return_tensors="pt",
        return_offsets_mapping=offsets,
    )
    ids = batch["input_ids"]
    ids[:, 1] = DOCUMENT_MARKER_ID
    if not offsets:
        return ids, batch["attention_mask"]
    places = [
        [(max(0, start - len(front)), max(0, end - len(front))) for start, end in row]
        for row in batch["offset_mapping"].tolist()
    ]
    return ids, batch["attention_mask"], places
