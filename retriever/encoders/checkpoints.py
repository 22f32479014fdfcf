"""Checkpoints in folders and on the Hugging Face Hub: which kind one is by its configuration, and where its files are.

Knows the kinds by what their configurations call themselves, and nothing of models: importing it takes no model
library.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.jobs import Progress
from common.problems import Problem
from common.text import shown
from hub.cache import VISION_LANGUAGE, Layout, fetch_model, fetch_model_files

if TYPE_CHECKING:
    from retriever.encoders.base import Encoder
    from retriever.encoders.registry import Profile

FLMR_FILES = Layout(
    "an FLMR or PreFLMR checkpoint",
    (
        "preprocessor_config.json", "processor_config.json", "*/config.json", "query_tokenizer/*.json",
        "query_tokenizer/*.txt", "context_tokenizer/*.json", "context_tokenizer/*.txt", "*.safetensors",
    ),
    (("query_tokenizer/vocab.txt",),),
)  # fmt: skip
RET_FILES = Layout("a ReT checkpoint", ("tokenizer.json", "preprocessor_config.json", "*.safetensors"), ())
MODULES, ARTIFACT = "modules.json", "artifact.metadata"  # of PyLate's layout, and of that of ColBERT's authors
COLBERT_FILES = Layout(
    "a ColBERT checkpoint",
    (
        MODULES, ARTIFACT, "config_sentence_transformers.json", "sentence_bert_config.json", "tokenizer*.json",
        "special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "*.safetensors",
        "*/config.json", "*/model.safetensors",
    ),
    ((MODULES, ARTIFACT), ("tokenizer.json", "vocab.txt")),
)  # fmt: skip
PAGE_FILES = replace(VISION_LANGUAGE, called="a ColPali, ColQwen2 or ColModernVBERT checkpoint")
MOST_BYTES = 4 << 20  # of a configuration


@dataclass(frozen=True)
class Kind:
    """What checkpoints whose configurations are of one model type have in common.

    loader: as of a Profile. layout: their files on the Hub. vocabulary: of a checkpoint in a folder, the file of the
    pieces that it makes of passages; it may be fetched. photos: whether their questions may have one."""

    loader: str
    layout: Layout
    vocabulary: Callable[[Path, Path, Progress], Path]
    photos: bool = True


def tower_file(folder: Path, part: str, name: str, cache_dir: Path, progress: Progress) -> Path:
    """The file of that name that goes with a CLIP tower of a ReT checkpoint, `part` being "text" or "vision": the one
    in the checkpoint's folder, else that of the model which the tower was made from, from the Hub. Raises Problem."""
    if (folder / name).is_file():
        return folder / name
    side = configuration(folder).get("query_config")
    tower = side.get(f"{part}_config") if isinstance(side, dict) else None
    source = tower.get("_name_or_path") if isinstance(tower, dict) else None
    if not isinstance(source, str) or not _ID.fullmatch(source):
        raise Problem(
            f"The checkpoint in {folder} has no {name}, and its configuration does not say which model on the Hugging "
            f"Face Hub its {part} tower is; put the {name} of that CLIP model into the folder."
        )
    found = fetch_model_files(source, [name], cache_dir, progress) / name
    if not found.is_file():
        raise Problem(f"The model {source} has no {name} any more; put that of another of its kind into {folder}.")
    return found


KINDS = {
    "flmr": Kind(
        "retriever.encoders.flmr.loading",
        FLMR_FILES,
        lambda folder, cache_dir, progress: folder / "context_tokenizer" / "vocab.txt",
    ),
    "retriever": Kind(
        "retriever.encoders.ret.loading",
        RET_FILES,
        lambda folder, cache_dir, progress: tower_file(folder, "text", "tokenizer.json", cache_dir, progress),
    ),
    **{
        name: Kind(
            "retriever.encoders.colpali.loading",
            PAGE_FILES,
            lambda folder, cache_dir, progress: folder / "tokenizer.json",
            photos=False,
        )
        for name in ("colpali", "colqwen2", "colmodernvbert")
    },
}
# Of ColBERT checkpoints, whose configurations are those of any transformer.
COLBERT = Kind(
    "retriever.encoders.colbert.loading",
    COLBERT_FILES,
    lambda folder, cache_dir, progress: _first(folder, "tokenizer.json", "vocab.txt"),
    photos=False,
)
_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def may_be(source: str) -> bool:
    """Whether it is a folder, or can be the id of a checkpoint on the Hub."""
    return Path(source).expanduser().is_dir() or _ID.fullmatch(source) is not None


def load(profile: Profile, cache_dir: Path, progress: Progress) -> Encoder:
    """As load_encoder, of a checkpoint of whichever kind."""
    kind = kind_of(profile.source, cache_dir, progress)
    return import_module(kind.loader).load(profile, cache_dir, progress)


def kind_of(source: str, cache_dir: Path, progress: Progress) -> Kind:
    """By the configuration, which is fetched first, or the files that say that it is a ColBERT. Raises Problem for a
    kind that nothing here loads."""
    local = Path(source).expanduser()
    folder = local if local.is_dir() else fetch_model_files(source, ["config.json"], cache_dir, progress)
    fields = configuration(folder)
    called = str(fields.get("model_type", "flmr"))  # which may be left out
    if called in KINDS:
        return KINDS[called]
    if not _of_colbert(folder) and not local.is_dir():
        fetch_model_files(source, ["config.json", MODULES, ARTIFACT], cache_dir, progress)
    if _of_colbert(folder) or fields.get("architectures") == ["HF_ColBERT"]:
        return COLBERT
    raise Problem(
        f"The checkpoint {source} is one of a {shown(called, 80)!r} model, which no encoder here is; it can be one of "
        f"{', '.join(map(repr, KINDS))}, or a ColBERT with {MODULES} (PyLate's layout) or {ARTIFACT} beside it."
    )


def _first(folder: Path, *names: str) -> Path:
    """The first of the files that is there, else the last."""
    return next((folder / name for name in names if (folder / name).is_file()), folder / names[-1])


def _of_colbert(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (MODULES, ARTIFACT))


def configuration(folder: Path) -> dict:
    """What the `config.json` of a checkpoint holds. Raises Problem."""
    file = folder / "config.json"
    if not file.is_file():  # which transformers takes for a model of default sizes
        raise Problem(f"The folder {folder} holds no checkpoint: it has no config.json; fetch or copy it again.")
    fields = json_file(file)
    if not isinstance(fields, dict):
        raise Problem(f"{file} cannot be used, as it holds no configuration; fetch or copy it again.")
    return fields


def json_file(file: Path) -> Any:
    """What a small file of a checkpoint holds. Raises Problem."""
    try:
        with file.open("rb") as content:
            return json.loads(content.read(MOST_BYTES))
    except (OSError, ValueError, RecursionError) as problem:
        raise Problem(f"{file} cannot be used ({shown(problem, 200)}); fetch or copy it again.") from problem


def checkpoint_folder(source: str, cache_dir: Path, progress: Progress, layout: Layout = FLMR_FILES) -> Path:
    """The folder named, or the one that the checkpoint of that id was fetched into. Raises Problem."""
    local = Path(source).expanduser()
    return local if local.is_dir() else fetch_model(source, cache_dir, layout, progress)


def vocabulary(source: str, cache_dir: Path, progress: Progress) -> Path:
    """The file of the passages' pieces. Raises Problem."""
    kind = kind_of(source, cache_dir, progress)
    return kind.vocabulary(checkpoint_folder(source, cache_dir, progress, kind.layout), cache_dir, progress)


def digest(files: Iterable[Path]) -> str:
    """Of all that the files hold, which says which model it is: gigabytes, at a second or less each."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:12]
