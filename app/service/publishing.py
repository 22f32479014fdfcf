"""A ready index: corpora with the index that one encoder made of them, as a folder that another machine begins with.

    ready.json         what it is, the encoder's fingerprint, and every file with its checksum
    catalogue.sqlite   the corpora's rows, as kb/catalogue/snapshot.py writes them
    index/CORPUS/KEY/  an index each
    pictures/          of the corpora's documents
    README.md          the card: what is in it, from where, under which licences

Knows nothing of where the folder goes, nor of how it is taken up (ready.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from app.service.index_building import index_path, record_of
from app.service.moments import at_one_moment
from common.problems import BadRequest, kept_in
from common.sealed_folders import seal
from common.whole_files import new_folder
from kb.catalogue import Catalogue
from kb.catalogue.snapshot import ServedCorpus, picture_hashes, state_of
from kb.pictures import Pictures
from retriever.index.linking import link_or_copy
from retriever.sharding.layout import is_sharded

FORMAT, VERSION = "citesight-ready-index", 1
LIST, ROWS, INDEXES, PICTURES, CARD = "ready.json", "catalogue.sqlite", "index", "pictures", "README.md"


@dataclass(frozen=True)
class Encoded:
    """By what the passages were encoded: a profile's name, and its encoder's fingerprint."""

    profile: str
    fingerprint: str

    @property
    def told(self) -> str:
        """The profile as others may know it: of a folder of this machine its name only."""
        return Path(self.profile).name if Path(self.profile).expanduser().exists() else self.profile


def publish(
    catalogue: Catalogue, data_dir: Path, pictures: Pictures, encoded: Encoded, names: Sequence[str], output: Path
) -> list[ServedCorpus]:
    """Writes the folder `output`, which must not be there, of the corpora of these names and their indexes; which
    corpora in which versions they are. Safe while others write. Raises Problem."""
    if "+" in encoded.profile:
        raise BadRequest("A ready index is of one profile; give one of the two as --profile.")
    with new_folder(output) as folder, _linked(catalogue, data_dir, encoded, names, folder) as (corpora, keys):
        about = {
            "format": FORMAT, "version": VERSION, "profile": encoded.told, "fingerprint": encoded.fingerprint,
            "corpora": [asdict(each) | {"index": key} for each, key in zip(corpora, keys, strict=True)],
        }  # fmt: skip
        _add_pictures(folder, pictures)
        with kept_in(folder):
            (folder / CARD).write_text(_card(encoded, corpora), encoding="utf-8")
            seal(folder, LIST, about, beside=(CARD, ".gitattributes"))
    return corpora


@contextmanager
def _linked(
    catalogue: Catalogue, data_dir: Path, encoded: Encoded, names: Sequence[str], folder: Path
) -> Iterator[tuple[list[ServedCorpus], list[str]]]:
    """The corpora with their indexes' names, once their rows and indexes are in the folder."""
    with state_of(catalogue) as state:
        corpora = state.served(names)
    paths = [
        index_path(data_dir, each.called, encoded.profile, encoded.fingerprint, each.version) for each in corpora
    ]
    keys = [record_of(catalogue, path).name for path in paths]
    for path, each in zip(paths, corpora, strict=True):
        if not path.is_dir():
            raise BadRequest(f"There is no index of {each.called} by {encoded.profile}; index it first.")
        if is_sharded(path):
            raise BadRequest(
                f"The index of {each.called} lies in shards, and a ready index is in one piece; give others the "
                "shards' own store, or publish from a data folder where it was indexed without --ray."
            )
    copies = {path: folder / INDEXES / key for path, key in zip(paths, keys, strict=True)}
    with at_one_moment(catalogue, copies, data_dir) as state:
        if state.served(names) != corpora:
            raise BadRequest("A corpus changed meanwhile; publish again when its ingestion is through.")
        state.write_rows(folder / ROWS, corpora, keys)
    yield corpora, keys


def _add_pictures(folder: Path, pictures: Pictures) -> None:
    kept = Pictures(folder / PICTURES)
    with kept_in(folder):
        for content_hash in picture_hashes(folder / ROWS):
            for small in (False, True):
                target = kept.path(content_hash, small)
                target.parent.mkdir(parents=True, exist_ok=True)
                with suppress(FileNotFoundError):  # the program knows what is to be done about lost pictures
                    link_or_copy(pictures.path(content_hash, small), target)


def _card(encoded: Encoded, corpora: Sequence[ServedCorpus]) -> str:
    rows = [
        f"| {each.called} | {each.title} | {each.documents:,} | {each.passages:,} | {each.language} | {each.licence} |"
        for each in corpora
    ]
    return "\n".join(
        [
            "---",
            f"pretty_name: {json.dumps('Ready index of ' + ', '.join(each.called for each in corpora))}",
            "license: other",
            "task_categories:",
            "- visual-question-answering",
            "viewer: false",
            "---",
            "",
            "# A ready index",
            "",
            "Texts with the late-interaction index that answers are found in. CiteSight begins with it, without "
            "encoding anything:",
            "",
            "```sh",
            f"CITESIGHT_READY=OWNER/NAME python app.py{_profile_option(encoded.told)}",
            "```",
            "",
            f"Encoded by the profile `{encoded.told}` (fingerprint `{encoded.fingerprint}`); another encoder's "
            "questions cannot be asked of it.",
            "",
            "| corpus | title | documents | passages | language | licence |",
            "| --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
            "The texts belong to those who made them, under the licences above; each passage names its source.",
            "",
        ]
    )


def _profile_option(profile: str) -> str:
    return "" if profile == "mini" else f" --profile {profile}"
