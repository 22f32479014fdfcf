"""Measures training on this machine, as ratios within one run: how long steps wait for photographs, what keeping the
features of photos gives, and what a large batch costs in memory where gradients are cached.

Models are of real sizes with weights that are drawn: a text encoder as MiniLM's, six layers 384 wide, and a vision
encoder as ViT-B/32. Words and photos are made up. Runs are those of `python -m retriever train`. Knows recipes and
metrics, nothing of how training goes.
"""

from __future__ import annotations

import json
import random
import resource
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.encoding import WORDS
from retriever.training.recipe import DataSet, Model, NewModel, Recipe, Train, When, check
from retriever.training.trainer import train

TEXT = {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6, "num_attention_heads": 12}
VISION = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
    "image_size": 224, "patch_size": 32,
}  # fmt: skip
QUERY_TOKENS, DOCUMENT_TOKENS = 32, 128
PHOTOS, BATCH, PASSES = 64, 16, 3
LARGE, CHUNK = 512, 8  # questions of a large batch, and how many of them are encoded at a time


def bench_training(folder: Path) -> dict[str, float]:
    """What the two below report, in an empty folder."""
    return measure_memory(folder) | measure_photos(folder)  # in this order: a process begins with its parent's memory


def measure_memory(folder: Path, large: int = LARGE) -> dict[str, float]:
    """memory_ratio: the most memory of a run whose batch has so many questions, eight of them encoded at a time, to
    that of a run with a batch of eight. Program and model are in both."""
    _write_texts(folder, large)
    small_mb, large_mb = (_alone(folder, _of_text(folder, *sizes)) for sizes in ((CHUNK, 0), (large, CHUNK)))
    return {
        f"memory_mb_batch_{CHUNK}": small_mb,
        f"memory_mb_batch_{large}": large_mb,
        "memory_ratio": large_mb / small_mb,
    }


def measure_photos(folder: Path, photos: int = PHOTOS, passes: int = PASSES) -> dict[str, float]:
    """So many photos, each learned from once a pass. waiting_share: the part of the first pass that is spent waiting
    for photos, which another process decodes; waiting_share_later: of the last, for their features, which have been
    kept. features_ratio: questions a second then, to those of the first pass."""
    _write_photos(folder, photos)
    lines, _ = _trained(folder, _with_photos(folder, photos, passes))
    steps = len(lines) // passes
    waiting, rate = _speed(lines[1:steps])  # without the first step, at which the other process begins too
    waiting_later, rate_later = _speed(lines[-steps:])
    return {
        "waiting_share": waiting,
        "waiting_share_later": waiting_later,
        "questions_per_second": rate,
        "questions_per_second_later": rate_later,
        "features_ratio": rate_later / rate,
    }


def _speed(lines: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """The share of the time of these steps that was spent waiting, and questions a second."""
    seconds = [BATCH / line["examples_per_second"] for line in lines]
    waited = sum(line["waiting"] * each for line, each in zip(lines, seconds, strict=True))
    return waited / sum(seconds), BATCH * len(lines) / sum(seconds)


def _with_photos(folder: Path, photos: int, passes: int) -> Recipe:
    """The mapping structures and the text encoder learn, the tower does not."""
    return Recipe(
        name="photos",
        model=_model(folder, VISION),
        learn={"query_text": 1e-5, "document_text": 1e-5, "projection": 1e-4, "mapping": 1e-4},
        train=Train(steps=photos // BATCH * passes, batch=BATCH, workers=1),
        data=(DataSet(jsonl=str(folder / "photos.jsonl")),),
        when=When(log=1),
    )


def _of_text(folder: Path, batch: int, chunk: int) -> Recipe:
    return Recipe(
        name=f"text-{batch}",
        model=_model(folder, ""),
        learn={"query_text": 1e-5, "document_text": 1e-5},
        train=Train(steps=1, batch=batch, chunk=chunk),
        data=(DataSet(jsonl=str(folder / "texts.jsonl")),),
    )


def _model(folder: Path, vision: str | dict) -> Model:
    return Model(
        new=NewModel(text=TEXT, vision=vision, vocabulary=str(folder)),
        query_vectors=("text", "vision") if vision else ("text",),
        query_tokens=QUERY_TOKENS,
        document_tokens=DOCUMENT_TOKENS,
    )


def _write_texts(folder: Path, questions: int, photos: bool = False) -> None:
    """A vocabulary, and questions of made-up words with a passage each; with the names of photos if there are some."""
    names = ["[PAD]", "[unused0]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ":"]
    vocabulary = [*names, *(f"w{number}" for number in range(WORDS - len(names)))]
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    draw = random.Random(0)

    def words(count: int) -> str:
        return " ".join(f"w{draw.randrange(20_000)}" for _ in range(count))

    rows = [{"question": words(QUERY_TOKENS), "positives": [words(DOCUMENT_TOKENS)]} for _ in range(questions)]
    if photos:
        rows = [row | {"image": f"{number}.jpg"} for number, row in enumerate(rows)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / ("photos.jsonl" if photos else "texts.jsonl")).write_text(lines, encoding="utf-8")


def _write_photos(folder: Path, photos: int) -> None:
    _write_texts(folder, photos, photos=True)
    for number in range(photos):
        Image.effect_noise((800, 600), 80).convert("RGB").save(folder / f"{number}.jpg")


def _alone(folder: Path, recipe: Recipe) -> float:
    """The most megabytes that a process has which makes this run."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(_trained, folder, recipe).result()[1]


def _trained(folder: Path, recipe: Recipe) -> tuple[list[dict[str, Any]], float]:
    """Metrics of a run, and the most megabytes that this process has had."""
    check(recipe)
    lines: list[dict[str, Any]] = []
    train(recipe, folder / recipe.name, folder / "cache", told=lines.append)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [line for line in lines if "loss" in line], most
