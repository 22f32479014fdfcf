"""Low-rank adapters (LoRA, arXiv 2106.09685), by `peft`: encoders learn through two thin matrices beside each of their
linear layers, which a small GPU has room for, and are saved as if they had learned whole.

Knows nothing of data, losses or steps.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Mapping

import torch
from torch import nn

from common.problems import Problem
from retriever.training.recipe import Lora

_NAME = "learned"  # of the adapters within peft
_BESIDE, _WITHIN = "lora_", ".base_layer"  # what peft calls the matrices, and the layer that they stand beside


def check_installed() -> None:
    """Raises Problem."""
    if importlib.util.find_spec("peft") is None:
        raise Problem("[lora] needs peft; install it with: pip install -r requirements-lora.txt")


def is_adapter(parameter: str) -> bool:
    """By its name."""
    return _BESIDE in parameter


def adapt(network: nn.Module, lora: Lora, beginnings: Collection[str], seed: int) -> None:
    """Puts adapters, drawn by the seed, beside the linear layers whose names begin so; what the network gives stays
    the same until they have learned."""
    from peft import LoraConfig, inject_adapter_in_model

    layers = [
        name
        for name, each in network.named_modules()
        if isinstance(each, nn.Linear) and name.startswith(tuple(beginnings)) and ".pooler." not in name
    ]
    torch.manual_seed(seed)
    how = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=layers)
    inject_adapter_in_model(how, network, _NAME)


def adapted_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """Adapters, and the layers beside them as they were before: what a merged checkpoint no longer tells apart. {}
    without adapters."""
    return {name: each for name, each in network.state_dict().items() if _BESIDE in name or _WITHIN in name}


def load_adapted(network: nn.Module, state: Mapping[str, torch.Tensor]) -> None:
    """Of `adapted_state`, into a network that was adapted in the same way."""
    network.load_state_dict(state, strict=False)


def merged_state(network: nn.Module) -> dict[str, torch.Tensor] | None:
    """All weights under the names that they have without adapters, which are added to their layers; None where there
    are none."""
    from_whole = network.state_dict()
    layers = {name.removesuffix(f"{_WITHIN}.weight") for name in from_whole if name.endswith(f"{_WITHIN}.weight")}
    if not layers:
        return None
    result = {name.replace(_WITHIN, ""): each for name, each in from_whole.items() if _BESIDE not in name}
    for name in layers:
        with torch.no_grad():
            result[f"{name}.weight"] = result[f"{name}.weight"] + network.get_submodule(name).get_delta_weight(_NAME)
    return result
