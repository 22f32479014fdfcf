"""The stage between finding passages and answering from them: a reranker, where one is set, puts them in order anew.

Whatever a reranker does, says or fails to do, there is a ranking afterwards, and within a time limit; a sentence says
what stands as it was found. Puts the retriever's and the generator's rerankers behind one interface
(common/reranking.py); knows nothing of indexes or of pages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

from PIL import Image

from app.limits import ANSWERS_KEPT
from app.service.question_subject import identified
from app.service.results import NAMED, READ, TOLD, Reranked, Subject
from app.service.retrieval import Ranking
from app.service.second_profile import Second
from app.settings import IDENTIFY, LISTWISE, NO_RERANKING, POINTWISE
from common.cancellation import Cancelled, current
from common.jobs import Progress
from common.passage import Evidence, Passage
from common.problems import Problem
from common.recently_used import RecentlyUsed
from common.reranking import Order, Reranker
from common.text import shown
from common.worker_thread import cancellable
from generator.models.chat import ChatModel
from generator.reranking.identifying import Identifying, Shown
from generator.reranking.listwise import Listwise
from generator.reranking.pointwise import Pointwise
from kb.catalogue import Catalogue
from retriever.search.rerank import placed

SECONDS = 20.0  # that a reranker may take for a question
PAUSE = 0.1  # seconds between two looks whether it is done
STAND = "the passages stand as they were found"

log = logging.getLogger(__name__)
T = TypeVar("T")
_BY_MODEL = {POINTWISE: Pointwise, LISTWISE: Listwise, IDENTIFY: Identifying}


def reranker_for(
    how: str,
    model: ChatModel | None,
    cache_dir: Path,
    progress: Progress = lambda done, total: None,
    run: Callable[..., Any] = lambda work, *args: work(*args),
) -> Reranker | None:
    """The reranker of a setting; None for that there is none. run(work, ...): calls it where models work. Raises
    Problem."""
    if how == NO_RERANKING:
        return None
    if how in _BY_MODEL:
        if model is None:
            raise Problem(f"To rerank {how} needs a vision-language model; name one (CITESIGHT_MODEL).")
        return _BY_MODEL[how](model)
    if "/" not in how and not Path(how).exists():
        raise Problem(
            f"{shown(how, 80)!r} is no way to rerank; give {NO_RERANKING}, {POINTWISE}, {LISTWISE}, {IDENTIFY}, or the "
            "folder or Hub id of a text reranker, such as cross-encoder/ms-marco-MiniLM-L6-v2."
        )
    from retriever.search.cross_encoder import load_cross_encoder  # with transformers, which takes seconds to import

    return load_cross_encoder(how, cache_dir, progress, run)


@dataclass(frozen=True)
class Asked:
    """What passages are put in order for. which: names the photo and its part. k: passages wanted. second: the question
    as the other of two profiles was asked it."""

    question: str
    photo: Image.Image | None
    which: Hashable
    k: int
    second: Second | None = None


@dataclass(frozen=True)
class Found:
    """A ranking, and what the photo shows. places: the ranks that passages were found at, by id. reranked: None where
    nothing put them in order after that."""

    ranking: Ranking
    subject: Subject | None
    places: Mapping[str, int] = field(default_factory=dict)
    reranked: Reranked | None = None

    def told(self, passages: Sequence[Evidence]) -> tuple[Evidence, ...]:
        """The passages, with the ranks that they were found at."""
        return tuple(replace(passage, was=self.places.get(passage.id)) for passage in passages)


class Reranking:
    """What rerankers said is kept: the same passages are not put in order again for the same question and photo."""

    def __init__(self, catalogue: Catalogue, seconds: float = SECONDS) -> None:
        self._catalogue, self._seconds = catalogue, seconds
        self._orders: RecentlyUsed[Order] = RecentlyUsed(ANSWERS_KEPT)
        self._shown: RecentlyUsed[Shown] = RecentlyUsed(ANSWERS_KEPT)

    def found(
        self,
        reranker: Reranker | None,
        asked: Asked,
        subject: Subject | None,
        search: Callable[[Subject | None], tuple[Ranking, Subject | None]],
    ) -> Found:
        """What `search` finds, given what the photo shows, in the order of the reranker."""
        before, told = search(subject)
        if reranker is None:
            return Found(before, told)
        began, ranking = perf_counter(), before
        if isinstance(reranker, Identifying):
            if asked.photo is None or subject is None or subject.word == READ or told.word == NAMED:
                return Found(before, told)
            shown, reranked = self._identified(reranker, asked, subject)
            if shown is not None:
                ranking, told = search(identified(subject, shown.title))
        else:
            ranking, reranked = self._ordered(reranker, asked, before, told)
        known = self._catalogue.passages([name for name, _ in before])
        places = {passage.id: place for place, passage in enumerate(known, start=1)}
        return Found(ranking, told, places, replace(reranked, seconds=perf_counter() - began))

    def _identified(self, by: Identifying, asked: Asked, subject: Subject) -> tuple[Shown | None, Reranked]:
        """What a model says the photo shows; None where it does not say."""
        titles = [guess.title for guess in subject.guesses]
        key = (by.name, asked.which, tuple(titles))
        known = self._shown.get(key)
        if known is not None:
            return known, Reranked(by.name, tokens=0)
        shown, problem = self._tried(by, lambda: by.shown(asked.photo, titles))
        if shown is None:
            return None, Reranked(by.name, problem, failed=True)
        if shown.said:
            return None, Reranked(by.name, shown.said, tokens=shown.tokens)
        self._shown.put(key, shown)
        return shown, Reranked(by.name, tokens=shown.tokens)

    def _ordered(
        self, by: Reranker, asked: Asked, before: Ranking, subject: Subject | None
    ) -> tuple[Ranking, Reranked]:
        passages = self._catalogue.passages([name for name, _ in before])[: by.most]
        key = (by.name, asked.question, asked.which, tuple((each.id, each.content_hash) for each in passages))
        order, tokens = self._orders.get(key), 0
        if order is None:
            order, problem = self._tried(by, lambda: by.order(asked.question, asked.photo, passages))
            if order is None:
                return before, Reranked(by.name, problem, failed=True)
            tokens = order.tokens
            if not order.said:
                self._orders.put(key, order)
        groups = groups_of(by, asked.photo, passages, subject)
        moved = [passages[place].id for place in placed(len(passages), order.places, groups)]
        scores = dict(before)
        rest = [each for each in before if each[0] not in set(moved)]
        said = order.said
        if not said and rest and asked.k > by.most:
            said = f"{by.name} put the first {by.most} passages in order; the others stand as they were found."
        return [*((name, scores[name]) for name in moved), *rest], Reranked(by.name, said, tokens=tokens)

    def _tried(self, by: Reranker, work: Callable[[], T]) -> tuple[T | None, str]:
        """What the work returns; None where it fails or takes too long, and why, as a sentence."""
        name = by.name
        try:
            by.ready()
            return _within(self._seconds, work), ""
        except TimeoutError:
            return None, f"{name} was not done after {self._seconds:g} seconds; {STAND}."
        except Problem as problem:
            return None, f"{problem} {STAND[0].upper()}{STAND[1:]}."
        except Exception:  # whatever it stumbles over, the question can be answered without
            log.warning("the reranker %s failed", name, exc_info=True)
            return None, f"{name} failed; {STAND}."


def groups_of(
    by: Reranker, photo: Image.Image | None, passages: Sequence[Passage], subject: Subject | None
) -> list[Hashable] | None:
    """Among which passages a reranker may choose. Who does not see the photo cannot tell which of two things is meant;
    and where it is known what the photo shows, passages about that come first."""
    if photo is not None and not by.sees:
        return [passage.title for passage in passages]
    if subject is not None and subject.word in TOLD:
        return [passage.title in subject.leading for passage in passages]
    return None


def _within(seconds: float, work: Callable[[], T]) -> T:
    """What the work returns. Raises TimeoutError when it takes longer; it is told to stop then."""
    waiting = current()
    with closing(cancellable((work() for _ in range(1)), PAUSE, seconds)) as values:
        for value in values:
            if value is not None:
                return value
            if waiting.is_set():
                raise Cancelled
    raise RuntimeError("The work ended without a result.")
