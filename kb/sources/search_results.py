"""The source `search-results`: the pages in a file of search results, whoever found them.

The file is JSON lines or a JSON list of objects with `query` and `url`, and perhaps `title` and `snippet`, for each
query the best first. Knows nothing of searches, pages or the database.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from common.problems import Problem
from kb.records import Source, clean_text
from kb.sources.kinds import CORPUS, Field, SourceKind, Values
from kb.sources.questions import read_entries
from kb.sources.web_search import Found, Provider, as_found, searched_pages


def read_results(path: Path) -> dict[str, list[Found]]:
    """The results of each query, in order. Raises Problem with a sentence."""
    listed: dict[str, list[dict[str, Any]]] = {}
    for entry, where in read_entries(path):
        query = entry.get("query") if isinstance(entry, dict) else None
        if not isinstance(query, str) or not clean_text(query) or not isinstance(entry.get("url"), str):
            raise Problem(f"There is no result in {where}; it must be an object with a `query` and a `url`.")
        listed.setdefault(clean_text(query), []).append(entry)
    if not listed:
        raise Problem(f"The file {path} holds no results; write one on each line.")
    try:
        return {query: as_found(results, "url", "title", "snippet") for query, results in listed.items()}
    except ValueError:
        raise Problem(f"A title or a snippet in {path} is not a text; correct it.") from None


def _make(values: Values) -> Source:
    found = read_results(Path(values["what"]))
    return searched_pages(list(found), Provider("Search", KIND.name, found.__getitem__, None), values["corpus"])


KIND = SourceKind(
    "search-results",
    "Web pages in a file of search results",
    (
        Field(
            "what", "File of results", "FILE",
            "Its path on that machine. JSON, an object a line: query and url, and perhaps title and snippet.",
            value="path", required=True, where=True,
        ),
        replace(CORPUS, on_page=False),
    ),
    _make,
    in_words="the search results in",
    cut=True,
)  # fmt: skip
