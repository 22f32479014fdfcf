"""A small PreFLMR checkpoint in the published layout, made by the tests. Its weights are noise; it finds nothing."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from retriever.encoders.flmr import FLMRConfig, FLMRModelForRetrieval

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
VOCABULARY = [
    "[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    *LETTERS, *(f"##{letter}" for letter in LETTERS), "what", "is", "this", "the", "cat", "image", "question",
]  # fmt: skip


def write_checkpoint(folder: Path, seed: int = 0, mapping: bool = True) -> Path:
    """Writes it; any text in small letters can be spelt with its words. Without the mapping network over patches it is
    an FLMR. Returns the folder."""
    small = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
    config = FLMRConfig(
        text_config={**small, "num_hidden_layers": 1, "vocab_size": len(VOCABULARY)},
        vision_config={**small, "num_hidden_layers": 2, "image_size": 32, "patch_size": 8},
        dim=16,
        mapping_network_prefix_length=4,
        separate_query_and_context_text_encoder=True,
        use_transformer_mapping_network=mapping,
        transformer_mapping_config_base=small,
        transformer_mapping_num_hidden_layers=1,
        mask_instruction_token=":",
    )
    torch.manual_seed(seed)
    FLMRModelForRetrieval(config).save_pretrained(folder)
    for name in ("query_tokenizer", "context_tokenizer"):
        (folder / name).mkdir()
        (folder / name / "vocab.txt").write_text("\n".join(VOCABULARY))
        (folder / name / "tokenizer_config.json").write_text(json.dumps({"query_maxlen": 32, "do_lower_case": True}))
    return folder
