"""What commands that measure say of a reranker: the same questions without and with it, and what it took.

Knows nothing of how anything is found or answered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Any

from PIL.Image import Image

from app.service.results import EvidenceFound
from app.settings import IDENTIFY, LISTWISE, POINTWISE, Settings
from common.jobs import Progress
from common.passage import Evidence
from common.problems import Problem
from common.reranking import Reranker, total
from retriever.evaluation.measures import Ranks, rank_of
from retriever.search.rerank import placed


@dataclass
class Cost:
    """by: the reranker's name, "" before it was asked. asked: questions. stood: those of which some passages stand as
    they were found, with the first reason, a sentence."""

    by: str = ""
    asked: int = 0
    seconds: float = 0.0
    tokens: list[int | None] = field(default_factory=list)
    stood: int = 0
    reason: str = ""

    def add(self, by: str, seconds: float, tokens: int | None, said: str) -> None:
        self.by, self.asked, self.seconds = by, self.asked + 1, self.seconds + seconds
        self.tokens.append(tokens)
        self.stood += bool(said)
        self.reason = self.reason or said

    def as_dict(self) -> dict[str, Any]:
        """Per question that it was asked."""
        tokens = total(self.tokens)
        return {
            "by": self.by,
            "asked": self.asked,
            "seconds": round(self.seconds / max(1, self.asked), 3),
            "tokens": None if tokens is None else round(tokens / max(1, self.asked), 1),
            "stood": self.stood,
            "reason": self.reason,
        }

    def line(self) -> str:
        each = self.as_dict()
        told = "" if each["tokens"] is None else f" and {each['tokens']:,} tokens"
        stood = f"; for {self.stood} not all passages were put in order: {self.reason}" if self.stood else ""
        return f"reranked by {self.by}: {each['seconds']:.3f} seconds{told} a question, of {self.asked} asked{stood}"


@dataclass
class RanksBeside:
    """The ranks of what is wanted, with the reranker and as it was found."""

    ranks: list[int | None] = field(default_factory=list)
    before: list[int | None] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)

    def add(self, title: str, found: EvidenceFound) -> None:
        self.ranks.append(rank_of(title, titles(found.passages)))
        if found.reranked is None:
            self.before.append(self.ranks[-1])
            return
        known = sorted((each for each in found.passages if each.was is not None), key=lambda each: each.was)
        self.before.append(rank_of(title, titles(known)))
        reranked = found.reranked
        self.cost.add(reranked.by, reranked.seconds, reranked.tokens, reranked.said)

    def as_dict(self, measured: Callable[[Ranks], dict[str, float]]) -> dict[str, Any]:
        """Nothing where no reranker was asked."""
        if not self.cost.asked:
            return {}
        return {"without_reranking": measured(self.before), "reranking": self.cost.as_dict()}


def titles(passages: Sequence[Evidence]) -> list[str]:
    """Titles in the order found, each once: an article counts at its best passage."""
    return list(dict.fromkeys(passage.title for passage in passages))


def reranker_of(settings: Settings, progress: Progress) -> Reranker | None:
    """That of the settings, for passages without titles; None where there is none. Raises Problem."""
    from app.service.answerers import chat_model
    from app.service.reranking import reranker_for

    if settings.rerank == IDENTIFY:
        raise Problem("To identify what a photo shows needs passages with titles, which M2KR's do not have.")
    model = chat_model(settings, progress) if settings.rerank in (POINTWISE, LISTWISE) else None
    return reranker_for(settings.rerank, model, settings.cache_dir, progress)


def put_in_order(
    reranker: Reranker,
    questions: Sequence[str],
    evidence: Sequence[Sequence[Evidence]],
    photo: Callable[[int], Image | None],
    cost: Cost,
    told: Callable[[int], None] = lambda done: None,
) -> list[tuple[Evidence, ...]]:
    """The passages of each question in the reranker's order; as they are where it fails. photo gives the image that
    goes with the question of that number, from 0. cost: to which it is added what it took."""
    from app.service.reranking import groups_of  # with the index's libraries, which take seconds to import

    ordered = []
    reranker.ready()
    for number, (question, passages) in enumerate(zip(questions, evidence, strict=True)):
        began, tokens, places, groups = perf_counter(), None, (), None
        candidates = passages[: reranker.most]
        try:
            image = photo(number)
            order = reranker.order(question, image, candidates)
            groups = groups_of(reranker, image, candidates, None)
            places, said, tokens = order.places, order.said, order.tokens
        except Problem as problem:
            said = str(problem)
        cost.add(reranker.name, perf_counter() - began, tokens, said)
        moved = [candidates[place] for place in placed(len(candidates), places, groups)]
        was = {id(passage): place for place, passage in enumerate(passages, start=1)}
        now = enumerate([*moved, *passages[reranker.most :]], start=1)
        ordered.append(tuple(replace(passage, rank=rank, was=was[id(passage)]) for rank, passage in now))
        told(number + 1)
    return ordered
