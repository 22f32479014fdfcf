"""A photo as a vision tower takes it, and which part of the photo each patch shows.

Two ways: that of the `mini` profile, and CLIP's. Knows nothing of files or of the model's weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from retriever.encoders.flmr import FLMRProcessor

PATCH = 32  # pixels; the total stride of mini's tower
SIDE = 256  # about the resolution the tower was trained on (260), in whole patches
LONGEST = 3.0  # a longer shape is squeezed to this ratio of the sides
WHOLE = (0.0, 0.0, 1.0, 1.0)
_MEAN = torch.tensor([0.485, 0.456, 0.406])
_STD = torch.tensor([0.229, 0.224, 0.225])


@dataclass(frozen=True)
class PreparedPhoto:
    """`pixels` (3, H, W) float32. `grid`: patches down and across. `area`: what they cover of the photo, as
    fractions of its width and height: left, top, right, bottom."""

    pixels: torch.Tensor
    grid: tuple[int, int]
    area: tuple[float, float, float, float]


def prepare_photo(image: Image.Image) -> PreparedPhoto:
    """For mini: an RGB photo that stands upright, scaled to about the area the tower was trained on.

    The tower is convolutional, so the photo keeps its shape, with sides that are whole patches. Nothing is cut off
    and nothing is padded, and a heat map over the patches is a heat map over the whole photo."""
    ratio = min(max(image.width / image.height, 1 / LONGEST), LONGEST)
    width, height = (max(1, round(SIDE * side / PATCH)) * PATCH for side in (ratio**0.5, ratio**-0.5))
    small = image.resize((width, height), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(small, np.float32) / 255)
    pixels = ((pixels - _MEAN) / _STD).permute(2, 0, 1).contiguous()
    return PreparedPhoto(pixels, (height // PATCH, width // PATCH), WHOLE)


def clip_preparation(processor: FLMRProcessor, patch: int) -> Callable[[Image.Image], PreparedPhoto]:
    """For checkpoints with CLIP's tower, whose patches are `patch` pixels wide: the middle of the photo, square."""

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
