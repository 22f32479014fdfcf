"""The source `searxng-search`: the pages that a SearXNG of one's own finds for a file of questions.

SearXNG is a free search that asks others (https://docs.searxng.org); its answers come as JSON only where its
settings.yml lists `json` under search.formats. Knows nothing of pages or of the database.
"""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import httpx

from common.addresses import below
from common.problems import Problem
from kb.sources.http_get import Reply
from kb.sources.kinds import Values
from kb.sources.web_search import MINUTE, RESULTS, SECONDS, Busy, Found, Provider, as_found, ask, search_kind

MOST_PAGES = 3  # of results, for a question


def provider(address: str, results: int = RESULTS) -> Provider:
    """The SearXNG at an address such as http://localhost:8080; for the other argument see `search`."""
    url = _search_url(address)
    return Provider("SearXNG", "searxng-search", lambda question: search(question, url, results), (str(url), results))


def search(question: str, url: httpx.URL, results: int = RESULTS, limit_seconds: float = SECONDS) -> list[Found]:
    """What the SearXNG whose search is at `url` finds, best first, at most so many; it is asked for further pages of
    results until there are enough.

    Trouble that may pass is waited out, for some seconds. Raises Problem for one that gives no JSON or does
    not answer.
    """
    found: dict[str, Found] = {}
    for page in range(1, MOST_PAGES + 1):
        asked = url.copy_merge_params({"q": question, "format": "json", "pageno": page})
        given = ask(asked, partial(_answer, first=page == 1), "SearXNG", limit_seconds=limit_seconds)
        more = [one for one in given if one.url not in found]
        for one in more:
            found[one.url] = replace(one, rank=len(found) + 1)
        if not more or len(found) >= results:
            break
    return list(found.values())[:results]


def _search_url(address: str) -> httpx.URL:
    url = below(address, "/search")
    if url is None:
        raise Problem(
            "The address of SearXNG (CITESIGHT_SEARXNG_URL) must look like http://localhost:8080, with no user and no "
            "question mark."
        )
    return url


def _answer(reply: Reply, first: bool) -> list[Found]:
    """The results of a page, the first or a further one. Raises Busy and Problem."""
    if reply.status == 429:
        raise Busy("allows no more searches for now", MINUTE)
    if reply.status == 403:
        raise Problem(
            "SearXNG refuses the search (status 403); in its settings.yml, add json to the formats under search."
        )
    try:
        if reply.status != 200:
            raise ValueError
        said = json.loads(reply.data)
        found = as_found(said["results"], "url", "title", "content")
        silent = said.get("unresponsive_engines")
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        raise Problem(
            f"What answers in the place of SearXNG is something else (status {reply.status}); check the address in "
            "CITESIGHT_SEARXNG_URL."
        ) from None
    if first and silent and not found:  # nobody knows whether there is anything to be found
        raise Busy("has no answer from the searches that it asks")
    return found


def _provider(values: Values) -> Provider:
    if not values["searxng_url"]:
        raise Problem("The search needs a SearXNG: set CITESIGHT_SEARXNG_URL, as to http://localhost:8080.")
    return provider(values["searxng_url"])


KIND = search_kind("searxng-search", "a SearXNG", _provider, ("searxng_url",), "https://docs.searxng.org/")
