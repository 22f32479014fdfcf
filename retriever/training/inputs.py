"""Questions and passages as what a model in training eats: an FLMR texts and photos of questions, a ReT texts and
pictures of both.

Knows the models' preparation of texts and pictures; nothing of data, weights or losses.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from retriever.encoders.flmr import FLMRProcessor
from retriever.encoders.ret.encoder import asked_text
from retriever.encoders.ret.processing import RetProcessor
from retriever.training.features import Photo, photos_of
from retriever.training.gradients import Photos


@dataclass(frozen=True)
class RetInputs:
    """ReT's preparation, with the files that it was read from, which go with a checkpoint."""

    processor: RetProcessor
    files: tuple[Path, ...]

    def photos(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """As FLMRProcessor.photos."""
        return self.processor.pixels(images)

    def save_pretrained(self, folder: Path) -> None:
        """The files, beside the weights. Raises OSError."""
        for file in self.files:
            shutil.copyfile(file, folder / file.name)


Inputs = FLMRProcessor | RetInputs


def query_inputs(
    inputs: Inputs, questions: Sequence[str], instructions: Sequence[str], photos: Sequence[Photo]
) -> tuple[dict[str, torch.Tensor], Photos | None]:
    """What a model's `query` takes of questions, but for their photos, and these, to be seen; there may be none."""
    if not isinstance(inputs, RetInputs):
        made = dict(inputs(None, list(questions), list(instructions)))
    else:
        pairs = zip(instructions, questions, strict=True)
        made = dict(inputs.processor([asked_text(instruction, question) for instruction, question in pairs]))
        if photos:
            made["image_mask"] = torch.tensor([float(photo.there) for photo in photos])
    return made, photos_of(photos, inputs) if photos else None


def document_inputs(
    inputs: Inputs, texts: Sequence[str], pictures: Sequence[Image.Image | None]
) -> dict[str, torch.Tensor]:
    """What a model's `doc` or `passage` takes of passages. An FLMR learns from their texts alone."""
    if isinstance(inputs, RetInputs):
        return dict(inputs.processor(texts, pictures))
    return dict(inputs.documents(texts))
