"""How fast annotation is at a size that matters: made-up items and judgments, people who write at once, an export.

Every text is made up. The people pause between two keys, half a second where nothing else is said, which is faster
than anybody reads; and then they work without a pause, which nobody does, for the most that can be saved. Knows nothing
of pages or models.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from common.problems import Problem
from kb.annotations.agreement import agreement
from kb.annotations.asking import next_item
from kb.annotations.exporting import FORMAT
from kb.annotations.importing import import_project
from kb.annotations.judging import judge
from kb.annotations.people import add_person, people
from kb.annotations.photos import Photos
from kb.annotations.progress import progress
from kb.annotations.projects import delete_project, projects
from kb.annotations.records import ANSWER_SCALE, PASSAGE_SCALE
from kb.catalogue.database import Database

PROJECT = "bench"
PEOPLE = 20  # at work at once
BEFORE = 2  # people who judged each item before; a third is wanted
SECONDS = 20.0  # that they work, in either way
PAUSE = 0.5  # seconds between two keys, where nothing else is said
TIMES = 5  # that the project is looked at
_WORDS = (
    "the of and in a to was is by with from on river valley town station bridge built north century people stone early "
    "water region market school church railway company year part old council opened line mill road forest"
).split()
_EXPORT = """
import resource, sys, time
from kb.annotations.exporting import export_lines
from kb.catalogue.database import Database
with open(sys.argv[2], "w", encoding="utf-8") as file:
    for line in export_lines(Database(sys.argv[1]), sys.argv[3]):
        file.write(line + "\\n")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time())
"""


@dataclass(frozen=True)
class Measured:
    """dialect; items and judgments made up, and seconds to import them; the pause between two keys; milliseconds
    (medians, and what 95 % stay under) of the next item and of a judgment saved, with PEOPLE at once; the medians when
    they do not pause, and how many judgments a second that was; seconds for progress and agreement (median); of an
    export the seconds, those that its process computed, the megabytes, and the most megabytes of that process's memory;
    how many processes of this machine wanted to compute meanwhile, from beginning to end, and how many can."""

    dialect: str
    items: int
    judgments: int
    import_seconds: float
    pause: float
    next_milliseconds: float
    next_95: float
    save_milliseconds: float
    save_95: float
    rushed_next_milliseconds: float
    rushed_save_milliseconds: float
    rushed_per_second: float
    project_seconds: float
    export_seconds: float
    export_cpu_seconds: float
    export_megabytes: float
    export_peak_megabytes: float
    load: float
    processors: int

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{self.dialect}: {self.items:,} items, {self.judgments:,} judgments, imported in "
            f"{self.import_seconds:.0f} s\n"
            f"{PEOPLE} people, a key each {self.pause:g} s: next item in {self.next_milliseconds:.0f} ms "
            f"(95 %: {self.next_95:.0f}), saved in {self.save_milliseconds:.0f} ms (95 %: {self.save_95:.0f})\n"
            f"without a pause: next item in {self.rushed_next_milliseconds:.0f} ms, saved in "
            f"{self.rushed_save_milliseconds:.0f} ms, {self.rushed_per_second:,.0f} judgments a second\n"
            f"progress and agreement in {self.project_seconds:.2f} s; export of {self.export_megabytes:,.0f} MB in "
            f"{self.export_seconds:.0f} s ({self.export_cpu_seconds:.0f} of them computing) with "
            f"{self.export_peak_megabytes:.0f} MB of memory at most\n"
            f"the machine, of {self.processors} processors, had {self.load:.1f} processes to run on average"
        )


def measure(
    url: str, items: int, judgments: int, told: Callable[[str], None] = lambda doing: None, pause: float = PAUSE
) -> Measured:
    """Measure on the database at url, which must hold no project, and leave none in it. told(what is done next); pause:
    seconds between two keys of a person.

    Raises Problem for a database that holds something."""
    database = Database(url)
    try:
        if projects(database):
            raise Problem(f"The database {database} has projects in it; measure on one that has none.")
        with tempfile.TemporaryDirectory(prefix="kb-bench-") as folder:
            return _measured(database, url, Path(folder), items, judgments, told, pause)
    finally:
        database.close()


def made_up(items: int, judgments: int, seed: int = 0) -> Iterator[dict[str, object]]:
    """The lines of an export of so many items, with passages and BEFORE people's judgments of each."""
    rng = random.Random(seed)
    passages = max(1, round(judgments / items / BEFORE))
    scales = {"passage_scale": PASSAGE_SCALE, "answer_scale": ANSWER_SCALE}
    yield {
        "type": "project", "format": FORMAT, "name": PROJECT, "guidelines": "", "judges": BEFORE + 1, "blind": True,
        **{name: [asdict(grade) for grade in scale] for name, scale in scales.items()},
    }  # fmt: skip
    numbers = dict.fromkeys(range(PEOPLE), 0)
    for item in range(items):
        log: list[dict[str, object]] = []
        for person in rng.sample(range(PEOPLE), BEFORE):
            for place in range(passages):
                numbers[person] += 1
                log.append({
                    "person": f"person-{person}", "number": numbers[person], "at": "2026-01-01T12:00:00+00:00",
                    "act": "judge", "candidate": place, "before": None, "earlier": numbers[person] - 1 or None,
                    "grade": PASSAGE_SCALE[min(rng.choice((place, rng.randrange(4))), 3)].key,
                })  # fmt: skip
        yield {
            "type": "item", "id": f"item-{item}", "photo": None, "question": _text(rng, 10),
            "kind": f"kind {item % 10}", "references": [], "log": log,
            "candidates": [
                {"what": "passage", "text": _text(rng, 80), "title": _text(rng, 3), "document_id": f"made-up:{item}",
                 "corpus": "made-up", "found": {"one": place + 1, "other": rng.randrange(1, 50)}}
                for place in range(passages)
            ],
        }  # fmt: skip


def _text(rng: random.Random, words: int) -> str:
    return f"{' '.join(rng.choices(_WORDS, k=words))} {rng.randrange(10**9)}"


def _measured(
    database: Database, url: str, folder: Path, items: int, judgments: int, told: Callable[[str], None], pause: float
) -> Measured:
    told(f"writing {items:,} made-up items")
    path, photos = folder / "made-up.jsonl", Photos(folder / "photos")
    with path.open("w", encoding="utf-8") as file:
        for line in made_up(items, judgments):
            file.write(json.dumps(line) + "\n")
    _people(database)
    told("importing them")
    began = time.perf_counter()
    import_project(database, path, photos, lambda data: None)
    importing = time.perf_counter() - began
    path.unlink()
    try:
        judged, loads = progress(database, PROJECT).judgments, [os.getloadavg()[0]]
        told(f"{PEOPLE} people at work")
        nexts, saves = _at_work(database, pause)
        loads.append(os.getloadavg()[0])
        rushed_nexts, rushed = _at_work(database, 0)
        told("looking at the project")
        looking = statistics.median(_seconds(lambda: _look(database)) for _ in range(TIMES))
        told("exporting it")
        used: list[float] = []
        output = folder / "export.jsonl"
        loads.append(os.getloadavg()[0])
        exporting = _seconds(lambda: used.extend(_export(url, output)))
        loads.append(os.getloadavg()[0])
        return Measured(
            database.dialect, items, judged, importing, pause, *_middle_and_most(nexts), *_middle_and_most(saves),
            _middle_and_most(rushed_nexts)[0], _middle_and_most(rushed)[0], len(rushed) / SECONDS, looking, exporting,
            used[1], output.stat().st_size / 1e6, used[0], statistics.mean(loads), os.cpu_count() or 1,
        )  # fmt: skip
    finally:
        told("deleting")
        delete_project(database, PROJECT, photos)


def _people(database: Database) -> None:
    there = {person.name for person in people(database)}
    for number in range(PEOPLE):
        if f"person-{number}" not in there:
            add_person(database, f"person-{number}")


def _at_work(database: Database, pause: float) -> tuple[list[float], list[float]]:
    """Seconds of each next item and each judgment saved."""
    end = time.perf_counter() + SECONDS
    nexts: list[float] = []
    saves: list[float] = []

    def work(person: str) -> None:
        rng = random.Random(person)
        time.sleep(pause * rng.random())
        while True:  # one item at least, on however slow a machine
            began = time.perf_counter()
            item = next_item(database, PROJECT, person)
            nexts.append(time.perf_counter() - began)
            if item is None:
                return
            for candidate in item.candidates:
                began = time.perf_counter()
                judge(database, PROJECT, person, item.id, candidate.id, grade=rng.choice(PASSAGE_SCALE).key)
                saves.append(time.perf_counter() - began)
                time.sleep(pause * rng.uniform(0.5, 1.5))
            if time.perf_counter() > end:
                return

    with ThreadPoolExecutor(PEOPLE) as pool:
        list(pool.map(work, [f"person-{number}" for number in range(PEOPLE)]))
    return nexts, saves


def _look(database: Database) -> None:
    progress(database, PROJECT)
    agreement(database, PROJECT)


def _export(url: str, output: Path) -> tuple[float, float]:
    """Megabytes of memory, and seconds that the process computed."""
    command = [sys.executable, "-c", _EXPORT, url, str(output), PROJECT]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    memory, computed = done.stdout.split()
    return int(memory) / 1024, float(computed)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _middle_and_most(seconds: list[float]) -> tuple[float, float]:
    """Milliseconds: the median, and what 95 % stay under."""
    ordered = sorted(seconds)
    return 1e3 * statistics.median(ordered), 1e3 * ordered[int(0.95 * (len(ordered) - 1))]
