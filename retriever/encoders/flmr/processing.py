"""From photos, instructions, questions and documents to what FLMR eats.

The published checkpoints carry two tokenizers and no image processor: that is CLIP's, at the size of the vision
tower. Knows nothing of the model's weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from transformers import BatchFeature, CLIPImageProcessorPil, PreTrainedTokenizerBase, ProcessorMixin
from transformers.image_processing_utils import BaseImageProcessor
from transformers.utils import cached_file

from retriever.encoders.clip_pixels import clip_pixels
from retriever.encoders.flmr.configuration import FLMRConfig
from retriever.encoders.flmr.tokenization import (
    CONTEXT_TOKENIZER,
    QUERY_TOKENIZER,
    find_tokenizer,
    query_text,
    tokenize_documents,
    tokenize_queries,
)

BLANK_PHOTO = Image.new("RGB", (336, 336))  # what the authors give where a question has no photo


class FLMRProcessor(ProcessorMixin):
    """CLIP's image preparation and the two tokenizers of a checkpoint.

    `mask_instruction_token`: what ends an instruction; None where the model was trained to read it.
    `query_length`, `document_length`: tokens a text is filled up or cut to."""

    def __init__(
        self,
        image_processor: BaseImageProcessor,
        query_tokenizer: PreTrainedTokenizerBase,
        context_tokenizer: PreTrainedTokenizerBase,
        mask_instruction_token: str | None = None,
        query_length: int = 32,
        document_length: int = 512,
    ) -> None:
        super().__init__(image_processor, query_tokenizer, context_tokenizer)
        self.mask_instruction_token = mask_instruction_token
        self.query_length = query_length
        self.document_length = document_length

    def __call__(
        self,
        images: Image.Image | Sequence[Image.Image | None] | None = None,
        question: str | Sequence[str] = "",
        instruction: str | Sequence[str] = "",
    ) -> BatchFeature:
        """Queries as `FLMRModelForRetrieval.query` takes them: `input_ids`, `attention_mask` (B, query_length) and,
        if `images` is given, `pixel_values` (B, 3, H, W); a None among the images is a black photo.

        Raises ValueError when there are not as many images or instructions as questions."""
        questions = [question] if isinstance(question, str) else list(question)
        instructions = [instruction] * len(questions) if isinstance(instruction, str) else list(instruction)
        if len(instructions) != len(questions):
            raise ValueError(f"there are {len(questions)} questions and {len(instructions)} instructions")
        texts = [
            query_text(i, q, self.mask_instruction_token) for i, q in zip(instructions, questions, strict=True)
        ]
        ids, mask = tokenize_queries(self.query_tokenizer, texts, self.query_length)
        result = {"input_ids": ids, "attention_mask": mask}
        if images is not None:
            photos = [images] if isinstance(images, Image.Image) else list(images)
            if len(photos) != len(questions):
                raise ValueError(f"there are {len(questions)} questions and {len(photos)} images")
            result["pixel_values"] = self.photos([BLANK_PHOTO if p is None else p for p in photos])
        return BatchFeature(result)

    def photos(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """(B, 3, H, W) float32."""
        return clip_pixels(self.image_processor, images)

    def documents(self, texts: Sequence[str]) -> BatchFeature:
        """Documents as `FLMRModelForRetrieval.doc` takes them: `input_ids`, `attention_mask` (B, longest)."""
        ids, mask = tokenize_documents(self.context_tokenizer, list(texts), self.document_length)
        return BatchFeature({"input_ids": ids, "attention_mask": mask})

    def save_pretrained(self, save_directory, push_to_hub: bool = False, **kwargs):
        """As in transformers; each tokenizer's folder also gets the `vocab.txt` of the published layout."""
        files = super().save_pretrained(save_directory, push_to_hub=push_to_hub, **kwargs)
        for name in (QUERY_TOKENIZER, CONTEXT_TOKENIZER):
            words = getattr(self, name).get_vocab()
            text = "".join(f"{word}\n" for word in sorted(words, key=words.__getitem__))
            (Path(save_directory) / name / "vocab.txt").write_text(text, encoding="utf-8")
        return files

    @classmethod
    def _get_arguments_from_pretrained(cls, pretrained_model_name_or_path, processor_dict=None, **kwargs):
        """Image processor, tokenizers and settings of a checkpoint in the published layout or our own."""
        place, saved = str(pretrained_model_name_or_path), processor_dict or {}
        lookup = {k: v for k, v in kwargs.items() if k in ("cache_dir", "force_download", "token", "revision")}
        lookup["local_files_only"] = kwargs.get("local_files_only", False)
        config = FLMRConfig.from_pretrained(place, **lookup)
        images = saved.get("image_processor") or _json(place, "preprocessor_config.json", lookup)
        if not images:
            side = config.vision_config.image_size
            images = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
        tokenizers = []
        for name in (QUERY_TOKENIZER, CONTEXT_TOKENIZER):
            tokenizer = find_tokenizer(place, name, **lookup)
            if tokenizer is None:
                raise OSError(f"{place} has no {name}/vocab.txt")
            tokenizers.append(tokenizer)
        about = _json(place, f"{QUERY_TOKENIZER}/tokenizer_config.json", lookup)
        return [
            # Pillow's, with torchvision or without: the same photo gives the same vectors everywhere.
            CLIPImageProcessorPil(**{k: v for k, v in images.items() if not k.endswith(("_type", "_class"))}),
            *tokenizers,
            saved.get("mask_instruction_token", config.mask_instruction_token),
            saved.get("query_length", about.get("query_maxlen", 32)),
            saved.get("document_length", 512),
        ]


def _json(place: str, name: str, lookup: dict) -> dict:
    """A JSON file of a checkpoint; empty if there is none."""
    file = cached_file(place, name, _raise_exceptions_for_missing_entries=False, **lookup)
    found = json.loads(Path(file).read_text(encoding="utf-8")) if file else {}
    return found if isinstance(found, dict) else {}
