"""Pictures of any shape as a CLIP tower takes them."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from transformers import CLIPImageProcessorPil

from retriever.encoders.clip_pixels import clip_pixels

SMALL = CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16})


class Watched:
    """Prepares as CLIP does, and keeps the sizes of what it was given."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def __call__(self, pictures, **how):
        self.sizes += [picture.size for picture in pictures]
        return SMALL(pictures, **how)


@pytest.mark.parametrize(
    ("size", "given"),
    [((30, 20), (30, 20)), ((1, 1), (1, 1)), ((160, 20), (160, 20)), ((1, 2048), (1, 8)), ((2047, 2), (17, 2))],
)
def test_slivers_are_not_enlarged_whole(size, given):
    watched = Watched()
    assert clip_pixels(watched, [Image.new("RGB", size)]).shape == (1, 3, 16, 16)
    assert watched.sizes == [given]


@pytest.mark.parametrize("size", [(400, 20), (20, 400)])
def test_the_middle_of_a_long_picture_is_what_is_seen(size):
    picture = Image.effect_noise(size, 90).convert("RGB")
    whole = SMALL([picture], return_tensors="pt")["pixel_values"]
    assert torch.allclose(clip_pixels(SMALL, [picture]), whole, atol=0.05)
