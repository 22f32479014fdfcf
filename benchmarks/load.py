"""Measures what many users at once take: memory before, after and at most, and time.

Every question has a photo of its own and goes through the real service, half of them as the page asks (its heat maps
included) and half as a program does through `/ask`. Knows nothing of pages.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
from PIL import Image

from app.limits import QUESTIONS_AT_ONCE
from app.service.ask import AnswerService
from app.service.results import EvidenceFound
from benchmarks.everything import ALL_PHOTOS, EXAMPLES, QUESTIONS, peak_memory
from common.worker_thread import PAUSE, cancellable, last_of

SIDES = (800, 2000)  # pixels of the long side of a photo


def measure_load(service: AnswerService, questions: int, users: int) -> dict[str, float]:
    """The figures; memory is what is resident of this process, in GB, at most since it began. The index must be ready.

    users: who each ask the next question as soon as theirs is answered."""
    places = threading.BoundedSemaphore(QUESTIONS_AT_ONCE)

    def ask(number: int) -> None:
        photo, question = folder / f"{number}.jpg", QUESTIONS[number % len(QUESTIONS)]
        with places:
            if number % 2:
                last_of(cancellable(service.ask(photo, question), PAUSE), lambda: False)
            else:
                _as_the_page(service, photo, question)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_photos(folder, questions)
        before = _resident()
        began, worked = time.perf_counter(), time.process_time()
        with ThreadPoolExecutor(users, "user") as everybody:
            list(everybody.map(ask, range(questions)))
        seconds, worked = time.perf_counter() - began, time.process_time() - worked
    return {
        "questions": questions,
        "users": users,
        "questions_a_second": questions / seconds,
        "processor_seconds_a_question": worked / questions,
        "memory_before_gb": before,
        "memory_after_gb": _resident(),
        "memory_peak_gb": peak_memory() / 1e9,
    }


def _as_the_page(service: AnswerService, photo: Path, question: str) -> None:
    with closing(cancellable(service.ask(photo, question), PAUSE)) as steps:
        for step in steps:
            if isinstance(step, EvidenceFound):
                step.heat()


def write_photos(folder: Path, count: int) -> list[Path]:
    """Parts of photographs, no two alike in size and shape, the same every time."""
    files = [folder / f"{number}.jpg" for number in range(count)]
    for number, file in enumerate(files):
        chance = random.Random(number)
        with Image.open(EXAMPLES / ALL_PHOTOS[number % len(ALL_PHOTOS)]) as whole:
            left, top = (int(chance.uniform(0, 0.2) * side) for side in whole.size)
            right, bottom = (int(chance.uniform(0.7, 1) * side) for side in whole.size)
            part = whole.convert("RGB").crop((left, top, right, bottom))
        scale = chance.randint(*SIDES) / max(part.size)
        part.resize(tuple(max(1, int(side * scale)) for side in part.size)).save(file, quality=90)
    return files


def _resident() -> float:
    return psutil.Process().memory_info().rss / 1e9
