"""A checkpoint in ReT's layout as an encoder: fetched, checked against the machine's memory, loaded, with the tokenizer
and the preparation of pictures of the CLIP models that its towers are.

Knows nothing of passages, indexes or questions.
"""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError

from common.jobs import Progress
from common.problems import Problem
from common.text import shown
from retriever.encoders.checkpoints import RET_FILES, checkpoint_folder, configuration, digest, tower_file
from retriever.encoders.devices import device_for
from retriever.encoders.registry import Profile
from retriever.encoders.ret import RetConfig, RetModelForRetrieval
from retriever.encoders.ret.encoder import ENCODING_VERSION, Instructions, RetEncoder
from retriever.encoders.ret.processing import RetProcessor
from retriever.encoders.strict import load_model

# ReT was trained with M2KR's many sentences of this kind.
INSTRUCTIONS = Instructions(
    photo="Using the provided image, obtain documents that address the subsequent question:",
    text="Obtain documents that address the subsequent question:",
    photo_alone="Identify the document that is connected to this image.",
)


def load(profile: Profile, cache_dir: Path, progress: Progress) -> RetEncoder:
    """As load_encoder."""
    if profile.parameters is not None:
        device_for(profile.name, profile.parameters)  # before gigabytes are fetched in vain
    try:
        folder = checkpoint_folder(profile.source, cache_dir, progress, RET_FILES)
        return _checkpoint(profile.name, folder, cache_dir, progress)
    except (OSError, ValueError, TypeError, SafetensorError) as problem:
        raise Problem(f"The checkpoint of the profile {profile.name} cannot be used: {shown(problem)}") from problem


def _checkpoint(profile: str, folder: Path, cache_dir: Path, progress: Progress) -> RetEncoder:
    configuration(folder)  # which has to be there
    config = RetConfig.from_pretrained(folder)
    processor, of_towers = read_processor(folder, config, cache_dir, progress)
    model = load_model(profile, folder, config, RetModelForRetrieval)
    files = [folder / "config.json", *sorted(folder.glob("*.safetensors")), *of_towers]
    return RetEncoder(model, processor, INSTRUCTIONS, f"ret-{ENCODING_VERSION}-{digest(files)}")


def read_processor(
    folder: Path, config: RetConfig, cache_dir: Path, progress: Progress
) -> tuple[RetProcessor, tuple[Path, Path]]:
    """What prepares texts and pictures for a checkpoint, and the files that say how, fetched if need be. Raises
    Problem, and ValueError where they do not fit the model."""
    if config.query_config.vision_config.image_size != config.passage_config.vision_config.image_size:
        raise ValueError("queries and passages see pictures of different sizes, which is not supported")
    words = tower_file(folder, "text", "tokenizer.json", cache_dir, progress)
    pictures = tower_file(folder, "vision", "preprocessor_config.json", cache_dir, progress)
    return RetProcessor.read(config.query_config, words, pictures), (words, pictures)
