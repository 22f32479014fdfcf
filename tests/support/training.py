"""A small model, made-up batches and a made-up M2KR for tests of training.

`python -m tests.support.training RECIPE FOLDER CACHE [resume]` trains in a process that a test can kill; it prints the
number of each step that it has made.
"""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from common.problems import Problem
from retriever.encoders.flmr import FLMRModelForRetrieval
from retriever.training.gradients import Batch
from retriever.training.reading import read_recipe
from retriever.training.trainer import train
from tests.support.checkpoints import VOCABULARY, write_checkpoint
from tests.support.m2kr import question, write_task

GROUP = 2
DOCUMENT_TOKENS = (7, 12)  # of the first half of a batch's questions and of the second


def small_model(folder: Path) -> FLMRModelForRetrieval:
    if not (folder / "config.json").is_file():
        write_checkpoint(folder)
    return FLMRModelForRetrieval.from_pretrained(folder)


def made_batch(questions: int, start: int = 0, end: int | None = None) -> Batch:
    """Questions `start` to `end` of a made-up batch of so many; the third wants the first's positive too."""
    chance = torch.Generator().manual_seed(questions)
    end = questions if end is None else end

    def words(rows: int, tokens: int) -> torch.Tensor:
        ids = torch.randint(40, len(VOCABULARY), (rows, tokens), generator=chance)
        ids[:, 0] = VOCABULARY.index("[CLS]")
        return ids

    queries = words(questions, 8)
    queries[:, 3] = VOCABULARY.index(":")
    pixels = torch.randn(questions, 3, 32, 32, generator=chance)
    documents = words(questions * GROUP, max(DOCUMENT_TOKENS))
    mask = torch.ones_like(documents)
    short = torch.arange(len(documents)) < questions * GROUP // 2
    documents[short, min(DOCUMENT_TOKENS) :] = 0
    mask[short, min(DOCUMENT_TOKENS) :] = 0
    longest = int(mask[start * GROUP : end * GROUP].sum(1).max())
    theirs = slice(start * GROUP, end * GROUP)
    wanted = [frozenset({n * GROUP}) for n in range(questions)]
    wanted[2] |= {0}
    teacher = torch.randn(questions, GROUP, generator=chance)
    return Batch(
        queries={
            "input_ids": queries[start:end],
            "attention_mask": torch.ones_like(queries[start:end]),
            "pixel_values": pixels[start:end],
        },
        documents={"input_ids": documents[theirs, :longest], "attention_mask": mask[theirs, :longest]},
        wanted=wanted[start:end],
        keys=[(n,) for n in range(questions * GROUP)][theirs],
        teacher=teacher[start:end],
    )


def gradients_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


# A made-up M2KR in the published layout. A creature is known by the colours of its upper and lower half; what it eats
# and where it lives are passages of their own, so that a question with a photo needs both to be understood.

COLOURS = {
    "red": (220, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 220), "white": (230, 230, 230), "black": (9, 9, 9),
}  # fmt: skip
# Each pair of colours in one order only: an untrained vision encoder hardly tells the upper half from the lower.
CREATURES = dict(
    zip("lion zebra otter heron gecko tapir moth crab bison finch".split(), combinations(COLOURS, 2), strict=True)
)
FACTS = {"food": ("what does this eat", "eats"), "home": ("where does this live", "lives in")}
WORLD_WORDS = (
    *CREATURES, *COLOURS, "what", "does", "this", "eat", "eats", "where", "live", "lives", "in", "find", "it", "the",
    "about", "an", "image", "question", "identify", "food", "home", "grass", "forest",
)  # fmt: skip
PER_CREATURE = {"train": 8, "valid": 2}


def write_vocabulary(folder: Path) -> Path:
    folder.mkdir(parents=True)
    words = [*VOCABULARY, *(word for word in WORLD_WORDS if word not in VOCABULARY)]
    (folder / "vocab.txt").write_text("\n".join(words))
    return folder


def photo_of(name: str, chance: np.random.Generator) -> Image.Image:
    upper, lower = (np.array(COLOURS[each]) for each in CREATURES[name])
    pixels = np.empty((32, 32, 3))
    pixels[:16], pixels[16:] = upper, lower
    return Image.fromarray((pixels + chance.normal(0, 20, pixels.shape)).clip(0, 255).astype(np.uint8))


def passage_of(name: str, fact: str) -> str:
    return f"the {name} {FACTS[fact][1]} {'grass' if fact == 'food' else 'forest'}"


def write_world(root: Path) -> Path:
    """`m2kr` with MSMARCO (text alone), WIT (photo alone) and EVQA (both), `images`, and `words`, a vocabulary."""
    chance = np.random.default_rng(0)
    passages = {f"{name}-{fact}": passage_of(name, fact) for name in CREATURES for fact in FACTS}
    whole = {name: f"{name} the {name}" for name in CREATURES}
    for split, count in PER_CREATURE.items():
        rows: dict[str, list[dict]] = {"MSMARCO": [], "WIT": [], "EVQA": []}
        for name in CREATURES:
            for number in range(count):
                image = f"{split}/{name}-{number}.png"
                (root / "images" / split).mkdir(parents=True, exist_ok=True)
                photo_of(name, chance).save(root / "images" / image)
                fact = list(FACTS)[number % 2]
                one = FACTS[fact][0]
                about = f"{one} {name}".replace("this ", "the ")
                rows["MSMARCO"].append(_row(about, None, f"{name}-{fact}", passages, "find it"))
                rows["WIT"].append(_row(None, image, name, whole, "identify the image"))
                rows["EVQA"].append(_row(one, image, f"{name}-{fact}", passages, "find about this image"))
        for task, asked in rows.items():
            write_task(root / "m2kr", task, asked, whole if task == "WIT" else passages, split, shards=2)
    write_vocabulary(root / "words")
    return root


def _row(text: str | None, image: str | None, wanted: str, passages: dict[str, str], instruction: str) -> dict:
    row = question(f"q-{text}-{image}", text, image, [wanted], instruction=instruction)
    return row | {"pos_item_contents": [passages[wanted]]}


def main(recipe: str, folder: str, cache: str, resume: str = "") -> int:
    """Train. After each step its number is written, and a line is waited for, unless no more will come."""
    torch.set_num_threads(1)

    def told(line: dict) -> None:
        if line.keys() == {"step"}:
            print(line["step"], flush=True)
            sys.stdin.readline()

    try:
        train(read_recipe(Path(recipe)), Path(folder), Path(cache), bool(resume), told)
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
