"""Beginning with a ready index (publishing.py) in place of an ingestion and an encoding that takes minutes.

It is taken up once, into a data folder that has no catalogue yet; from then on that is like any other. What comes from
elsewhere is not trusted: files are compared with their list, and of the catalogue rows are read and nothing else.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.service.publishing import FORMAT, INDEXES, LIST, PICTURES, ROWS, VERSION
from app.settings import Settings
from common.jobs import Progress
from common.problems import BadRequest, Problem, kept_in
from common.sealed_folders import check_files, read_seal
from common.text import shown
from common.whole_files import write_whole
from hub.cache import fetch_dataset
from kb.catalogue.snapshot import make_catalogue
from kb.sources.registry import KINDS
from retriever.index.linking import link_or_copy

TAKEN = "ready.json"  # in the data folder: what was taken up
_PART, _LOCK = ".ready.part", ".ready.lock"
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,127}/[A-Za-z0-9._-]{1,127}")
_FILES = re.compile(
    rf"{re.escape(ROWS)}|{INDEXES}/{_KEY.pattern}/[a-z0-9-]+\.(?:bin|json)"
    rf"|{PICTURES}/[0-9a-f]{{2}}/[0-9a-f]{{64}}(?:\.small)?\.jpg"
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ready:
    """What a ready index says of itself. corpora: as people call them. names: as documents' ids begin. keys: of their
    indexes."""

    profile: str
    fingerprint: str
    corpora: tuple[str, ...]
    names: tuple[str, ...]
    keys: tuple[str, ...]


def taken_up(settings: Settings, progress: Progress = lambda done, total: None) -> Settings:
    """Takes up the ready index that the settings name, where that was not done before; the settings with its first
    corpus and its profile, where others were not chosen. progress is told of bytes. Raises Problem."""
    if not settings.ready:
        return settings
    if settings.database_url:
        raise BadRequest(
            "A ready index (CITESIGHT_READY) comes with a catalogue of its own, which goes into the data folder; unset "
            "CITESIGHT_DATABASE_URL, or ingest into that database instead."
        )
    found = _taken(settings)
    if found is None:
        with _alone(settings):
            found = _taken(settings)  # another process was quicker
            if found is None and settings.catalogue_place.exists():
                log.warning("%s holds another catalogue, so %s is not taken up.", settings.data_dir, settings.ready)
                return settings
            found = found or _take(settings, progress)
    chosen = {"corpus": found.corpora[0], "profile": found.profile}
    return settings.model_copy(update={k: v for k, v in chosen.items() if k not in settings.model_fields_set})


def check_encoder(settings: Settings, fingerprint: str) -> None:
    """That the encoder is the one by which the ready index was made, if one was taken up. Raises BadRequest."""
    found = _taken(settings) if settings.ready else None
    if found is not None and found.fingerprint != fingerprint:
        raise BadRequest(
            f"The ready index {shown(settings.ready)} was made by another encoder (the profile {shown(found.profile)}, "
            f"{shown(found.fingerprint)}) than {settings.profile} ({fingerprint}); choose its profile, or unset "
            "CITESIGHT_READY to encode the passages anew."
        )


def _taken(settings: Settings) -> Ready | None:
    """What was taken up into the data folder, where that is what the settings name."""
    try:
        about = json.loads((settings.data_dir / TAKEN).read_bytes())
        whole = settings.catalogue_place.exists() and about["from"] == settings.ready
        return _understood(about) if whole else None
    except (OSError, ValueError, KeyError, TypeError, Problem):
        return None


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """While no other process takes one up into the data folder; the second then finds what the first did."""
    with kept_in(settings.data_dir):
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        with open(settings.data_dir / _LOCK, "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _take(settings: Settings, progress: Progress) -> Ready:
    folder = Path(settings.ready).expanduser()
    if not folder.is_dir():
        _looked_at(fetch_dataset(settings.ready, [LIST], settings.cache_dir), settings)
        parts = [LIST, ROWS, f"{INDEXES}/*", f"{PICTURES}/*"]
        folder = fetch_dataset(settings.ready, parts, settings.cache_dir, progress)
    about, found = _looked_at(folder, settings)
    check_files(folder, about["files"])
    with kept_in(settings.data_dir):
        _place(folder, about["files"], found, settings)
        told = {name: about[name] for name in ("format", "version", "profile", "fingerprint", "corpora")}
        write_whole(settings.data_dir / TAKEN, json.dumps({"from": settings.ready, **told}, indent=1).encode())
        os.replace(settings.data_dir / _PART / ROWS, settings.catalogue_place)  # what says that all of it is there
        shutil.rmtree(settings.data_dir / _PART, ignore_errors=True)
    return found


def _looked_at(folder: Path, settings: Settings) -> tuple[dict[str, Any], Ready]:
    """What its list says, also where nothing else is in the folder yet. Raises Problem where it does not fit."""
    about = read_seal(folder, LIST, FORMAT)
    found = _understood(about)
    if strange := next((place for place in about["files"] if not _FILES.fullmatch(place)), None):
        raise BadRequest(f"The ready index in {shown(folder)} lists {shown(strange)}, which is no part of one.")
    _check_choices(settings, found)
    return about, found


def _place(folder: Path, files: Mapping[str, Any], found: Ready, settings: Settings) -> None:
    """Everything to where it belongs, but for the catalogue, which waits beside."""
    part = settings.data_dir / _PART
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    make_catalogue(folder / ROWS, part / ROWS, found.names, found.keys)
    for key in found.keys:
        shutil.rmtree(settings.data_dir / INDEXES / key, ignore_errors=True)
    for place in files:
        if place != ROWS:
            target = settings.data_dir / place
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            link_or_copy(folder / place, target)


def _check_choices(settings: Settings, found: Ready) -> None:
    """That the corpus is in it, or one that is fetched. Of the profile a first look, before anything is loaded; the
    fingerprint tells for certain."""
    kind = KINDS.get(settings.corpus)
    there = settings.corpus in found.corpora or (kind is not None and kind.fixed is not None)
    if "corpus" in settings.model_fields_set and not there:
        raise BadRequest(
            f"The ready index {shown(settings.ready)} has no corpus called {settings.corpus} (CITESIGHT_CORPUS); it "
            f"has {shown(', '.join(found.corpora))}."
        )
    if "profile" in settings.model_fields_set and Path(settings.profile).name != Path(found.profile).name:
        raise BadRequest(
            f"The ready index {shown(settings.ready)} was made by the profile {shown(found.profile)}, and "
            f"{settings.profile} is set; choose that profile, or unset CITESIGHT_READY."
        )


def _understood(about: Mapping[str, Any]) -> Ready:
    """Raises BadRequest for what this program did not write, or a newer one did."""
    if type(about.get("version")) is int and about["version"] > VERSION:
        raise BadRequest(
            f"The ready index was made by a newer version of this program (format {about['version']}); update it."
        )
    try:
        corpora: Sequence[Mapping[str, Any]] = about["corpora"]
        found = Ready(
            str(about["profile"]), str(about["fingerprint"]), *(
                tuple(str(each[field]) for each in corpora) for field in ("called", "name", "index")
            )
        )  # fmt: skip
    except (KeyError, TypeError):
        found = None
    if found is None or not found.keys or not all(map(_KEY.fullmatch, found.keys)):
        raise BadRequest("The list of the ready index (ready.json) does not say what it holds; publish it again.")
    return found
