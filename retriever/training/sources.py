"""Where questions and passages come from: M2KR in its published layout, JSONL or photographs of one's own, photographs
that are drawn; as rows of one form.

What is read is kept in the cache as tables (tables.py), and read again only when its files have changed. Knows nothing
of models or batches. Files are untrusted; what is wrong with them is a sentence here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from common.jobs import Progress
from common.problems import Problem
from common.text import shown
from retriever.evaluation.m2kr import ret_layout
from retriever.evaluation.m2kr.layout import PassageRow, find_shards, has_column, read_passages, read_rows
from retriever.evaluation.m2kr.locating import locate
from retriever.json_lines import json_rows
from retriever.training.drawn import DrawnRows
from retriever.training.files import one_at_a_time
from retriever.training.photographs import ASKED, list_photos, plain_title, rows_of
from retriever.training.question_rows import without_negatives
from retriever.training.recipe import M2KR, DataSet, HeldOut, Recipe
from retriever.training.tables import Part, Table, write_table

VERSION = 3  # of the tables: raise it when they change, and all are made anew
_MOST_INSTRUCTIONS = 64  # of a task that are kept
_LARGEST_SCORE = 1e9  # of a teacher
_TEXT, _TEXTS = pa.string(), pa.list_(pa.string())
QUESTIONS = pa.schema(
    {
        "question": _TEXT,
        "instruction": _TEXT,
        "image": _TEXT,  # a path below the set's images, or null
        "bytes": pa.binary(),  # an image's file, or null
        "ids": _TEXTS,  # of the positives; "" where they have none
        "texts": _TEXTS,
        "images": _TEXTS,  # beside them, "" for none; null where none has any
        "negative_ids": _TEXTS,
        "negative_texts": _TEXTS,
        "negative_images": _TEXTS,
        "negative_gains": pa.list_(pa.int32()),  # how near to right people judged each, or null
        "scores": pa.list_(pa.float32()),  # a teacher's, of the positives and then the negatives, or null
    }
)
PASSAGES = pa.schema({"id": _TEXT, "text": _TEXT, "image": _TEXT})


@dataclass(frozen=True)
class Questions:
    """A set of questions, ready to be drawn from.

    name: as in the recipe. rows: as QUESTIONS says. passages: those that they are asked of, as PASSAGES says; None
    where only the questions name any. images: folders that images are looked for in. instructions: one is drawn for
    each question, its own is taken where there are none. asked: likewise for rows that are photographs alone."""

    name: str
    rows: Table | Part | DrawnRows
    passages: Table | None
    images: tuple[Path, ...]
    instructions: tuple[str, ...]
    asked: tuple[str, ...] = ()

    def question(self, row: dict[str, Any]) -> str:
        """What a row asks, where it is always to be the same."""
        return self.asked[0] if self.asked else row["question"]

    @property
    def key(self) -> str:
        """Says what the set holds."""
        return self.rows.about["key"] + (self.passages.about["key"] if self.passages is not None else "")

    @property
    def dropped(self) -> int:
        """Rows without a positive passage."""
        return self.rows.about["dropped"]


Reading = Callable[[dict[str, Any]], Iterator[dict[str, Any]]]  # given `about`, which it may fill; gives rows


def open_set(
    each: DataSet | HeldOut,
    m2kr: M2KR | None,
    cache_dir: Path,
    progress: Progress = lambda done, total: None,
    seed: int = 0,
) -> Questions:
    """The set that a recipe names; its tables are made in `cache_dir` unless they are there, and files are fetched
    there, progress(bytes done, bytes in all). seed: of what is drawn. Raises Problem."""
    cache = cache_dir / "training"
    if each.source:
        raise Problem(f"{each.source} names judgments, which have not been written out for this run.")
    if getattr(each, "drawn", 0):
        found = _of_drawn(each, cache, seed)
    elif each.task:
        data = locate(m2kr.folder, each.task, each.split, cache_dir, "m2kr.folder", progress)
        found = _of_m2kr(each, m2kr, data, cache)
    else:
        found = _of_photos(each, cache) if each.photos else _of_jsonl(each, cache)
    if not len(found.rows):
        raise Problem(
            f"No question of {each.name} has a positive passage ({found.dropped:,} were read); say for each which "
            "passages answer it."
        )
    if not found.rows.about["several"] and (found.passages is None or len(found.passages) < 2):
        more = "Add others" if each.passages else "Give questions of several"
        raise Problem(
            f"There is one passage only in {each.passages or each.name}; nothing can be told from it. {more}."
        )
    return found


def limited(found: Questions, count: int, seed: int) -> Questions:
    """So many of the set's questions, drawn by the seed, so that a smaller number's are among a larger one's; all
    where the set has no more, or for 0."""
    if not 0 < count < len(found.rows):
        return found
    rows = np.random.default_rng([seed, len(found.rows)]).permutation(len(found.rows))[:count]
    return replace(found, rows=Part(found.rows, rows.astype(np.uint32)))


def check_sets(recipe: Recipe, sets: Sequence[Questions]) -> None:
    """Raises Problem where a recipe can learn nothing from its sets. Looks at their rows until one says that it can,
    the second as a rule."""
    there, batch = sum(len(each.rows) for each in sets), recipe.train.batch
    alone = not recipe.negatives.sampled + recipe.negatives.mined
    if there == 1 and alone:
        raise Problem(
            "The data hold one question, and without negatives nothing can be learned from it; add questions, or set "
            "negatives.sampled to 1 or more."
        )
    if batch > there:
        hold = "one question; make it 1" if there == 1 else f"{there:,} questions; make it {there} or less"
        raise Problem(f"train.batch is {batch}, and the data hold {hold}.")
    of_jsonl = [found for found, each in zip(sets, recipe.data, strict=True) if each.jsonl]  # others have no scores
    if recipe.distil.weight and not any(row["scores"] and row["negative_texts"] for row in _all_rows(of_jsonl)):
        raise Problem(
            "distil.weight is set, and no question of the data has negatives with scores of a teacher; add `scores` to "
            "the rows of JSONL (python -m retriever mine --scores writes them), or leave [distil] out."
        )
    if alone:
        answers = (_answers(row) for row in _all_rows(sets))
        first = next(answers)
        if all(each == first for each in answers):
            raise Problem(
                "All questions of the data have the same positives, and without negatives nothing can be learned from "
                "them; add questions of other passages, or set negatives.sampled to 1 or more."
            )


def _all_rows(sets: Sequence[Questions]) -> Iterator[dict[str, Any]]:
    return (each.rows[number] for each in sets for number in range(len(each.rows)))


def _answers(row: dict[str, Any]) -> frozenset[tuple[str, str]]:
    pairs = zip_longest(row["texts"], row["images"] or (), fillvalue="")
    return frozenset((text, image) for text, image in pairs if text.strip() or image)


def _table(cache: Path, files: list[Path], what: str, schema: pa.Schema, read: Reading) -> Table:
    """What was read from files as they are now."""
    try:
        stamps = [(str(each.resolve()), each.stat().st_size, each.stat().st_mtime_ns) for each in files]
    except OSError as problem:
        raise Problem(f"{problem.filename} cannot be read ({problem.strerror}); check the recipe.") from None
    name = hashlib.sha256(json.dumps([VERSION, what, stamps]).encode()).hexdigest()[:24]
    path = cache / f"{what}-{name}"
    if not path.is_dir():
        with one_at_a_time(cache):
            if not path.is_dir():
                about: dict[str, Any] = {}
                write_table(path, schema, read(about), about)
    return Table(path)


def _kept(rows: Iterator[dict[str, Any]], about: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows that have a positive; notes how many had none, whether there is more than one passage among all, and
    the first instructions."""
    about.update(dropped=0, several=False, instructions=[])
    first, instructions = None, about["instructions"]
    for row in rows:
        images = [*(row["images"] or [""] * len(row["texts"])), *(row["negative_images"] or [])]
        if not any(text.strip() for text in row["texts"]) and not any(images[: len(row["texts"])]):
            about["dropped"] += 1
            continue
        for passage in zip_longest([*row["texts"], *row["negative_texts"]], images, fillvalue=""):
            first = passage if first is None else first
            about["several"] |= passage != first
        if row["instruction"] and row["instruction"] not in instructions and len(instructions) < _MOST_INSTRUCTIONS:
            instructions.append(row["instruction"])
        yield row


# M2KR


def _of_m2kr(each: DataSet | HeldOut, m2kr: M2KR, folder: Path, cache: Path) -> Questions:
    if ret_layout.has_layout(folder):
        file, listed = ret_layout.find_files(folder, each.task, each.split)
        read = ret_layout.read_passages
        passages = _table(cache, [listed], "passages", PASSAGES, lambda about: _m2kr_passages(read(listed)))
        rows = _table(
            cache, [file, listed], "questions", QUESTIONS, lambda about: _kept(_ret_rows(file, passages, listed), about)
        )
        return _m2kr_questions(each, m2kr, rows, passages)
    for part in ("data", "passages"):
        if not (folder / f"{each.task}_{part}").is_dir():
            raise Problem(
                f"m2kr.folder is {m2kr.folder!r}, which holds no folder {each.task}_{part}; say where M2KR lies, or "
                "correct the task."
            )
    shards = find_shards(folder, f"{each.task}_data", each.split)
    pool = find_shards(folder, f"{each.task}_passages", f"{each.split}_passages")
    rows = _table(cache, list(shards), "questions", QUESTIONS, lambda about: _kept(_m2kr_rows(shards), about))
    passages = _table(cache, list(pool), "passages", PASSAGES, lambda about: _m2kr_passages(read_passages(pool)))
    return _m2kr_questions(each, m2kr, rows, passages)


def _m2kr_questions(each: DataSet | HeldOut, m2kr: M2KR, rows: Table, passages: Table) -> Questions:
    own = getattr(each, "instructions", ()) or tuple(rows.about["instructions"] if isinstance(each, DataSet) else ())
    images = Path(m2kr.images).expanduser()
    return Questions(each.name, rows, passages, (images, images / each.task) if m2kr.images else (), own)


def _m2kr_rows(shards: tuple[Path, ...]) -> Iterator[dict[str, Any]]:
    columns = {"question": "text", "instruction": "text", "img_path": "text"}
    columns |= {"pos_item_ids": "texts", "pos_item_contents": "texts"}
    if has_column(shards, "image"):
        columns["image"] = "image"
    for batch in read_rows(shards, columns):
        for row in batch:
            image = row.get("image")
            texts = [text or "" for text in row["pos_item_contents"] or ()]
            ids = [each or "" for each in row["pos_item_ids"] or ()]
            ids = [*ids, *[""] * len(texts)][: len(texts)]
            asked = row["question"] or "", row["instruction"] or "", row["img_path"] or None
            yield {
                **without_negatives(*asked, ids, texts, []),
                "bytes": image["bytes"] if isinstance(image, dict) else image,
            }


def _ret_rows(file: Path, passages: Table, listed: Path) -> Iterator[dict[str, Any]]:
    """Of ReT-M2KR, whose questions name their passages by ids; one that is not among these is no positive."""
    numbers: dict[str, int] = {}
    for number, passage in enumerate(chain.from_iterable(ret_layout.read_passages(listed))):
        numbers.setdefault(passage.id, number)
    for question in ret_layout.each_question(file):
        positives = [passages[numbers[each]] for each in question.positives if each in numbers]
        images = [positive["image"] or "" for positive in positives]
        ids, texts = ([positive[key] for positive in positives] for key in ("id", "text"))
        yield without_negatives(question.text, question.instruction, question.image, ids, texts, images)


def _m2kr_passages(batches: Iterable[list[PassageRow]]) -> Iterator[dict[str, Any]]:
    for batch in batches:
        yield from ({"id": each.id, "text": each.text, "image": each.image} for each in batch)


# JSONL


def _of_jsonl(each: DataSet | HeldOut, cache: Path) -> Questions:
    file = Path(each.jsonl).expanduser()
    listed = Path(each.passages).expanduser() if each.passages else None
    images = Path(each.images).expanduser() if each.images else file.parent
    passages = None
    if listed is not None:
        passages = _table(cache, [listed], "passages", PASSAGES, lambda about: _jsonl_passages(listed))
    files = [file, *([listed] if listed else [])]
    rows = _table(
        cache, files, "questions", QUESTIONS, lambda about: _kept(_jsonl_rows(file, passages, listed), about)
    )
    return Questions(each.name, rows, passages, (images,), getattr(each, "instructions", ()))


def _of_photos(each: DataSet | HeldOut, cache: Path) -> Questions:
    photos, listed = list_photos(Path(each.photos).expanduser()), Path(each.passages).expanduser()
    passages = _table(cache, [listed], "passages", PASSAGES, lambda about: _jsonl_passages(listed))
    rows = _table(
        cache, [*photos.told_by, listed], "photos", QUESTIONS,
        lambda about: _kept(rows_of(photos, _by_title(listed), listed), about),
    )  # fmt: skip
    images = Path(each.images).expanduser() if each.images else photos.folder
    return Questions(each.name, rows, passages, (images,), getattr(each, "instructions", ()), each.ask or ASKED)


def _of_drawn(each: DataSet, cache: Path, seed: int) -> Questions:
    listed = Path(each.passages).expanduser()
    passages = _table(cache, [listed], "passages", PASSAGES, lambda about: _jsonl_passages(listed))
    rows = DrawnRows(each.drawn, _by_title(listed), seed)
    return Questions(each.name, rows, passages, (), each.instructions, each.ask or ASKED)


def _by_title(file: Path) -> dict[str, list[tuple[str, str, str]]]:
    """Ids, texts and images of the passages of a file, by what is plain of their titles."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for passage, (_, row) in zip(_jsonl_passages(file), json_rows(file), strict=True):
        if row.get("title"):
            of_title = found.setdefault(plain_title(row["title"]), [])
            of_title.append((passage["id"], passage["text"], passage["image"] or ""))
    return found


def _jsonl_passages(file: Path) -> Iterator[dict[str, Any]]:
    known: dict[str, bytes] = {}  # a digest of each passage, by its id: texts of millions would fill the memory
    for where, row in json_rows(file):
        each, text, title = row.get("id"), row.get("text"), row.get("title", "")
        if not isinstance(each, str) or not each or not isinstance(text, str) or not isinstance(title, str):
            raise Problem(f"The passage in {where} needs an id and a text, and its title, if any, is a text.")
        passage = {"id": each, "text": f"{title}: {text}" if title else text, "image": _image(row, where) or None}
        digest = hashlib.blake2b(repr(passage).encode(errors="replace"), digest_size=16).digest()
        if known.setdefault(each, digest) != digest:
            raise Problem(
                f"The id {shown(each, 80)!r} in {where} is that of another passage before it; give each its own."
            )
        yield passage


def _image(row: dict[str, Any], where: str) -> str:
    """That beside a passage, a path below the set's images; "" for none."""
    if not isinstance(image := row.get("image") or "", str):
        raise Problem(f"`image` is no text in {where}; correct it.")
    return image


def _jsonl_rows(file: Path, passages: Table | None, listed: Path | None) -> Iterator[dict[str, Any]]:
    known = None
    if passages is not None:
        rows = map(passages.__getitem__, range(len(passages)))
        known = {row["id"]: (row["text"], row["image"] or "") for row in rows}
    for where, row in json_rows(file):
        check_question(row, where)
        ids, texts, images = _passages_of(row, "positives", where, known, listed)
        negative_ids, negative_texts, negative_images = _passages_of(row, "negatives", where, known, listed)
        yield {
            "question": row.get("question", ""),
            "instruction": row.get("instruction", ""),
            "image": row.get("image") or None,
            "bytes": None,
            "ids": ids,
            "texts": texts,
            "images": images,
            "negative_ids": negative_ids,
            "negative_texts": negative_texts,
            "negative_images": negative_images,
            "negative_gains": _gains(row, len(negative_texts), where),
            "scores": _scores(row, len(texts) + len(negative_texts), where),
        }


def check_question(row: dict[str, Any], where: str) -> None:
    """Raises Problem for a row that asks nothing."""
    for key in ("question", "instruction", "image"):
        if not isinstance(row.get(key, ""), str):
            raise Problem(f"`{key}` is no text in {where}; correct it.")
    if not row.get("question") and not row.get("image"):
        raise Problem(f"There is neither a question nor an image in {where}; give one of them.")


def texts_in(row: dict[str, Any], key: str, where: str) -> list[str]:
    """What a row lists under a key. Raises Problem."""
    given = row.get(key, [])
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise Problem(f"`{key}` is no list of texts in {where}; correct it.")
    return given


def _passages_of(
    row: dict[str, Any], key: str, where: str, known: dict[str, tuple[str, str]] | None, listed: Path | None
) -> tuple[list[str], list[str], list[str] | None]:
    """Ids, texts, and images where there are any: what the row gives are ids where a file of passages is named, else
    texts, or objects with a text, an image or both."""
    if known is None:
        given = row.get(key, [])
        objects = isinstance(given, list) and any(isinstance(each, dict) for each in given)
        passages = [_passage(each, where) for each in (given if objects else texts_in(row, key, where))]
        given = [""] * len(passages)
    else:
        given = texts_in(row, key, where)
        for each in given:
            if each not in known:
                raise Problem(f"The passage {each[:80]!r} in {where} is not among those of {listed}; add it there.")
        passages = [known[each] for each in given]
    images = [image for _, image in passages]
    return given, [text for text, _ in passages], images if any(images) else None


def _passage(said: object, where: str) -> tuple[str, str]:
    """Text and image."""
    said = {"text": said} if isinstance(said, str) else said
    if not isinstance(said, dict) or not isinstance(text := said.get("text") or "", str):
        raise Problem(f"A passage in {where} is neither a text nor an object with text and image; correct it.")
    return text, _image(said, where)


def _gains(row: dict[str, Any], count: int, where: str) -> list[int] | None:
    given = row.get("gains")
    if given is None:
        return None
    if not isinstance(given, list) or len(given) != count or not all(type(g) is int and 0 <= g <= 100 for g in given):
        raise Problem(f"`gains` in {where} must be {count} whole numbers from 0 to 100, one for each of the negatives.")
    return given


def _scores(row: dict[str, Any], count: int, where: str) -> list[float] | None:
    given = row.get("scores")
    if given is None:
        return None
    if not isinstance(given, list) or len(given) != count or not all(map(_is_number, given)):
        raise Problem(
            f"`scores` in {where} must be {count} numbers, a teacher's of the positives and then of the negatives."
        )
    if any(abs(each) >= _LARGEST_SCORE for each in given):
        raise Problem(f"`scores` in {where} are too large; divide them all until they are below {_LARGEST_SCORE:.0e}.")
    return given


def _is_number(said: object) -> bool:
    return type(said) is int or (type(said) is float and not isnan(said))
