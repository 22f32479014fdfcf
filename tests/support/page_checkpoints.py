"""Small checkpoints of ColPali, ColQwen2 and ColModernVBERT with random weights, as transformers saves them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import (
    ColModernVBertConfig,
    ColModernVBertForRetrieval,
    ColPaliConfig,
    ColPaliForRetrieval,
    ColQwen2Config,
    ColQwen2ForRetrieval,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.models.colpali.processing_colpali import EXTRA_TOKENS

from tests.fakes.tiny_models import CLIP_LIKE, SIGLIP, TEXT, make_tokenizer

VISION = {**SIGLIP, "patch_size": 7}  # of 28 pixels, in 16 patches


def write_page_checkpoint(folder: Path, kind: str, seed: int = 0, **fields: Any) -> Path:
    """One of PAGE_KINDS; `fields`: of the configuration. Returns the folder."""
    torch.manual_seed(seed)
    PAGE_KINDS[kind](folder, fields)
    return folder


def _colpali(folder: Path, fields: dict[str, Any]) -> None:
    tokenizer = make_tokenizer(["<pad>", "<eos>", "<bos>", "<image>"], "<bos>", "<eos>", "<pad>")
    tokenizer.add_tokens(EXTRA_TOKENS)
    vlm = {
        "model_type": "paligemma",
        "text_config": {"model_type": "gemma", "vocab_size": len(tokenizer), "head_dim": 8, **TEXT},
        "vision_config": {"model_type": "siglip_vision_model", "vision_use_head": False, **VISION},
        "projection_dim": 32,
        "image_token_index": tokenizer.convert_tokens_to_ids("<image>"),
    }
    config = ColPaliConfig(**{"vlm_config": vlm, "embedding_dim": 16, **fields})
    photos = {"image_processor_type": "SiglipImageProcessor", "processor_class": "ColPaliProcessor",
              "image_seq_length": 16, "size": {"height": 28, "width": 28}, **CLIP_LIKE}  # fmt: skip
    _save(folder, ColPaliForRetrieval, config, tokenizer, photos)


def _colqwen2(folder: Path, fields: dict[str, Any]) -> None:
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>", "<|video_pad|>", "<|vision_start|>",
               "<|vision_end|>"]  # fmt: skip
    tokenizer = make_tokenizer(special, None, "<|im_end|>", "<|endoftext|>")
    number = tokenizer.convert_tokens_to_ids
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10_000.0}
    vlm = {
        "model_type": "qwen2_vl",
        "text_config": {**TEXT, "vocab_size": len(tokenizer), "rope_parameters": rope, "bos_token_id": None,
                        "eos_token_id": number("<|im_end|>")},
        "vision_config": {"depth": 2, "embed_dim": 16, "hidden_size": 32, "num_heads": 2, "patch_size": 14},
        "image_token_id": number("<|image_pad|>"), "video_token_id": number("<|video_pad|>"),
        "vision_start_token_id": number("<|vision_start|>"), "vision_end_token_id": number("<|vision_end|>"),
    }  # fmt: skip
    config = ColQwen2Config(**{"vlm_config": vlm, "embedding_dim": 24, **fields})
    photos = {"image_processor_type": "Qwen2VLImageProcessor", "processor_class": "ColQwen2Processor",
              "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2, "min_pixels": 784, "max_pixels": 9408,
              **CLIP_LIKE}  # fmt: skip
    _save(folder, ColQwen2ForRetrieval, config, tokenizer, photos)


def _colmodernvbert(folder: Path, fields: dict[str, Any]) -> None:
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    special = ["<|padding|>", "[CLS]", "[SEP]", "<fake_token_around_image>", "<image>", "<end_of_utterance>",
               "<global-img>", "<|begin_of_text|>", *tiles]  # fmt: skip
    tokenizer = make_tokenizer(special, None, "[SEP]", "<|padding|>")
    ends = {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": 1, "cls_token_id": 1, "eos_token_id": 2,
            "sep_token_id": 2}  # fmt: skip
    text = {**TEXT, **ends, "vocab_size": len(tokenizer)}
    text.pop("num_key_value_heads")
    vlm = {
        "model_type": "modernvbert",
        "text_config": {"model_type": "modernbert", **text},
        "vision_config": {"model_type": "siglip_vision_model", **VISION},
        "image_token_id": tokenizer.convert_tokens_to_ids("<image>"),
        "pixel_shuffle_factor": 2,
    }
    config = ColModernVBertConfig(**{"vlm_config": vlm, "embedding_dim": 16, **fields})
    photos = {"image_processor_type": "Idefics3ImageProcessor", "processor_class": "ColModernVBertProcessor",
              "do_image_splitting": True, "size": {"longest_edge": 56}, "max_image_size": {"longest_edge": 28},
              "do_pad": True, "do_resize": True, "do_convert_rgb": True, **CLIP_LIKE}  # fmt: skip
    settings = {"processor_class": "ColModernVBertProcessor", "image_seq_len": 4}
    _save(folder, ColModernVBertForRetrieval, config, tokenizer, photos, settings)


def _save(
    folder: Path,
    kind: type[PreTrainedModel],
    config: PreTrainedConfig,
    tokenizer: PreTrainedTokenizerFast,
    photos: dict[str, Any],
    settings: dict[str, Any] | None = None,
) -> None:
    model = kind(config)
    with torch.no_grad():
        for weights in model.parameters():  # large enough that whatever is given tells
            if weights.ndim > 1:
                weights.normal_(std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(photos))
    if settings:
        (folder / "processor_config.json").write_text(json.dumps(settings))


PAGE_KINDS: dict[str, Callable[[Path, dict[str, Any]], None]] = {
    "colpali": _colpali,
    "colqwen2": _colqwen2,
    "colmodernvbert": _colmodernvbert,
}
