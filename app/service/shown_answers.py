"""An answer that was shown, as people are to judge it: its question, its photo, and what it was given from; also as
text, so that any process can send it to annotation.

Knows nothing of where it was shown, or of who judges.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from app.service.results import WHOLE, Region, Result
from kb.annotations.records import PooledAnswer, PooledPassage

if TYPE_CHECKING:
    from app.settings import Settings


@dataclass(frozen=True)
class ShownAnswer:
    """photo: the path of its file, or None. region: the part of it that was asked about. told: all of the answer, as
    Result.as_dict() says it; none where it was kept before that was."""

    photo: str | None
    question: str
    region: Region
    passages: tuple[PooledPassage, ...]
    answer: PooledAnswer
    told: dict[str, Any] | None = None

    @classmethod
    def of(cls, photo: str | None, result: Result, settings: Settings) -> Self:
        from app.service.pooling import pooled  # with the models, which take seconds to import

        *passages, answer = pooled(result, settings)
        region = tuple(float(edge) for edge in result.region)
        return cls(photo, result.searched or result.question, region, tuple(passages), answer, result.as_dict())

    @classmethod
    def of_text(cls, text: str) -> Self:
        """As `as_text` wrote it."""
        told = json.loads(text)
        for each in (*told["passages"], told["answer"]):
            each["citations"] = tuple(each["citations"])
        passages = tuple(PooledPassage(**each) for each in told["passages"])
        answer = PooledAnswer(**told["answer"])
        return cls(told["photo"], told["question"], tuple(told["region"]), passages, answer, told.get("told"))

    def as_text(self) -> str:
        return json.dumps(asdict(self))

    @property
    def whole(self) -> bool:
        """Whether it is about all of its photo."""
        return self.region == WHOLE
