"""Measures the whole program on this machine: encoding, searching, answering, starting, memory.

Works on the index and the corpus that are there, and compares with plainer ways in the same run. Knows nothing of
pages.
"""

from __future__ import annotations

import importlib.util
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from app.service.ask import AnswerService
from app.settings import Settings
from benchmarks.encoding import ENCODED, bench_encoding
from benchmarks.index import bench, perturbed
from benchmarks.search import read_vectors, write_vectors
from common.images import load_image
from common.passage import Passage
from common.problems import Problem
from retriever.encoders.registry import load_encoder

# Photographs that Gradio ships; found without loading it.
EXAMPLES = Path(importlib.util.find_spec("gradio").origin).parent / "media_assets" / "images"
ALL_PHOTOS = (
    "avatar.png",
    "bus.png",
    "cheetah.jpg",
    "cheetah1.jpg",
    "groot.jpeg",
    "hf-logo_transpng.png",
    "lion.jpg",
    "tower.jpg",
)
PHOTOS = ("cheetah1.jpg", "lion.jpg", "tower.jpg")
NBITS = (4, 2, 8, 16)
QUESTIONS = (
    "What is this?",
    "Which family does this animal belong to?",
    "Where does it live?",
    "How tall is it?",
    "When was this built?",
    "Who designed it?",
    "How fast can it run?",
    "What is it known for?",
)


def measure_everything(service: AnswerService, settings: Settings) -> dict[str, float]:
    """All figures; times are medians. Takes some minutes, most of them for the exact search it compares with."""
    photos = [load_image(EXAMPLES / name) for name in PHOTOS]
    asked = [(photo, question) for question in QUESTIONS for photo in photos]
    service.ask_once(*asked[0])
    answers = [service.ask_once(photo, question) for photo, question in asked]
    report = {f"{step}_ms": statistics.median(a.timings[step] for a in answers) for step in answers[0].timings}
    report["query_vectors"] = statistics.median(len(a.query.vectors) for a in answers)
    report["start_to_answer_seconds"] = _seconds(lambda: _ask_afresh(settings))
    report["peak_memory_gb"] = peak_memory() / 1e9
    return _encoding(service, settings) | report


def measure_index(service: AnswerService, settings: Settings, folder: Path, copies: int, asked: int) -> dict:
    """The index against exact search, on the vectors in a folder, which are made of the corpus the first time.

    copies: how many times the passages are indexed, all but the first time with noise. asked: how many queries of each
    shape. Raises Problem."""
    try:
        if not (folder / "vectors.npy").exists():
            pages = service.catalogue.stream(settings.corpus)
            photos = [load_image(EXAMPLES / name) for name in ALL_PHOTOS]
            write_vectors(folder, load_encoder(settings.profile, settings.cache_dir), pages, photos)
        passages, queries, sample = read_vectors(folder)
    except (OSError, ValueError, KeyError) as problem:
        said = f"{folder} does not hold vectors and cannot be made to ({problem}); give another folder"
        raise Problem(f"{said}, and ingest the collection first.") from problem
    # Queries of one photo are neighbours, so those taken are spread over all.
    queries = {name: each[:: max(1, len(each) // asked)][:asked] for name, each in queries.items()}
    bits = NBITS if copies == 1 else NBITS[:1]
    return bench(lambda: perturbed(passages, copies), queries, bits, sample)


def peak_memory() -> int:
    """Bytes that were resident of this process at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _encoding(service: AnswerService, settings: Settings) -> dict[str, float]:
    """How fast the profile's model encodes passages of the corpus, and questions about a photo."""
    passages: list[Passage] = [p for page in service.catalogue.stream(settings.corpus) for p in page]
    encoder = load_encoder(settings.profile, settings.cache_dir)
    return bench_encoding(encoder, passages[:: max(1, len(passages) // ENCODED)], load_image(EXAMPLES / PHOTOS[0]))


def _ask_afresh(settings: Settings) -> None:
    """The command line from nothing to an answer, the index being there."""
    ask = ["-m", "app", "ask", str(EXAMPLES / PHOTOS[0]), QUESTIONS[0], "--data-dir", str(settings.data_dir)]
    ask += ["--profile", settings.profile]
    subprocess.run([sys.executable, *ask], check=True, stdout=subprocess.DEVNULL)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
