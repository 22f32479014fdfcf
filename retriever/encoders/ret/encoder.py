"""ReT as an encoder: a model and its preparation of texts and pictures behind the interface of base.py.

Its vectors stand for the whole of what is asked, or of a passage, never for a word or a place. Knows nothing of how
models are found, which loading.py does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from common.passage import Passage
from retriever.encoders.base import Beside, PassageToken, Query, QueryVectors, Takes, passage_text
from retriever.encoders.batching import batches_by_length, budget_on
from retriever.encoders.devices import memory_need
from retriever.encoders.ret.modeling import RetModelForRetrieval, RetOutput
from retriever.encoders.ret.processing import RetProcessor
from retriever.encoders.word_pieces import WordPieces

# Part of fingerprints: raise it when the way queries or passages are written or encoded changes.
ENCODING_VERSION = 1
VECTOR = "vector {}"  # what a row of a passage is called, by its number


@dataclass(frozen=True)
class Instructions:
    """What stands before a question with a photo and without one, where nobody says otherwise; and what is asked of a
    photo without any question."""

    photo: str
    text: str
    photo_alone: str


class RetEncoder:
    """A loaded model."""

    min_score = 0.0  # nobody has measured it

    def __init__(
        self, model: RetModelForRetrieval, processor: RetProcessor, instructions: Instructions, fingerprint: str
    ) -> None:
        self.model = model
        self.processor = processor
        self.instructions = instructions
        self.fingerprint = fingerprint
        self.dim: int = model.config.dim
        self.takes = Takes(instructions=True, pictures=True)
        self.memory = memory_need(model.num_parameters(), model.device)
        self._pieces = WordPieces(processor.tokenizer)
        self._budget = budget_on(model.device)

    @torch.inference_mode()
    def encode_queries(self, queries: Sequence[Query]) -> list[QueryVectors]:
        """As Encoder.encode_queries. Of a region of a photo, the region alone is seen."""
        result: list[QueryVectors | None] = [None] * len(queries)
        asked = [self._query_text(query) for query in queries]
        shown = [i for i, query in enumerate(queries) if query.photo is not None]
        unseen = [i for i, query in enumerate(queries) if query.photo is None]
        if unseen:  # which spares the vision tower
            for i, rows in zip(unseen, self._rows(self.model.query, [asked[i] for i in unseen]), strict=True):
                result[i] = _query_vectors(rows)
        if shown:
            pixels = self.processor.pixels([queries[i].photo for i in shown])
            seen = self.model.vision_states(pixels.to(self.model.device, self.model.dtype))
            named = [self.instructions.photo_alone] * len(shown)
            alone = self._rows(self.model.query, named, vision_states=seen)
            both = self._rows(self.model.query, [asked[i] for i in shown], vision_states=seen)
            for i, rows, of_photo in zip(shown, both, alone, strict=True):
                result[i] = _query_vectors(rows, _query_vectors(of_photo))
        return result

    @torch.inference_mode()
    def encode_passages(self, passages: Sequence[Passage], pictures: Beside = ()) -> list[np.ndarray]:
        """As Encoder.encode_passages, a set of vectors for each picture, with the text, or one of the text alone. A
        passage with neither text nor picture has no vectors."""
        shown = pictures or [()] * len(passages)
        result: list[list[np.ndarray]] = [[] for _ in passages]
        texts, owners, beside = [], [], []
        for number, (passage, own) in enumerate(zip(passages, shown, strict=True)):
            text = passage_text(passage)
            for picture in own or ([None] if text.strip() else []):
                texts.append(text)
                owners.append(number)
                beside.append(picture)
        for batch in self._batches(texts, beside):
            pixels = None
            if beside[batch[0]] is not None:
                pixels = self.processor.pixels([beside[i] for i in batch]).to(self.model.device, self.model.dtype)
            made = self._rows(self.model.passage, [texts[i] for i in batch], pixel_values=pixels)
            for i, rows in zip(batch, made, strict=True):
                result[owners[i]].append(rows)
        return [np.concatenate(rows) if rows else np.zeros((0, self.dim), np.float32) for rows in result]

    def passage_tokens(self, passage: Passage, pictures: Sequence[Image.Image] = ()) -> list[PassageToken]:
        """As Encoder.passage_tokens: numbered, as none stands for a word."""
        config = self.model.config
        side = config.query_config if config.share_query_passage_models else config.passage_config
        there = bool(passage_text(passage).strip())
        return [PassageToken(VECTOR.format(number + 1), 0, 0) for number in range(side.num_queries * there)]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """As Encoder.count_tokens: pieces of CLIP's tokenizer."""
        return self._pieces.count_tokens(texts)

    def _query_text(self, query: Query) -> str:
        said = self.instructions
        instruction = query.instruction
        if instruction is None and query.photo is not None:
            instruction = said.photo if query.text.strip() else said.photo_alone
        elif instruction is None:
            instruction = said.text
        return asked_text(instruction, query.text)

    def _batches(self, texts: Sequence[str], pictures: Sequence[Image.Image | None]) -> list[list[int]]:
        """Positions of what goes together: with pictures and without, texts of like length."""
        vision = self.model.config.query_config.vision_config
        patches = (vision.image_size // vision.patch_size) ** 2 + 1
        lengths = [len(ids) for ids in self.processor.ids(texts)]
        result: list[list[int]] = []
        for with_picture in (False, True):
            members = [i for i, picture in enumerate(pictures) if (picture is not None) is with_picture]
            whole = [lengths[i] + patches * with_picture for i in members]
            result += [[members[i] for i in batch] for batch in batches_by_length(whole, self._budget)]
        return result

    def _rows(self, encode: Callable[..., RetOutput], texts: Sequence[str], **seen: Any) -> np.ndarray:
        """(B, n, dim) float32: what a method of the model makes of the texts and of the pictures beside them."""
        made = {name: each.to(self.model.device) for name, each in self.processor(texts).items()}
        return encode(**made, **seen).late_interaction_output.cpu().numpy()


def asked_text(instruction: str, question: str) -> str:
    """What is read of a query: its question behind its instruction."""
    return f"{instruction.strip()} {question}".strip()


def _query_vectors(rows: np.ndarray, photo_alone: QueryVectors | None = None) -> QueryVectors:
    nothing = slice(0, 0)
    return QueryVectors(
        vectors=rows,
        weights=np.full(len(rows), 1 / len(rows), np.float32),
        text_rows=nothing,
        prefix_rows=nothing,
        patch_rows=nothing,
        tokens=[],
        grid=(0, 0),
        latent_rows=slice(0, len(rows)),
        photo_alone=photo_alone,
    )
