"""Pools for annotation: what the service finds, and answers, for each item of a project that people will judge; and
what it finds now for those that they judged.

Knows nothing of people or judgments; kb/annotations/ keeps what is pooled and knows a passage again by its text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.service.ask import AnswerService
from app.service.results import Result
from app.settings import Settings
from common.jobs import Progress
from common.passage import Evidence
from common.problems import Problem
from kb.annotations.items import number_of
from kb.annotations.photos import Photos
from kb.annotations.pools import add_pool, content_hash, unpooled
from kb.annotations.projects import NoItem
from kb.annotations.records import NewItem, PooledAnswer, PooledPassage, What
from kb.annotations.settled import settled_items

_NAMED = re.compile(r"(.+) in \S+(?: and \S+)*?(?: and by words)?")  # as _retriever writes them


@dataclass
class Pooling:
    """What came of it: items that were given something, candidates that are new, those that were there already. lost:
    keys of items whose photo is gone."""

    items: int = 0
    added: int = 0
    merged: int = 0
    lost: list[str] = field(default_factory=list)


def retriever_of(service: AnswerService) -> str:
    """By which name the passages that the service finds are pooled."""
    return _retriever(service.settings, [service.settings.corpus])


def answerer_of(service: AnswerService) -> str:
    """By which name the service's answers are pooled."""
    return _answerer(service.settings, [service.settings.corpus])


def profile_in(name: str) -> str | None:
    """The profile that passages pooled by this name were found with; None for a name that says none."""
    match = _NAMED.fullmatch(name)
    return match[1] if match else None


def _retriever(settings: Settings, corpora: Sequence[str]) -> str:
    return f"{settings.profile} in {' and '.join(corpora)}{' and by words' if settings.hybrid else ''}"


def _answerer(settings: Settings, corpora: Sequence[str]) -> str:
    return f"{settings.model or 'extractive'} on {_retriever(settings, corpora)}"


def pooled(result: Result, settings: Settings) -> Iterator[PooledPassage | PooledAnswer]:
    """An answer, and the passages that it was given from, as people judge them."""
    answerer = _answerer(settings, result.corpora)
    for passage in result.passages:
        yield _pooled(passage, {answerer: passage.rank})
    yield PooledAnswer(result.answer.text, answerer, tuple(_citations(result)))


def pool(
    service: AnswerService,
    photos: Photos,
    project: str,
    k: int,
    answers: bool = False,
    progress: Progress = lambda done, total: None,
) -> Pooling:
    """Puts the k best passages of the service's corpus to each item, and with `answers` its answer. What
    has been pooled so, and as deep, is passed over: it may end at any moment and be begun again. An item of which fewer
    were found is asked again. Raises Problem."""
    wanted = {retriever_of(service): k} | ({answerer_of(service): 1} if answers else {})
    database = service.catalogue.database
    total, items = unpooled(database, project, wanted)
    report = Pooling()
    for done, (item, lacking) in enumerate(items, start=1):
        photo = None if item.photo is None else photos.path(item.photo)
        try:
            if item.photo is not None and not photos.there(item.photo):
                number_of(database, project, item.key)
                report.lost.append(item.key)
                continue
            made = add_pool(database, project, item.key, list(_found(service, item, photo, k, lacking)))
        except NoItem:  # it was removed meanwhile
            continue
        except Problem:
            if item.photo is None or photos.there(item.photo):
                raise
            continue  # the photo went with it just now; else it is told when the pooling is begun again
        report.items += 1
        report.added += made.added
        report.merged += made.merged
        progress(done, total)
    return report


def rankings(
    service: AnswerService,
    photos: Photos,
    project: str,
    k: int,
    progress: Progress = lambda done, total: None,
) -> tuple[dict[str, list[str]], list[str]]:
    """For each item of which a passage has a gain, by its key, the content hashes of the k best passages of the
    service's corpus, best first, without putting any to the pool; and the keys of those whose photo is gone, which are
    not asked. Raises Problem."""
    asked = [
        NewItem(item.question, item.photo, item.key)
        for item in settled_items(service.catalogue.database, project, What.PASSAGE)
        if any(each.gain is not None for each in item.candidates)
    ]
    found: dict[str, list[str]] = {}
    lost: list[str] = []
    for done, item in enumerate(asked, start=1):
        if item.photo is not None and not photos.there(item.photo):
            lost.append(item.key)
        else:
            photo = None if item.photo is None else photos.path(item.photo)
            passages = service.find(photo, item.question, k).passages
            found[item.key] = list(dict.fromkeys(content_hash(_pooled(each, {})) for each in passages))
        progress(done, len(asked))
    return found, lost


def _found(
    service: AnswerService, item: NewItem, photo: Path | None, k: int, lacking: set[str]
) -> Iterator[PooledPassage | PooledAnswer]:
    retriever = retriever_of(service)
    if retriever in lacking:
        for passage in service.find(photo, item.question, k).passages:
            yield _pooled(passage, {retriever: passage.rank})
    if answerer_of(service) in lacking:
        yield from pooled(service.ask_once(photo, item.question), service.settings)


def _pooled(passage: Evidence, found: dict[str, int]) -> PooledPassage:
    return PooledPassage(
        passage.text, found, passage.title, passage.section, passage.id, passage.document_id, passage.corpus,
        passage.url,
    )  # fmt: skip


def _citations(result: Result) -> Iterator[dict]:
    """Each passage that the answer cites, once, with what is quoted of it."""
    passages = {passage.rank: passage for passage in result.passages}
    quotes: dict[int, list[str]] = {}
    for each in result.answer.citations:
        quotes.setdefault(each.number, []).append(each.quote)
    for number, quoted in quotes.items():
        yield {"number": number, "passage": passages[number].id, "title": passages[number].title, "quotes": quoted}
