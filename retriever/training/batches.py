"""Batches: questions drawn in order, each with a positive and its negatives, as tensors.

A batch is a pure function of its number, so that it can be made ahead, by another process, or again. Images that are
missing or broken are counted, and another question takes the place. Knows nothing of losses or of the model beyond
what its processor makes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from common.images import load_image
from common.problems import Problem
from retriever.training.drawn import Drawn
from retriever.training.features import Photo, Source
from retriever.training.gradients import Batch
from retriever.training.inputs import Inputs, document_inputs, query_inputs
from retriever.training.order import Order
from retriever.training.recipe import Negatives
from retriever.training.sources import Questions

Look = Callable[[Source | Drawn], Photo]
ATTEMPTS = 100  # at finding a question whose image can be used


@dataclass(frozen=True)
class Example:
    """A question as it is learned from. documents: text and keys of each, the positive first. pictures: that beside
    each, None where there is none or pictures are not looked at. scores: a teacher's of them, NaN where it gave none.
    wanted: the keys of all its positives."""

    question: str
    instruction: str
    photo: Photo | None
    documents: list[tuple[str, tuple[int, ...]]]
    pictures: list[Image.Image | None]
    scores: list[float]
    wanted: frozenset[int]


def keys_of(name: str, each: str, text: str, image: str = "") -> tuple[int, ...]:
    """By which a passage is known in whatever set it stands: its text with the picture beside it, and its id, if it has
    one, in its set."""
    said = f"text\0{text}" + (f"\0{name}\0{image}" if image else "")
    return tuple(_hash(part) for part in ([f"id\0{name}\0{each}"] if each else []) + [said])


def positives_of(row: dict) -> list[tuple[str, str, str]]:
    """Id, text and image, "" where there is none, of each positive of a row that is not empty."""
    images = row["images"] or [""] * len(row["texts"])
    found = zip(row["ids"], row["texts"], images, strict=True)
    return [(each, text, image) for each, text, image in found if text.strip() or image]


def wanted_by(name: str, row: dict) -> frozenset[int]:
    """The keys of a row's positives, in the set of that name."""
    return frozenset(key for each, text, image in positives_of(row) for key in keys_of(name, each, text, image))


def image_of(found: Questions, row: dict) -> Source | Drawn:
    """Where the image of a question is, or how it is drawn; None where it has none. Raises Problem."""
    if row.get("drawn") is not None:
        return row["drawn"]
    if row["bytes"] is not None:
        return row["bytes"]
    return None if row["image"] is None else image_file(row["image"], found.images)


def image_file(name: str, folders: Sequence[Path]) -> Path:
    """The file of that name, a path below one of the folders or one that leads there. Raises Problem."""
    looked = " or ".join(map(str, folders)) or "no folder, since none is named"
    places = [] if "\0" in name else [place for folder in folders if (place := _below(folder, name)) is not None]
    if folders and not places:
        raise Problem(f"the image {name[:80]!r} lies outside {looked}, the folder of images")
    there = next((place for place in places if os.path.isfile(place)), None)
    if there is None:
        raise Problem(f"there is no image {name[:80]!r} in {looked}")
    return Path(there)


def _below(folder: Path, name: str) -> str | None:
    """The path of that name in the folder, None where it leads out of it. As it is written: a link in the folder may
    lead anywhere, since whoever put it there meant it."""
    inside = os.path.join(os.path.abspath(folder), "")
    place = os.path.normpath(os.path.join(inside, name))
    return place if place.startswith(inside) else None


class Drawing:
    """Draws examples of several sets. look: how the questions' images are looked at, None where they are not. pictures:
    whether those beside passages are."""

    def __init__(
        self, sets: Sequence[Questions], order: Order, negatives: Negatives, look: Look | None, pictures: bool = False
    ) -> None:
        self._sets = list(sets)
        self._order = order
        self._negatives = negatives
        self._look = look
        self._pictures = pictures

    def example(self, index: int) -> tuple[Example, int]:
        """The index-th of the run, and how many questions had to be left out for it. Raises Problem."""
        problem, tried = "", set()
        for attempt in range(ATTEMPTS):
            number, place = self._order.place(index, attempt)
            found = self._sets[number]
            row = found.rows[place]
            tried.add((number, place))
            try:
                photo = self._look(image_of(found, row)) if self._look else None
                return self._of(found, row, photo, self._order.chance(index, attempt)), attempt
            except Problem as said:
                problem = str(said).rstrip(".")
        raise Problem(
            f"{len(tried)} questions in a row have an image that cannot be used, the last because {problem[0].lower()}"
            f"{problem[1:]}; check the folder of images."
        )

    def _of(self, found: Questions, row: dict, photo: Photo | None, chance: np.random.Generator) -> Example:
        """Raises Problem for a passage's picture that cannot be used."""
        instructions = found.instructions or (row["instruction"],)
        instruction = instructions[chance.integers(len(instructions))]
        images = [*(row["images"] or [""] * len(row["texts"])), *(row["negative_images"] or [])]
        images += [""] * (len(row["texts"]) + len(row["negative_texts"]) - len(images))
        positives = [number for number, text in enumerate(row["texts"]) if text.strip() or images[number]]
        chosen = positives[chance.integers(len(positives))]
        scores = row["scores"] or [np.nan] * (len(row["texts"]) + len(row["negative_texts"]))
        documents = [(row["ids"][chosen], row["texts"][chosen], images[chosen], scores[chosen])]
        count = min(self._negatives.mined, len(row["negative_texts"]))
        for number in _in_turn(row, chance)[:count]:
            place = len(row["texts"]) + number
            documents.append((row["negative_ids"][number], row["negative_texts"][number], images[place], scores[place]))
        while len(documents) < 1 + self._negatives.mined + self._negatives.sampled:
            documents.append((*_any_passage(found, chance), np.nan))
        question = found.asked[chance.integers(len(found.asked))] if found.asked else row["question"]
        return Example(
            question,
            instruction,
            photo,
            [(text, keys_of(found.name, each, text, image)) for each, text, image, _ in documents],
            [self._picture(found, image) for _, _, image, _ in documents],
            [score for *_, score in documents],
            wanted_by(found.name, row),
        )

    def _picture(self, found: Questions, image: str) -> Image.Image | None:
        return load_image(image_file(image, found.images)) if image and self._pictures else None


class Batches(Dataset):
    """Each item is this process's part of the batch of that number, or the Problem that there is with it: what another
    process raises would come as its traceback.

    batch: questions in it, over all processes."""

    def __init__(self, drawing: Drawing, inputs: Inputs, batch: int, rank: int, processes: int) -> None:
        self._drawing = drawing
        self._inputs = inputs
        self._batch = batch
        self._mine = range(rank * batch // processes, (rank + 1) * batch // processes)

    def __getitem__(self, number: int) -> Batch | Problem:
        try:
            return self._made(number)
        except Problem as problem:
            return problem

    def _made(self, number: int) -> Batch:
        drawn = [self._drawing.example(number * self._batch + place) for place in self._mine]
        examples = [example for example, _ in drawn]
        documents = [document for example in examples for document in example.documents]
        pictures = [picture for example in examples for picture in example.pictures]
        queries, photos = query_inputs(
            self._inputs,
            [each.question for each in examples],
            [each.instruction for each in examples],
            [each.photo for each in examples if each.photo is not None],
        )
        return Batch(
            queries=queries,
            photos=photos,
            documents=document_inputs(self._inputs, [text for text, _ in documents], pictures),
            wanted=[each.wanted for each in examples],
            keys=[keys for _, keys in documents],
            teacher=torch.tensor([each.scores for each in examples], dtype=torch.float32),
            skipped=sum(skipped for _, skipped in drawn),
        )


def in_order(batches: Batches, numbers: range, workers: int) -> Iterator[Batch]:
    """The batches of those numbers; with workers, other processes make them ahead. Raises Problem."""
    for made in DataLoader(batches, batch_size=None, sampler=numbers, num_workers=workers):
        if isinstance(made, Problem):
            raise made
        yield made


def _in_turn(row: dict, chance: np.random.Generator) -> np.ndarray:
    """The numbers of the row's negatives as they are drawn: at random, those judged nearest to right first."""
    order = chance.permutation(len(row["negative_texts"]))
    gains = row["negative_gains"]
    return order if gains is None else order[np.argsort(-np.array(gains, np.int64)[order], kind="stable")]


def _any_passage(found: Questions, chance: np.random.Generator) -> tuple[str, str, str]:
    """Id, text and image of a passage of the set; of another question's positives where it has no passages of its
    own."""
    if found.passages is not None:
        row = found.passages[int(chance.integers(len(found.passages)))]
        return row["id"], row["text"], row["image"] or ""
    row = found.rows[int(chance.integers(len(found.rows)))]
    number = int(chance.integers(len(row["texts"])))
    return row["ids"][number], row["texts"][number], row["images"][number] if row["images"] else ""


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="replace"), digest_size=8).digest(), "big")
