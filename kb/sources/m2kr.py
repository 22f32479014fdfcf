"""The passages of M2KR, the data sets that PreFLMR's authors train and measure on, from a folder or the Hub.

Those of ReT-M2KR too, another layout, which ret_m2kr.py reads. Knows nothing of the database.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kb.records import UNKNOWN_LICENCE, Source
from kb.sources import ret_m2kr
from kb.sources.kinds import CORPUS, LICENCE, Field, SourceKind, Values
from kb.sources.parquet import check_plain, passages

HUB = "BByrneLab/multi_task_multi_modal_knowledge_retrieval_benchmark_M2KR"


def source(
    place: Path | str,
    corpus: str,
    dataset: str | None = None,
    split: str | None = None,
    images: Path | None = None,
    *,
    title: str = "",
    licence: str = UNKNOWN_LICENCE,
) -> Source:
    """The passages of M2KR in a folder (Path) or on the Hub (its name, as the constant HUB), their ids kept.

    dataset: as its folder has it ("EVQA" of EVQA_passages); None for every one. split: "train", "valid" or "test"; None
    for all, of which a passage that is in several comes once. images: the folder that the passages' img_path start
    from; None leaves those pictures out. Reading raises Problem.
    """
    for name in (dataset, split):
        check_plain(name or "all")
    title = title or f"M2KR, passages of {dataset or 'all tasks'}{f' ({split})' if split else ''}"
    files = f"{dataset or '*'}_passages/{split or '*'}_passages-*.parquet"
    return passages(place, corpus, files, title, licence, images)


def _make(values: Values) -> Source:
    dataset, place = values["what"], values["data"] or HUB
    folder = Path(place).expanduser()
    place = folder if folder.exists() else place
    licence = values["licence"] or UNKNOWN_LICENCE
    images = Path(values["images"]).expanduser() if values["images"] else None
    if ret_m2kr.has_layout(place):
        corpus = values["corpus"] or f"ret-m2kr-{dataset.lower()}"
        return ret_m2kr.source(place, corpus, dataset, images, licence=licence)
    return source(place, values["corpus"] or f"m2kr-{dataset.lower()}", dataset, images=images, licence=licence)


KIND = SourceKind(
    "m2kr",
    "The passages of an M2KR data set",
    (
        Field(
            "what", "Data set", "DATASET", "As in EVQA, Infoseek, OKVQA, WIT, OVEN, KVQA, LLaVA, IGLUE or MSMARCO.",
            required=True, where=True,
        ),
        Field(
            "data", "Another place", "DIR-or-Hub-id",
            "A folder on that machine or a data set on the Hub, also ReT-M2KR; empty for its authors'.",
            value="place", where=True,
        ),
        Field(
            "images", "Folder of images", "DIR", "Where the paths of the passages' images start.",
            value="path",
        ),
        CORPUS, replace(LICENCE, on_page=False),
    ),
    _make,
    in_words="M2KR:",
)  # fmt: skip
