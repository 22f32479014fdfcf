"""What came out of an evaluation, as JSON with everything in it and as Markdown beside the published figures.

Nothing of the data's own words is put into either: they are untrusted. Knows nothing of how anything was measured.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from common.whole_files import write_whole
from retriever.evaluation.m2kr.published import MODELS, PUBLISHED_SPLIT, RET_MODELS, task_called
from retriever.evaluation.m2kr.reranking import RerankedBy

_PACKAGES = ("torch", "transformers", "numpy", "faiss-cpu", "pyarrow", "pillow")


@dataclass(frozen=True)
class Report:
    """An evaluation's outcome. recall and pseudo_recall: K -> share of the questions, 0 to 1; pseudo_recall None where
    questions have no answers.

    rankings: the file with what was found for each question. counts, settings: of the whole evaluation. done_now,
    seconds: of this run, which may have gone on from an earlier one. sha256: what identifies the data. with_images:
    whether it is of ReT-M2KR, whose passages have images. reranked: what a reranker made of it; None without one."""

    dataset: str
    split: str
    fingerprint: str
    recall: dict[int, float]
    pseudo_recall: dict[int, float] | None
    counts: dict[str, int]
    settings: dict[str, int | bool | str | None]
    done_now: dict[str, int]
    seconds: dict[str, float]
    sha256: dict[str, str]
    rankings: str
    with_images: bool = False
    reranked: RerankedBy | None = None

    @property
    def benchmark(self) -> str:
        return "ReT-M2KR" if self.with_images else "M2KR"

    def measures(self) -> dict[str, float]:
        """All figures in percent, by their published names; those that were reported come first."""
        return self._named(self.recall, self.pseudo_recall)

    def reranked_measures(self) -> dict[str, float]:
        """The same of what the reranker made of it; nothing without one."""
        return self._named(self.reranked.recall, self.reranked.pseudo_recall) if self.reranked else {}

    def _named(self, recall: dict[int, float], pseudo_recall: dict[int, float] | None) -> dict[str, float]:
        figures = {f"Recall@{k}": 100 * share for k, share in recall.items()}
        figures |= {f"Pseudo Recall@{k}": 100 * share for k, share in (pseudo_recall or {}).items()}
        reported = _published(self)[0].figures
        return {name: figures[name] for name in [*reported, *(name for name in figures if name not in reported)]}


def as_json(report: Report, profile: str) -> dict:
    """The report with its date and the versions of what made it, ready to be written as JSON."""
    own, other = _published(report)
    return {
        "benchmark": report.benchmark,
        "profile": profile,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "percent": {name: round(value, 4) for name, value in report.measures().items()},
        **asdict(report),
        "published": own.by_measure(),
        other.key: other.by_measure(),
        "versions": {"python": platform.python_version(), **_versions()},
    }


def as_markdown(report: Report, profile: str) -> str:
    """A table of the figures, the published rows below, and what a reader must know to compare them."""
    task = task_called(report.dataset)
    own, other = _published(report)
    measures = report.measures()
    rows = _head(measures)
    rows.append([_plain(profile), *(f"{value:.1f}" for value in measures.values())])
    if report.reranked:
        again = report.reranked_measures().values()
        rows.append([f"{_plain(profile)}, reranked", *(f"{value:.1f}" for value in again)])
    if report.split == PUBLISHED_SPLIT:
        rows += own.rows(measures)
    counts, settings = report.counts, report.settings
    if settings["exact"]:
        how = "every passage scored"
    else:  # not even of few passages are all scored: the index looks at each closely and scores the best of them
        how = f"the best of {min(settings['candidates'], counts['passages']):,} candidates scored"
    pseudo = "" if report.pseudo_recall is None else "; PR: Pseudo Recall@K by the words of the answers"
    size = f"{counts['questions']:,} questions, {counts['passages']:,} passages"
    notes = [
        f"{size}; {how}; encoder {_plain(report.fingerprint)}.",
        f"Percent. R: Recall@K by the positive passages{pseudo}.",
    ]
    if settings["rankings fused"] > 1:
        notes.append("Rankings of the profiles were fused by their places (reciprocal ranks).")
    if by := report.reranked:
        tokens = "" if by.tokens is None else f" and {by.tokens:,} tokens"
        cost = f"{by.seconds:.3f} seconds{tokens} a question"
        stood = f"; of {by.stood:,} questions not all of these were put in order" if by.stood else ""
        notes.append(f"Reranked: the first {by.most} passages by {_plain(by.by)}, {cost}{stood}.")
    if report.with_images:
        notes.append(f"{counts['passages with an image']:,} passages have an image.")
        if not settings["pictures of passages"]:
            notes.append("The encoder takes no pictures of passages; they were left out.")
    if not own.figures:
        notes.append("A task of one's own in the benchmark's layout: there are no published figures.")
    elif report.split != PUBLISHED_SPLIT:
        notes.append(f"The published figures are of the split {PUBLISHED_SPLIT} and are left out here.")
    elif report.with_images:  # how many questions they are of, no source at hand says
        notes.append(f"M2KR's own test split has {task.questions:,} questions.")
    elif counts["questions"] != task.questions:
        notes.append(f"Not comparable: the published figures are of {task.questions:,} questions.")
    if not settings["photos"]:
        notes.append("The encoder takes no photos; those of the questions were left out.")
    if not settings["instructions"]:
        notes.append("The encoder takes no instructions; those of the data set were left out.")
    for name, so in (
        ("questions without positives", "they are never found"),
        ("questions with positives that are not among the passages", "those are never found"),
        ("passages whose id stands more than once", "only the first of each is used"),
        ("passages without vectors", "they are never found"),
    ):
        if counts[name]:
            notes.append(f"{name[0].upper()}{name[1:]}: {counts[name]:,}; {so}.")
    listed = "\n".join(f"- {note}" for note in notes)
    others = ""
    if report.split == PUBLISHED_SPLIT and other.figures:  # in a table of their own
        table = _table(_head(other.figures) + other.rows(other.figures))
        others = f"\nOn {other.what}: not comparable with the table above.\n\n{table}\n"
    return f"# {report.benchmark}: {task.title}, {report.split}\n\n{_table(rows)}\n\n{listed}\n{others}"


@dataclass(frozen=True)
class _Published:
    """Figures of models on one version of a task. what: that version, in words. key: what it is called in JSON."""

    models: tuple[str, ...]
    figures: Mapping[str, tuple[float, ...]]
    what: str
    key: str

    def by_measure(self) -> dict[str, dict[str, float]]:
        return {name: dict(zip(self.models, values, strict=True)) for name, values in self.figures.items()}

    def rows(self, measures: Iterable[str]) -> list[list[str]]:
        found = [self.figures.get(name) for name in measures] if self.figures else []
        return [
            [f"{model}, published", *("" if each is None else f"{each[n]:.1f}" for each in found)]
            for n, model in enumerate(self.models)
            if found
        ]


def _published(report: Report) -> tuple[_Published, _Published]:
    """What was published on the version of the task that the report is of, and on the other one."""
    task = task_called(report.dataset)
    what = "M2KR, another version of the benchmark, whose passages have no images"
    plain = _Published(MODELS, task.figures, what, "published_on_m2kr")
    what = "ReT-M2KR, another version of the benchmark, whose passages have images"
    illustrated = _Published(RET_MODELS, task.with_images, what, "published_on_ret_m2kr")
    return (illustrated, plain) if report.with_images else (plain, illustrated)


def _head(measures: Iterable[str]) -> list[list[str]]:
    names = [name.replace("Pseudo Recall", "PR").replace("Recall", "R") for name in measures]
    return [["model", *names], ["---", *("---:" for _ in names)]]


def _table(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def write_report(report: Report, profile: str, folder: Path) -> tuple[Path, Path]:
    """Writes both forms into a folder, each whole or not at all; returns their paths. Raises OSError.

    The name is the same for the same encoder, data and way of searching, and another for any other."""
    by = [report.reranked.by] if report.reranked else []
    what = json.dumps([report.fingerprint, report.sha256, report.settings, *by], sort_keys=True)
    key = hashlib.sha256(what.encode()).hexdigest()[:8]
    slug = re.sub(r"[^A-Za-z0-9._]+", "-", profile).strip("-.")[-40:]
    stem = f"{report.dataset}-{report.split}-{slug}-{key}{'-exact' if report.settings['exact'] else ''}"
    paths = folder / f"{stem}.json", folder / f"{stem}.md"
    written = json.dumps(as_json(report, profile), indent=2, ensure_ascii=False) + "\n"
    write_whole(paths[0], written.encode())
    write_whole(paths[1], as_markdown(report, profile).encode())
    return paths


def _plain(text: str) -> str:
    """A name as it can stand in a Markdown table: nothing that marks up, breaks a line or ends a cell."""
    return "".join(c if c.isalnum() or c in " ._-/:@+" else " " for c in text)[-80:]


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # such as faiss-gpu in place of faiss-cpu
            continue
    return versions
