"""What a vision tower that does not learn makes of photos, computed once a photo and kept on disk.

A photo's features are a safetensors file, named after the tower, its weights included, and the photo; what is damaged
is made anew. They are what the tower gives in the precision of the run, and on a CPU each photo goes through it alone,
so that a run is the same whatever has been kept before. They may take what leaves a tenth of the disk free; when no
more fits, photos go through the tower again, and what other towers left there is deleted. Knows nothing of questions.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from common.images import load_image
from common.problems import Problem
from retriever.encoders.flmr import FLMRModelForRetrieval, FLMRProcessor
from retriever.encoders.flmr.processing import BLANK_PHOTO
from retriever.training.files import whole
from retriever.training.gradients import Photos, computing_in

VERSION = 1  # raise it when the way photos are read or prepared changes
_FREE = 0.1  # of the disk, that features leave free
_AT_A_TIME = 32  # photos that a GPU's tower looks at
_LONG = 3600  # seconds that no file takes to write
_SUM = "crc32"

Source = bytes | Path | None  # an image's file as its bytes or its path; None for a question without one


@dataclass(frozen=True)
class Photo:
    """A question's photo, or a black one where it has none and so is not `there`: decoded, or as its features where
    those are kept."""

    key: str
    image: Image.Image | None
    features: dict[str, torch.Tensor] | None
    there: bool = True


class Kept:
    """The features of one tower on disk. Any number of processes may use them at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def look(self, source: Source) -> Photo:
        """Raises Problem for an image that cannot be used."""
        key = _key(source)
        features = self.find(key)
        if features is not None:
            return Photo(key, None, features, source is not None)
        return Photo(key, BLANK_PHOTO if source is None else load_image(source), None, source is not None)

    def find(self, key: str) -> dict[str, torch.Tensor] | None:
        """None where they are not there, or not as they were written."""
        try:
            with safe_open(self._file(key), "pt") as file:
                features = {name: file.get_tensor(name) for name in file.keys()}
                return features if (file.metadata() or {}).get(_SUM) == _checksum(features) else None
        except (OSError, SafetensorError):
            return None

    def keep(self, key: str, features: dict[str, torch.Tensor]) -> None:
        """Does nothing where no more fits. Raises Problem."""
        try:
            if _has_room(self.folder):
                with whole(self._file(key)) as file:
                    save_file(features, file, {_SUM: _checksum(features)})
        except (FileNotFoundError, Problem) as problem:
            if not isinstance(problem.__cause__ or problem, FileNotFoundError):
                raise  # else the run of another tower has deleted the folder

    def _file(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"


class Tower:
    """A model's vision tower, which does not learn, with what is kept of it in `folder`. precision: as the recipe has
    it. Raises Problem where the folder cannot be used."""

    def __init__(self, network: FLMRModelForRetrieval, processor: FLMRProcessor, precision: str, folder: Path) -> None:
        self._network = network
        self._precision = precision
        self._dtype = getattr(torch, precision)
        self._with_patches = network.config.use_transformer_mapping_network
        about = [network.config.vision_config.to_dict(), processor.image_processor.to_dict()]
        said = json.dumps([VERSION, precision, self._with_patches, *about], sort_keys=True, default=str)
        self.kept = Kept(folder / fingerprint_of(network.query_vision_encoder, said))
        _make_room(folder, self.kept.folder)

    def features(self, photos: Photos) -> dict[str, torch.Tensor]:
        """`image_features` (B, hidden) and, where the model maps patches, `patch_features` (B, patches, hidden), on
        the network's device. Those that are new are kept. Raises Problem."""
        known, unknown, made = 0, 0, {}
        rows = []
        for key, is_known in zip(photos.keys, photos.known, strict=True):
            if is_known:
                rows.append({name: each[known] for name, each in photos.features.items()})
                known += 1
            else:
                made.setdefault(key, unknown)
                rows.append(key)
                unknown += 1
        found = self._made({key: photos.pixels[place] for key, place in made.items()})
        rows = [found[row] if isinstance(row, str) else row for row in rows]
        return {name: torch.stack([row[name] for row in rows]).to(self._network.device) for name in rows[0]}

    def _made(self, pixels: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
        """Features by key; a batch that was made ahead may lack what has been kept since."""
        found = {key: each for key in pixels if (each := self.kept.find(key)) is not None}
        missing = [key for key in pixels if key not in found]
        size = _at_a_time(self._network.device)
        for start in range(0, len(missing), size):
            keys = missing[start : start + size]
            made = self._computed(torch.stack([pixels[key] for key in keys]))
            for place, key in enumerate(keys):
                found[key] = {
                    name: each[place].clone(memory_format=torch.contiguous_format) for name, each in made.items()
                }
                self.kept.keep(key, found[key])
        return found

    @torch.no_grad()
    def _computed(self, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
        with computing_in(self._precision, self._network.device):
            pooled, patches = self._network.query_vision_encoder(pixels.to(self._network.device))
        result = {"image_features": pooled} | ({"patch_features": patches} if self._with_patches else {})
        return {name: each.to("cpu", self._dtype) for name, each in result.items()}


def seen(photos: Photos | None, tower: Tower | None) -> dict[str, torch.Tensor]:
    """Photos as `FLMRModelForRetrieval.query` takes them: features, pixels without a tower. Raises Problem."""
    if photos is None:
        return {}
    return {"pixel_values": photos.pixels} if tower is None else tower.features(photos)


def plain_photo(source: Source) -> Photo:
    """A photo of which nothing is kept. Raises Problem."""
    return Photo("", BLANK_PHOTO if source is None else load_image(source), None, source is not None)


class Prepares(Protocol):
    def photos(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Pixels, (n, 3, H, W)."""


def photos_of(photos: Sequence[Photo], processor: Prepares) -> Photos:
    known = [each.features for each in photos if each.features is not None]
    images = [each.image for each in photos if each.features is None]
    return Photos(
        tuple(each.key for each in photos),
        tuple(each.features is not None for each in photos),
        {name: torch.stack([each[name] for each in known]) for name in (known[0] if known else ())},
        processor.photos(images) if images else None,
    )


def _key(source: Source) -> str:
    """Of a photo, by its bytes, or by its file's place, size and time. Raises Problem."""
    if isinstance(source, Path):
        try:
            about = source.stat()
        except OSError as problem:
            raise Problem(f"the image {source} cannot be read ({problem.strerror})") from None
        source = f"{source.resolve()}\0{about.st_size}\0{about.st_mtime_ns}".encode(errors="surrogateescape")
        return hashlib.blake2b(source, digest_size=20, person=b"path").hexdigest()
    return hashlib.blake2b(source or b"", digest_size=20, person=b"none" if source is None else b"bytes").hexdigest()


def fingerprint_of(module: torch.nn.Module, said: str = "") -> str:
    """Of its weights and of what else is said of it."""
    key = hashlib.sha256(said.encode())
    for name, each in sorted(module.state_dict().items()):
        key.update(f"{name}\0{tuple(each.shape)}\0".encode())
        key.update(each.detach().float().cpu().contiguous().numpy())
    return key.hexdigest()[:32]


def _checksum(features: dict[str, torch.Tensor]) -> str:
    total = 0
    for name in sorted(features):
        total = zlib.crc32(f"{name}{tuple(features[name].shape)}".encode(), total)
        total = zlib.crc32(features[name].view(torch.uint8).numpy(), total)
    return str(total)


def _at_a_time(device: torch.device) -> int:
    return 1 if device.type == "cpu" else _AT_A_TIME


def _has_room(folder: Path) -> bool:
    disk = shutil.disk_usage(folder)
    return disk.free > _FREE * disk.total


def _make_room(folder: Path, own: Path) -> None:
    """Deletes what other towers left, that which was used longest ago first, until there is room; and marks the own
    folder as used now. Raises Problem."""
    with whole(own / "used") as file:
        file.touch()
    for each in own.glob("??/.writing-*"):  # of processes that were killed
        if _changed(each) < time.time() - _LONG:
            shutil.rmtree(each, ignore_errors=True)
    others = [each for each in folder.iterdir() if each != own and (each / "used").is_file()]
    for each in sorted(others, key=lambda other: _changed(other / "used")):
        if _has_room(folder):
            return
        shutil.rmtree(each, ignore_errors=True)


def _changed(path: Path) -> float:
    """When; a file that another process has just removed is as good as new."""
    try:
        return path.stat().st_mtime
    except OSError:
        return math.inf
