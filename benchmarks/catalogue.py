"""How fast the catalogue is at a size that matters: made-up documents in, texts out, checks, repeats.

Every word of the documents is ours or made of random syllables. Knows nothing of models: how tokens are counted and
sentences end is handed in, as always.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from common.problems import Problem
from kb.catalogue import Catalogue
from kb.catalogue.checking import check
from kb.catalogue.corpora import delete_corpus
from kb.catalogue.twins import link_twins
from kb.chunking import Cutting
from kb.ingest import ingest
from kb.sources import jsonl

CORPUS = "bench"
SMALL = "bench-small"  # a corpus beside it,
PART = 50  # of so many times fewer documents
WORDS = 80  # of a document, which is one passage
ASKED = 100  # passages fetched at once
TIMES = 50  # that is done, and searched

_COMMON = (
    "the of and in a to was is by with from on as at its for river valley town station bridge built north between "
    "century people stone early during which first water under region several named market later known school "
    "church railway company year many after part large small old new council opened closed line mill road forest"
).split()
_SYLLABLES = "ba be bi bo da de di do ga ke ki ko la le li lo ma me mi mo na ne ni no ra re ri ro sa se si so".split()


@dataclass(frozen=True)
class Measured:
    """dialect; passages and megabytes of text; seconds to ingest them and to ingest them again, when nothing is new;
    the most megabytes of memory this process had meanwhile; milliseconds (medians) to fetch ASKED texts by id, and to
    find passages by three words, of all and of a small corpus beside them; seconds to check everything and to find
    repeats, and how many there were; seconds to delete the corpus."""

    dialect: str
    passages: int
    megabytes: float
    ingest_seconds: float
    again_seconds: float
    peak_megabytes: float
    fetch_milliseconds: float
    words_milliseconds: float
    small_milliseconds: float
    check_seconds: float
    twins_seconds: float
    twins: int
    delete_seconds: float

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    def __str__(self) -> str:
        rate = self.passages / self.ingest_seconds
        return (
            f"{self.dialect}: {self.passages:,} passages ({self.megabytes:,.0f} MB of text) ingested in "
            f"{self.ingest_seconds:.0f} s, {rate:,.0f} a second, with {self.peak_megabytes:.0f} MB of memory at most; "
            f"again in {self.again_seconds:.0f} s\n"
            f"{ASKED} texts by id in {self.fetch_milliseconds:.1f} ms, a search by three words in "
            f"{self.words_milliseconds:.0f} ms, in a corpus of a {PART}th of them in {self.small_milliseconds:.0f} ms\n"
            f"checked in {self.check_seconds:.0f} s; {self.twins:,} repeats found in {self.twins_seconds:.0f} s; "
            f"all deleted in {self.delete_seconds:.0f} s"
        )


def made_up(count: int, seed: int = 0) -> Iterator[dict[str, str]]:
    """Documents of five sentences, WORDS words in all, with id, title, text and url; one in a hundred is a repeat."""
    rng = random.Random(seed)
    rare = ["".join(rng.choices(_SYLLABLES, k=rng.randrange(2, 4))) for _ in range(20_000)]
    kept = ""
    for number in range(count):
        sentences = []
        for _ in range(5):
            words = [rng.choice(_COMMON) if rng.random() < 0.6 else rng.choice(rare) for _ in range(WORDS // 5)]
            sentences.append(" ".join(words).capitalize() + ".")
        text = " ".join(sentences)
        if number % 100 == 99:
            text = kept
        elif number % 100 == 0:
            kept = text
        yield {
            "id": f"doc-{number}",
            "title": f"{rng.choice(rare).capitalize()} {number}",
            "text": text,
            "url": f"https://example.org/{number}",
        }


def measure(url: str, count: int, cutting: Cutting, told: Callable[[str], None] = lambda doing: None) -> Measured:
    """Measure on the database at url, which must hold no corpus, and leave none in it. told(what is done next).

    Raises Problem for a database that holds something."""
    catalogue = Catalogue(url)
    try:
        if catalogue.corpora():
            raise Problem(f"The database {catalogue.database} is not empty; measure on one that is.")
        with tempfile.TemporaryDirectory(prefix="kb-bench-") as folder:
            return _measured(catalogue, Path(folder), count, cutting, told)
    finally:
        catalogue.close()


def _measured(
    catalogue: Catalogue, folder: Path, count: int, cutting: Cutting, told: Callable[[str], None]
) -> Measured:
    told(f"writing {count:,} made-up documents")
    source = jsonl.source(_written(folder, made_up(count)), CORPUS)
    peak = 0

    def look(_done: int, _total: int | None) -> None:
        nonlocal peak
        peak = max(peak, psutil.Process().memory_info().rss)

    try:
        told("ingesting them")
        report = ingest(catalogue, source, folder, progress=look, cutting=cutting)
        told("ingesting them again")
        again = ingest(catalogue, source, folder, progress=look, cutting=cutting)
        told("fetching and finding")
        rng = random.Random(1)
        asked = [[f"{CORPUS}:doc-{rng.randrange(count)}#0" for _ in range(ASKED)] for _ in range(TIMES + 1)]
        fetching = _median(lambda ids: catalogue.passages(ids), asked)
        words = [" ".join(rng.sample(_COMMON[20:], 3)) for _ in range(TIMES + 1)]
        finding = _median(lambda some: catalogue.search_text(some, 10, CORPUS), words)
        small = jsonl.source(_written(folder, made_up(max(1, count // PART), seed=1)), SMALL)
        ingest(catalogue, small, folder, cutting=cutting)
        finding_few = _median(lambda some: catalogue.search_text(some, 10, SMALL), words)
        delete_corpus(catalogue, SMALL)
        told("checking")
        began = time.perf_counter()
        faults = check(catalogue)
        checking = time.perf_counter() - began
        if faults:
            raise Problem(f"The check found what should not be: {faults[0].what}")
        told("finding repeats")
        began = time.perf_counter()
        twins = link_twins(catalogue, CORPUS)
        linking = time.perf_counter() - began
        [corpus] = catalogue.stats()["corpora"]
        told("deleting")
        began = time.perf_counter()
        delete_corpus(catalogue, CORPUS)
        deleting = time.perf_counter() - began
        return Measured(
            catalogue.database.dialect, corpus["passages"], corpus["text_bytes"] / 1e6, report.seconds, again.seconds,
            peak / 1e6, fetching, finding, finding_few, checking, linking, twins, deleting,
        )  # fmt: skip
    finally:
        for name in (CORPUS, SMALL):
            delete_corpus(catalogue, name)  # nothing, but where something failed


def _written(folder: Path, documents: Iterator[dict[str, str]]) -> Path:
    path = folder / "made-up.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for document in documents:
            file.write(json.dumps(document) + "\n")
    return path


def _median(work: Callable[[object], object], things: list) -> float:
    """Milliseconds, after one to warm up."""
    work(things[0])
    times = []
    for thing in things[1:]:
        began = time.perf_counter()
        work(thing)
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times)
