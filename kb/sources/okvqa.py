"""The passages of OK-VQA's Google Search corpus as FLMR's authors hand them out: CSV files with columns kid and text.

`okvqa_train_corpus.csv` and `okvqa_full_corpus.csv`, a passage a row (Luo et al. 2021, "Weakly-Supervised
Visual-Retriever-Reader for Knowledge-based Question Answering"). Ids and texts are kept as they are, so that published
measurements can be made on them. Knows nothing of the database.
"""

from __future__ import annotations

from pathlib import Path

from kb.records import Source
from kb.sources.csv_file import read_rows
from kb.sources.rows import UNKNOWN_LICENCE, make_source, passage, records


def source(path: Path, corpus: str, *, title: str = "", licence: str = UNKNOWN_LICENCE) -> Source:
    """The corpus in the file `path`. Reading it raises CatalogueProblem, also when it has other columns."""

    def read(_cache_dir: Path):
        rows = read_rows(path, ("kid", "text"))
        return None, records(rows, lambda row: passage(row, "kid", "text", licence, "en"))

    title = title or "OK-VQA, passages from Google Search"
    return make_source(corpus, title, licence, "en", "https://okvqa.allenai.org/", read)
