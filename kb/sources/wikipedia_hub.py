"""The articles of a Wikipedia as the Hugging Face Hub has them, in the data set wikimedia/wikipedia.

Knows nothing of the database.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow.parquet as pq

from common.problems import Problem
from kb.records import UNKNOWN_LANGUAGE, Source
from kb.sources import parquet
from kb.sources.kinds import CORPUS, Field, SourceKind
from kb.sources.rows import document, make_source, records

HUB = "wikimedia/wikipedia"
_ARTICLE = ("id", "url", "title", "text")


def source(
    config: str,
    corpus: str,
    place: Path | str = HUB,
    *,
    title: str = "",
    licence: str = "CC BY-SA 4.0",
) -> Source:
    """The articles of a Wikipedia as the Hub's data set has them: config is a date and a language, "20231101.en".

    From the Hub its files are fetched one after another, each when its turn comes. Reading raises Problem.
    """
    parquet.check_plain(config)
    language = config.partition(".")[2] or UNKNOWN_LANGUAGE
    language = "en" if language == "simple" else language

    def read(cache_dir: Path):
        if isinstance(place, Path):
            found = parquet.found_below(place, f"{config}/*.parquet")
            total = sum(_open_articles(path).metadata.num_rows for path in found)
            files: Iterator[Path] = iter(found)
            folder = place
        else:
            total, folder = None, parquet.fetched(place, [f"{config}/train-00000-of-*.parquet"], cache_dir)
            files = _one_by_one(place, folder, config, cache_dir)
        return total, records(_articles(folder, files), lambda row: document(row, licence, language))

    return make_source(corpus, title or f"Wikipedia {config}", licence, language, parquet.homepage(place), read)


def _one_by_one(repo: str, folder: Path, config: str, cache_dir: Path) -> Iterator[Path]:
    """The shards of a configuration, of which the first is there and says how many there are."""
    first = [path for path in (folder / config).iterdir() if path.name.startswith("train-00000-of-")]
    counts = {int(match["count"]) for path in first if (match := parquet.SHARD.fullmatch(path.name))}
    if len(counts) != 1:
        raise Problem(f"The files of {config} in the data set {repo} are not named as they should be.")
    total = counts.pop()
    for number in range(total):
        name = f"{config}/train-{number:05}-of-{total:05}.parquet"
        yield parquet.fetched(repo, [name], cache_dir) / name


def _articles(folder: Path, files: Iterator[Path]) -> Iterator[tuple[str, Mapping[str, object]]]:
    for path in files:
        _open_articles(path)
        yield from parquet.rows_of(folder, path, _ARTICLE)


def _open_articles(path: Path) -> pq.ParquetFile:
    file = parquet.opened(path)
    if not set(_ARTICLE) <= set(file.schema_arrow.names):
        raise parquet.wrong_columns(path, file.schema_arrow, " and ".join(_ARTICLE))
    parquet.check_texts(path, file.schema_arrow, "id", _ARTICLE[1:])
    return file


KIND = SourceKind(
    "wikipedia-hub",
    "A Wikipedia from the Hugging Face Hub",
    (
        Field(
            "what", "Date and language", "CONFIG, such as 20231101.en",
            "As in 20231101.en, the parts of the data set wikimedia/wikipedia.", required=True, where=True,
        ),
        CORPUS,
    ),
    lambda values: source(values["what"], values["corpus"] or f"wikipedia-{values['what']}"),
    in_words="the Hub's Wikipedia",
    cut=True,
)  # fmt: skip
