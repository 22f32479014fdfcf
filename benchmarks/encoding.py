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

from retriever.encoders.base import Encoder, QueryStyle
from retriever.encoders.checkpoints import PUBLISHED
from retriever.encoders.flmr import FLMRProcessor, tokenize_documents
from retriever.encoders.flmr.seeded import seeded_model
from retriever.encoders.registry import INSTRUCTIONS, device_for
from retriever.encoders.vision import clip_preparation

ENCODED = 400  # passages encoded for the rate
PADDED = 32  # passages encoded padded, for the ratio; 8 at a time
QUESTIONS = 16
WORDS = 30_522  # as many as bert-base-uncased has


def bench_encoding(encoder: Encoder, texts: Sequence[str], photo: Image.Image) -> dict[str, float]:
    """Rates are of one run after one to warm up; query times are medians.

    `lowest_cosine` compares the vectors of passages batched by length with those of the same passages padded to 512
    tokens, in the same precision; `encoding_ratio_to_float32` is against padding
    in float32 on a CPU, which is how the authors encode."""
    texts = list(texts[:ENCODED])
    encoder.encode_passages(texts[:64])
    seconds = _seconds(lambda: encoder.encode_passages(texts))
    vectors = encoder.encode_passages(texts[:PADDED])
    rate = len(texts) / seconds

    padded: list[np.ndarray] = []
    plain = len(vectors) / _seconds(lambda: padded.extend(_padded(encoder, texts[:PADDED], encoder.rounds_passages)))
    report = {
        "parameters": float(sum(p.numel() for p in encoder.model.parameters())),
        "tokens_a_passage": float(np.mean([len(v) for v in vectors])),
        "passages_per_second": rate,
        "padded_passages_per_second": plain,
        "encoding_ratio": rate / plain,
        "lowest_cosine": float(min((a * b).sum(1).min() for a, b in zip(vectors, padded, strict=True))),
    }
    if encoder.rounds_passages:
        plain = len(vectors) / _seconds(lambda: _padded(encoder, texts[:PADDED], False))
    report["encoding_ratio_to_float32"] = rate / plain

    question = "What is the name of this animal, and where does it live?"
    encoder.encode_query(question, photo)
    times = [_seconds(lambda: encoder.encode_query(question, photo)) for _ in range(QUESTIONS)]
    asked = ([question] * QUESTIONS, [photo] * QUESTIONS, [None] * QUESTIONS)
    report["query_vectors"] = float(len(encoder.encode_query(question, photo).vectors))
    report["query_ms"] = 1000 * statistics.median(times)
    report["queries_per_second_batched"] = QUESTIONS / _seconds(lambda: encoder.encode_queries(*asked))
    report["peak_memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    if encoder.model.device.type == "cuda":
        report["peak_gpu_memory_gb"] = torch.cuda.max_memory_allocated(encoder.model.device) / 1e9
    return report


def seeded_encoder(size: str) -> Encoder:
    """An encoder of the size of PreFLMR ViT-B, ViT-L or ViT-G, on the GPU if there is one that has room.

    Its weights are noise (flmr/seeded.py) and its words made up. Raises EncoderProblem if memory is short."""
    names = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ":"]
    vocabulary = {word: i for i, word in enumerate([*names, *(f"w{i}" for i in range(WORDS - len(names)))])}
    tokenizer = BertTokenizer(vocab=vocabulary)
    device = device_for(f"PreFLMR ViT-{size}", PUBLISHED[f"preflmr-vit-{size.lower()}"].parameters)
    model = seeded_model(size, torch.float32 if device.type == "cpu" else torch.bfloat16, device)
    model.bind_tokenizer(tokenizer)
    processor = FLMRProcessor(CLIPImageProcessorPil(), tokenizer, tokenizer, ":")
    style = QueryStyle(processor.query_length, INSTRUCTIONS, ":", blank_photo=True)
    prepare = clip_preparation(processor, model.config.vision_config.patch_size)
    return Encoder(model, tokenizer, tokenizer, prepare, style, f"seeded-{size}")


def device_name(encoder: Encoder) -> str:
    """What the encoder runs on, for a table: the GPU's name, or how many threads of a CPU."""
    device = encoder.model.device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def made_up_texts(count: int = ENCODED, seed: int = 0) -> list[str]:
    """Texts of 40 to 160 words, 100 on average, as passages of an encyclopaedia are long."""
    draw = random.Random(seed)
    return [" ".join(f"w{draw.randrange(20_000)}" for _ in range(draw.randint(40, 160))) for _ in range(count)]


@torch.inference_mode()
def _padded(encoder: Encoder, texts: Sequence[str], rounded: bool) -> list[np.ndarray]:
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
