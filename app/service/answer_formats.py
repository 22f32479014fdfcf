"""An answer with its evidence as text to take along: Markdown, and BibTeX of its sources.

All that comes from passages, people and models is text in each of them: nothing of it is markup there, a command, or an
address that is followed by itself. Knows nothing of where they go.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

from common.passage import Evidence
from generator.answers import Citation

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~$!])|^(\s*)([-+=]|\d+[.)])(?=\s)", re.MULTILINE)
_LONGEST_KEY = 30  # characters of a title in a key
_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """Of an answer what is taken along; as of Result and its Answer."""

    question: str
    text: str
    answered: bool
    reason: str
    citations: tuple[Citation, ...]
    passages: tuple[Evidence, ...]
    corpora: tuple[str, ...]
    answerer: str

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """Of what Result.as_dict() says, also when it has been JSON since."""
        passages = tuple(Evidence(**{**each, "pictures": ()}) for each in told["passages"])
        citations = tuple(Citation(**each) for each in told["citations"])
        said = (told["question"], told["answer"], told["answered"], told["reason"])
        return cls(*said, citations, passages, tuple(told["corpora"]), told["answerer"])


def cited(result: Told) -> list[tuple[Evidence, list[str]]]:
    """The passages that the answer cites, in the order of its citations, each with what is quoted of it."""
    quotes: dict[int, list[str]] = {}
    for citation in result.citations:
        said = quotes.setdefault(citation.number, [])
        if not any(citation.quote in each for each in said):
            said[:] = [each for each in said if each not in citation.quote] + [citation.quote]
    found = {passage.rank: passage for passage in result.passages}
    return [(found[number], said) for number, said in quotes.items() if number in found]


def as_markdown(result: Told) -> str:
    """The question, the answer with its marks, and a list of sources with what is quoted of each."""
    lines = [f"**{_plain(result.question)}**", "", _plain(result.text)]
    if not result.answered:
        lines += ["", f"*No answer: {_plain(result.reason)}.*"]
    sources = cited(result)
    if sources:
        lines += ["", "Sources:", ""]
    for passage, quotes in sources:
        address = f", <{passage.url}>" if leads_somewhere(passage.url) else ""
        licence = f" ({_plain(passage.licence)})" if passage.licence else ""
        lines.append(f"{passage.rank}. {_plain(passage.heading)}{address}{licence}")
        lines += [f"   > {_plain(quote)}" for said in quotes for quote in said.splitlines() if quote.strip()]
    return "\n".join([*lines, "", _made(result), ""])


def as_bibtex(result: Told) -> str:
    """An entry for each source that the answer cites."""
    entries = []
    for passage, quotes in cited(result):
        fields = {
            "title": _tex(passage.heading),
            "howpublished": _tex(passage.corpus),
            "url": _address(passage.url),
            "note": _tex(" / ".join(filter(None, [*(f'"{quote}"' for quote in quotes), passage.licence]))),
        }
        said = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
        entries.append(f"@misc{{{_key(passage)},\n{said}}}\n")
    return "\n".join(entries)


def _key(passage: Evidence) -> str:
    """What a document cites it by: the same for the same passage, and not another's, in whatever answer it is cited."""
    letters = unicodedata.normalize("NFKD", passage.title).encode("ascii", "ignore").decode().lower()
    name = re.sub("[^a-z0-9]+", "-", letters)[:_LONGEST_KEY].strip("-") or "source"
    return f"{name}-{hashlib.sha256(passage.id.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _made(result: Told) -> str:
    corpora, answerer = _plain(", ".join(result.corpora)), _plain(result.answerer or "CiteSight")
    return f"From {corpora}, answered by {answerer}, with CiteSight."


def leads_somewhere(address: str) -> bool:
    """Whether it is an address of the web; others, such as a script's, are left out."""
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"[\s<>\"\\]", address)
    except ValueError:
        return False


def _plain(text: str) -> str:
    """Text as Markdown that reads the same: marks like [1] stay, since nothing defines them as links."""
    escaped = _MARKUP.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}", text)
    return re.sub(r"\\\[(\d{1,3})\\\]", r"[\1]", escaped)


def _tex(text: str) -> str:
    return "".join(_TEX.get(letter, letter) for letter in " ".join(text.split()))


def _address(address: str) -> str:
    """As url fields take it: percent signs and the like stay, braces cannot."""
    return address.replace("{", "%7B").replace("}", "%7D") if leads_somewhere(address) else ""
