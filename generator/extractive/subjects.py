"""What a passage is about, as its first sentence says: the kind of thing its title names.

Knows nothing of scores. An encyclopaedic passage opens with "<Title> is a <kind> ..."; that is what tells
whether the title itself can answer "Which planet ...?" or "Who ...?".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from common.passage import Evidence
from generator.extractive.question_kinds import Question
from generator.extractive.spans import PERSON_NOUN
from generator.sentences import Sentence, passage_sentences, shown_title
from generator.words import plain, stem, stems, words

_COPULA = re.compile(r"\b(?:is|are|was|were|refers to|comprises?|constitutes?)\s(?=[a-z]++\b)")
_OF = re.compile(r"(?<!\bone)\s(?:by|for|of|from|in|on|at|about|named|after)\s")
_CLAUSE = re.compile(r"[;:]|\b(?:that|which|who|whose|where|when|because|but|and (?:is|was|has))\b")
# Words a question may use for kinds that a first sentence names more closely.
_WIDER = {
    "animal": "species mammal bird fish reptile amphibian insect genus family marsupial primate whale bear "
    "cat rodent ruminant",
    "creature": "species mammal bird fish reptile amphibian insect genus family",
    "plant": "species tree shrub herb flower genus grass vegetable fruit crop",
    "country": "republic kingdom nation state",
    "state": "country nation",
    "nation": "country",
    "metal": "element",
    "gas": "element",
    "fish": "species",
    "ape": "primate species",
    "building": "tower temple church cathedral palace museum",
    "instrument": "device",
    "device": "instrument machine tool",
    "machine": "device vehicle engine",
    "tool": "device instrument",
    "vessel": "ship watercraft boat",
    "food": "dish",
    "drink": "beverage",
    "sport": "game",
    "illness": "disease",
    "war": "conflict battle",
    "event": "war revolution period extinction battle",
    "people": "seafarer civilization tribe",
    "artist": "painter sculptor",
    "scientist": "physicist chemist biologist naturalist mathematician",
    "monster": "creature",
    "hero": "god figure",
    "god": "deity",
    "book": "novel text scripture",
    "fuel": "mixture liquid petrochemical",
    "festival": "holiday celebration",
    "journey": "pilgrimage",
    "treatment": "process",
    "philosophy": "school",
    "fort": "series wall",
    "fortification": "series wall",
    "diagram": "",
    "insect": "species family order",
    "leader": "politician lawyer activist president",
    "explorer": "navigator",
    "woman": "",
    "man": "",
    "person": "",
}
_HUMAN = frozenset(
    stem(w)
    for w in "artist painter scientist woman man person explorer leader king queen emperor nurse poet "
    "writer author philosopher composer footballer polymath conqueror mathematician physicist inventor "
    "president actor singer".split()
)


@dataclass(frozen=True)
class Subject:
    """A passage read once: its sentences, its title and what its first sentence calls it."""

    number: int
    sentences: list[Sentence]
    title: str
    title_order: tuple[str, ...]  # stems
    title_stems: frozenset[str]
    kinds: frozenset[str]  # stems
    is_person: bool
    score: float
    text_stems: frozenset[str]

    @classmethod
    def read(cls, number: int, passage: Evidence) -> Subject:
        sentences = passage_sentences(passage)
        title = shown_title(passage.title)
        first = sentences[0].text if sentences else ""
        copula = _COPULA.search(first)
        rest = first[copula.end() :] if copula else ""
        clause = _CLAUSE.search(rest)
        kind = rest[: clause.start()] if clause else rest
        named = tuple(stems(re.sub(r"\([^()]*\)", "", title))) or tuple(stems(title))
        return cls(
            number,
            sentences,
            title,
            named,
            frozenset(named),
            frozenset(stems(kind)),
            copula is not None and PERSON_NOUN.search(plain(_OF.split(kind[:240])[0])) is not None,
            passage.score,
            frozenset(word for s in sentences for word in stems(s.text)),
        )

    def named_share(self, question: Question) -> float:
        """The share of the title's words that the question holds; numbers in a title need not be said."""
        telling = [w for w in self.title_stems if not w.isdigit()] or list(self.title_stems)
        return sum(w in question.stems for w in telling) / len(telling) if telling else 0.0

    def named_by(self, question: Question) -> bool:
        """Every word of the title is in the question."""
        return self.named_share(question) == 1.0

    def is_a(self, noun: str) -> bool:
        """`noun` is a stem. A title that holds the noun says so itself ("Battle of ...")."""
        if not noun:
            return False
        if noun in self.kinds or (noun in self.title_stems and len(self.title_stems) > 1):
            return True
        wider = _WIDER_STEMS.get(noun)
        return (wider is not None and bool(wider & self.kinds)) or (noun in _HUMAN and self.is_person)

    def may_answer(self, question: Question) -> bool:
        """The title itself could be what the question asks for."""
        if question.deictic or not self.title or self.named_by(question):
            return False
        if question.kind == "person":
            return self.is_person and (
                not question.noun or self.is_a(question.noun) or question.noun in _HUMAN
            )
        return question.kind in ("any", "place") and self.is_a(question.noun)


_WIDER_STEMS = {stem(k): frozenset(stem(w) for w in words(v)) for k, v in _WIDER.items()}
