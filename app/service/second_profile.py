"""The second of two profiles that are asked together: its encoder, its indexes, and one question as it is asked it.

The first says what a photo shows and whether there is an answer; both rank the passages, and their rankings are fused
by places. Each passage is told, scored and explained by the profile that placed it higher. Knows nothing of answers or
pages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from app.service.encoder_lock import SharedEncoder
from app.service.indexes import Indexes, states_of
from app.service.job_states import IndexState
from app.service.results import Subject
from app.service.retrieval import RERANKED, Ranking, alignments_of, ask_indexes
from app.settings import Settings
from common.jobs import Progress
from common.passage import Evidence
from kb.catalogue import Catalogue
from retriever.encoders.base import Encoder, Query, QueryVectors
from retriever.encoders.registry import profiles_in
from retriever.index import Index
from retriever.search.explain import Alignment
from retriever.search.fusion import fuse

LOOK = 0.2  # seconds between two looks at what is waited for

Search = Callable[[Subject | None], tuple[Ranking, Subject | None]]


@dataclass
class Second:
    """A question as the second profile is asked it. names: of both profiles. query: once it is asked. placed_higher:
    the passages that it placed higher than the first one, once they were found."""

    names: tuple[str, str]
    encoder: SharedEncoder
    indexes: Mapping[str, Index]
    query: QueryVectors | None = None
    placed_higher: frozenset[str] = field(default_factory=frozenset)

    @property
    def states(self) -> tuple[Hashable, ...]:
        return states_of(self.indexes)

    def ask(self, query: Query) -> Second:
        """Where models may be called."""
        [self.query] = self.encoder.encode_queries([query])
        return self

    def beside(self, search: Search, run: Callable[..., Any], k: int) -> Search:
        """A search whose ranking is fused with this one. run(work, ...): calls it where searches are made."""

        def both(subject: Subject | None) -> tuple[Ranking, Subject | None]:
            ranking, told = search(subject)
            return run(self._fused, ranking, k), told

        return both

    def said(self, passages: Sequence[Evidence]) -> tuple[Evidence, ...]:
        """The passages, each with the profile that found it; how like the photo a picture is, the first one says."""
        first, second = self.names
        return tuple(
            replace(each, by=second, alike=None) if each.id in self.placed_higher else replace(each, by=first)
            for each in passages
        )

    def aligned(
        self, passages: Sequence[Evidence], alignments: Sequence[Alignment | None]
    ) -> tuple[Alignment | None, ...]:
        """The alignments, of those that this one found with its own query."""
        mine = [passage for passage in passages if passage.by == self.names[1]]
        own = dict(zip((each.id for each in mine), alignments_of(self.indexes, self.query, mine), strict=True))
        return tuple(own.get(each.id, aligned) for each, aligned in zip(passages, alignments, strict=True))

    def _fused(self, ranking: Ranking, k: int) -> Ranking:
        own = ask_indexes(self.indexes, self.query, max(2 * k + 10, RERANKED))
        firsts, seconds = ([name for name, _ in each] for each in (ranking, own))
        place = {name: number for number, name in enumerate(firsts)}
        higher = {name for number, name in enumerate(seconds) if number < place.get(name, len(seconds))}
        self.placed_higher = frozenset(higher)
        scores = dict(ranking) | {name: score for name, score in own if name in higher}
        return [(name, scores[name]) for name in fuse([firsts, seconds]) if name in scores]


def told_apart(profiles: tuple[str, ...]) -> tuple[str, ...]:
    """What profiles are called where people see it: of the paths of folders no more than tells them apart, as nobody
    else is to know where on this machine they lie."""
    parts = [profile.replace("\\", "/").rstrip("/").split("/") for profile in profiles]
    shown: tuple[str, ...] = profiles
    for count in range(1, max(map(len, parts)) + 1):
        shown = tuple("/".join(each[-count:]) for each in parts)
        if len(set(shown)) == len(shown):
            break
    return shown


class SecondProfile:
    """Beside a service's first profile; from any thread.

    loader(progress): called once for its encoder. first(progress): the first one's, which is loaded
    before, so that memory is asked for in turn. indexes: the first one's, which these go along with."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        loader: Callable[[Progress], Encoder],
        first: Callable[[Progress], SharedEncoder],
        indexes: Indexes,
    ) -> None:
        profiles = profiles_in(settings.profile)
        self._names = told_apart(profiles)
        self._loader, self._first = loader, first
        self._encoder: SharedEncoder | None = None
        self._loading = threading.Lock()
        self._before = indexes
        own = settings.model_copy(update={"profile": profiles[1]})
        self._indexes = indexes.also = Indexes(own, catalogue, self.encoder, self._wait)

    def encoder(self, progress: Progress = lambda done, total: None) -> SharedEncoder:
        """As AnswerService.encoder."""
        first = self._first(progress)
        while not self._loading.acquire(timeout=LOOK):
            progress(0, 0)
        try:
            if self._encoder is None:
                self._encoder = SharedEncoder(self._loader(progress), first)
            return self._encoder
        finally:
            self._loading.release()

    def ready(self, corpora: Sequence[str]) -> Second:
        """To be asked of these. Raises Problem where none of them can be searched yet."""
        indexes = self._indexes.searchable(corpora)
        return Second(self._names, self.encoder(), indexes)

    def _wait(self, corpus: str, progress: Progress) -> None:
        """Until the first one has fetched the corpus."""
        while self._before.own_status(corpus).state in (IndexState.STARTING, IndexState.FETCHING):
            progress(0, 0)
            time.sleep(LOOK)
