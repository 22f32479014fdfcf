"""What of a page's English texts stands in what it shows in another language."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from app.web.languages import catalogue


def english(shown: str, code: str, kinds: Sequence[str]) -> list[str]:
    """The English texts, of those whose keys begin so, that stand in what a page in a language shows; without those
    whose words the language's own texts have too."""
    mine = " ".join(_forms(code, ""))
    theirs = {
        line.strip()
        for kind in kinds
        for text in _forms("en", kind)
        for line in re.split(r"\n|\{\w+\}", text)
        if line.strip() not in mine and len(line.strip()) > 3
    }
    return [line for line in theirs if re.search(rf"(?<!\w){re.escape(line)}(?!\w)", shown)]


def _forms(code: str, kind: str) -> Iterator[str]:
    for key, text in catalogue(code).items():
        if key.startswith(kind):
            yield from [text] if isinstance(text, str) else text.values()
