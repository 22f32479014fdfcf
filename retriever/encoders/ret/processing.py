"""From texts and pictures to what ReT eats: CLIP's tokens and CLIP's pixels, and which of both is there.

Knows nothing of the model's weights, or of what is a query and what a passage.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from tokenizers import Tokenizer
from transformers import BatchFeature, CLIPImageProcessorPil

from retriever.encoders.batching import padded
from retriever.encoders.clip_pixels import clip_pixels
from retriever.encoders.ret.configuration import RetSideConfig
from retriever.encoders.word_pieces import read_tokenizer

BLANK = Image.new("RGB", (336, 336))  # what the authors give where there is no picture
OBLONG = Image.new("RGB", (40, 30))
MOST_TIMES = 4  # the side of what the tower sees, that a picture is enlarged to before it is cut
BEGIN, END = "<|startoftext|>", "<|endoftext|>"


@dataclass(frozen=True)
class RetProcessor:
    """tokenizer: CLIP's. image_processor: of the vision tower's size. longest: tokens that a text is cut to."""

    tokenizer: Tokenizer
    image_processor: CLIPImageProcessorPil
    longest: int

    @classmethod
    def read(cls, config: RetSideConfig, tokenizer: Path, preprocessor: Path) -> RetProcessor:
        """With CLIP's `tokenizer.json` and `preprocessor_config.json`. Raises OSError, and ValueError where they do not
        fit the towers."""
        words = read_tokenizer(tokenizer)
        text, side = config.text_config, config.vision_config.image_size
        if lacking := [each for each in (BEGIN, END) if words.token_to_id(each) is None]:
            raise ValueError(f"{tokenizer} is no tokenizer of CLIP: it has no {lacking[0]}")
        if (count := words.get_vocab_size()) > text.vocab_size:
            raise ValueError(f"{tokenizer} has {count} pieces and the text tower {text.vocab_size}")
        described = json.loads(preprocessor.read_text(encoding="utf-8"))
        if not isinstance(described, dict):
            raise ValueError(f"{preprocessor} describes no preparation of pictures")
        # Pillow's, with torchvision or without: the same picture gives the same vectors everywhere.
        pictures = CLIPImageProcessorPil(**{k: v for k, v in described.items() if not k.endswith(("_type", "_class"))})
        made = cls(words, pictures, text.max_position_embeddings)
        if max(*dict(pictures.size).values(), *dict(pictures.crop_size).values()) > MOST_TIMES * side:
            raise ValueError(f"{preprocessor} makes pictures far larger than {side} by {side}, which the tower sees")
        down, across = made.pixels([OBLONG]).shape[-2:]
        if (down, across) != (side, side):
            raise ValueError(f"{preprocessor} makes pictures of {down} by {across}, the tower sees {side} by {side}")
        return made

    def __call__(self, texts: Sequence[str], pictures: Sequence[Image.Image | None] = ()) -> BatchFeature:
        """What `RetModelForRetrieval.query` and `passage` take: `input_ids`, `attention_mask` (B, longest) and
        `text_mask` (B,), which is 0 where a text is empty; with `pictures` also `pixel_values` (B, 3, H, W) and
        `image_mask` (B,), where a None among them is a black one that counts nothing.

        Raises ValueError when there are not as many pictures as texts."""
        ids, mask = padded(self.ids(texts), self.tokenizer.token_to_id(END))
        there = torch.tensor([float(bool(text.strip())) for text in texts])
        made = {"input_ids": ids, "attention_mask": mask, "text_mask": there}
        if pictures:
            if len(texts) != len(pictures):
                raise ValueError(f"there are {len(texts)} texts and {len(pictures)} pictures")
            made["pixel_values"] = self.pixels([BLANK if picture is None else picture for picture in pictures])
            made["image_mask"] = torch.tensor([float(picture is not None) for picture in pictures])
        return BatchFeature(made)

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The token ids of each text, not padded, cut so that beginning and end have room."""
        begin, end = (self.tokenizer.token_to_id(each) for each in (BEGIN, END))
        encoded = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False) if texts else []
        return [[begin, *each.ids[: self.longest - 2], end] for each in encoded]

    def pixels(self, pictures: Sequence[Image.Image]) -> torch.Tensor:
        """(B, 3, H, W) float32."""
        return clip_pixels(self.image_processor, pictures)
