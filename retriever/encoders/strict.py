"""Checkpoints as models: whole, in safetensors, with every tensor in its place, or not at all; and where they run.

Knows nothing of what models compute.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError
from transformers import PreTrainedConfig, PreTrainedModel

from common.memory import in_memory
from common.problems import Problem
from common.quiet import without_bars
from common.text import shown
from retriever.encoders.devices import device_for

# How transformers is to read a checkpoint's other files: without running code that it brings, and without the network.
HERE = {"trust_remote_code": False, "local_files_only": True}


class StrictModel(PreTrainedModel):
    """A model whose checkpoints fit or are refused. `old_names`: what tensors were called before, as patterns, and what
    they are called now."""

    old_names: ClassVar[dict[str, str]] = {}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *model_args, output_loading_info: bool = False, **kwargs):
        """As in transformers, of a folder or a repository on the Hub, but strict.

        Raises Problem for a missing, unknown or misshapen tensor, a damaged file or a configuration of another model;
        OSError where there is no checkpoint."""
        place = str(pretrained_model_name_or_path)
        advice = "fetch or copy it again, or choose another"
        kwargs.setdefault("use_safetensors", True)  # never a pickle, which could run anything
        kwargs["ignore_mismatched_sizes"] = True  # so that they are told of below, by name
        kwargs["key_mapping"] = cls.old_names | (kwargs.get("key_mapping") or {})
        try:
            model, info = super().from_pretrained(
                pretrained_model_name_or_path, *model_args, output_loading_info=True, **kwargs
            )
        except SafetensorError as problem:
            raise Problem(f"A weights file of {place} is damaged ({problem}); {advice}.") from problem
        except (ValueError, RuntimeError, TypeError) as problem:
            raise Problem(f"{place} is no checkpoint of this model ({shown(problem, 300)}); {advice}.") from problem
        if info["missing_keys"] or info["unexpected_keys"] or info["mismatched_keys"]:
            raise Problem(f"The checkpoint {place} does not fit the model ({_misfits(info)}); {advice}.")
        return (model, info) if output_loading_info else model


def strictly(kind: type[PreTrainedModel], unread: Sequence[str] = (), old_names: dict[str, str] | None = None) -> type:
    """A model of transformers whose checkpoints fit or are refused. unread: patterns of tensors that may be there or
    not, as nothing is made of them. old_names: as of StrictModel."""
    fields = {
        "_keys_to_ignore_on_load_missing": list(unread),
        "_keys_to_ignore_on_load_unexpected": list(unread),
        "old_names": old_names or {},
    }
    return type(kind.__name__, (StrictModel, kind), {**fields, "__module__": kind.__module__})


Model = TypeVar("Model", bound=StrictModel)


def load_model(profile: str, folder: Path, config: PreTrainedConfig, kind: type[Model]) -> Model:
    """The checkpoint of a folder in evaluation mode: on the GPU, in bfloat16, where there is one with room, else in
    float32. Raises Problem, also for too little memory, before anything is read, and OSError."""
    with init_empty_weights():
        parameters = sum(p.numel() for p in kind(config).parameters())
    device = device_for(profile, parameters)
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    with without_bars():
        model = kind.from_pretrained(folder, dtype=dtype, device_map={"": device}).eval()
    in_memory(model)
    return model


def _misfits(info: dict) -> str:
    """The first few tensors that a checkpoint lacks, has too many or has in another shape."""
    kinds = {"missing_keys": "missing", "unexpected_keys": "unknown", "mismatched_keys": "of another shape"}
    said = []
    for kind, words in kinds.items():
        names = sorted(str(key[0] if isinstance(key, tuple) else key) for key in info[kind])
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            said.append(f"{words}: {', '.join(names[:3])}{more}")
    return "; ".join(said)
