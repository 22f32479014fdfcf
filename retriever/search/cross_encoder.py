"""A cross-encoder as a reranker: any text reranker of transformers, which reads question and passage together.

It is a model for classifying pairs of texts with one logit, how well they go together, or two, of which the second
says that they do. Knows nothing of photos, of how passages were found, or of what is done with their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from PIL.Image import Image
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BatchEncoding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from common.cancellation import current
from common.jobs import Progress
from common.memory import in_memory
from common.passage import Passage
from common.problems import Problem
from common.quiet import without_bars
from common.reranking import Order, by_scores
from common.text import shown
from hub.cache import Layout
from retriever.encoders.batching import batches_by_length
from retriever.encoders.checkpoints import checkpoint_folder, configuration
from retriever.encoders.devices import device_with_room, memory_need

MOST = 50  # passages
MAX_TOKENS = 512  # of question and passage together
MAX_CHARACTERS = 20_000  # of a passage that are looked at: many times MAX_TOKENS
MAX_QUESTION = 2_000
BATCH_TOKENS = 4096  # padded
FILES = Layout(
    "a text reranker",
    ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt", "*.model",
     "model.safetensors", "model-*.safetensors"),
    (("tokenizer.json", "tokenizer.model", "sentencepiece.bpe.model", "spm.model", "spiece.model", "vocab.json",
      "vocab.txt"),),
)  # fmt: skip
_SAFE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}


def _at_once(work: Callable[..., Any], *args: Any) -> Any:
    return work(*args)


class CrossEncoder:
    """A Reranker (common/reranking.py). run(work, ...): calls it where models work."""

    most = MOST
    sees = False

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str,
        run: Callable[..., Any] = _at_once,
    ) -> None:  # fmt: skip
        self.name = name
        self.limit = _limit(model, tokenizer)
        self._model, self._tokenizer, self._run = model, tokenizer, run

    def ready(self) -> None:
        """It is loaded."""

    def order(self, question: str, photo: Image | None, passages: Sequence[Passage]) -> Order:
        """By the logits, whatever the photo shows. Stops between two batches."""
        there = [place for place, passage in enumerate(passages) if passage.text.strip()]
        scores: list[float | None] = [None] * len(passages)
        found, tokens = self._scores(question, [told(passages[place]) for place in there])
        for place, score in zip(there, found, strict=True):
            scores[place] = score
        return by_scores(scores, self.name, tokens)

    def _scores(self, question: str, texts: Sequence[str]) -> tuple[list[float], int]:
        """How well each text goes with the question, and how many tokens were read."""
        lengths = [len(self._pairs(question, [text])["input_ids"][0]) for text in texts]
        scores = [0.0] * len(texts)
        for batch in batches_by_length(lengths, BATCH_TOKENS):
            if current().is_set():
                break
            found = self._run(self._batch, question, [texts[place] for place in batch])
            for place, score in zip(batch, found, strict=True):
                scores[place] = score
        return scores, sum(lengths)

    def _pairs(self, question: str, texts: Sequence[str], **how: Any) -> BatchEncoding:
        asked, texts = [question[:MAX_QUESTION]] * len(texts), [text[:MAX_CHARACTERS] for text in texts]
        return self._tokenizer(asked, texts, truncation="longest_first", max_length=self.limit, **how)

    @torch.inference_mode()
    def _batch(self, question: str, texts: Sequence[str]) -> list[float]:
        inputs = self._pairs(question, texts, padding=True, return_tensors="pt").to(self._model.device)
        logits = self._model(**inputs).logits.float()
        return (logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]).tolist()


def told(passage: Passage) -> str:
    """What is read of a passage: what it is headed with, and its text."""
    return f"{passage.heading}. {passage.text}" if passage.heading else passage.text


def load_cross_encoder(
    source: str,
    cache_dir: Path,
    progress: Progress = lambda done, total: None,
    run: Callable[..., Any] = _at_once,
) -> CrossEncoder:
    """That of a folder, or of a repository on the Hugging Face Hub, which is fetched once. Raises Problem."""
    folder = checkpoint_folder(source, Path(cache_dir), progress, FILES)
    name = folder.resolve().name if Path(source).expanduser().is_dir() else source  # strangers are told no paths
    try:
        configuration(folder)  # which has to be there
        with without_bars():
            return _loaded(folder, name, run)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, ImportError, SafetensorError) as problem:
        said = shown(str(problem).replace(str(folder), name), 200).rstrip(".")
        raise Problem(f"The reranker {name} cannot be used: {said}.") from problem


def _loaded(folder: Path, name: str, run: Callable[..., Any]) -> CrossEncoder:
    config = AutoConfig.from_pretrained(folder, **_SAFE)
    labels = config.num_labels
    if labels not in (1, 2):
        raise Problem(f"The model {name} tells {labels} kinds of text apart; a reranker gives one logit or two.")
    with init_empty_weights():
        parameters = AutoModelForSequenceClassification.from_config(config).num_parameters()
    device = device_with_room(parameters)
    if device is None:
        need = memory_need(parameters, torch.device("cpu")) / 1e9
        raise Problem(f"The reranker {name} needs {need:.1f} GB of memory, more than is free; choose a smaller one.")
    model, report = AutoModelForSequenceClassification.from_pretrained(
        folder,
        dtype=torch.float32 if device.type == "cpu" else torch.bfloat16,
        use_safetensors=True,  # never a pickle, which could run anything
        output_loading_info=True,
        device_map={"": device},
        **_SAFE,
    )
    if missing := sorted(report["missing_keys"]):  # which transformers would fill with random numbers
        raise Problem(f"The model {name} is no reranker: it has no {shown(missing[0], 80)}; choose another.")
    in_memory(model.eval())
    tokenizer = AutoTokenizer.from_pretrained(folder, **_SAFE)
    if tokenizer.pad_token is None:
        raise Problem(f"The tokenizer of {name} has no token to pad with; choose another reranker.")
    return CrossEncoder(model, tokenizer, name, run)


def _limit(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """Tokens that a pair may have."""
    limits = [MAX_TOKENS, tokenizer.model_max_length]
    held = getattr(model.config, "max_position_embeddings", None)
    if isinstance(held, int) and held > 0:
        positions = getattr(getattr(model.base_model, "embeddings", None), "position_embeddings", None)
        before = getattr(positions, "padding_idx", None)  # RoBERTa's begin after that one
        limits.append(held - (0 if before is None else before + 1))
    return min(limits)
