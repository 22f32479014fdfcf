"""An encoder of FLMR's kind: a model, its tokenizers and its image preparation behind the interface of base.py.

Encodes passages in batches of like length, so that little is padded. Knows nothing of how models are found, which
loading.py does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedTokenizerBase

from common.passage import Passage
from retriever.encoders.base import (
    WHOLE,
    Beside,
    PassageToken,
    Query,
    QueryVectors,
    Recognition,
    Takes,
    passage_text,
)
from retriever.encoders.batching import batches_by_length, budget_on, padded
from retriever.encoders.devices import memory_need
from retriever.encoders.flmr.modeling import FLMRModelForRetrieval
from retriever.encoders.flmr.photos import PreparedPhoto
from retriever.encoders.flmr.processing import BLANK_PHOTO
from retriever.encoders.flmr.tokenization import document_ids, document_places, query_text, tokenize_queries
from retriever.encoders.word_pieces import WordPieces

PASSAGE_TOKENS = 512
FLAT = 0.05  # standard deviation of the colours of a photo that shows nothing, of prepared pixels
# On a CPU, passages are encoded in bfloat16 where the processor has instructions for it: about twice as fast.
BFLOAT16 = torch.cpu._is_avx512_bf16_supported()
# Part of fingerprints: raise it when the way passages are written or encoded changes.
ENCODING_VERSION = 1


@dataclass(frozen=True)
class QueryStyle:
    """How a model was trained to be asked.

    tokens: length that a question is cut to. instructions: whether it reads them, and if so what to say with a photo
    and without; None otherwise. separator: the token that ends an instruction, None if it is read like the rest.
    blank_photo: whether a question without photo comes with a black one. regions: whether a photo comes with regions of
    it, each seen by itself."""

    tokens: int
    instructions: tuple[str, str] | None = None
    separator: str | None = None
    blank_photo: bool = False
    regions: bool = False


@dataclass(frozen=True)
class Comparison:
    """How a photo is compared with pictures of passages, beside what a model does with its photo.

    rows: of pooled features (B, hidden) of either, the vectors (B, n, dim) that they are compared by, of unit length.
    places: of pooled features and those of patches (B, patches, hidden), what each patch has of these (B, n, patches,
    dim). weights: what each of the n counts. share: what they count together, of a query's whole weight."""

    rows: Callable[[torch.Tensor], torch.Tensor]
    places: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    weights: tuple[float, ...]
    share: float


def _flat(photo: PreparedPhoto) -> bool:
    """Whether it is of one colour all over: as like to every other such picture as to a copy."""
    return float(photo.pixels.std(dim=(-2, -1)).max()) < FLAT


class FLMREncoder:
    """A loaded model. recognise: what the hidden layer of its vision projection says of a photo, given as (n,) float32,
    for one that has a classifier there. Passages have vectors of their pictures where there is a comparison, or where
    the model was trained on such."""

    def __init__(
        self,
        model: FLMRModelForRetrieval,
        query_tokenizer: PreTrainedTokenizerBase,
        context_tokenizer: PreTrainedTokenizerBase,
        prepare: Callable[[Image.Image], PreparedPhoto],
        style: QueryStyle,
        fingerprint: str,
        min_score: float = 0.0,
        recognise: Callable[[np.ndarray], Recognition] | None = None,
        comparison: Comparison | None = None,
    ) -> None:
        self.model = model
        self.query_tokenizer = query_tokenizer
        self.context_tokenizer = context_tokenizer
        self.style = style
        self.fingerprint = fingerprint
        self.min_score = min_score
        self.dim: int = model.config.dim
        self.takes = Takes(
            photos=model.config.query_concat_output_from_vision_encoder,
            regions=style.regions,
            instructions=style.instructions is not None,
            pictures=comparison is not None or model.config.context_concat_output_from_vision_encoder,
        )
        self.memory = memory_need(model.num_parameters(), model.device)
        self._prepare = prepare
        self._recognise = recognise
        self._comparison = comparison
        self._pieces = WordPieces(context_tokenizer.backend_tokenizer)
        self._budget = budget_on(model.device)

    @property
    def rounds_passages(self) -> bool:
        """Whether passages are encoded in bfloat16 by a model that is in float32."""
        return BFLOAT16 and self.model.device.type == "cpu" and self.model.dtype == torch.float32

    @torch.inference_mode()
    def encode_passages(self, passages: Sequence[Passage], pictures: Beside = ()) -> list[np.ndarray]:
        """As Encoder.encode_passages; punctuation has no vectors."""
        texts = self._encode_texts(passages)
        if not self.takes.pictures or not any(pictures):
            return texts
        shown = [[self._encode_picture(each) for each in beside] for beside in pictures]
        return [np.concatenate([rows, *beside]) for rows, beside in zip(texts, shown, strict=True)]

    def _encode_picture(self, picture: Image.Image) -> np.ndarray:
        pixels = self._prepare(picture).pixels[None].to(self.model.device, self.model.dtype)
        if self._comparison is not None:
            pooled, _ = self.model.vision_features(pixels)
            return self._comparison.rows(pooled[:, 0])[0].numpy()
        return self.model.doc(pixel_values=pixels).late_interaction_output[0].cpu().numpy()

    def _encode_texts(self, passages: Sequence[Passage]) -> list[np.ndarray]:
        result: list[np.ndarray] = [np.zeros((0, self.dim), np.float32)] * len(passages)
        # What counted tokens when a document was cut kept their number alone: ids are another model's tomorrow, and
        # larger than the text. Here each text is tokenised once, for the batches and for the model.
        tokens = document_ids(self.context_tokenizer, [passage_text(each) for each in passages], PASSAGE_TOKENS)
        for batch in batches_by_length([len(each) - 1 for each in tokens], self._budget):
            ids, mask = padded([tokens[i] for i in batch], self.context_tokenizer.pad_token_id)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.rounds_passages):
                out = self.model.doc(ids.to(self.model.device), mask.to(self.model.device))
            rows, kept = out.late_interaction_output.cpu(), out.context_mask[..., 0].cpu() > 0
            for number, i in enumerate(batch):
                result[i] = rows[number][kept[number]].numpy()
        return result

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """As Encoder.count_tokens: word pieces."""
        return self._pieces.count_tokens(texts)

    def passage_tokens(self, passage: Passage, pictures: Sequence[Image.Image] = ()) -> list[PassageToken]:
        """As Encoder.passage_tokens."""
        text = passage_text(passage)
        [ids] = document_ids(self.context_tokenizer, [text], PASSAGE_TOKENS)
        kept = self.model.context_mask(torch.tensor([ids]))[0].tolist()
        words = self.context_tokenizer.convert_ids_to_tokens(ids)
        places = document_places(self.context_tokenizer, text, PASSAGE_TOKENS)
        return [PassageToken(word, *span) for word, span, keep in zip(words, places, kept, strict=True) if keep]

    @torch.inference_mode()
    def encode_queries(self, queries: Sequence[Query]) -> list[QueryVectors]:
        """As Encoder.encode_queries. Of a region and the whole photo that it is of, the grid is the region's; a model
        that was not trained on photos with their regions sees the region alone."""
        texts = [self._query_text(query) for query in queries]
        ids, mask = tokenize_queries(self.query_tokenizer, texts, self.style.tokens)
        ids, mask = ids.to(self.model.device), mask.to(self.model.device)
        blank = BLANK_PHOTO if self.style.blank_photo else None
        shown = [query.photo if query.photo is not None else blank for query in queries]
        photos = [None if photo is None else self._prepare(photo) for photo in shown]
        pixels_of = [None if photo is None else photo.pixels for photo in photos]
        for i, query in enumerate(queries):
            if query.whole is not None and query.photo is not None and self.style.regions:
                pixels_of[i] = torch.stack([self._prepare(query.whole).pixels, photos[i].pixels])

        # Photos may differ in shape; those alike go together.
        groups: dict[tuple[int, ...] | None, list[int]] = {}
        for i, pixels in enumerate(pixels_of):
            groups.setdefault(None if pixels is None else tuple(pixels.shape), []).append(i)
        result: list[QueryVectors | None] = [None] * len(texts)
        for shape, members in groups.items():
            pixels = None
            if shape is not None:
                pixels = torch.stack([pixels_of[i] for i in members]).to(self.model.device, self.model.dtype)
            recognised = compared = placed = None
            if pixels is None or (self._recognise is None and self._comparison is None):
                out = self.model.query(ids[members], mask[members], pixels)
            else:
                pooled, patches = self.model.vision_features(pixels)
                out = self.model.query(ids[members], mask[members], image_features=pooled, patch_features=patches)
                recognised = None if self._recognise is None else self._recognised(pooled)
                if self._comparison is not None and any(queries[i].pictures for i in members):
                    compared = self._comparison.rows(pooled[:, 0]).numpy()
                    placed = self._comparison.places(pooled[:, 0], patches[:, 0]).numpy()
            rows, weights = out.late_interaction_output.cpu(), out.vector_weights.cpu()
            for number, i in enumerate(members):
                photo = None if queries[i].photo is None else photos[i]
                made = self._query_vectors(ids[i].tolist(), rows[number], weights[number], shape, photo)
                if compared is not None and queries[i].pictures and photo is not None and not _flat(photo):
                    made = self._with_comparison(made, compared[number], placed[number])
                result[i] = made if recognised is None else replace(made, recognition=recognised[number])
        return result

    def _with_comparison(self, query: QueryVectors, rows: np.ndarray, places: np.ndarray) -> QueryVectors:
        share = self._comparison.share
        weights = share * np.array(self._comparison.weights, np.float32) / sum(self._comparison.weights)
        return replace(
            query,
            vectors=np.concatenate([query.vectors, rows]),
            weights=np.concatenate([(1 - share) * query.weights, weights]),
            picture_rows=slice(len(query.vectors), len(query.vectors) + len(rows)),
            picture_places=places,
        )

    def _recognised(self, pooled: torch.Tensor) -> list[Recognition]:
        """Of each photo, by its pooled features (B, regions, hidden)."""
        classes = self.model.query_vision_projection.hidden(pooled[:, 0]).float().cpu().numpy()
        return [self._recognise(each) for each in classes]

    def _query_text(self, query: Query) -> str:
        if self.style.instructions is None:
            return query.text
        instruction = query.instruction
        if instruction is None:
            instruction = self.style.instructions[query.photo is None]
        return query_text(instruction, query.text, self.style.separator)

    def _query_vectors(
        self,
        ids: list[int],
        rows: torch.Tensor,
        weights: torch.Tensor,
        shape: tuple[int, ...] | None,
        photo: PreparedPhoto | None,
    ) -> QueryVectors:
        """Without the rows that count nothing: an instruction's, which are zero, and those of no weight."""
        config = self.model.config
        text = len(ids) if config.query_concat_output_from_text_encoder else 0
        prefix = 0 if shape is None else config.mapping_network_prefix_length * (shape[0] if len(shape) == 4 else 1)
        kept = (rows.norm(dim=-1) > 0.5) & (weights > 0)
        words = [ids[i] for i in range(text) if kept[i]]
        patches = len(words) + prefix
        weights = weights[kept].numpy()
        return QueryVectors(
            vectors=rows[kept].numpy(),
            weights=weights / weights.sum(),
            text_rows=slice(0, len(words)),
            prefix_rows=slice(len(words), patches),
            patch_rows=slice(patches, int(kept.sum())),
            tokens=self.query_tokenizer.convert_ids_to_tokens(words),
            grid=(0, 0) if photo is None else photo.grid,
            area=WHOLE if photo is None else photo.area,
        )
