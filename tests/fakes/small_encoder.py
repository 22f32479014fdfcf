"""A small but working encoder for tests: a word is a direction, a patch of a photo is its colour's word.

It is an Encoder of retriever/encoders/base.py. Also a tiny corpus to go with it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np
from PIL import Image

from common.passage import Passage
from kb.records import DocumentRecord, Source
from retriever.encoders.base import Beside, PassageToken, PlainPassage, Query, QueryVectors, Takes, passage_text

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
GRID = (2, 3)
WORD = re.compile(r"\w+")

ARTICLES = {
    "Cherry": "A cherry is a small red fruit with a stone. It ripens in June and weighs about 8 grams.",
    "Emerald": "An emerald is a green gem that is cut in Zurich. Its colour comes from chromium.",
    "Sapphire": "A sapphire is a blue gem. It was found in Ceylon in 1870 and is very hard.",
    "Swan": "A swan is a white bird that lives on lakes. It was protected by law in 1482.",
}


def words(text: str) -> list[str]:
    return WORD.findall(text.casefold())


def direction(word: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big")
    vector = np.random.default_rng(seed).standard_normal(128)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def plain(*texts: str) -> list[Passage]:
    """Passages of which the texts alone are encoded."""
    return [PlainPassage(str(number), "", text) for number, text in enumerate(texts)]


class SmallEncoder:
    dim = 128
    min_score = 0.5
    takes = Takes(pictures=True)
    memory = 0

    def __init__(self, fingerprint: str = "small-1") -> None:
        self.fingerprint = fingerprint
        self.encoded: list[str] = []

    def encode_passages(self, passages: Sequence[Passage], pictures: Beside = ()) -> list[np.ndarray]:
        texts = [passage_text(passage) for passage in passages]
        self.encoded += texts
        shown = [
            [colour for each in beside for colour in self._colours(each)] for beside in pictures or [()] * len(texts)
        ]
        return [
            np.stack([direction(word) for word in (*words(text), *colours)])
            for text, colours in zip(texts, shown, strict=True)
        ]

    def encode_queries(self, queries: Sequence[Query]) -> list[QueryVectors]:
        return [self._query(query) for query in queries]

    def passage_tokens(self, passage: Passage, pictures: Sequence[Image.Image] = ()) -> list[PassageToken]:
        return [PassageToken(word[0], *word.span()) for word in WORD.finditer(passage_text(passage).casefold())]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(words(text)) for text in texts]

    def _query(self, query: Query) -> QueryVectors:
        tokens = words(query.text)
        rows = [direction(word) for word in tokens]
        patches = [] if query.photo is None else [direction(colour) for colour in self._colours(query.photo)]
        weights = [1.0 / len(rows)] * len(rows) + [1.0 / len(patches)] * len(patches) if patches else None
        weights = np.array(weights or [1.0 / len(rows)] * len(rows), np.float32)
        return QueryVectors(
            vectors=np.stack(rows + patches),
            weights=weights / weights.sum(),
            text_rows=slice(0, len(rows)),
            prefix_rows=slice(len(rows), len(rows)),
            patch_rows=slice(len(rows), len(rows) + len(patches)),
            tokens=tokens,
            grid=GRID if patches else (0, 0),
        )

    def _colours(self, image: Image.Image) -> list[str]:
        cells = np.asarray(image.resize((GRID[1], GRID[0]), Image.Resampling.BOX), float).reshape(-1, 3)
        return [min(COLOURS, key=lambda name: np.abs(cell - COLOURS[name]).sum()) for cell in cells]


# What the answerer asks of MiniLM's similarities, which those of the sentences here are far from.
FAR = {"close_span": -1.0, "close": -1.0, "close_title": -1.0}


def embed_sentences(texts: Sequence[str]) -> np.ndarray:
    """As retriever.encoders.sentences does it: the mean of a sentence's words, of unit length."""
    sums = [np.sum([direction(word) for word in words(text)] or [direction("")], axis=0) for text in texts]
    return np.stack([each / np.linalg.norm(each) for each in sums]).astype(np.float32)


def source(name: str = "things", articles: dict[str, str] | None = None) -> Source:
    """The articles as a source that kb.ingest can read."""
    articles = ARTICLES if articles is None else articles

    def record(title: str, text: str) -> DocumentRecord:
        return DocumentRecord(
            key=title.replace(" ", "_"),
            title=title,
            url=f"https://example.org/{title}",
            language="en",
            licence="CC0",
            texts=(text,),
            description=f"about a {title.lower()}",
        )

    return Source(
        name=name,
        title="Things",
        licence="CC0",
        language="en",
        homepage="https://example.org/",
        read=lambda cache_dir: (len(articles), iter([record(*each) for each in articles.items()])),
    )
