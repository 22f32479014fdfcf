"""ReT as a model in training: what it begins with, and which of its parts learn.

Knows nothing of data, losses or steps.
"""

from __future__ import annotations

from pathlib import Path

import torch

from common.jobs import Progress
from common.memory import in_memory
from common.problems import Problem
from retriever.encoders.ret import RetConfig, RetModelForRetrieval
from retriever.encoders.ret.configuration import LAYERS
from retriever.encoders.ret.loading import read_processor
from retriever.training.inputs import RetInputs
from retriever.training.recipe import VECTORS, Model

_SIDES = ("query_model", "passage_model")
# Part of a recipe -> how the names of its parameters begin.
BEGINNINGS = {
    "query_text": ("query_model.text_model",),
    "document_text": ("passage_model.text_model",),
    "vision": tuple(f"{side}.vision_model" for side in _SIDES),
    "projection": tuple(f"{side}.late_proj" for side in _SIDES),
    "mapping": tuple(f"{side}.{part}" for side in _SIDES for part in ("text_adapter", "vision_adapter", "ret_cell")),
}


def begin(model: Model, folder: Path, cache_dir: Path, progress: Progress) -> tuple[RetModelForRetrieval, RetInputs]:
    """The model of a checkpoint, in float32 on the CPU, and its preparation. Raises Problem."""
    if model.separate is not None:
        raise Problem("model.separate is of an FLMR; a ReT has the sides that its checkpoint says, so leave it out.")
    if set(model.query_vectors) != set(VECTORS):
        raise Problem("model.query_vectors is of an FLMR; a ReT's vectors are of text and photo together.")
    config = RetConfig.from_pretrained(folder)
    if not config.fg_loss:
        raise Problem(f"{model.start} was trained by comparing whole queries (fg_loss), which nothing here does.")
    network = RetModelForRetrieval.from_pretrained(folder, dtype=torch.float32)
    in_memory(network)
    return network, RetInputs(*read_processor(folder, config, cache_dir, progress))


def apart(network: RetModelForRetrieval) -> bool:
    """Whether queries and passages have text towers of their own."""
    config = network.config
    return not (config.share_text_models or config.share_query_passage_models)


def unused(network: RetModelForRetrieval) -> list[str]:
    """Parts of names of parameters that no output depends on."""
    found = ["sa_ln.", "final_layer_norm.", "post_layernorm."]
    for side in (network.config.query_config, network.config.passage_config):
        for name, read in zip(("text", "vision"), LAYERS[side.layer_strategy], strict=True):
            layers = getattr(side, f"{name}_config").num_hidden_layers
            found += [f".{name}_model.encoder.layers.{n}." for n in range(max(read) + 1, layers)]
    return found
