"""Whether the passages that a sentence cites hold what it says, and which of their sentences do.

Knows nothing of models or of how the sentence came about. Support is counted in words and, where these do not
suffice, by the sentence embedding that is handed in. Both find what a model made up; neither finds a sentence that
says the opposite with the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

import numpy as np

from generator.answers import Citation, Evidence
from generator.sentences import Sentence, shown_title, split_sentences
from generator.words import stems, words

MIN_SUPPORT = 0.5  # of a sentence's content words; a paraphrase keeps about so many
RESTS_ON = 2  # sentences of a passage that one sentence may rest on
MIN_COSINE = 0.78  # of two sentences that say the same: the least that lets in no other of tests/data/support.json
COMPARED = 6  # sentences of a passage that one sentence is compared with
MAX_TEXTS = 40  # embedded for one answer

Embed = Callable[[Sequence[str]], np.ndarray]  # texts to (n, dim) float unit rows
_Read = list[tuple[Sentence, set[str], set[str]]]  # the sentences of a passage, their content words, their numbers


@dataclass(frozen=True)
class Claim:
    """A sentence and the numbers, counted from 1, of the passages it cites; `question` is what it answers, where it is
    too short to say so itself."""

    text: str
    numbers: tuple[int, ...]
    question: str = ""


@dataclass(frozen=True)
class Checked:
    """Where a claim comes from, one sentence of each passage it cites, and whether that supports it."""

    citations: tuple[Citation, ...]
    supported: bool


def _numerals(text: str) -> set[str]:
    return {word for word in words(text) if any(c.isdigit() for c in word)}


def _read(text: str) -> _Read:
    sentences = split_sentences(text) or [Sentence("", 0, 0)]
    return [(s, set(stems(s.text)), _numerals(s.text)) for s in sentences]


@dataclass(frozen=True)
class _Wanted:
    """What a claim's passages have to hold. The words of their titles count for nothing: they say what is spoken of,
    not what is said of it."""

    said: set[str]  # content words of the claim
    asked: set[str]  # and of its question
    new: set[str]  # those said that no cited title holds
    numbers: set[str]  # likewise


def _wanted(claim: Claim, passages: Sequence[Evidence]) -> _Wanted:
    titles = " ".join(passages[n - 1].title for n in claim.numbers)
    said = set(stems(claim.text))
    return _Wanted(
        said, set(stems(claim.question)), said - set(stems(titles)), _numerals(claim.text) - _numerals(titles)
    )


def _nearest(wanted: _Wanted, read: _Read) -> _Read:
    """The sentences of a passage that share the most content words with a claim, then with its question."""
    return sorted(read, key=lambda of: (-len(of[1] & wanted.said), -len(of[1] & wanted.asked)))


def _by_words(wanted: _Wanted, nearest: Sequence[_Read]) -> bool:
    """Whether the nearest sentences hold enough of a claim's words and all its numbers."""
    if not nearest:
        return not wanted.said
    held = [of for each in nearest for of in each[:RESTS_ON]]
    if not wanted.numbers <= set().union(*(numbers for _, _, numbers in held)):
        return False
    return len(wanted.new & set().union(*(shared for _, shared, _ in held))) >= MIN_SUPPORT * len(wanted.new)


def _comparable(wanted: _Wanted, nearest: _Read) -> list[Sentence]:
    """The sentences of a passage, nearest first, that may say the same as a claim in other words: each shares a
    content word with it and holds all its numbers."""
    near = takewhile(lambda of: of[1] & wanted.said, nearest)
    return list(islice((s for s, shared, held in near if wanted.new & shared and wanted.numbers <= held), COMPARED))


def _named(text: str, title: str) -> str:
    """A sentence with what it speaks of in front: "It" alone is near to everything."""
    shown = shown_title(title)
    return f"{shown}: {text}" if shown else text


def check(claims: Sequence[Claim], passages: Sequence[Evidence], embed: Embed | None = None) -> list[Checked]:
    """What each claim rests on. `embed` is called at most once, with at most MAX_TEXTS texts, for the first of the
    claims whose words do not suffice."""
    read = {n: _read(passages[n - 1].text) for n in {n for claim in claims for n in claim.numbers}}
    rests_on: list[dict[int, Sentence]] = []
    supported: list[bool] = []
    texts: list[str] = []
    doubtful: list[tuple[int, int, int, list[Sentence]]] = []  # claim, passage, first of its texts, sentences
    for place, claim in enumerate(claims):
        wanted = _wanted(claim, passages)
        nearest = {n: _nearest(wanted, read[n]) for n in dict.fromkeys(claim.numbers)}
        rests_on.append({n: near[0][0] for n, near in nearest.items()})
        supported.append(_by_words(wanted, list(nearest.values())))
        if supported[-1] or embed is None:
            continue
        for n, near in nearest.items():
            sentences = _comparable(wanted, near)
            if sentences and len(texts) + 1 + len(sentences) <= MAX_TEXTS:
                title = passages[n - 1].title
                doubtful.append((place, n, len(texts), sentences))
                names_it = wanted.said & set(stems(title))
                texts.append(claim.text if names_it else _named(claim.text, title))
                texts += [_named(sentence.text, title) for sentence in sentences]
    if embed is not None and texts:
        rows = np.asarray(embed(texts), dtype=np.float32)
        for place, n, at, sentences in doubtful:
            cosines = rows[at + 1 : at + 1 + len(sentences)] @ rows[at]
            if cosines.max() >= MIN_COSINE:
                rests_on[place][n], supported[place] = sentences[int(cosines.argmax())], True
    return [
        Checked(tuple(Citation(n, passages[n - 1].id, s.text, s.start, s.end) for n, s in of.items()), good)
        for of, good in zip(rests_on, supported, strict=True)
    ]
