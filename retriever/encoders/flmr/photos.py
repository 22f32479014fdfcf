"""A photo as a vision tower takes it, and which part of the photo each patch shows; and how CLIP's takes it.

Knows nothing of files or of the model's weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image

from retriever.encoders.base import WHOLE
from retriever.encoders.flmr.processing import FLMRProcessor


@dataclass(frozen=True)
class PreparedPhoto:
    """`pixels` (3, H, W) float32. `grid`: patches down and across. `area`: what they cover of the photo, as
    fractions of its width and height: left, top, right, bottom."""

    pixels: torch.Tensor
    grid: tuple[int, int]
    area: tuple[float, float, float, float]


def clip_preparation(processor: FLMRProcessor, patch: int) -> Callable[[Image.Image], PreparedPhoto]:
    """For models with CLIP's tower, whose patches are `patch` pixels wide: the middle of the photo, square."""

    def prepare(image: Image.Image) -> PreparedPhoto:
        pixels = processor.photos([image])[0]
        down, across = pixels.shape[-2] // patch, pixels.shape[-1] // patch
        return PreparedPhoto(pixels, (down, across), _cropped(image.size, processor.image_processor))

    return prepare


def _cropped(size: tuple[int, int], image_processor) -> tuple[float, float, float, float]:
    """The part of a photo of `size` (width, height) that an image processor of CLIP's kind keeps."""
    if not image_processor.do_center_crop:
        return WHOLE
    wanted = dict(image_processor.size) if image_processor.do_resize else {}
    if "shortest_edge" in wanted:
        size = tuple(side * wanted["shortest_edge"] / min(size) for side in size)
    elif "width" in wanted:
        size = (wanted["width"], wanted["height"])
    crop = dict(image_processor.crop_size)
    kept_across, kept_down = min(1.0, crop["width"] / size[0]), min(1.0, crop["height"] / size[1])
    return ((1 - kept_across) / 2, (1 - kept_down) / 2, (1 + kept_across) / 2, (1 + kept_down) / 2)
