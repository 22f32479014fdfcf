"""Where the files of a checkpoint in FLMR's layout are: in a folder, or on the Hugging Face Hub.

Knows nothing of models, and importing it takes no model library.
"""

from __future__ import annotations

import re
from pathlib import Path

from common.jobs import Progress
from hub.cache import Layout, fetch_model

FLMR_FILES = Layout(
    "an FLMR or PreFLMR checkpoint",
    (
        "preprocessor_config.json", "processor_config.json", "*/config.json", "query_tokenizer/*.json",
        "query_tokenizer/*.txt", "context_tokenizer/*.json", "context_tokenizer/*.txt", "*.safetensors",
    ),
    (("query_tokenizer/vocab.txt",),),
)  # fmt: skip


def may_be(source: str) -> bool:
    """Whether it is a folder, or can be the id of a checkpoint on the Hub."""
    return Path(source).expanduser().is_dir() or re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source) is not None


def checkpoint_folder(source: str, cache_dir: Path, progress: Progress) -> Path:
    """The folder named, or the one that the checkpoint of that id was fetched into. Raises Problem."""
    local = Path(source).expanduser()
    return local if local.is_dir() else fetch_model(source, cache_dir, FLMR_FILES, progress)


def vocabulary(source: str, cache_dir: Path, progress: Progress) -> Path:
    """The file of the passages' word pieces. Raises Problem."""
    return checkpoint_folder(source, cache_dir, progress) / "context_tokenizer" / "vocab.txt"
