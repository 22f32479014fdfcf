"""Small checkpoints in the published layouts, made by the tests. Their weights are noise; they find nothing."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import CLIPTokenizer

from retriever.encoders.flmr import FLMRConfig, FLMRModelForRetrieval
from retriever.encoders.ret import RetConfig, RetModelForRetrieval

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
VOCABULARY = [
    "[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    *LETTERS, *(f"##{letter}" for letter in LETTERS), "what", "is", "this", "the", "cat", "image", "question",
]  # fmt: skip


def write_checkpoint(folder: Path, seed: int = 0, mapping: bool = True) -> Path:
    """Writes a PreFLMR; any text in small letters can be spelt with its words. Without the mapping network over patches
    it is an FLMR. Returns the folder."""
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


SPELT = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), *"!.,:;?'-", *(f"{mark}</w>" for mark in "!.,:;?'-")]
PIECES = ["<|startoftext|>", "<|endoftext|>", *SPELT, "ca", "cat</w>", "th", "the</w>"]


def ret_config(**changes) -> RetConfig:
    """Of 4 vectors of 16 dimensions, for pictures of 28 pixels in 4 patches; `changes`: fields of the whole model."""
    small = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 12}
    side = {
        "text_config": {**small, "vocab_size": len(PIECES), "bos_token_id": 0, "eos_token_id": 1},
        "vision_config": {**small, "image_size": 28, "patch_size": 14},
        "num_queries": 4,
        "hidden_size": 64,
        "intermediate_size": 32,
        "late_proj_output_size": 16,
    }
    return RetConfig(**{"query_config": side, "passage_config": side, **changes})


def write_ret_checkpoint(folder: Path, seed: int = 0, tower: str = "", **changes) -> Path:
    """Writes a ReT; any text in small letters can be spelt with its pieces. `tower`: the id of the model on the Hub
    that it says its towers are; else what that would have lies in the folder, as write_clip_files writes it. Returns
    the folder."""
    config = ret_config(**changes)
    for side in (config.query_config, config.passage_config):
        side.text_config.name_or_path = side.vision_config.name_or_path = tower
    torch.manual_seed(seed)
    model = RetModelForRetrieval(config)
    for weights in model.parameters():  # large enough that whatever is given tells
        if weights.ndim > 1:
            torch.nn.init.normal_(weights, std=0.2)
    model.save_pretrained(folder)
    if not tower:
        write_clip_files(folder)
    return folder


def write_clip_files(folder: Path, side: int = 28) -> None:
    """CLIP's tokenizer, with few pieces, and its preparation of pictures, of so many pixels."""
    merges = [("c", "a"), ("ca", "t</w>"), ("t", "h"), ("th", "e</w>")]
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = CLIPTokenizer({piece: i for i, piece in enumerate(PIECES)}, merges)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    sizes = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
    kinds = {"image_processor_type": "CLIPImageProcessor", "feature_extractor_type": "CLIPFeatureExtractor"}
    (folder / "preprocessor_config.json").write_text(json.dumps({**kinds, **sizes}))
