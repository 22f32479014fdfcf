"""What a question that comes with a photo is about: what the photo shows, unless it names a subject of its own.

Rules over plain words and capitals, for English; of a question in another language, whose capitals may mean something
else, only names that are titles count. Knows nothing of how anything is found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from app.service.results import IDENTIFIED, LIKELY, NAMED, READ, UNKNOWN, Guess, Subject
from common.passage import Evidence
from generator.answers import Turn
from generator.extractive.subjects import Subject as PassageSubject
from generator.grounding.language import asked_in_another
from generator.words import STOP_WORDS, stem, stems
from retriever.encoders.mini.recognition.appearances import FIRST_ARTEFACT
from retriever.encoders.mini.recognition.classes import load_classes

_WORD = r"[\w’'.-]*\w"
_NAME = re.compile(rf"\b[A-Z]{_WORD}(?: (?:(?:of|the|de|da|di|van|von|and) )?(?:[A-Z]{_WORD}|\d+))*")
# What points at the photo. A pronoun that comes after a name stands for that, and these do not.
_POINTS = re.compile(r"\b(?:this|these|here|that (?!is\b|was\b|the\b|a\b)[a-z]+|photo|picture|image)\b", re.IGNORECASE)
# The same in other languages; what in some of them is another word too ("qui", "est-ce que") is left out.
_POINTS_ELSEWHERE = re.compile(
    r"\b(?:dies(?:e[rsmn]?)?|hier|bild|(?<!-)ce|cet|cette|ces|cela|ça|ici|est[aeo]s?|ess[ae]s?|aqu[ií]|quest[oaei]|"
    r"isto|isso|dit|dat|deze|denna|detta|dessa|här|foto|photo|image)\b",
    re.IGNORECASE,
)
_PRONOUN = re.compile(r"\b(?:it|its|they|their|them|he|his|him|she|her)\b", re.IGNORECASE)
# A name after one of these says where or when, and is not what is asked about: "How many are left in India?"
_BESIDE = re.compile(
    r"\b(?:in|from|to|at|on|near|by|during|within|outside|inside|across|since|until|than|with|without|like|after|"
    r"before|between|into|under|around|for|native to)(?: the| a| an)?\s*$",
    re.IGNORECASE,
)
_ONE_MORE = re.compile(r"\b(?:is|was|does|did|can|could|do|has|of|about) an? ([a-z][a-z-]*(?: [a-z][a-z-]*){0,2})\b")
# "What does the leopard eat?", "How fast is the leopard?"; how many of the words behind it are a name, is to be tried.
_THE_ONE = re.compile(
    r"\b(?:(?:does|did|do|can|could|will|would|should|has|have|had|must)|[Hh]ow [a-z]+ (?:is|are|was|were)) "
    r"the ([a-z][a-z-]*(?: [a-z][a-z-]*){0,2})"
)
_COUNTS = re.compile(r"\bhow (?:many|much) [\w-]+")
_CALLED = re.compile(r"\b(?:this|these) ((?!is\b|are\b|was\b|were\b|photo\b|picture\b|image\b)[a-z]+)")
# Kinds of things that a photo may show are no names.
KINDS = frozenset(
    "animal bird fish insect mammal reptile amphibian plant tree flower fruit vegetable food drink dish person human "
    "man woman child building house tower church bridge city country vehicle machine tool instrument weapon clothing "
    "furniture thing object family species male female baby adult infant pregnancy group".split()
)


@dataclass(frozen=True)
class Name:
    """A name in a question and whether it only says where or when."""

    text: str
    start: int
    beside: bool


def names_in(question: str) -> list[Name]:
    """What is written with capitals as a name; nothing where every word is written so."""
    plain = [word for word in re.findall(r"[A-Za-z][\w’'-]*", question) if word != "I"]
    if all(word[0].isupper() for word in plain):
        return []
    found = []
    for match in _NAME.finditer(question):
        text, start = match.group(), match.start()
        first, _, rest = text.partition(" ")
        begins = not question[:start].strip(" \"'“‘([")
        if begins and (first.casefold() in STOP_WORDS or not rest):  # a capital that any word has there
            text, start = rest, start + len(first) + 1
        text = re.sub(r"['’]s?$", "", text)
        if text and text != "I":
            found.append(Name(text, start, _BESIDE.search(question[:start]) is not None))
    return found


def asks_of_another(
    question: str,
    subject: Subject,
    titled: Callable[[Sequence[str]], Iterable[str]],
    beginning: Callable[[str], str] = lambda title: "",
) -> bool:
    """Whether the question names a subject of its own, which is not what the photo shows.

    titled: which of some titles there are articles about. beginning: how the article with a title begins."""
    elsewhere = asked_in_another(question, "English")
    if (_POINTS_ELSEWHERE if elsewhere else _POINTS).search(question):
        return False
    shown = {_plain(guess.title) for guess in subject.guesses if guess.may or guess is subject.guesses[0]}
    pronoun = _PRONOUN.search(question)
    names = [name for name in names_in(question) if not name.beside and (not pronoun or name.start < pronoun.start())]
    names = [name for name in names if not {_plain(name.text), _plain(name.text).removesuffix("s")} & shown]
    if not elsewhere and any(" " in name.text or not _describes(question, name) for name in names):
        return True
    if names and set(titled([name.text for name in names])):
        return True
    if _of_the_one(question, subject.title, shown, titled, beginning):
        return True
    if pronoun:
        return False
    more = [words for match in _ONE_MORE.finditer(question) for words in _beginnings(match[1])]
    more = [words for words in more if words not in KINDS and words not in shown]
    return bool(more) and bool(set(titled([words[0].upper() + words[1:] for words in more])))


def _of_the_one(
    question: str,
    shows: str,
    shown: Collection[str],
    titled: Callable[[Sequence[str]], Iterable[str]],
    beginning: Callable[[str], str],
) -> bool:
    """Whether it asks of "the leopard" where the photo shows a cheetah. "The cat" may be that, as "the tail" is its
    own: only animals of one kind are no part of another thing, and no word for many."""
    found = [words for match in _THE_ONE.finditer(question) for words in _beginnings(match[1])]
    wanted = {words[0].upper() + words[1:]: words for words in found if words not in KINDS and words not in shown}
    animals = [title for title in wanted if title in _kinds_of_animals()]
    others = set(titled(animals)) if animals else set()
    about = set(stems(f"{shows} {beginning(shows)}")) if others else set()
    return any(not set(stems(wanted[title])) <= about for title in others)


@cache
def _kinds_of_animals() -> frozenset[str]:
    """Titles about the very animals that the classes of a classifier are."""
    animals = [each for each in load_classes()[:FIRST_ARTEFACT] if each.relation == "is"]
    return frozenset(title for each in animals for title in each.titles)


def taken_over(question: str, standing_alone: str, turns: Sequence[Turn]) -> set[str]:
    """The words that a question, made to stand alone, took from an earlier question and not from what was found."""
    found = {word for turn in turns for word in _words(f"{turn.subject} {turn.answer}")}
    asked = {word for turn in turns for word in _words(turn.question)}
    return (_words(standing_alone) & asked) - found - _words(question) - STOP_WORDS


def said_to_be(question: str, subject: Subject) -> Subject:
    """The subject where the photo, what is written in it or a model tells it; else, if the question says one of the
    guesses, that one; not what it only counts: "How many wheels"."""
    if subject.word in (LIKELY, READ, IDENTIFIED):
        return subject
    asked = f" {' '.join(re.findall(_WORD, _COUNTS.sub('', question.casefold())))} "
    for guess in subject.guesses:
        plain = _plain(guess.title)
        if plain not in KINDS and (f" {plain} " in asked or f" {plain}s " in asked):
            return _named(subject, guess.title)
    return subject


def said_kind(question: str, subject: Subject, passages: Iterable[tuple[str, str]]) -> Subject:
    """Where the photo is not recognised: of the nearest guesses the one that is what the question calls it ("this
    snake"), by its passage (title and text), if just one is."""
    called = _CALLED.search(question.casefold())
    if subject.word != UNKNOWN or called is None:
        return subject
    noun = stem(called[1])
    fitting = {
        title
        for title, text in passages
        if title in subject.leading and PassageSubject.read(1, Evidence("", title, text)).is_a(noun)
    }
    return _named(subject, fitting.pop()) if len(fitting) == 1 else subject


def helped_by(question: str, subject: Subject, passages: Iterable[tuple[str, str]]) -> Subject:
    """Where the photo does not tell what it shows: what the first of the passages (title and text, best first) that
    speak of every name in the question is about, if there is one."""
    names = [name.text for name in names_in(question)]
    if subject.word == LIKELY or not names:
        return subject
    title = next((title for title, text in passages if all(name in f"{title} {text}" for name in names)), None)
    return subject if title is None else _named(subject, title)


def identified(subject: Subject, title: str | None) -> Subject:
    """The subject by what a model chose among its guesses; None: the photo shows none of them."""
    if title is not None:
        return replace(_named(subject, title), word=IDENTIFIED)
    return replace(subject, guesses=tuple(replace(guess, may=False) for guess in subject.guesses), word=UNKNOWN)


def _named(subject: Subject, title: str) -> Subject:
    """The subject with that title before all others, the only one to be answered from."""
    known = next((guess for guess in subject.guesses if guess.title == title), Guess(title, 0.0, None, True))
    others = [replace(guess, may=False) for guess in subject.guesses if guess.title != title]
    return replace(subject, guesses=(replace(known, may=True), *others), word=NAMED, awaited="")


def _describes(question: str, name: Name) -> bool:
    """A single word with a capital before what it describes: "European" in "Which European country"."""
    after = re.match(r"\s+([a-z]+)", question[name.start + len(name.text) :])
    return after is not None and after[1] not in STOP_WORDS


def _beginnings(words: str) -> list[str]:
    parts = words.split()
    return [" ".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]{2,}", text.casefold()))


def _plain(title: str) -> str:
    return re.sub(r"\s*\([^()]*\)", "", title).casefold().strip()
