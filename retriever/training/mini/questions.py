"""Questions to train with, made from articles' own titles, descriptions and sentences by fixed rules.

Knows nothing of models.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# Asked of a photo of anything, and only of a photo of an animal.
PHOTO_QUESTIONS = (
    "What is this?",
    "What is this called?",
    "What can be seen in this photo?",
    "What is the name of this?",
    "What kind of thing is this?",
    "Tell me about this.",
    "What is it used for?",
    "Where does it come from?",
    "When was it invented?",
    "Where is it?",
    "Who made it?",
    "What is it made of?",
    "How large is it?",
    "When was this built?",
    "Who designed this?",
    "What is the history of this?",
)
ANIMAL_QUESTIONS = (
    "What animal is this?",
    "Which family does this animal belong to?",
    "Where does this animal live?",
    "What does it eat?",
    "How fast can it run?",
    "How long does it live?",
    "What species is this?",
)
_COPULA = re.compile(r"^.{0,80}?\b(is|was|are|were)\b\s+(.+)$", re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")


@dataclass(frozen=True)
class Article:
    """What training takes of an article: the passage and the short description that stands beside it."""

    title: str
    text: str
    description: str


def text_questions(article: Article, said: Sequence[str], chance: random.Random, count: int) -> list[str]:
    """`count` questions that the article answers, most of which do not name it; half of them from what others say
    of it (`said`), where they do."""
    name = article.title.split(" (")[0]
    sentences = _SENTENCE_END.split(article.text)
    made = [f"What is {name}?", f"Tell me about {name}."]
    if article.description:
        made += [f"{article.description}", f"Which {_lowered(article.description)}?"] * 2
    defined = _COPULA.match(sentences[0])
    if defined:
        made += [f"What {defined[1]} {_clipped(_masked(defined[2], name))}?"] * 2
    for sentence in sentences[1:]:
        masked = _clipped(_masked(sentence, name))
        made += [masked, f"What {_lowered(masked)}?"]
    return [chance.choice(said if said and chance.random() < 0.5 else made) for _ in range(count)]


def mentions(articles: Sequence[Article], chance: random.Random) -> dict[int, list[str]]:
    """What articles say of each other: sentences of other articles in which an article's name stands, with the name
    taken out, by the article's position. The nearest thing to a question by somebody who has not read the article."""
    named = {a.title.split(" (")[0]: i for i, a in enumerate(articles)}
    found: dict[int, list[str]] = {}
    for i, article in enumerate(articles):
        for sentence in _SENTENCE_END.split(article.text):
            for name in _names_in(sentence, named):
                if named[name] != i:
                    what = chance.choice(("this", "what", "which one"))
                    clipped = _around(sentence, name, what)
                    found.setdefault(named[name], []).append(f"{clipped}?" if what != "this" else clipped)
    return found


def _names_in(sentence: str, named: dict[str, int]) -> Iterator[str]:
    """The names in a sentence, longest first at each place; single words only when capitalised inside it."""
    words = re.findall(r"[\w'’.-]+", sentence)
    start = 1
    while start < len(words):
        for length in range(min(5, len(words) - start), 0, -1):
            name = " ".join(words[start : start + length]).rstrip(".")
            if name in named and name[0].isupper():
                yield name
                start += length - 1
                break
        start += 1


def _around(sentence: str, name: str, what: str, words: int = 9) -> str:
    """Some words before and after the name, which is replaced."""
    before, _, after = sentence.partition(name)
    return " ".join([*before.split()[-words:], what, *after.split()[:words]]).rstrip(".,;:!? ")


def _masked(sentence: str, name: str) -> str:
    return re.sub(re.escape(name) + r"s?", "this", sentence, flags=re.IGNORECASE)


def _clipped(sentence: str, words: int = 16) -> str:
    return " ".join(sentence.split()[:words]).rstrip(".,;:!?")


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
