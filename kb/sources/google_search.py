"""The source `google-search`: the pages that Google's Custom Search finds for a file of questions.

For every question the search is asked once (https://developers.google.com/custom-search/v1/overview; Google takes no
new customers for it and means to end it on 1 January 2027). The pages it finds are fetched (kb/sources/web_pages.py)
and read (kb/sources/page_text.py). A document's `topic` is the question that found it first, its `description` says at
which rank and when it was fetched; its licence is unknown unless the page names one.

What was searched and fetched is kept, a JSON file for each question and page, and is never asked for again:

    google-search/searches/<hash of question, engine and number of results>.json
    google-search/pages/<hash of address>.json

So a run that ends at the daily quota goes on the next day, and reading again gives the same documents. Pages that
could not be had for a reason that passes are tried again by the next run. To have everything anew, delete the folder.

The key goes into one header of requests to one address, and nowhere else: no log, no message and no file holds it.
Knows nothing of the database.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Any

import httpx

from kb.records import CatalogueProblem, DocumentRecord, Section, Skipped, Source, clean_text
from kb.sources.page_text import UNKNOWN_LICENCE, PageText, Reader
from kb.sources.web_pages import DELAY, MAX_URL, Address, Fetcher, Limit, NoPage, Page, Refused, Reply, get, is_public

API = "https://www.googleapis.com/customsearch/v1"
RESULTS = 10  # of a question, the most that one request gives
AT_ONCE = 6  # pages fetched at the same time
MIN_TEXT = 100  # characters; pages with less are mostly walls of consent or log-in
MAX_FILE = 10_000_000  # bytes of a file of questions
MAX_QUESTION = 1_000  # characters
SECONDS = 20.0  # for one request to the search
ATTEMPTS = 4
FIRST_WAIT = 1.0  # seconds before the second attempt; doubles with each
MINUTE = 60.0  # seconds to wait where so many searches a minute are allowed, and no more
_MAX_REPLY = 2_000_000  # bytes
_QUOTA = ("dailyLimitExceeded", "quotaExceeded", "rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED")


class QuotaReached(CatalogueProblem):
    """No more searches today; what was searched is kept, and the same command goes on tomorrow."""


@dataclass(frozen=True)
class Found:
    """A result of a search; rank counts from 1."""

    url: str
    title: str
    snippet: str
    rank: int


def source(questions: Sequence[str], key: str, engine: str, corpus: str = "google-search") -> Source:
    """The source for these questions; `read` raises QuotaReached at its end when searches were left for tomorrow."""
    return Source(
        name=corpus,
        title="Pages found by Google",
        licence=UNKNOWN_LICENCE,
        language="und",
        homepage="https://developers.google.com/custom-search/v1/overview",
        read=lambda cache_dir: (None, read(questions, key, engine, cache_dir)),
    )


def read_questions(path: Path) -> list[str]:
    """The different questions of a file, in order: one a line, or JSON, where a question is a text or an object with
    a `question`: a list of them, or one a line. Raises CatalogueProblem with a sentence."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        text = data.decode("utf-8-sig")
    except OSError as problem:
        raise CatalogueProblem(f"The questions in {path} cannot be read: {problem.strerror or problem}.") from None
    except UnicodeDecodeError:
        raise CatalogueProblem(f"The file {path} is not text in UTF-8; save it as that and try again.") from None
    if len(data) > MAX_FILE:
        raise CatalogueProblem(f"The file {path} is larger than {MAX_FILE // 10**6} MB; split it.")
    begin = text.lstrip()[:1]
    if begin == "[":
        entries = _parsed(text, f"The file {path}")
        places = [f"entry {number}" for number in range(1, len(entries) + 1)]
    else:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        places = [f"line {number}" for number, _ in lines]
        if begin == "{":
            entries = [_parsed(line, f"Line {number} of {path}") for number, line in lines]
        else:
            entries = [line for _, line in lines]
    questions = [_question(entry, f"{place} of {path}") for entry, place in zip(entries, places, strict=True)]
    if not questions:
        raise CatalogueProblem(f"The file {path} holds no question; write one on each line.")
    return list(dict.fromkeys(questions))


def _parsed(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise CatalogueProblem(f"{what} begins like JSON and cannot be read as such; correct it.") from None


def _question(entry: Any, where: str) -> str:
    said = entry.get("question") if isinstance(entry, dict) else entry
    question = clean_text(said) if isinstance(said, str) else ""
    if not question:
        raise CatalogueProblem(f"There is no question in {where}; it must be a text or an object with a `question`.")
    if len(question) > MAX_QUESTION:
        raise CatalogueProblem(f"The question in {where} has more than {MAX_QUESTION} characters; shorten it.")
    return question


def search(
    question: str, key: str, engine: str, results: int = RESULTS, base: str = API, limit_seconds: float = SECONDS
) -> list[Found]:
    """What the search engine `engine` finds, best first, at most `results` (1 to 10).

    Trouble that may pass is waited out, for some seconds. Raises QuotaReached, and CatalogueProblem for a key or an
    engine that cannot be used and for a search that does not answer.
    """
    if not 1 <= results <= RESULTS:
        raise ValueError(f"results must be from 1 to {RESULTS}")
    for name, value in (("key", key), ("engine id", engine)):
        if not re.fullmatch(r"[!-~]{1,200}", value):
            raise CatalogueProblem(f"The {name} for Google's search is empty or holds what none does; copy it again.")
    url = httpx.URL(base).copy_merge_params({"cx": engine, "q": question, "num": results})
    for attempt in range(1, ATTEMPTS + 1):
        try:
            # Its address is set by whoever runs this, so it may be anywhere.
            reply = get(
                url,
                Limit(limit_seconds),
                lambda address, port: True,
                accept="application/json",
                headers={"X-Goog-Api-Key": key},  # https://docs.cloud.google.com/apis/docs/system-parameters
                max_bytes=_MAX_REPLY,
            )
            trouble = f"has trouble (status {reply.status})"
        except Refused as refused:
            reply, trouble = None, refused.no_page.why
            if not refused.no_page.passing:
                raise CatalogueProblem(f"Google's search at {url.host} {trouble}; check the address.") from None
        wait = FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)
        if reply is not None and reply.status < 500:
            found = _answer(reply)
            if found is not None:
                return found[:results]
            wait, trouble = MINUTE, "allows no more searches for now"
        if attempt == ATTEMPTS:
            break
        sleep(wait)
    raise CatalogueProblem(
        f"Google's search at {url.host} {trouble}; run the same command again later, it goes on from here."
    )


def _answer(reply: Reply) -> list[Found] | None:
    """The results; None when the searches of this minute are used up. Raises CatalogueProblem for all else."""
    try:
        said = json.loads(reply.data)
        if reply.status == 200:
            return _results(said)
        reasons, words = _reasons(said["error"])
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        if reply.status == 200:
            problem = "What answers in the place of Google's search is something else"
            raise CatalogueProblem(f"{problem}; check whether the network asks you to log in first.") from None
        reasons, words = set(), ""
    if reply.status == 429 or (reply.status == 403 and reasons.intersection(_QUOTA)):
        if re.search(r"per ?minute|/min/|per 100 seconds", words, re.IGNORECASE):
            return None
        raise QuotaReached(_quota_said("what was found before is kept"))
    if re.search(r"API_KEY_INVALID|keyInvalid|API key not valid|API key expired|API_KEY_EXPIRED", words):
        raise CatalogueProblem("Google does not know this key for its search, or it has expired; check the key.")
    if reply.status in (401, 403):
        problem = "Google does not let this key search; in its Cloud console, see whether the key's project has the "
        raise CatalogueProblem(f"{problem}Custom Search API and what the key is restricted to (status {reply.status}).")
    if reply.status == 410:
        raise CatalogueProblem("Google no longer offers this search (status 410); what was found before is kept.")
    if reply.status in (400, 404):
        problem = "Google refuses the search; check the id of the search engine, and the key"
        raise CatalogueProblem(f"{problem} (status {reply.status}).")
    raise CatalogueProblem(
        f"Google's search answers with status {reply.status}, which is not understood; check its address."
    )


def _results(said: dict[str, Any]) -> list[Found]:
    if not isinstance(said, dict) or not (said.get("kind") == "customsearch#search" or "searchInformation" in said):
        raise ValueError("not an answer of this API")
    found: dict[str, Found] = {}
    for rank, item in enumerate(said.get("items", [])[:RESULTS], 1):
        said_of_it = [item.get(name, "") for name in ("link", "title", "snippet")]
        if not all(isinstance(value, str) for value in said_of_it):
            raise ValueError("not an answer of this API")
        url, title, snippet = map(clean_text, said_of_it)
        if url and len(url) <= MAX_URL:
            found.setdefault(url, Found(url, title[:500], snippet[:2000], rank))
    return list(found.values())


def _reasons(error: dict[str, Any]) -> tuple[set[str], str]:
    """The reasons that an error gives, in the old and in the new form, and all of it as text to look for words in."""
    listed = [*error.get("errors", []), *error.get("details", [])]
    return {str(entry.get("reason")) for entry in listed}, json.dumps(error)[:20_000]


def read(
    questions: Sequence[str],
    key: str,
    engine: str,
    cache_dir: Path,
    results: int = RESULTS,
    base: str = API,
    may_reach: Callable[[Address, int], bool] = is_public,
    delay: float = DELAY,
) -> Iterator[DocumentRecord | Skipped]:
    """The documents that the questions find, by question, then rank; each page once, however often it is found.

    When the quota is reached, what follows is taken from what was kept, and QuotaReached is raised at the end. Raises
    CatalogueProblem as `search` does, and when the cache cannot be written. The last two arguments are Fetcher's.
    """
    kept = _Kept(cache_dir / "google-search")
    left = 0  # questions that the quota was too small for
    seen: set[str] = set()  # addresses, as found
    given: set[str] = set()  # keys of documents
    pool = ThreadPoolExecutor(AT_ONCE, "page")
    with Fetcher(may_reach, delay) as fetcher, Reader() as reader:
        try:
            for question in questions:
                found = kept.search(question, engine, results)
                if found is None and not left:
                    try:
                        found = search(question, key, engine, results, base)
                        kept.keep_search(question, engine, results, found)
                    except QuotaReached:
                        pass
                if found is None:
                    left += 1
                    continue
                if not found:
                    yield Skipped(question, "Google finds nothing for this question.")
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
                    record = _record(question, one, outcome)
                    if isinstance(record, Skipped):
                        yield record
                    elif record.key not in given:
                        given.add(record.key)
                        yield record
        finally:
            fetcher.close()  # else the pages under way would be waited for
            pool.shutdown(cancel_futures=True)
    if left:
        raise QuotaReached(_quota_said(f"{left} of {len(questions)} questions are left"))


def _quota_said(left: str) -> str:
    return (
        f"Google's quota of searches for today is used up: {left}, and the search goes on tomorrow with the same "
        "command (the quota is renewed at midnight Pacific time)."
    )


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


def _record(question: str, found: Found, outcome: _Outcome) -> DocumentRecord | Skipped:
    if outcome.text is None:
        return Skipped(found.url, outcome.why)
    return DocumentRecord(
        key=_hash(outcome.url)[:32],
        title=outcome.text.title or found.title or httpx.URL(outcome.url).host,
        url=outcome.url,
        language=outcome.text.language,
        licence=outcome.text.licence,
        texts=(),
        description=f"Google result {found.rank}, fetched {outcome.time}",
        topic=question,
        sections=outcome.text.sections,
    )


class _Kept:
    """What was searched and fetched, in files. One that is damaged counts as not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def search(self, question: str, engine: str, results: int) -> list[Found] | None:
        try:
            said = _loaded(self._search_file(question, engine, results))
            return [Found(**found) for found in said["found"]] if said["question"] == question else None
        except (LookupError, TypeError, ValueError):
            return None

    def keep_search(self, question: str, engine: str, results: int, found: list[Found]) -> None:
        said = {"question": question, "found": [asdict(one) for one in found]}
        _write(self._search_file(question, engine, results), said)

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
        _write(self._page_file(url), {"found": url, **asdict(outcome)})

    def _search_file(self, question: str, engine: str, results: int) -> Path:
        return self._folder / "searches" / f"{_hash(json.dumps([question, engine, results]))}.json"

    def _page_file(self, url: str) -> Path:
        return self._folder / "pages" / f"{_hash(url)}.json"


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


def _write(path: Path, said: dict[str, Any]) -> None:
    """Write the file so that it is there whole or not at all."""
    part = path.with_suffix(f".{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("w", encoding="ascii") as file:
            json.dump(said, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as problem:
        why = problem.strerror or problem
        raise CatalogueProblem(f"What was found cannot be kept in {path.parent}: {why}.") from None
