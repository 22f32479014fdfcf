"""The files that the small studies learn from and measure with: passages, questions made of them, photographs.

What is measured with is nothing that was learned from: articles apart, and the last third of each series of
photographs. Knows nothing of models or plans.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from retriever.training.files import point, write_text
from retriever.training.mini.questions import Article, mentions, text_questions
from retriever.training.photographs import last_thirds

TEXTS = ("passages.jsonl", "questions.jsonl", "held-out-questions.jsonl")
PHOTOS, OTHERS = ("photos.json", "held-out-photos.json"), ("other-photos.json",)
WRITTEN = (*TEXTS, *PHOTOS, *OTHERS)
SEED = 20240213
_QUESTIONS = 4  # of an article that is learned from; of one that is held out, one
_HELD_OUT = 10  # one article of so many


def write_texts(articles: Sequence[Article], folder: Path) -> dict[str, int]:
    """passages.jsonl with all articles, questions.jsonl, held-out-questions.jsonl. Returns how many lines each has.
    Raises Problem."""
    chance = random.Random(SEED)
    said = mentions(articles, chance)
    held = set(chance.sample(range(len(articles)), len(articles) // _HELD_OUT))
    asked: tuple[list[dict], list[dict]] = ([], [])
    for number, article in enumerate(articles):
        count = 1 if number in held else _QUESTIONS
        for question in text_questions(article, said.get(number, ()), chance, count):
            asked[number in held].append({"question": question, "positives": [str(number)]})
    passages = [{"id": str(n), "title": each.title, "text": each.text} for n, each in enumerate(articles)]
    files = dict(zip(TEXTS, (passages, *asked), strict=True))
    for name, rows in files.items():
        write_text(folder / name, _lines(rows))
    return {name: len(rows) for name, rows in files.items()}


def write_photos(entries: Sequence[dict], images: Path, folder: Path) -> dict[str, int]:
    """photos.json and held-out-photos.json, and the link `photos` to where they lie. Raises Problem."""
    return _write_listings(dict(zip(PHOTOS, last_thirds(entries), strict=True)), images, folder / "photos")


def write_others(entries: Sequence[dict], images: Path, folder: Path) -> dict[str, int]:
    """other-photos.json, photographs that are only measured with, and the link `other-photos` to where they lie.
    Raises Problem."""
    return _write_listings(dict.fromkeys(OTHERS, entries), images, folder / "other-photos")


def _write_listings(files: Mapping[str, Sequence[dict]], images: Path, link: Path) -> dict[str, int]:
    for name, rows in files.items():
        write_text(link.with_name(name), json.dumps(list(rows), indent=1) + "\n")
    point(link, str(images.resolve()))
    return {name: len(rows) for name, rows in files.items()}


def _lines(rows: Iterable[Mapping]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
