"""The pages that a search of the web finds for questions, whoever searches (`Provider`).

Every question is searched once. The pages found are fetched (kb/sources/web_pages.py) and read
(kb/sources/web_page_text.py). A document's `topic` is the question that found it first, its `description` says at which
rank and when it was fetched; its licence is unknown unless the page names one.

What was searched and fetched is kept, a JSON file for each question and page, and is never asked for again:

    <name of the kind of source>/searches/<hash of question and what else the search depends on>.json
    <name of the kind of source>/pages/<hash of address>.json

So a run that ends at the daily quota goes on the next day, and reading again gives the same documents. Pages that
could not be had for a reason that passes are tried again by the next run. To have everything anew, delete the folder.
Knows nothing of the database.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Any

import httpx

from common.problems import Problem
from common.whole_files import write_whole
from kb.records import (
    UNKNOWN_LANGUAGE,
    UNKNOWN_LICENCE,
    DocumentRecord,
    Item,
    Note,
    Section,
    Skipped,
    Source,
    clean_text,
)
from kb.sources.http_get import Limit, NoPage, Refused, Reply, get
from kb.sources.kinds import CORPUS, Field, SourceKind, Values
from kb.sources.public_addresses import Address, is_public
from kb.sources.questions import read_questions
from kb.sources.rows import make_source
from kb.sources.web_page_text import PageText, Reader
from kb.sources.web_pages import DELAY, MAX_URL, Fetcher, Page

RESULTS = 10  # of a question
AT_ONCE = 6  # pages fetched at the same time
MIN_TEXT = 100  # characters; pages with less are mostly walls of consent or log-in
SECONDS = 20.0  # for one request to a search
ATTEMPTS = 4
FIRST_WAIT = 1.0  # seconds before the second attempt; doubles with each
MINUTE = 60.0  # seconds to wait where so many searches a minute are allowed, and no more
_MAX_REPLY = 2_000_000  # bytes


class QuotaReached(Problem):
    """No more searches today; what was searched is kept, and the same command goes on tomorrow. `said` with the place
    {left} for what that leaves."""

    def __init__(self, said: str, left: str = "what was found before is kept") -> None:
        super().__init__(said.format(left=left))
        self.said = said


class Busy(Exception):
    """A search has no answer for now; str() says why, to follow its name. wait: seconds until it may have one."""

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass(frozen=True)
class Found:
    """A result of a search; rank counts from 1."""

    url: str
    title: str
    snippet: str
    rank: int


@dataclass(frozen=True)
class Provider:
    """Who searches: the name, for people, and the name of the kind of source, below which things are kept.

    search: a question's results, best first; raises QuotaReached, and Problem. depends: what else the results
    depend on, as JSON takes it; None for a search whose answers need not be kept."""

    name: str
    kind: str
    search: Callable[[str], list[Found]]
    depends: tuple[str | int, ...] | None


def search_kind(
    name: str, who: str, provider: Callable[[Values], Provider], settings: tuple[str, ...], homepage: str
) -> SourceKind:
    """The kind of source that asks a search, which comes of its settings, for a file of questions."""
    questions = Field(
        "questions", "File of questions", "FILE",
        "A file on that machine, a question a line or JSON. What the search needs is set where this runs.",
        value="path", required=True,
    )  # fmt: skip

    def make(values: Values) -> Source:
        searching = provider(values)  # so that what is not set is said first
        return searched_pages(read_questions(Path(values["questions"])), searching, values["corpus"], homepage)

    return SourceKind(
        name,
        f"Web pages that {who} finds for questions",
        (questions, replace(CORPUS, on_page=False)),
        make,
        in_words=f"{who}, for the questions in",
        cut=True,
        settings=settings,
    )


def searched_pages(questions: Sequence[str], provider: Provider, corpus: str = "", homepage: str = "") -> Source:
    """The source for these questions; reading raises QuotaReached at its end when searches were left for tomorrow."""
    return make_source(
        corpus or provider.kind,
        f"Pages found by {provider.name}",
        UNKNOWN_LICENCE,
        UNKNOWN_LANGUAGE,
        homepage,
        lambda cache_dir: (None, read(questions, provider, cache_dir)),
    )


def ask(
    url: httpx.URL,
    answer: Callable[[Reply], list[Found]],
    name: str,
    headers: dict[str, str] | None = None,
    limit_seconds: float = SECONDS,
) -> list[Found]:
    """What the search called `name` answers, trouble that may pass waited out, for some seconds.

    answer: what a reply says; it may raise Busy, and what it raises else is raised. Raises Problem for a
    search that does not answer.
    """
    for attempt in range(1, ATTEMPTS + 1):
        wait = FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)
        try:
            # Its address is set by whoever runs this, so it may be anywhere.
            reply = get(
                url,
                Limit(limit_seconds),
                lambda address, port: True,
                accept="application/json",
                headers=headers,
                max_bytes=_MAX_REPLY,
            )
            if reply.status < 500:
                return answer(reply)
            trouble = f"has trouble (status {reply.status})"
        except Busy as busy:
            trouble, wait = str(busy), wait if busy.wait is None else busy.wait
        except Refused as refused:
            trouble = refused.no_page.why
            if not refused.no_page.passing:
                raise Problem(f"{name} at {url.host} {trouble}; check the address.") from None
        if attempt < ATTEMPTS:
            sleep(wait)
    raise Problem(f"{name} at {url.host} {trouble}; run the same command again later, it goes on from here.")


def as_found(items: Iterable[Mapping[str, Any]], url: str, title: str, snippet: str) -> list[Found]:
    """Results as a search lists them, best first, under the names of their three parts; each address once.

    Raises ValueError, TypeError or AttributeError for what is no such list."""
    found: dict[str, Found] = {}
    for rank, item in enumerate(items, 1):
        said = [item.get(name) or "" for name in (url, title, snippet)]
        if not all(isinstance(value, str) for value in said):
            raise ValueError("not a list of results")
        address, heading, about = map(clean_text, said)
        if address and len(address) <= MAX_URL:
            found.setdefault(address, Found(address, heading[:500], about[:2000], rank))
    return list(found.values())


def read(
    questions: Sequence[str],
    provider: Provider,
    cache_dir: Path,
    may_reach: Callable[[Address, int], bool] = is_public,
    delay: float = DELAY,
) -> Iterator[Item]:
    """The documents that the questions find, by question, then rank; each page once, however often it is found.

    When the quota is reached, what follows is taken from what was kept, and QuotaReached is raised at the end. Raises
    Problem as the search does, and when the cache cannot be written. The last two arguments are Fetcher's.
    """
    kept = _Kept(cache_dir / provider.kind)
    seen: set[str] = set()  # addresses, as found
    given: set[str] = set()  # keys of documents
    pool = ThreadPoolExecutor(AT_ONCE, "page")
    with Fetcher(may_reach, delay) as fetcher, Reader() as reader:
        try:
            for question, found in _searched(questions, provider, kept):
                if not found:
                    yield Skipped(question, f"{provider.name} finds nothing for this question.")
                new = [one for one in found if one.url not in seen]
                seen.update(one.url for one in new)
                known = [kept.page(one.url) for one in new]
                pages = [
                    None if outcome else pool.submit(fetcher.fetch, one.url)
                    for one, outcome in zip(new, known, strict=True)
                ]
                for one, outcome, page in zip(new, known, pages, strict=True):
                    if outcome is None:
                        outcome = _outcome(page.result(), reader)
                        if not outcome.passing:
                            kept.keep_page(one.url, outcome)
                    record = _record(question, provider, one, outcome)
                    if isinstance(record, Skipped):
                        yield record
                    elif record.key not in given:
                        given.add(record.key)
                        yield record
                        if outcome.text is not None and outcome.text.left_out:
                            yield Note(one.url, outcome.text.left_out)
        finally:
            fetcher.close()  # else the pages under way would be waited for
            pool.shutdown(cancel_futures=True)


def _searched(questions: Sequence[str], provider: Provider, kept: _Kept) -> Iterator[tuple[str, list[Found]]]:
    """(question, what was found for it), from what is kept where it is there."""
    quota, left = None, 0  # left: questions that the quota was too small for
    for question in questions:
        found = kept.search(question, provider)
        if found is None and quota is None:
            try:
                found = provider.search(question)
                kept.keep_search(question, provider, found)
            except QuotaReached as problem:
                quota = problem
        if found is None:
            left += 1
        else:
            yield question, found
    if quota is not None:
        raise QuotaReached(quota.said, f"{left} of {len(questions)} questions are left") from None


@dataclass(frozen=True)
class _Outcome:
    """What came of fetching and reading an address, at `time` (ISO 8601, UTC): `text` of the page at `url`, or `why`
    there is none, and whether that may pass."""

    url: str
    time: str
    text: PageText | None
    why: str = ""
    passing: bool = False


def _outcome(page: Page | NoPage, reader: Reader) -> _Outcome:
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(page, NoPage):
        return _Outcome("", time, None, f"The page {page.why}.", page.passing)
    try:
        text = reader.text(page.data, page.content_type, page.charset)
    except TimeoutError as problem:
        return _Outcome(page.url, time, None, f"The page was left out because {problem}.")
    if text is None or text.length < MIN_TEXT:
        return _Outcome(page.url, time, None, "The page has no text, or too little to be of use.")
    return _Outcome(page.url, time, text)


def _record(question: str, provider: Provider, found: Found, outcome: _Outcome) -> DocumentRecord | Skipped:
    if outcome.text is None:
        return Skipped(found.url, outcome.why)
    return DocumentRecord(
        key=_hash(outcome.url)[:32],
        title=outcome.text.title or found.title or httpx.URL(outcome.url).host,
        url=outcome.url,
        language=outcome.text.language,
        licence=outcome.text.licence,
        texts=(),
        description=f"{provider.name} result {found.rank}, fetched {outcome.time}",
        topic=question,
        sections=outcome.text.sections,
    )


class _Kept:
    """What was searched and fetched, in files. One that is damaged counts as not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def search(self, question: str, provider: Provider) -> list[Found] | None:
        if provider.depends is None:
            return None
        try:
            said = _loaded(self._search_file(question, provider))
            return [Found(**found) for found in said["found"]] if said["question"] == question else None
        except (LookupError, TypeError, ValueError):
            return None

    def keep_search(self, question: str, provider: Provider, found: list[Found]) -> None:
        if provider.depends is not None:
            said = {"question": question, "found": [asdict(one) for one in found]}
            self._keep(self._search_file(question, provider), said)

    def page(self, url: str) -> _Outcome | None:
        try:
            said = _loaded(self._page_file(url))
            if said.pop("found") != url:
                return None
            if text := said["text"]:
                sections = tuple(Section(tuple(each["path"]), each["text"]) for each in text.pop("sections"))
                said["text"] = PageText(**text, sections=sections)
            return _Outcome(**said)
        except (LookupError, TypeError, ValueError, AttributeError):
            return None

    def keep_page(self, url: str, outcome: _Outcome) -> None:
        self._keep(self._page_file(url), {"found": url, **asdict(outcome)})

    def _search_file(self, question: str, provider: Provider) -> Path:
        return self._folder / "searches" / f"{_hash(json.dumps([question, *(provider.depends or ())]))}.json"

    def _page_file(self, url: str) -> Path:
        return self._folder / "pages" / f"{_hash(url)}.json"

    def _keep(self, path: Path, said: dict[str, Any]) -> None:
        try:
            write_whole(path, json.dumps(said).encode())
        except OSError as problem:
            why = problem.strerror or problem
            raise Problem(f"What was found cannot be kept in {path.parent}: {why}.") from None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()


def _loaded(path: Path) -> Any:
    """The file's JSON; {} when there is none or it is not to be read. Raises ValueError when it is damaged."""
    try:
        return json.loads(path.read_bytes())
    except OSError:
        return {}
    except RecursionError:
        raise ValueError("nested too deep") from None
