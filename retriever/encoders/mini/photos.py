"""A photo as the vision tower of `mini` takes it. Knows nothing of files or of the model's weights."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from retriever.encoders.base import WHOLE
from retriever.encoders.flmr.photos import PreparedPhoto
from retriever.encoders.mini.towers import COLOUR_MEAN, COLOUR_STD

PATCH = 32  # pixels; the total stride of the tower
SIDE = 256  # about the resolution the tower was trained on (260), in whole patches
LONGEST = 3.0  # a longer shape is squeezed to this ratio of the sides
DARK, BRIGHTER = 0.6, 4.0  # a photo whose light is under this is given all, at most so many times what it has
_MEAN, _STD = torch.tensor(COLOUR_MEAN), torch.tensor(COLOUR_STD)


def prepare_photo(image: Image.Image) -> PreparedPhoto:
    """An RGB photo that stands upright, scaled to about the area the tower was trained on.

    The tower is convolutional, so the photo keeps its shape, with sides that are whole patches. Nothing is cut off
    and nothing is padded, and a heat map over the patches is a heat map over the whole photo. A dark photo is made
    brighter, as whoever prints it would; the tower has seen few."""
    ratio = min(max(image.width / image.height, 1 / LONGEST), LONGEST)
    width, height = (max(1, round(SIDE * side / PATCH)) * PATCH for side in (ratio**0.5, ratio**-0.5))
    small = image.resize((width, height), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(small, np.float32) / 255)
    light = float(torch.quantile(pixels.amax(dim=-1), 0.99))
    if light < DARK:
        pixels = (pixels * min(BRIGHTER, 1 / max(light, 1 / 255))).clamp(max=1)
    pixels = ((pixels - _MEAN) / _STD).permute(2, 0, 1).contiguous()
    return PreparedPhoto(pixels, (height // PATCH, width // PATCH), WHOLE)
