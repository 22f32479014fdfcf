"""A checkpoint of ColPali, ColQwen2 or ColModernVBERT in transformers' layout as an encoder: fetched, checked against
the machine's memory, loaded.

Knows nothing of passages, indexes or questions.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    ColModernVBertForRetrieval,
    ColPaliForRetrieval,
    ColQwen2ForRetrieval,
    PreTrainedModel,
)

from common.jobs import Progress
from common.problems import Problem
from common.text import shown
from retriever.encoders.checkpoints import PAGE_FILES, checkpoint_folder, configuration, digest
from retriever.encoders.colpali.encoder import ENCODING_VERSION, PageEncoder
from retriever.encoders.colpali.processing import PageProcessor
from retriever.encoders.devices import device_for
from retriever.encoders.registry import Profile
from retriever.encoders.strict import HERE, load_model, strictly

MODELS: dict[str, type[PreTrainedModel]] = {
    "colpali": ColPaliForRetrieval,
    "colqwen2": ColQwen2ForRetrieval,
    "colmodernvbert": ColModernVBertForRetrieval,
}
# What the language model under them says next is not asked, nor what the vision tower makes of a whole picture.
UNREAD = (r"(^|\.)lm_head\.", r"position_ids$", r"vision_(model|tower)\.(vision_model\.)?head\.")
# Beside those that transformers renames by itself.
OLD_NAMES = {"colpali": {r"^vlm\.model\.": "vlm."}, "colqwen2": {}, "colmodernvbert": {}}


def load(profile: Profile, cache_dir: Path, progress: Progress) -> PageEncoder:
    """As load_encoder."""
    if profile.parameters is not None:
        device_for(profile.name, profile.parameters)  # before gigabytes are fetched in vain
    try:
        return _checkpoint(profile.name, checkpoint_folder(profile.source, cache_dir, progress, PAGE_FILES))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, ImportError, SafetensorError) as problem:
        raise Problem(f"The checkpoint of the profile {profile.name} cannot be used: {shown(problem)}") from problem


def _checkpoint(profile: str, folder: Path) -> PageEncoder:
    called = configuration(folder).get("model_type")
    if called not in MODELS:
        raise ValueError(f"it is one of a {shown(called, 80)!r} model, and not of {', '.join(MODELS)}")
    config = AutoConfig.from_pretrained(folder, **HERE)
    processor = PageProcessor.read(folder, config)
    model = load_model(profile, folder, config, strictly(MODELS[called], UNREAD, OLD_NAMES[called]))
    patterns = ("*.json", "*.txt", "*.model", "*.safetensors")
    files = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    return PageEncoder(model, processor, f"{called}-{ENCODING_VERSION}-{digest(files)}")
