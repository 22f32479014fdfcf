"""The files of ReT-M2KR, the version of M2KR that ReT's authors publish: JSON lines, and an image beside a passage.

    evqa_test_m2kr.jsonl or evqa_test.jsonl      questions of the task E-VQA, split test; the first where both are there
    evqa_passages_test.jsonl                     the passages they are asked of

The names of files and columns are those that the authors' evaluation reads. Assumed: that other splits are called
likewise, "valid" perhaps "val", and that in the Hub's data set they lie below jsonl/m2kr. Knows nothing of encoders,
measures or images; what is wrong with the files ends here, as a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from common.problems import Problem, unreadable
from retriever.evaluation.m2kr.layout import MOST_PASSAGES, MOST_QUESTIONS, ROWS, PassageRow, Question
from retriever.json_lines import json_rows

HUB_ID = "aimagelab/ReT-M2KR"
_BELOW = "jsonl/m2kr"  # where they lie in the Hub's data set, beside files of other benchmarks
_SPLITS = {"valid": ("valid", "val")}
_BLOCK = 1 << 20


def patterns(task: str, split: str) -> list[str]:
    """What to fetch of the Hub's data set."""
    return [f"{_BELOW}/*{name}" for said in _called(split) for name in (*_questions(task, said), _passages(task, said))]


def has_layout(data: Path) -> bool:
    """Whether a folder holds passages of any task so."""
    return any(True for _ in _below(data, "*_passages_*.jsonl"))


def find_files(data: Path, task: str, split: str) -> tuple[Path, Path]:
    """The file of questions and that of passages. Raises Problem."""
    for said in _called(split):
        passages = next(_below(data, _passages(task, said)), None)
        found = (file for name in _questions(task, said) for file in _below(data, name))
        questions = next(found, None)
        if passages and questions:
            return questions, passages
        if passages or questions:
            lacking = _questions(task, said)[-1] if passages else _passages(task, said)
            there = passages or questions
            raise Problem(f"The folder {there.parent} holds no file {lacking} beside {there.name}; put it there.")
    raise Problem(
        f"The folder {data} holds files of ReT-M2KR, and no {_passages(task, split)}; choose another task or split, or "
        "put the file there."
    )


def read_questions(file: Path) -> list[Question]:
    """All questions, in order. Raises Problem, also when there are none."""
    questions = list(islice(each_question(file), MOST_QUESTIONS + 1))
    if len(questions) > MOST_QUESTIONS:
        raise Problem(f"There are more than {MOST_QUESTIONS:,} questions in {file}, and no more can be used.")
    if not questions:
        raise Problem(f"There are no questions in {file}; fetch it again.")
    return questions


def each_question(file: Path) -> Iterator[Question]:
    """In order, however many. Raises Problem."""
    for where, row in json_rows(file):
        yield Question(
            id=_id(row, "data_id", where),
            text=_text(row, "question", where),
            instruction=_text(row, "instruction", where),
            image=_text(row, "image_path", where) or None,
            positives=tuple(_ids(row, where)),
            answers=tuple(_answers(row, where)),
        )


def count_passages(file: Path) -> int:
    """How many lines the file has, which may be empty ones. Raises Problem, also when there are none or too many."""
    try:
        with file.open("rb") as content:
            count = sum(block.count(b"\n") for block in iter(lambda: content.read(_BLOCK), b""))
    except OSError as problem:
        raise unreadable(file, problem) from None
    if count > MOST_PASSAGES:
        raise Problem(f"There are {count:,} passages in {file}, and no more than {MOST_PASSAGES:,} can be used.")
    return max(count, 1)  # a last line may have no end


def read_passages(file: Path) -> Iterator[list[PassageRow]]:
    """The passages in order, some at a time; a null text is "". Raises Problem."""
    rows = json_rows(file)
    while some := list(islice(rows, ROWS)):
        yield [
            PassageRow(
                _id(row, "passage_id", where),
                _text(row, "passage_text", where),
                _text(row, "passage_image_path", where) or None,
            )
            for where, row in some
        ]


def _called(split: str) -> tuple[str, ...]:
    return _SPLITS.get(split, (split,))


def _questions(task: str, split: str) -> tuple[str, str]:
    return f"{task.lower()}_{split}_m2kr.jsonl", f"{task.lower()}_{split}.jsonl"


def _passages(task: str, split: str) -> str:
    return f"{task.lower()}_passages_{split}.jsonl"


def _below(data: Path, name: str) -> Iterator[Path]:
    """Files of that name. Not in all folders: images may lie in others, by the million."""
    if (data / _BELOW).is_dir():
        yield from sorted((data / _BELOW).rglob(name))
    for folder in (data, data / "passages"):
        yield from sorted(folder.glob(name))


def _id(row: dict[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if value is None or value == "" or isinstance(value, bool | float | list | dict):
        raise Problem(f"`{name}` in {where} is no id; it is not a file of ReT-M2KR, or fetch it again.")
    return str(value)


def _text(row: dict[str, Any], name: str, where: str) -> str:
    if name not in row:
        raise Problem(f"There is no `{name}` in {where}; it is not a file of ReT-M2KR as published.")
    if not isinstance(value := row[name] or "", str):
        raise Problem(f"`{name}` in {where} is no text; it is not a file of ReT-M2KR, or fetch it again.")
    return value


def _ids(row: dict[str, Any], where: str) -> list[str]:
    """The positives: an id or a list of them."""
    if "passage_id" not in row:
        raise Problem(f"There is no `passage_id` in {where}; it is not a file of questions of ReT-M2KR.")
    given = row["passage_id"]
    if given is None:
        return []
    return [_id({"passage_id": each}, "passage_id", where) for each in (given if isinstance(given, list) else [given])]


def _answers(row: dict[str, Any], where: str) -> list[str]:
    """Texts, or, where the answer is a number or a range, an object that has it as `wikidata`."""
    given = row.get("answer") or []
    if not isinstance(given, list):
        given = [given]
    found = [str(each.get("wikidata", "")) if isinstance(each, dict) else each for each in given]
    if not all(isinstance(each, str) for each in found):
        raise Problem(f"`answer` in {where} is no list of texts; it is not a file of ReT-M2KR, or fetch it again.")
    return [each for each in found if each]
