"""ReT as a model in training: what it begins with, and which of its parts learn.

Knows nothing of data, losses or steps.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import CLIPTextModel, CLIPVisionModel

from common.jobs import Progress
from common.memory import in_memory
from common.problems import Problem
from retriever.encoders.ret import RetConfig, RetModelForRetrieval
from retriever.encoders.ret.configuration import LAYERS
from retriever.encoders.ret.loading import read_processor
from retriever.encoders.ret.processing import RetProcessor
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


def put_together(model: Model, text: Path | dict, vision: Path | dict) -> tuple[RetModelForRetrieval, RetInputs]:
    """A new one of the CLIPs in these folders, whose cell is drawn. Raises Problem."""
    new = model.new
    _check(model)
    if isinstance(text, dict) or isinstance(vision, dict):
        raise Problem("model.new.layers makes a ReT, whose text and vision are CLIPs that there are, and no sizes.")
    towers = CLIPTextModel, CLIPVisionModel
    made = [
        kind.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
        for kind, folder in zip(towers, (text, vision), strict=True)
    ]
    for tower, said in zip(made, (new.text, new.vision), strict=True):
        # Where its tokenizer and its preparation of pictures are to be had; of a folder, they lie in the checkpoint.
        tower.config.name_or_path = "" if Path(said).expanduser().is_dir() else said
    configs = {"text_config": made[0].config.to_dict(), "vision_config": made[1].config.to_dict()}
    for name, tower in zip(configs, made, strict=True):
        configs[name]["_name_or_path"] = tower.config.name_or_path
    side = {**configs, "num_queries": new.prefix, "late_proj_output_size": new.dim, "layer_strategy": new.layers}
    config = RetConfig(query_config=side, passage_config=side)
    network = RetModelForRetrieval(config)
    for place, tower in zip((network.query_model.text_model, network.query_model.vision_model), made, strict=True):
        [own] = place.children()
        own.load_state_dict(tower.state_dict())
    files = text / "tokenizer.json", vision / "preprocessor_config.json"
    return network, RetInputs(RetProcessor.read(config.query_config, *files), files)


def _check(model: Model) -> None:
    if model.separate is not None:
        raise Problem("model.separate is of an FLMR; a ReT has the sides that its checkpoint says, so leave it out.")
    if set(model.query_vectors) != set(VECTORS):
        raise Problem("model.query_vectors is of an FLMR; a ReT's vectors are of text and photo together.")


def begin(model: Model, folder: Path, cache_dir: Path, progress: Progress) -> tuple[RetModelForRetrieval, RetInputs]:
    """The model of a checkpoint, in float32 on the CPU, and its preparation. Raises Problem."""
    _check(model)
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
