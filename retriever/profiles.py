"""Which models there are and how each becomes an encoder: found, fetched, checked against the machine's memory, loaded.

A profile is a name below, a folder with a checkpoint in the published layout, or the id of one on the Hugging Face
Hub. Knows nothing of passages, indexes or questions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from hubcache import HubProblem, Layout, fetch_model
from memory import free_bytes

from .encoder import Encoder, QueryStyle
from .flmr import CheckpointProblem, FLMRConfig, FLMRModelForRetrieval, FLMRProcessor, load_tokenizer
from .flmr.tokenization import CONTEXT_TOKENIZER
from .mini import QUERY_TOKENS, WEIGHTS, load_mini, load_mini_tokenizer
from .vision import clip_preparation, prepare_photo
from .word_pieces import WordPieces

MINI = "mini"
MINI_MIN_SCORE = 0.5  # every question the corpus answers and every labelled photo scored above 0.53
# Part of the fingerprint: raise it when the way passages are written or encoded changes.
ENCODING_VERSION = 1
# What a question with and without a photo is introduced with; PreFLMR was trained on many such sentences.
INSTRUCTIONS = (
    "Using the provided image, obtain documents that address the subsequent question:",
    "Obtain documents that address the subsequent question:",
)
FLMR_FILES = Layout(
    "an FLMR or PreFLMR checkpoint",
    (
        "preprocessor_config.json", "processor_config.json", "*/config.json", "query_tokenizer/*.json",
        "query_tokenizer/*.txt", "context_tokenizer/*.json", "context_tokenizer/*.txt", "*.safetensors",
    ),
    (("query_tokenizer/vocab.txt",),),
)  # fmt: skip
WORKING_BYTES = 1 << 30  # beside a model's weights: libraries, activations, a batch of passages


class EncoderProblem(RuntimeError):
    """The encoder cannot be had; str() is one plain sentence."""


@dataclass(frozen=True)
class Published:
    """A published checkpoint: where it is on the Hub, and how many parameters it has."""

    repo: str
    parameters: int


PUBLISHED = {
    "preflmr-vit-b": Published("LinWeizheDragon/PreFLMR_ViT-B", 326_725_504),
    "preflmr-vit-l": Published("LinWeizheDragon/PreFLMR_ViT-L", 543_170_176),
    "preflmr-vit-g": Published("LinWeizheDragon/PreFLMR_ViT-G", 2_084_569_984),
    "flmr": Published("LinWeizheDragon/FLMR", 207_004_160),
}
PROFILES = (MINI, *PUBLISHED)


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
        return _checkpoint(profile, _folder(profile, Path(cache_dir), progress))


def load_word_pieces(
    profile: str, cache_dir: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> WordPieces:
    """What counts the tokens of passages as the encoder of a profile does, without its model in memory. The checkpoint
    is fetched as `load_encoder` does, and the same is raised."""
    if profile == MINI:
        return WordPieces(load_mini_tokenizer(Path(cache_dir)))
    with _readable(profile):
        return WordPieces(load_tokenizer(_folder(profile, Path(cache_dir), progress) / CONTEXT_TOKENIZER))


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
    return Encoder(model, tokenizer, tokenizer, prepare_photo, style, name, MINI_MIN_SCORE)


def _folder(profile: str, cache_dir: Path, progress: Callable[[int, int], None]) -> Path:
    """The folder with the checkpoint's files."""
    source = PUBLISHED[profile].repo if profile in PUBLISHED else profile
    local = Path(source).expanduser()
    if local.is_dir():
        return local
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source):
        raise EncoderProblem(
            f"There is no profile {profile!r}; it can be {', '.join(PROFILES)}, a folder with a checkpoint, or the id "
            "of one on the Hugging Face Hub, such as owner/name."
        )
    return fetch_model(source, cache_dir, FLMR_FILES, progress)


def _checkpoint(profile: str, folder: Path) -> Encoder:
    if not (folder / "config.json").is_file():  # which transformers takes for a model of default sizes
        raise CheckpointProblem(f"The folder {folder} holds no checkpoint: it has no config.json.")
    config = FLMRConfig.from_pretrained(folder, name_or_path=str(folder))
    with init_empty_weights():
        parameters = sum(p.numel() for p in FLMRModelForRetrieval(config).parameters())
    device = device_for(profile, parameters)
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    with _quiet():
        model = FLMRModelForRetrieval.from_pretrained(folder, dtype=dtype, device_map={"": device}).eval()
        processor = FLMRProcessor.from_pretrained(folder)
    style = QueryStyle(
        processor.query_length,
        INSTRUCTIONS,
        processor.mask_instruction_token,
        blank_photo=True,
        # FLMR (arXiv 2309.17133, section 3.1) was trained on photos with regions of interest. PreFLMR, which has the
        # mapping network over patches, and mini were trained on one picture.
        regions=not config.use_transformer_mapping_network,
    )
    weights = [folder / "config.json", *sorted(folder.glob("*.safetensors"))]
    return Encoder(
        model,
        processor.query_tokenizer,
        processor.context_tokenizer,
        clip_preparation(processor, config.vision_config.patch_size),
        style,
        f"flmr-{ENCODING_VERSION}-{_digest(weights)}",
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


def _digest(files: list[Path]) -> str:
    """Of all that the files hold: gigabytes, at a second or less each."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:12]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars that transformers draws while it loads."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
