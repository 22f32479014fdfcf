"""Text as HTML that does nothing, whoever wrote it.

Everything that comes from a corpus, a model or a person is untrusted and goes through `escape` before it becomes part
of a page; links are made only from http and https addresses. Knows nothing of what the text is.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from common.text import UNSAFE

_UNSEEN = re.compile(f"[{UNSAFE}]")
_WORD = re.compile(r"\w+(?:['’]\w+)*")
_STOP = frozenset(
    "a about after all also am an and any are as at be been before being between both but by can "
    "could did do does doing each else ever for from get got had has have having he her here hers "
    "him his how i if in into is it its just kind like many may me might more most much my no nor "
    "not of off on once only or other our out over own please same shall she should show shown so "
    "some such tell than that the their them then there these they thing this those through to too "
    "type under up us very was we were what when where which while who whom whose why will with "
    "would you your picture photo photograph image".split()
)


def escape(text: str) -> str:
    """Text as inert HTML: no tag, attribute end, template placeholder or direction override is left."""
    safe = html.escape(_UNSEEN.sub("", text), quote=True)
    # gr.HTML fills a template; it does not evaluate values today, and these keep it so whatever it does.
    return safe.replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;").replace("`", "&#96;")


def safe_link(url: str) -> str | None:
    """The address if a browser may be sent there (http or https with a host), else None."""
    url = url.strip()
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    web = parts.scheme.lower() in ("http", "https") and parts.hostname
    return url if web and not re.search(r"[\s\\]", url) else None


def stem(word: str) -> str:
    """A word without its commonest English endings, lower case: runs, running -> run; fastest -> fast."""
    word = re.sub(r"['’]s$", "", word.casefold())
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-3] + "y" if word.endswith("ies") and len(word) > 4 else word[:-1]
    for ending, least in (("ing", 3), ("est", 4), ("ed", 3), ("er", 4), ("ly", 4)):
        if word.endswith(ending) and len(word) - len(ending) >= least:
            word = word[: -len(ending)]
            if word[-1] == word[-2] and word[-1] not in "aeiouls":
                word = word[:-1]
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def question_stems(question: str) -> frozenset[str]:
    """The stems of a question's content words."""
    return frozenset(
        stem(word) for word in _WORD.findall(question) if word.casefold() not in _STOP and len(word) > 1
    )


def marked(text: str, stems: Iterable[str], quotes: Iterable[tuple[int, int]]) -> str:
    """A passage as HTML: words with one of `stems` in <mark>, the spans of `quotes` in <span class=cs-quote>.

    Offsets outside the text are cut to it. Every piece of the text is escaped by itself.
    """
    wanted = frozenset(stems)
    words = [m.span() for m in _WORD.finditer(text) if stem(m.group()) in wanted] if wanted else []
    spans = [(max(0, start), min(len(text), end)) for start, end in quotes if start < end]
    cuts = sorted({0, len(text)}.union(*words, *spans))
    hits = dict(words)
    quoted: dict[int, int] = {}
    for left, right in spans:
        quoted[left] = max(right, quoted.get(left, 0))
    hit_until = quoted_until = 0
    pieces: list[str] = []
    quoting = False
    for start, end in zip(cuts, cuts[1:], strict=False):
        quoted_until = max(quoted_until, quoted.get(start, 0))
        inside = start < quoted_until
        if inside != quoting:
            pieces.append('<span class="cs-quote">' if inside else "</span>")
            quoting = inside
        piece = escape(text[start:end])
        hit_until = hits.get(start, hit_until)
        pieces.append(f"<mark>{piece}</mark>" if start < hit_until else piece)
    return "".join(pieces) + ("</span>" if quoting else "")
