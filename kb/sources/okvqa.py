"""The passages of OK-VQA's Google Search corpus: CSV files with columns kid and text as FLMR's authors hand them out,
or the Hub's parquet files.

`okvqa_train_corpus.csv` and `okvqa_full_corpus.csv`, a passage a row (Luo et al. 2021, "Weakly-Supervised
Visual-Retriever-Reader for Knowledge-based Question Answering"). Ids and texts are kept as they are, so that published
measurements can be made on them. Knows nothing of the database.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kb.records import UNKNOWN_LICENCE, Source
from kb.sources import parquet
from kb.sources.csv_file import read_rows
from kb.sources.kinds import CORPUS, LICENCE, Field, SourceKind, Values
from kb.sources.rows import make_source, passage, records

HUB = "BByrneLab/OKVQA_FLMR_preprocessed_GoogleSearch_passages"
_TITLE = "OK-VQA, passages from Google Search"


def source(path: Path, corpus: str, *, title: str = "", licence: str = UNKNOWN_LICENCE) -> Source:
    """The corpus in the file `path`. Reading it raises Problem, also when it has other columns."""

    def read(_cache_dir: Path):
        rows = read_rows(path, ("kid", "text"))
        return None, records(rows, lambda row: passage(row, "kid", "text", licence, "en"))

    return make_source(corpus, title or _TITLE, licence, "en", "https://okvqa.allenai.org/", read)


def from_hub(
    corpus: str, place: Path | str = HUB, files: str = "*.parquet", *, licence: str = UNKNOWN_LICENCE
) -> Source:
    """The corpus as PreFLMR's authors publish it; see `parquet.passages`."""
    return parquet.passages(place, corpus, files, _TITLE, licence)


def _make(values: Values) -> Source:
    corpus, licence = values["corpus"] or "okvqa-google", values["licence"] or UNKNOWN_LICENCE
    if values["what"]:
        return source(Path(values["what"]), corpus, licence=licence)
    return from_hub(corpus, licence=licence)


KIND = SourceKind(
    "okvqa-google",
    "OK-VQA's passages from Google",
    (
        Field(
            "what", "File", "FILE, or nothing for the Hub's",
            "The path of FLMR's CSV file on that machine; leave it empty to fetch them from the Hub.",
            value="path", where=True,
        ),
        CORPUS, replace(LICENCE, on_page=False),
    ),
    _make,
    in_words="OK-VQA's Google corpus",
)  # fmt: skip
