"""What every source made from a Wikipedia shares: how its articles are addressed. Knows nothing of files."""

from __future__ import annotations

from urllib.parse import quote

ENGLISH = "https://en.wikipedia.org/wiki/"


def article_url(title: str, base: str = ENGLISH) -> str:
    """The address of the article `title` below `base`, percent-encoded as Wikipedia itself does."""
    return base + quote(title.replace(" ", "_"), safe="/:,()!*@;$~")
