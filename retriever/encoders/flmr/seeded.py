"""PreFLMR at its published sizes with weights that come from their names: for measuring and for comparing
implementations where no checkpoint can be had. They find nothing. Knows nothing of files.
"""

from __future__ import annotations

import re
import zlib

import torch
from accelerate import init_empty_weights

from retriever.encoders.flmr.configuration import FLMRConfig
from retriever.encoders.flmr.modeling import FLMRModelForRetrieval

# CLIP ViT-B/32, ViT-L/14 and ViT-bigG/14.
_TOWERS = {
    "B": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
          "patch_size": 32, "hidden_act": "quick_gelu"},
    "L": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
          "patch_size": 14, "hidden_act": "quick_gelu"},
    "G": {"hidden_size": 1664, "intermediate_size": 8192, "num_hidden_layers": 48, "num_attention_heads": 16,
          "patch_size": 14, "hidden_act": "gelu"},
}  # fmt: skip
SIZES = tuple(_TOWERS)
_NORM = re.compile(r"LayerNorm|layer_norm|layrnorm|layernorm")


def published_config(size: str) -> FLMRConfig:
    """The configuration of PreFLMR ViT-B, ViT-L or ViT-G (arXiv 2402.08327, section 4); `size` is the letter."""
    return FLMRConfig(
        vision_config={"image_size": 224, **_TOWERS[size]},
        dim=128,
        mapping_network_prefix_length=32,
        separate_query_and_context_text_encoder=True,
        use_transformer_mapping_network=True,
        transformer_mapping_config_base="bert-base-uncased",
        transformer_mapping_num_hidden_layers=1,
        transformer_mapping_cross_attention_length=32,
        mask_instruction_token=":",
    )


def seeded_model(
    size: str, dtype: torch.dtype = torch.float32, device: str | torch.device = "cpu"
) -> FLMRModelForRetrieval:
    """The model in evaluation mode; every tensor is normal noise of deviation 0.05, drawn with the CRC of its name as
    the seed, the weights of layer norms being about 1. It does not know its tokenizer."""
    with init_empty_weights():
        model = FLMRModelForRetrieval(published_config(size))
    state = {name: _noise(name, tensor.shape).to(device, dtype) for name, tensor in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    return model.to(device).eval()


def _noise(name: str, shape: torch.Size) -> torch.Tensor:
    draw = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    values = torch.randn(shape, generator=draw) * 0.05
    return values + 1 if name.endswith("weight") and _NORM.search(name) else values
