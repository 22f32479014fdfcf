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

from app.indexing import index_path, open_index
from app.service import AnswerService
from app.settings import Settings
from kb.records import Passage
from retriever.encoder import passage_text
from retriever.encoding_bench import ENCODED, bench_encoding
from retriever.images import load_image
from retriever.index.bench import bench
from retriever.profiles import load_encoder

# Photographs that Gradio ships; found without loading it.
EXAMPLES = Path(importlib.util.find_spec("gradio").origin).parent / "media_assets" / "images"
PHOTOS = ("cheetah1.jpg", "lion.jpg", "tower.jpg")
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
    report["peak_memory_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    report = _encoding(service, settings) | report

    encoder = service.encoder()
    path = index_path(settings.data_dir, settings.corpus, settings.profile, encoder.fingerprint)
    with open_index(path, encoder) as index:
        vectors = [index.vectors(passage_id) for passage_id in index.ids()]
    # A weight can as well be the length of its vector: MaxSim is linear in the query's.
    queries = [a.query.vectors * a.query.weights[:, None] for a in answers]
    return report | {f"index_{name}": value for name, value in bench(vectors, queries).items()}


def _encoding(service: AnswerService, settings: Settings) -> dict[str, float]:
    """How fast the profile's model encodes passages of the corpus, and questions about a photo."""
    passages: list[Passage] = [p for page in service.catalogue.stream(settings.corpus) for p in page]
    texts = [passage_text(p.title, p.text) for p in passages[:: max(1, len(passages) // ENCODED)]]
    encoder = load_encoder(settings.profile, settings.cache_dir)
    return bench_encoding(encoder, texts, load_image(EXAMPLES / PHOTOS[0]))


def _ask_afresh(settings: Settings) -> None:
    """The command line from nothing to an answer, the index being there."""
    ask = ["-m", "app", "ask", str(EXAMPLES / PHOTOS[0]), QUESTIONS[0], "--data-dir", str(settings.data_dir)]
    ask += ["--profile", settings.profile]
    subprocess.run([sys.executable, *ask], check=True, stdout=subprocess.DEVNULL)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
