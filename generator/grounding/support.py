"""Whether the passages that a sentence cites hold what it says, and which of their sentences do.

Knows nothing of models or of how the sentence came about. Support is counted in words and, where these do not
suffice, by the sentence embedding that is handed in; numbers, names, comparisons, a denial and every part of a sentence
must be there. That finds what a model made up; it does not find a sentence that says another thing with the same words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from common.passage import Evidence
from generator.answers import SUPPORTED, UNCHECKED, UNSUPPORTED, Citation
from generator.grounding.language import foreign, language
from generator.grounding.quantities import UNIT_STEMS, Quantity, holds, quantities, units_named
from generator.sentences import Sentence, passage_sentences, shown_title
from generator.words import plain, stems

MIN_SUPPORT = 0.5  # of a sentence's content words; a paraphrase keeps about so many
RESTS_ON = 2  # sentences of a passage that one sentence may rest on
MIN_COSINE = 0.75  # of two sentences that say the same; below .73 it lets in more of tests/data/support.json
MIN_PART = 0.77  # of a part of a sentence none of whose words a passage has: of "and eats people" it is .63
COMPARED = 6  # sentences of a passage that one sentence is compared with
MAX_TEXTS = 40  # embedded for one answer
MAX_CLAIMS = 200  # looked at; a model is asked for 512 tokens
MAX_SENTENCES = 200  # of a passage that are looked at
SAME_NAME = 5  # letters that two forms of a name share: Spanish, Spaniards

_PARTS = re.compile(r"[,;:]|\s[–—-]\s|\b(?:and|but|while|whereas|or|although|which|who)\b")
_INTRODUCES = re.compile(  # and says nothing
    r"\b(?:according to|based on|as (?:said|stated|noted|mentioned|described) (?:in|by))(?: the)?"
    r"(?: passages?| evidence| texts?| sources?)?\b|\b(?:for example|for instance|in fact|in addition|however|"
    r"therefore|moreover|furthermore|additionally|overall|specifically)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<![\w’'-])[^\W\d_a-zß-ÿ][\w’'-]*+")
_OWNED = re.compile(r"['’]s?$")
_COMPARES = re.compile(r"\b(?:\w{2,}er|more|less|fewer|worse)\s(?:\w+\s){0,4}?than\b|\bas\s\w+\sas\b(?!\s\d)")
_COMPARED = re.compile(r"\bthan\b|\b\w{2,}est\b|\b(?:most|least|exceed\w*|compared|best|worst|as\s\w+\sas)\b")
_TIMES = re.compile(r"\b(?:twice|thrice|double|doubled|triple|tripled|quadruple|half|halved|times)\b")
_DENIES = re.compile(
    r"\b(?:not(?!\s(?:far|only|long|just|unlike))|no|never|none|nobody|nothing|neither|nor|cannot|without)\b|n['’]t\b"
)
_DENIED = re.compile(
    r"\b(?:not|no|never|none|nobody|nothing|neither|nor|cannot|without|ban\w*|forbid\w*|forbade|prohibit\w*|prevent\w*|"
    r"keep\w*|kept|stop\w*|lack\w*|fail\w*|lost|lose\w*|unable|avoid\w*|refus\w*|rare\w*|only|all|un\w{4,}|in\w{2,}ble|"
    r"almost|hardly|gave up|give up|free of|absen\w*|extinct|deaf|blind|\w{2,}est|\w+less)\b|n['’]t\b"
)

Embed = Callable[[Sequence[str]], np.ndarray]  # texts to (n, dim) float unit rows


@dataclass(frozen=True)
class Claim:
    """A sentence and the numbers, counted from 1, of the passages it cites; `question` is what it answers, where it is
    too short to say so itself."""

    text: str
    numbers: tuple[int, ...]
    question: str = ""


@dataclass(frozen=True)
class Checked:
    """`support` is one of SUPPORTED, UNSUPPORTED, UNCHECKED; the citations are the sentences that bear a claim out."""

    support: str
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True)
class _Line:
    """A sentence of a passage, read once."""

    number: int  # of the passage
    sentence: Sentence
    stems: frozenset[str]
    quantities: tuple[Quantity, ...]
    units: frozenset[str]


@dataclass(frozen=True)
class _Passage:
    lines: list[_Line]
    language: str
    title: frozenset[str]  # stems
    words: frozenset[str]  # stems of all lines
    prefixes: frozenset[str]  # of all words, for names


@dataclass(frozen=True)
class _Wanted:
    """What a claim's passages have to hold. The words of their titles count for nothing: they say what is spoken of,
    not what is said of it."""

    text: str  # plain
    said: frozenset[str]  # content words of the claim
    asked: frozenset[str]  # and of its question
    new: frozenset[str]  # those said that no cited title holds
    quantities: tuple[Quantity, ...]  # whose numbers no cited title holds
    loose: tuple[str, ...]  # parts of the claim none of whose words the passages hold, or a name in which they do not


def check(claims: Sequence[Claim], passages: Sequence[Evidence], embed: Embed | None = None) -> list[Checked]:
    """What each claim rests on. `embed` is called at most once, with at most MAX_TEXTS texts, for the first of the
    claims whose words do not suffice.

    A claim in another language than every passage it cites, and one behind the first MAX_CLAIMS, is unchecked."""
    claims, rest = claims[:MAX_CLAIMS], claims[MAX_CLAIMS:]
    read = {n: _read(n, passages[n - 1]) for n in sorted({n for claim in claims for n in claim.numbers})}
    together = " ".join(claim.text for claim in claims)
    found: list[Checked | None] = []
    texts: list[str] = []
    doubtful: list[_Doubt] = []
    spoken: dict[str, bool] = {}  # whether the answer as a whole is foreign to a passage's language
    for place, claim in enumerate(claims):
        numbers = list(dict.fromkeys(claim.numbers))
        native = []
        for n in numbers:
            to = read[n].language
            if to not in spoken:
                spoken[to] = foreign(together, to) is True
            alien = foreign(claim.text, to)
            if not (spoken[to] if alien is None else alien):
                native.append(n)
        wanted = _wanted(claim, [read[n] for n in native])
        lines = {n: _nearest(wanted, read[n]) for n in native}
        rests_on = _by_words(wanted, lines)
        failed = Checked(UNCHECKED if len(native) < len(numbers) else UNSUPPORTED)
        found.append(failed)
        if not wanted.said or not native:
            continue
        if rests_on and not wanted.loose:
            found[place] = _borne_out(rests_on, passages)
        elif embed is not None:
            for n in native:
                doubt = _doubt(place, claim, wanted, rests_on, read[n], lines[n], passages[n - 1].title, len(texts))
                if doubt is not None and len(texts) + len(doubt.texts) <= MAX_TEXTS:
                    doubtful.append(doubt)
                    texts += doubt.texts
    if embed is not None and texts:
        rows = np.asarray(embed(texts), dtype=np.float32)
        for doubt in doubtful:
            lines = doubt.settled(rows)
            if lines and found[doubt.place].support != SUPPORTED:
                found[doubt.place] = _borne_out(lines, passages)
    return [*found, *(Checked(UNCHECKED) for _ in rest)]


def _borne_out(lines: Sequence[_Line], passages: Sequence[Evidence]) -> Checked:
    found = ((line.number, line.sentence) for line in lines)
    return Checked(SUPPORTED, tuple(Citation(n, passages[n - 1].id, s.text, s.start, s.end) for n, s in found))


def _read(number: int, passage: Evidence) -> _Passage:
    lines = [
        _Line(number, s, frozenset(stems(s.text)), tuple(quantities(s.text)), frozenset(units_named(s.text)))
        for s in passage_sentences(passage)[:MAX_SENTENCES]
    ]
    title = frozenset(stems(passage.title))
    words = frozenset().union(*(line.stems for line in lines))
    return _Passage(lines, language(passage.text), title, words, _prefixes(f"{passage.title} {passage.text}"))


def _prefixes(text: str) -> frozenset[str]:
    return frozenset(word[:SAME_NAME] for word in re.findall(r"[^\W\d_]+", plain(text)))


def _wanted(claim: Claim, cited: Sequence[_Passage]) -> _Wanted:
    title = frozenset().union(*(each.title for each in cited))
    held = title.union(*(each.words for each in cited))
    known = _prefixes(claim.question).union(*(each.prefixes for each in cited))
    said = frozenset(stems(claim.text))
    counted = quantities(claim.text)
    units = UNIT_STEMS if any(quantity.unit for quantity in counted) else frozenset()  # may be spelled otherwise
    parts = [(part.strip(), set(stems(part)) - title) for part in _PARTS.split(_INTRODUCES.sub("", claim.text))]
    parts = [(part, content) for part, content in parts if content]
    loose = [part for part, content in parts if (len(parts) > 1 and not content & held) or _strangers(part, known)]
    return _Wanted(
        plain(claim.text),
        said,
        frozenset(stems(claim.question)),
        said - title - units,
        tuple(quantity for quantity in counted if quantity.value not in title),
        tuple(loose),
    )


def _strangers(part: str, known: frozenset[str]) -> bool:
    """Whether a name in a part of a claim is not `known`; the first word of one says nothing by its capital."""
    names = islice(_NAME.finditer(part), 1 if _NAME.match(part) else 0, None)
    return any(not _prefixes(_OWNED.sub("", name[0])) <= known for name in names)


def _nearest(wanted: _Wanted, passage: _Passage) -> list[_Line]:
    """The sentences of a passage that share the most content words with a claim, then with its question."""
    return sorted(passage.lines, key=lambda line: (-len(line.stems & wanted.said), -len(line.stems & wanted.asked)))


def _by_words(wanted: _Wanted, nearest: dict[int, list[_Line]]) -> list[_Line]:
    """The sentences that hold enough of a claim's words and all its facts; none where they do not.

    As few as will do: one, two of one passage, or those of several passages together."""
    if not wanted.said:
        return []
    for lines in nearest.values():
        for few in range(1, RESTS_ON + 1):
            if _hold(wanted, lines[:few]):
                return lines[:few]
    together = [line for lines in nearest.values() for line in lines[:RESTS_ON]]
    return [line for line in together if line.stems & wanted.new] if _hold(wanted, together) else []


def _hold(wanted: _Wanted, lines: Sequence[_Line]) -> bool:
    if not lines or not _facts(wanted, lines):
        return False
    return len(wanted.new & frozenset().union(*(line.stems for line in lines))) >= MIN_SUPPORT * len(wanted.new)


def _facts(wanted: _Wanted, lines: Sequence[_Line]) -> bool:
    """Whether sentences hold the numbers of a claim with their units, what it compares, and that something is not."""
    for quantity in wanted.quantities:
        if not any(holds(held, quantity, line.units) for line in lines for held in line.quantities):
            return False
    text = plain(" ".join(line.sentence.text for line in lines))
    if _COMPARES.search(wanted.text) and not _COMPARED.search(text):
        bounded = any(quantity.bound for quantity in wanted.quantities)
        if not bounded:
            return False
    if set(_TIMES.findall(wanted.text)) - set(_TIMES.findall(text)):
        return False
    return not (_DENIES.search(wanted.text) and not _DENIED.search(text))


@dataclass(frozen=True)
class _Doubt:
    """What the embedding is to settle of a claim and one of the passages it cites: whether some sentence says the same,
    unless its words suffice, and whether one says what each of the loose parts says. Its texts begin at row `at`."""

    place: int  # of the claim
    at: int
    texts: list[str]  # the claim, its loose parts, the sentences
    parts: int
    lines: list[_Line]
    rests_on: list[_Line]  # what its words rest on, if they suffice

    def settled(self, rows: np.ndarray) -> list[_Line]:
        """The sentences that bear the claim out; none where nothing does."""
        own = rows[self.at : self.at + len(self.texts)]
        cosines = own[: 1 + self.parts] @ own[1 + self.parts :].T
        if (cosines[1:].max(axis=1) < MIN_PART).any():
            return []
        if self.rests_on:
            return self.rests_on
        return [self.lines[int(cosines[0].argmax())]] if cosines[0].max() >= MIN_COSINE else []


def _doubt(
    place: int,
    claim: Claim,
    wanted: _Wanted,
    rests_on: list[_Line],
    passage: _Passage,
    nearest: list[_Line],
    title: str,
    at: int,
) -> _Doubt | None:
    """None where no sentence of the passage may say the same in other words: one that does shares a content word with
    the claim and holds its facts."""
    lines = nearest if rests_on else (
        line for line in nearest if wanted.new & line.stems and _facts(wanted, [line])
    )  # fmt: skip
    lines = list(islice(lines, COMPARED))
    if not lines:
        return None
    names_it = wanted.said & passage.title
    texts = [claim.text if names_it else _named(claim.text, title)]
    texts += [_named(text, title) for text in [*wanted.loose, *(line.sentence.text for line in lines)]]
    return _Doubt(place, at, texts, len(wanted.loose), lines, rests_on)


def _named(text: str, title: str) -> str:
    """A sentence with what it speaks of in front: "It" alone is near to everything."""
    shown = shown_title(title)
    return f"{shown}: {text}" if shown else text
