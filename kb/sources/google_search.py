"""The source `google-search`: the pages that Google's Custom Search finds for a file of questions.

Google takes no new customers for its API (https://developers.google.com/custom-search/v1/overview) and means to end it
on 1 January 2027; searxng_search.py and search_results.py need nobody's leave. The key goes into one header of requests
to one address, and nowhere else: no log, no message and no file holds it. Knows nothing of pages or of the database.
"""

from __future__ import annotations

import json
import re
from typing import Any

import httpx

from common.problems import Problem
from kb.sources.http_get import Reply
from kb.sources.kinds import Values
from kb.sources.web_search import (
    MINUTE,
    RESULTS,
    SECONDS,
    Busy,
    Found,
    Provider,
    QuotaReached,
    as_found,
    ask,
    search_kind,
)

API = "https://www.googleapis.com/customsearch/v1"
HOMEPAGE = "https://developers.google.com/custom-search/v1/overview"
_QUOTA = ("dailyLimitExceeded", "quotaExceeded", "rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED")
_QUOTA_SAID = (
    "Google's quota of searches for today is used up: {left}, and the search goes on tomorrow with the same command "
    "(the quota is renewed at midnight Pacific time)."
)


def provider(key: str, engine: str, results: int = RESULTS, base: str = API) -> Provider:
    """Google's search with a key and an engine; for the other arguments see `search`."""
    return Provider(
        "Google", "google-search", lambda question: search(question, key, engine, results, base), (engine, results)
    )


def search(
    question: str, key: str, engine: str, results: int = RESULTS, base: str = API, limit_seconds: float = SECONDS
) -> list[Found]:
    """What the search engine `engine` finds, best first, at most `results` (1 to 10, the most that one request gives).

    Trouble that may pass is waited out, for some seconds. Raises QuotaReached, and Problem for a key or an
    engine that cannot be used and for a search that does not answer.
    """
    if not 1 <= results <= RESULTS:
        raise ValueError(f"results must be from 1 to {RESULTS}")
    for name, value in (("key", key), ("engine id", engine)):
        if not re.fullmatch(r"[!-~]{1,200}", value):
            raise Problem(f"The {name} for Google's search is empty or holds what none does; copy it again.")
    url = httpx.URL(base).copy_merge_params({"cx": engine, "q": question, "num": results})
    headers = {"X-Goog-Api-Key": key}  # https://docs.cloud.google.com/apis/docs/system-parameters
    return ask(url, _answer, "Google's search", headers, limit_seconds)[:results]


def _answer(reply: Reply) -> list[Found]:
    """The results. Raises Busy when the searches of this minute are used up, and Problem for all else."""
    try:
        said = json.loads(reply.data)
        if reply.status == 200:
            return _results(said)
        reasons, words = _reasons(said["error"])
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        if reply.status == 200:
            problem = "What answers in the place of Google's search is something else"
            raise Problem(f"{problem}; check whether the network asks you to log in first.") from None
        reasons, words = set(), ""
    if reply.status == 429 or (reply.status == 403 and reasons.intersection(_QUOTA)):
        if re.search(r"per ?minute|/min/|per 100 seconds", words, re.IGNORECASE):
            raise Busy("allows no more searches for now", MINUTE)
        raise QuotaReached(_QUOTA_SAID)
    if re.search(r"API_KEY_INVALID|keyInvalid|API key not valid|API key expired|API_KEY_EXPIRED", words):
        raise Problem("Google does not know this key for its search, or it has expired; check the key.")
    if reply.status in (401, 403):
        problem = "Google does not let this key search; in its Cloud console, see whether the key's project has the "
        raise Problem(f"{problem}Custom Search API and what the key is restricted to (status {reply.status}).")
    if reply.status == 410:
        raise Problem("Google no longer offers this search (status 410); what was found before is kept.")
    if reply.status in (400, 404):
        problem = "Google refuses the search; check the id of the search engine, and the key"
        raise Problem(f"{problem} (status {reply.status}).")
    raise Problem(
        f"Google's search answers with status {reply.status}, which is not understood; check its address."
    )


def _results(said: dict[str, Any]) -> list[Found]:
    if not isinstance(said, dict) or not (said.get("kind") == "customsearch#search" or "searchInformation" in said):
        raise ValueError("not an answer of this API")
    return as_found(said.get("items", [])[:RESULTS], "link", "title", "snippet")


def _reasons(error: dict[str, Any]) -> tuple[set[str], str]:
    """The reasons that an error gives, in the old and in the new form, and all of it as text to look for words in."""
    listed = [*error.get("errors", []), *error.get("details", [])]
    return {str(entry.get("reason")) for entry in listed}, json.dumps(error)[:20_000]


def _provider(values: Values) -> Provider:
    key, engine = values["google_key"], values["google_engine"]
    if not key or not engine:
        raise Problem(
            "Google's search needs a key and an engine: set CITESIGHT_GOOGLE_KEY and CITESIGHT_GOOGLE_ENGINE."
        )
    return provider(key, engine)


KIND = search_kind("google-search", "Google", _provider, ("google_key", "google_engine"), HOMEPAGE)
