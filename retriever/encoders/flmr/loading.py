"""A checkpoint in FLMR's layout as an encoder: fetched, checked against the machine's memory, loaded.

Knows nothing of passages, indexes or questions.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError

from common.jobs import Progress
from common.problems import Problem
from common.text import shown
from retriever.encoders.checkpoints import checkpoint_folder, configuration, digest
from retriever.encoders.devices import device_for
from retriever.encoders.flmr import FLMRConfig, FLMRModelForRetrieval, FLMRProcessor
from retriever.encoders.flmr.encoder import ENCODING_VERSION, FLMREncoder, QueryStyle
from retriever.encoders.flmr.photos import clip_preparation
from retriever.encoders.registry import Profile
from retriever.encoders.strict import load_model

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
    configuration(folder)  # which has to be there
    config = FLMRConfig.from_pretrained(folder, name_or_path=str(folder))
    model = load_model(profile, folder, config, FLMRModelForRetrieval)
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
    return FLMREncoder(
        model,
        processor.query_tokenizer,
        processor.context_tokenizer,
        clip_preparation(processor, config.vision_config.patch_size),
        style,
        f"flmr-{ENCODING_VERSION}-{digest(path for pattern in FILES for path in sorted(folder.glob(pattern)))}",
    )
