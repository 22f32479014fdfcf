"""From texts, questions and photos to vectors: a model, its tokenizers and its image preparation behind one object.

Encodes passages in batches of like length, so that little is padded. Knows nothing of indexes, of SQL, of where
passages come from, or of how models are found (registry.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedTokenizerBase

from retriever.encoders.batching import TOKEN_BUDGET, batches_by_length
from retriever.encoders.flmr import FLMRModelForRetrieval, query_text, tokenize_documents, tokenize_queries
from retriever.encoders.flmr.processing import BLANK_PHOTO
from retriever.encoders.mini.recognition.sight import Sight, Tables
from retriever.encoders.vision import WHOLE, PreparedPhoto
from retriever.encoders.word_pieces import WordPieces

PASSAGE_TOKENS = 512
GPU_TOKEN_BUDGET = 65_536
# On a CPU, passages are encoded in bfloat16 where the processor has instructions for it: about twice as fast.
BFLOAT16 = torch.cpu._is_avx512_bf16_supported()


@dataclass(frozen=True)
class QueryVectors:
    """A question, with or without a photo, as the vectors that are searched with.

    vectors: (n, dim) float32, unit rows: text rows, then vision prefix rows, then one row per image patch.
    weights: (n,) float32, >= 0, sum 1: how much each row counts. tokens: word pieces of the text rows.
    text_rows, prefix_rows, patch_rows: where each kind lies; empty when there is no image.
    grid: patches down and across the photo; (0, 0) without one.
    area: the part of the photo that the grid covers, as fractions of its width and height: left, top, right, bottom.
    sight: what the model's own classes of the photo say of article titles; None where it has none, or no photo.
    """

    vectors: np.ndarray
    weights: np.ndarray
    text_rows: slice
    prefix_rows: slice
    patch_rows: slice
    tokens: list[str]
    grid: tuple[int, int]
    area: tuple[float, float, float, float] = WHOLE
    sight: Sight | None = None

    def of_photo(self) -> QueryVectors:
        """The rows that the photo alone makes, whatever is asked: the prefix rows, or the patches where a model has
        none. Raises ValueError without a photo."""
        rows = self.prefix_rows if self.prefix_rows.stop > self.prefix_rows.start else self.patch_rows
        if rows.stop <= rows.start:
            raise ValueError("the query has no rows of a photo")
        weights = self.weights[rows]
        return replace(
            self,
            vectors=self.vectors[rows],
            weights=weights / weights.sum(),
            text_rows=slice(0, 0),
            prefix_rows=slice(0, len(weights)) if rows is self.prefix_rows else slice(0, 0),
            patch_rows=slice(0, 0) if rows is self.prefix_rows else slice(0, len(weights)),
            tokens=[],
            grid=(0, 0) if rows is self.prefix_rows else self.grid,
        )


@dataclass(frozen=True)
class PassageToken:
    """What one row of a passage's vectors stands for: a word piece, and where it stands in the text (characters
    `start` to `end`; both 0 for the marks that every passage has)."""

    text: str
    start: int
    end: int


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


def passage_text(title: str, text: str) -> str:
    """What is encoded for a passage: its title stands in front, as a reader would see it."""
    return f"{title}: {text}"


class Encoder:
    """A loaded model. Not for several threads at once.

    fingerprint: says which model made vectors; vectors of different fingerprints must not meet.
    min_score: the score under which nothing that was found is to the point, 0 where nobody has measured it.
    tables: what the classes of the model's vision projection say of titles, for one that has classes.
    """

    def __init__(
        self,
        model: FLMRModelForRetrieval,
        query_tokenizer: PreTrainedTokenizerBase,
        context_tokenizer: PreTrainedTokenizerBase,
        prepare: Callable[[Image.Image], PreparedPhoto],
        style: QueryStyle,
        fingerprint: str,
        min_score: float = 0.0,
        tables: Tables | None = None,
    ) -> None:
        self.model = model
        self.query_tokenizer = query_tokenizer
        self.context_tokenizer = context_tokenizer
        self.style = style
        self.fingerprint = fingerprint
        self.min_score = min_score
        self.dim: int = model.config.dim
        self._prepare = prepare
        self._tables = tables
        self._pieces = WordPieces(context_tokenizer.backend_tokenizer)
        self._budget = TOKEN_BUDGET if model.device.type == "cpu" else GPU_TOKEN_BUDGET

    @property
    def takes_instructions(self) -> bool:
        return self.style.instructions is not None

    @property
    def rounds_passages(self) -> bool:
        """Whether passages are encoded in bfloat16 by a model that is in float32."""
        return BFLOAT16 and self.model.device.type == "cpu" and self.model.dtype == torch.float32

    @torch.inference_mode()
    def encode_passages(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Each text's vectors, (tokens, dim) float32 with unit rows; punctuation has none."""
        result: list[np.ndarray] = [np.zeros((0, self.dim), np.float32)] * len(texts)
        for batch in batches_by_length(self.context_tokenizer, texts, PASSAGE_TOKENS, self._budget):
            ids, mask = tokenize_documents(self.context_tokenizer, [texts[i] for i in batch], PASSAGE_TOKENS)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.rounds_passages):
                out = self.model.doc(ids.to(self.model.device), mask.to(self.model.device))
            rows, kept = out.late_interaction_output.cpu(), out.context_mask[..., 0].cpu() > 0
            for number, i in enumerate(batch):
                result[i] = rows[number][kept[number]].numpy()
        return result

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many word pieces each text has, however many are encoded."""
        return self._pieces.count_tokens(texts)

    def passage_tokens(self, text: str) -> list[PassageToken]:
        """What the rows of `encode_passages([text])` stand for, one by one."""
        ids, _, offsets = tokenize_documents(self.context_tokenizer, [text], PASSAGE_TOKENS, offsets=True)
        kept = self.model.context_mask(ids)[0].tolist()
        words = self.context_tokenizer.convert_ids_to_tokens(ids[0].tolist())
        return [PassageToken(word, *span) for word, span, keep in zip(words, offsets[0], kept, strict=True) if keep]

    def encode_query(
        self,
        question: str,
        image: Image.Image | None,
        instruction: str | None = None,
        whole: Image.Image | None = None,
    ) -> QueryVectors:
        """The question's vectors and, when there is a photo, the photo's; see `encode_queries`.

        whole: the photo that `image` is a region of. A model that was trained on photos with their regions sees both,
        any other the region alone. The grid is the region's."""
        return self.encode_queries([question], [image], [instruction], [whole])[0]

    @torch.inference_mode()
    def encode_queries(
        self,
        questions: Sequence[str],
        images: Sequence[Image.Image | None],
        instructions: Sequence[str | None],
        wholes: Sequence[Image.Image | None] | None = None,
    ) -> list[QueryVectors]:
        """Several questions at once, each with its photo or None, and the photo that this is a region of or None.

        An instruction says what kind of passage is wanted: None leaves that to the model's style, "" says nothing. A
        model that takes none is given none."""
        texts = [self._query_text(*asked) for asked in zip(questions, images, instructions, strict=True)]
        ids, mask = tokenize_queries(self.query_tokenizer, texts, self.style.tokens)
        ids, mask = ids.to(self.model.device), mask.to(self.model.device)
        blank = BLANK_PHOTO if self.style.blank_photo else None
        shown = [image if image is not None else blank for image in images]
        photos = [None if image is None else self._prepare(image) for image in shown]
        pixels_of = [None if photo is None else photo.pixels for photo in photos]
        for i, whole in enumerate(wholes or ()):
            if whole is not None and images[i] is not None and self.style.regions:
                pixels_of[i] = torch.stack([self._prepare(whole).pixels, photos[i].pixels])

        # Photos may differ in shape; those alike go together.
        groups: dict[tuple[int, ...] | None, list[int]] = {}
        for i, pixels in enumerate(pixels_of):
            groups.setdefault(None if pixels is None else tuple(pixels.shape), []).append(i)
        result: list[QueryVectors | None] = [None] * len(texts)
        for shape, members in groups.items():
            pixels = None
            if shape is not None:
                pixels = torch.stack([pixels_of[i] for i in members]).to(self.model.device, self.model.dtype)
            if pixels is None or self._tables is None:
                out, sights = self.model.query(ids[members], mask[members], pixels), None
            else:
                pooled, patches = self.model.vision_features(pixels)
                out = self.model.query(ids[members], mask[members], image_features=pooled, patch_features=patches)
                sights = self._sights(pooled)
            rows, weights = out.late_interaction_output.cpu(), out.vector_weights.cpu()
            for number, i in enumerate(members):
                photo = None if images[i] is None else photos[i]
                made = self._query_vectors(ids[i].tolist(), rows[number], weights[number], shape, photo)
                result[i] = made if sights is None else replace(made, sight=sights[number])
        return result

    def _sights(self, pooled: torch.Tensor) -> list[Sight]:
        """Of each photo, by its pooled features (B, regions, hidden)."""
        classes = self.model.query_vision_projection.hidden(pooled[:, 0]).float().cpu().numpy()
        return [self._tables.sight(each) for each in classes]

    def _query_text(self, question: str, image: Image.Image | None, instruction: str | None) -> str:
        if self.style.instructions is None:
            return question
        if instruction is None:
            instruction = self.style.instructions[image is None]
        return query_text(instruction, question, self.style.separator)

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
