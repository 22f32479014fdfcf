"""A photo as the vision tower of the `mini` profile takes it. Knows nothing of files or of the model's weights.

The tower is convolutional, so the photo keeps its shape: it is scaled to about the area the tower was trained on,
with sides that are whole patches. Nothing is cut off and nothing is padded, and a heat map over the patches is a
heat map over the whole photo.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

PATCH = 32  # pixels; the tower's total stride
SIDE = 256  # about the resolution the tower was trained on (260), in whole patches
LONGEST = 3.0  # a longer shape is squeezed to this ratio of the sides
_MEAN = torch.tensor([0.485, 0.456, 0.406])
_STD = torch.tensor([0.229, 0.224, 0.225])


def prepare_photo(image: Image.Image) -> torch.Tensor:
    """(3, H, W) float32, H and W multiples of 32, of an RGB photo that stands upright."""
    ratio = min(max(image.width / image.height, 1 / LONGEST), LONGEST)
    width, height = (max(1, round(SIDE * side / PATCH)) * PATCH for side in (ratio**0.5, ratio**-0.5))
    small = image.resize((width, height), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(small, np.float32) / 255)
    return ((pixels - _MEAN) / _STD).permute(2, 0, 1).contiguous()


def grid_of(pixels: torch.Tensor) -> tuple[int, int]:
    """Patches down and across of a prepared photo."""
    return pixels.shape[-2] // PATCH, pixels.shape[-1] // PATCH
