"""A checkpoint in FLMR's layout as an encoder: fetched, checked against the machine's memory, loaded.

Knows nothing of passages, indexes or questions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import torch
from accelerate import init_empty_weights
from safetensors import SafetensorError

from common.jobs import Progress
from common.memory import in_memory
from common.problems import Problem
from common.quiet import without_bars
from common.text import shown
from retriever.encoders.checkpoints import checkpoint_folder
from retriever.encoders.devices import device_for
from retriever.encoders.flmr import FLMRConfig, FLMRModelForRetrieval, FLMRProcessor
from retriever.encoders.flmr.encoder import ENCODING_VERSION, FLMREncoder, QueryStyle
from retriever.encoders.flmr.photos import clip_preparation
from retriever.encoders.registry import Profile

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


def load(profile: Profile, cache_dir: Path, progress: Progress) -> FLMREncoder:
    """As load_encoder."""
    if profile.parameters is not None:
        device_for(profile.name, profile.parameters)  # before gigabytes are fetched in vain
    try:
        return _checkpoint(profile.name, checkpoint_folder(profile.source, cache_dir, progress))
    except (OSError, ValueError, TypeError, SafetensorError) as problem:
        raise Problem(f"The checkpoint of the profile {profile.name} cannot be used: {shown(problem)}") from problem


def _checkpoint(profile: str, folder: Path) -> FLMREncoder:
    if not (folder / "config.json").is_file():  # which transformers takes for a model of default sizes
        raise Problem(f"The folder {folder} holds no checkpoint: it has no config.json; fetch or copy it again.")
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
    return FLMREncoder(
        model,
        processor.query_tokenizer,
        processor.context_tokenizer,
        clip_preparation(processor, config.vision_config.patch_size),
        style,
        f"flmr-{ENCODING_VERSION}-{_digest(path for pattern in FILES for path in sorted(folder.glob(pattern)))}",
    )


def _digest(files: Iterable[Path]) -> str:
    """Of all that the files hold: gigabytes, at a second or less each."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:12]
