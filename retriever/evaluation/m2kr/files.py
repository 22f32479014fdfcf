"""A task's files in either layout, M2KR's (layout.py) or ReT-M2KR's (ret_layout.py), read in one way.

Knows nothing of encoders, measures or images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from retriever.evaluation.m2kr import layout, ret_layout
from retriever.evaluation.m2kr.layout import PassageRow, Question


@dataclass(frozen=True)
class Files:
    """questions, passages: a split's files, in order. ret: whether they are ReT-M2KR's, whose passages have images."""

    questions: tuple[Path, ...]
    passages: tuple[Path, ...]
    ret: bool

    def read_questions(self, with_answers: bool) -> list[Question]:
        """All, in order. Raises Problem."""
        if self.ret:
            return ret_layout.read_questions(self.questions[0])
        return layout.read_questions(self.questions, with_answers)

    def may_have_answers(self) -> bool:
        """Whether the questions of a task of one's own may have answers. Raises Problem."""
        return not self.ret and layout.has_column(self.questions, "answers")

    def count_passages(self) -> int:
        """About how many. Raises Problem."""
        return ret_layout.count_passages(self.passages[0]) if self.ret else layout.count_passages(self.passages)

    def read_passages(self) -> Iterator[list[PassageRow]]:
        """All, in order, some at a time. Raises Problem."""
        return ret_layout.read_passages(self.passages[0]) if self.ret else layout.read_passages(self.passages)


def find_files(data: Path, task: str, split: str) -> Files:
    """Those of a task in a folder, of which ReT-M2KR's are known by their names. Raises Problem."""
    if data.is_dir() and ret_layout.has_layout(data):
        questions, passages = ret_layout.find_files(data, task, split)
        return Files((questions,), (passages,), ret=True)
    passages = layout.find_shards(data, f"{task}_passages", f"{split}_passages")
    return Files(layout.find_shards(data, f"{task}_data", split), passages, ret=False)
