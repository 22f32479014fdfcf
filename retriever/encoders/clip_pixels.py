"""Pictures as a CLIP tower takes them. Knows nothing of models, files or what pictures are for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from transformers import CLIPImageProcessorPil

LONGEST = 8  # times as long as wide: CLIP sees the middle square of a picture alone


def clip_pixels(image_processor: CLIPImageProcessorPil, pictures: Sequence[Image.Image]) -> torch.Tensor:
    """(B, 3, H, W) float32."""
    rgb = [_middle(picture.convert("RGB")) for picture in pictures]
    return image_processor(rgb, return_tensors="pt")["pixel_values"]


def _middle(picture: Image.Image) -> Image.Image:
    """The picture, or so much of the middle of a long one as is more than seen: a sliver is enlarged until its short
    side is the tower's, and all of it would then take a gigabyte."""
    width, height = picture.size
    longest = LONGEST * min(width, height)
    across, down = ((side - longest) // 2 if side > longest else 0 for side in (width, height))
    if not across and not down:
        return picture
    return picture.crop((across, down, width - across, height - down))
