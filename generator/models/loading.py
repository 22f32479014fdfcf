"""An image-text-to-text checkpoint in a folder, checked, measured against the free memory, and loaded.

Knows nothing of prompts or of generation. A checkpoint's files are not trusted: only safetensors are read, no code
that comes with them is run, and nothing is fetched, whatever they name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageTextToText,
    AutoProcessor,
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.models.idefics3 import Idefics3Processor

from common.jobs import Progress
from common.memory import free_bytes, in_memory
from common.problems import Problem
from common.quiet import without_bars
from common.text import shown

WORKING_BYTES = 1 << 30  # beside a model's weights: libraries, activations, the cache of a long prompt
FOUR_BIT_BYTES = 0.75  # a parameter's share: half a byte in most layers; embeddings and norms stay as they were
UNSTATED_CONTEXT = 2048  # tokens, for models whose configuration states no limit, such as T5's
# Of each, one must be there: where it is not, transformers makes something up or goes to look for it.
_PREPARING = {
    ("preprocessor_config.json", "processor_config.json"): "which says how photos are prepared",
    ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt"): "which holds its words",
}
# Nothing is fetched and no code is run, whatever the files say.
_SAFE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True)
class Checkpoint:
    """A loaded model. `context`: how many tokens it holds, prompt and reply together."""

    model: PreTrainedModel
    processor: ProcessorMixin
    context: int


def load_checkpoint(folder: Path, name: str, four_bit: bool, progress: Callable[[str], None]) -> Checkpoint:
    """Load the checkpoint in `folder` onto the GPU where it fits, else onto the CPU.

    On a GPU the weights are bfloat16, or 4-bit NormalFloat (QLoRA, arXiv 2305.14314, section 3) with `four_bit`. On a
    CPU they are bfloat16 if it has instructions for that, else float32: without them a long prompt took seven times
    as long in bfloat16 as in float32. `progress` is told a sentence before the weights are read.

    Raises Problem for a folder that holds no checkpoint of this kind, files that are damaged or missing, and
    too little memory.
    """
    with _readable(folder, name), without_bars():
        config = _config(folder, name)
        device, dtype, need = _place(name, _parameters(folder, name), four_bit)
        processor = _processor(folder, config, name)
        progress(f"Loading {name}, {need / 1e9:.1f} GB…")
        placing: dict[str, Any] = {"device_map": "auto"} if device.type == "cuda" else {}
        if four_bit:
            placing["quantization_config"] = BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
            )
        model, report = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=dtype, use_safetensors=True, output_loading_info=True, **placing, **_SAFE
        )
        if missing := sorted(report["missing_keys"]):  # which transformers would fill with random numbers
            raise Problem(
                f"The checkpoint of {name} lacks {len(missing)} of its weights, {shown(missing[0], 80)} among them; "
                "fetch or copy it again."
            )
        in_memory(model.eval())
        _fit_together(model, processor)
    limit = getattr(config.get_text_config(), "max_position_embeddings", None)
    return Checkpoint(model, processor, limit if isinstance(limit, int) else UNSTATED_CONTEXT)


def check_checkpoint(folder: Path, name: str, four_bit: bool) -> None:
    """Raises Problem as load_checkpoint does, but for what only shows when the weights are read."""
    with _readable(folder, name), without_bars():
        config = _config(folder, name)
        _place(name, _parameters(folder, name), four_bit)
        _processor(folder, config, name)


def room_checked(
    name: str, four_bit: bool, progress: Progress
) -> Progress:
    """`progress` of a checkpoint's download, which ends this with Problem when so many bytes of weights cannot
    be loaded here whatever their kind: none are more than four bytes each."""

    def told(done: int, total: int) -> None:
        _place(name, total // 4, four_bit, "at least")
        progress(done, total)

    return told


def _config(folder: Path, name: str) -> PreTrainedConfig:
    if not folder.is_dir():
        raise Problem(f"There is no folder {folder}; give one that holds a vision-language checkpoint.")
    if not (folder / "config.json").is_file():
        raise Problem(f"The folder {folder} holds no checkpoint: it has no config.json.")
    config = AutoConfig.from_pretrained(folder, **_SAFE)
    if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise Problem(
            f"The model {name} is a {shown(config.model_type, 40)}, which does not write text about photos; "
            "choose a vision-language model."
        )
    return config


def cpu_dtype() -> torch.dtype:
    """The dtype that a CPU computes best in; see load_checkpoint."""
    fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def _place(
    name: str, parameters: int, four_bit: bool, about: str = "about"
) -> tuple[torch.device, torch.dtype, int]:
    """Where the model goes, its dtype, and the bytes of its weights. Raises Problem if it fits nowhere."""
    gpus = [torch.device("cuda", i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if four_bit and not gpus:
        raise Problem(f"Four-bit weights need an NVIDIA GPU, and none is here; load {name} without them.")
    if four_bit and find_spec("bitsandbytes") is None:
        raise Problem(
            "Four-bit weights need the package bitsandbytes; install it with pip install -r requirements-gpu.txt."
        )
    found = []
    if gpus:
        need, free = int(parameters * (FOUR_BIT_BYTES if four_bit else 2)), sum(map(free_bytes, gpus))
        if need + WORKING_BYTES <= free:
            return gpus[0], torch.bfloat16, need
        found.append(f"{(need + WORKING_BYTES) / 1e9:.1f} GB on the GPU, where {free / 1e9:.1f} GB are free")
    if not four_bit:
        dtype = cpu_dtype()
        need, free = parameters * dtype.itemsize, free_bytes(torch.device("cpu"))
        if need + WORKING_BYTES <= free:
            return torch.device("cpu"), dtype, need
        found.append(f"{(need + WORKING_BYTES) / 1e9:.1f} GB of memory, where {free / 1e9:.1f} GB are free")
    raise Problem(
        f"The model {name} needs {about} {', or '.join(found)}; close other programs or choose a smaller model."
    )


def _parameters(folder: Path, name: str) -> int:
    """How many numbers the weight files hold, from their headers. Raises Problem, SafetensorError."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file():
        files = ["model.safetensors"]
    elif index.is_file():
        files = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    else:
        raise Problem(
            f"The checkpoint of {name} has no model.safetensors, and weights of other kinds can hold programs; choose "
            "one with safetensors."
        )
    count = 0
    for file in files:
        if Path(file).name != file or not (folder / file).is_file():
            raise Problem(f"The checkpoint of {name} has no {shown(file, 80)}; fetch or copy it again.")
        with safe_open(folder / file, "pt") as weights:
            for key in weights.keys():  # noqa: SIM118 - not a dictionary
                count += torch.Size(weights.get_slice(key).get_shape()).numel()
    return count


def _processor(folder: Path, config: PreTrainedConfig, name: str) -> ProcessorMixin:
    """What prepares texts and photos. Raises Problem; ImportError where torchvision cannot be missed."""
    for files, use in _PREPARING.items():
        if not any((folder / file).is_file() for file in files):
            raise Problem(f"The checkpoint of {name} has no {files[0]}, {use}; fetch or copy it again.")
    try:
        processor = AutoProcessor.from_pretrained(folder, **_SAFE)
    except (ImportError, ValueError) as problem:  # which of the two it is differs from one class to the next
        if not re.search("torchvision|num2words", str(problem), re.IGNORECASE):
            raise
        processor = _photo_processor(folder, config)
    if not (isinstance(processor, ProcessorMixin) and hasattr(processor, "image_processor")):
        raise Problem(f"The checkpoint of {name} does not say how photos are prepared; choose another model.")
    return processor


def _photo_processor(folder: Path, config: PreTrainedConfig) -> ProcessorMixin:
    """The processor without its part for videos, which is all that needs torchvision in those of Qwen2.5-VL, Qwen3-VL,
    InternVL and SmolVLM. (LLaVA's, Idefics3's, PaliGemma's, BLIP-2's and InstructBLIP's have no such part.)"""
    # SmolVLM's needs one more package to write the number of a video's frames; for photos it does what Idefics3's does.
    kind = Idefics3Processor if config.model_type == "smolvlm" else PROCESSOR_MAPPING[type(config)]

    class PhotoProcessor(kind):
        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            return None if argument is None else super().check_argument_for_proper_class(argument_name, argument)

    makers = {"tokenizer": AutoTokenizer, "image_processor": AutoImageProcessor}
    parts = [
        makers[part].from_pretrained(folder, **_SAFE) if part in makers else None for part in kind.get_attributes()
    ]
    settings, _ = kind.get_processor_dict(folder, local_files_only=True)
    return PhotoProcessor.from_args_and_dict(parts, settings)


def _fit_together(model: PreTrainedModel, processor: ProcessorMixin) -> None:
    """Greedy decoding whatever the checkpoint says, and what old checkpoints leave unsaid."""
    tokenizer = processor.tokenizer
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    if getattr(processor, "num_query_tokens", 0) is None:  # BLIP-2 as first published
        processor.num_query_tokens = model.config.num_query_tokens
    # BLIP-2 and InstructBLIP hand generation to a language model that has settings of its own.
    parts = [model, getattr(model, "language_model", None)]
    parts = [part for part in parts if getattr(part, "generation_config", None) is not None]
    sources = [*(part.generation_config for part in parts), model.config.get_text_config(), tokenizer]

    def said(setting: str) -> list[int]:
        values = [getattr(source, setting, None) for source in sources]
        return [v for value in values for v in (value if isinstance(value, list) else [value]) if v is not None]

    plain = GenerationConfig(
        do_sample=False,
        num_beams=1,
        bos_token_id=next(iter(said("bos_token_id")), None),
        decoder_start_token_id=next(iter(said("decoder_start_token_id")), None),
        eos_token_id=sorted(set(said("eos_token_id"))),
        pad_token_id=tokenizer.pad_token_id,
    )
    for part in parts:
        part.generation_config = plain


@contextmanager
def _readable(folder: Path, name: str) -> Iterator[None]:
    """Whatever goes wrong with a checkpoint's files, as a sentence; they may hold anything, so anything may."""
    try:
        yield
    except Problem:
        raise
    except SafetensorError as problem:
        raise Problem(
            f"The weights of {name} are damaged ({shown(problem, 120)}); fetch or copy them again."
        ) from problem
    except (MemoryError, torch.OutOfMemoryError) as problem:
        raise Problem(f"The memory ran out while {name} was loaded; choose a smaller model.") from problem
    except Exception as problem:
        said = str(problem) or type(problem).__name__
        if package := re.search("torchvision|timm|sentencepiece|tiktoken|num2words", said, re.IGNORECASE):
            raise Problem(
                f"The model {name} needs the package {package[0].lower()}, which is not installed; install it or "
                "choose another model."
            ) from problem
        said = shown(said.replace(str(folder), name)).rstrip(".")
        raise Problem(f"The checkpoint of {name} cannot be used: {said}.") from problem
