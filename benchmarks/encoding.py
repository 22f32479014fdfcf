"""Measures an encoder on this machine: passages and queries a second, against padding every passage as the authors do.

For models that cannot be had here there are encoders of the published sizes with seeded weights, and texts of made-up
words, which take as long as real ones. Knows nothing of corpora or indexes.
"""

from __future__ import annotations

import random
import resource
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from transformers import BertTokenizer, CLIPImageProcessorPil

from common.passage import Passage
from retriever.encoders.base import PlainPassage, Query, passage_text
from retriever.encoders.devices import device_for
from retriever.encoders.flmr import FLMRProcessor, tokenize_documents
from retriever.encoders.flmr.encoder import FLMREncoder, QueryStyle
from retriever.encoders.flmr.loading import INSTRUCTIONS
from retriever.encoders.flmr.photos import clip_preparation
from retriever.encoders.flmr.seeded import seeded_model
from retriever.encoders.registry import PROFILES

ENCODED = 400  # passages encoded for the rate
PADDED = 32  # passages encoded padded, for the ratio; 8 at a time
QUESTIONS = 16
WORDS = 30_522  # as many as bert-base-uncased has


def bench_encoding(encoder: FLMREncoder, passages: Sequence[Passage], photo: Image.Image) -> dict[str, float]:
    """Rates are of one run after one to warm up; query times are medians.

    `lowest_cosine` compares the vectors of passages batched by length with those of the same passages padded to 512
    tokens, in the same precision; `encoding_ratio_to_float32` is against padding
    in float32 on a CPU, which is how the authors encode."""
    passages = list(passages[:ENCODED])
    encoder.encode_passages(passages[:64])
    seconds = _seconds(lambda: encoder.encode_passages(passages))
    vectors = encoder.encode_passages(passages[:PADDED])
    rate = len(passages) / seconds
    texts = [passage_text(passage) for passage in passages[:PADDED]]

    padded: list[np.ndarray] = []
    plain = len(vectors) / _seconds(lambda: padded.extend(_padded(encoder, texts, encoder.rounds_passages)))
    report = {
        "parameters": float(sum(p.numel() for p in encoder.model.parameters())),
        "tokens_a_passage": float(np.mean([len(v) for v in vectors])),
        "passages_per_second": rate,
        "padded_passages_per_second": plain,
        "encoding_ratio": rate / plain,
        "lowest_cosine": float(min((a * b).sum(1).min() for a, b in zip(vectors, padded, strict=True))),
    }
    if encoder.rounds_passages:
        plain = len(vectors) / _seconds(lambda: _padded(encoder, texts, False))
    report["encoding_ratio_to_float32"] = rate / plain

    question = "What is the name of this animal, and where does it live?"
    query = Query(question, photo)
    report["query_vectors"] = float(len(encoder.encode_queries([query])[0].vectors))
    times = [_seconds(lambda: encoder.encode_queries([query])) for _ in range(QUESTIONS)]
    report["query_ms"] = 1000 * statistics.median(times)
    report["queries_per_second_batched"] = QUESTIONS / _seconds(lambda: encoder.encode_queries([query] * QUESTIONS))
    report["peak_memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    if encoder.model.device.type == "cuda":
        report["peak_gpu_memory_gb"] = torch.cuda.max_memory_allocated(encoder.model.device) / 1e9
    return report


def seeded_encoder(size: str) -> FLMREncoder:
    """An encoder of the size of PreFLMR ViT-B, ViT-L or ViT-G, on the GPU if there is one that has room.

    Its weights are noise (flmr/seeded.py) and its words made up. Raises Problem if memory is short."""
    names = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ":"]
    vocabulary = {word: i for i, word in enumerate([*names, *(f"w{i}" for i in range(WORDS - len(names)))])}
    tokenizer = BertTokenizer(vocab=vocabulary)
    device = device_for(f"PreFLMR ViT-{size}", PROFILES[f"preflmr-vit-{size.lower()}"].parameters)
    model = seeded_model(size, torch.float32 if device.type == "cpu" else torch.bfloat16, device)
    model.bind_tokenizer(tokenizer)
    processor = FLMRProcessor(CLIPImageProcessorPil(), tokenizer, tokenizer, ":")
    style = QueryStyle(processor.query_length, INSTRUCTIONS, ":", blank_photo=True)
    prepare = clip_preparation(processor, model.config.vision_config.patch_size)
    return FLMREncoder(model, tokenizer, tokenizer, prepare, style, f"seeded-{size}")


def device_name(encoder: FLMREncoder) -> str:
    """What the encoder runs on, for a table: the GPU's name, or how many threads of a CPU."""
    device = encoder.model.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def made_up_passages(count: int = ENCODED, seed: int = 0) -> list[Passage]:
    """Of 40 to 160 words, 100 on average, as passages of an encyclopaedia are long."""
    draw = random.Random(seed)
    texts = (" ".join(f"w{draw.randrange(20_000)}" for _ in range(draw.randint(40, 160))) for _ in range(count))
    return [PlainPassage(str(number), "", text) for number, text in enumerate(texts)]


@torch.inference_mode()
def _padded(encoder: FLMREncoder, texts: Sequence[str], rounded: bool) -> list[np.ndarray]:
    """What `encode_passages` gives, the authors' way: every passage filled up to the limit."""
    device, result = encoder.model.device, []
    for start in range(0, len(texts), 8):
        ids, mask = tokenize_documents(encoder.context_tokenizer, texts[start : start + 8], pad_to_max=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=rounded):
            out = encoder.model.doc(ids.to(device), mask.to(device))
        rows, kept = out.late_interaction_output.cpu(), out.context_mask[..., 0].cpu() > 0
        result += [rows[i][kept[i]].numpy() for i in range(len(rows))]
    return result


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
