"""What an index of many millions of passages needs, calculated from what was measured on one machine.

Every number is either measured, with where it stands, or assumed, and can be another on other machines. Knows nothing
of how anything is done.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

SIZES = (10_000_000, 40_000_000, 400_000_000)


@dataclass(frozen=True)
class Measured:
    """On two cores (AMD EPYC with AVX-512), docs/index.md and docs/numbers.md."""

    vectors_a_passage: float = 94.0  # 942,013 of 10,033 leads of Wikipedia articles
    bytes_a_vector: float = 69.0  # 4 bits, all in, of 94 million vectors
    in_memory: float = 0.16  # of the bytes, that searching takes into memory
    search_seconds: float = 0.096  # a query of 320 vectors among SHARD passages, on two cores
    written: float = 94e6 / (70 * 60) / 2  # vectors a second and core, compressing included
    ingested: float = 1e6 / 324  # passages a second from JSONL into PostgreSQL, by one process
    handed_out: float = 2_039.0  # passages a second read and remembered by one process, on SQLite, others at 1.5 cores


@dataclass(frozen=True)
class Assumed:
    """Neither measured here nor anywhere by this project."""

    parameters: float = 85e6  # of BERT-base without its table of words, which PreFLMR's text encoder is
    peak: float = 989e12  # operations a second of an H100 in bfloat16, as published
    used: float = 0.25  # of the peak, by batches of short texts
    gpu_dollars: float = 3.0  # an H100 for an hour
    core_dollars: float = 0.05  # a core with 4 GB of memory for an hour
    disk_dollars: float = 0.08  # a GB for a month
    cores: int = 16  # of a machine that searches
    merging: float = 0.03  # seconds of a query beside the slowest shard: sending, merging, the net


SHARD = 1_000_000  # passages; what was measured


def predict(passages: int, measured: Measured = Measured(), assumed: Assumed = Assumed()) -> dict[str, float]:
    """What so many passages need. gpu_hours: of encoders; core_hours: of writers; the rest says its unit."""
    vectors = passages * measured.vectors_a_passage
    size = vectors * measured.bytes_a_vector
    shards = -(-passages // SHARD)
    machines = -(-shards * 2 // assumed.cores)  # two cores for a shard, as in the measurement
    gpu_rate = assumed.peak * assumed.used / (2 * assumed.parameters * measured.vectors_a_passage)
    gpu_hours = passages / gpu_rate / 3600
    core_hours = vectors / measured.written / 3600
    return {
        "index_terabytes": size / 1e12,
        "memory_gigabytes": size * measured.in_memory / 1e9,
        "shards": shards,
        "machines_of_16_cores": machines,
        "seconds_a_query": measured.search_seconds + assumed.merging,
        "queries_a_second": machines * assumed.cores / (shards * 2 * measured.search_seconds),
        "h100_passages_a_second": gpu_rate,
        "h100_hours": gpu_hours,
        "writer_core_hours": core_hours,
        "ingesting_hours_one_process": passages / measured.ingested / 3600,
        "hours_of_handing_out": passages / measured.handed_out / 3600,
        "build_dollars": gpu_hours * assumed.gpu_dollars + core_hours * assumed.core_dollars,
        "serving_dollars_a_month": machines * assumed.cores * assumed.core_dollars * 730
        + size / 1e9 * assumed.disk_dollars,
    }


def table(sizes: tuple[int, ...] = SIZES) -> list[str]:
    """A table in Markdown, a row for each figure, and a line for each number it was made of."""
    columns = [predict(size) for size in sizes]
    headings = " | ".join(f"{size / 1e6:,.0f} million" for size in sizes)
    rows = [f"| passages | {headings} |", "| --- |" + " --- |" * len(sizes)]
    for name in columns[0]:
        rows.append(f"| {name.replace('_', ' ')} | {' | '.join(_shown(column[name]) for column in columns)} |")
    made_of = [
        f"{kind}: {each.name.replace('_', ' ')} = {getattr(of, each.name):,.6g}"
        for kind, of in (("measured", Measured()), ("assumed", Assumed()))
        for each in fields(of)
    ]
    return [*rows, "", *made_of]


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
