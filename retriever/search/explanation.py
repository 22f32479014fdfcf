"""The account of one score: its parts by query vector, by passage token and by whole word; as text and as JSON.

Knows nothing of how a score is explained (explain.py) or drawn (drawing/).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

# Of query rows: the question, the photo as a whole, a patch of it, its likeness to pictures, all that is asked.
KINDS = ("text", "prefix", "patch", "picture", "latent")
SCORE_DECIMALS = 7  # so that a few hundred rounded parts still sum to the score well within 1e-4
SIMILARITY_DECIMALS = 4

# What the tokenizer puts in, in plain words.
PLAIN = {
    "[CLS]": "start",
    "[SEP]": "end",
    "[unused0]": "question marker",
    "[unused1]": "passage marker",
    "[Q]": "question marker",
    "[D]": "passage marker",
    "[blank]": "white space or part of a letter",
    "[MASK]": "fill-up",
    "[PAD]": "padding",
    "[UNK]": "unknown word",
    "[picture]": "picture",
    "[prompt]": "words of the model's own",
}


@dataclass(frozen=True)
class QueryRow:
    """One query vector and its best match. `contribution` is weight times similarity; all of them sum to the score.

    kind: one of KINDS. position: which of its kind, from 0. token: the word piece, "" unless kind is "text".
    patch: (row, column) in the grid, None unless a patch with a place. best: the passage token's position in `tokens`.
    """

    kind: str
    position: int
    token: str
    patch: tuple[int, int] | None
    weight: float
    best: int
    similarity: float
    contribution: float


@dataclass(frozen=True)
class Won:
    """What a passage token or word has of the score, by the kind of query row: it has a row whose best match it is."""

    text: float
    prefix: float
    patch: float
    picture: float
    latent: float

    @property
    def all(self) -> float:
        return self.text + self.prefix + self.patch + self.picture + self.latent


@dataclass(frozen=True)
class MatchedToken:
    """One passage token, a word piece.

    start, end: character offsets in the text; equal where it stands for no text. word: its position in `words`.
    """

    piece: str
    start: int
    end: int
    word: int
    won: Won


@dataclass(frozen=True)
class Word:
    """A whole word of the passage, put together from word pieces; `won` is the sum of what they won.

    name: as it stands in the text, or for a special token (`special`) what it is, in plain words.
    """

    name: str
    special: bool
    start: int
    end: int
    won: Won

    @property
    def label(self) -> str:
        """The name, in brackets where it is no word of the text."""
        return f"({self.name})" if self.special else self.name


@dataclass(frozen=True)
class QuestionWord:
    """A whole word of the question (`count` 1), or `count` fill-up tokens in a row. `best` is a position in `words`."""

    name: str
    special: bool
    count: int
    contribution: float
    best: int
    similarity: float


@dataclass(frozen=True)
class Explanation:
    """The whole account of one score. Offsets are into `text`, which is what was encoded: title and passage.

    photo: whether one was given; some models take a black one instead, which has rows but no place in `grid`.
    grid, area: of the photo's patches, as in QueryVectors; (0, 0) where the rows of patches have no place.
    rows: one for each query vector. tokens: one for each passage vector. similarities: (rows, tokens) float32.
    """

    question: str
    passage_id: str
    title: str
    text: str
    score: float
    photo: bool
    grid: tuple[int, int]
    area: tuple[float, float, float, float]
    rows: tuple[QueryRow, ...]
    tokens: tuple[MatchedToken, ...]
    words: tuple[Word, ...]
    similarities: np.ndarray

    @property
    def whole(self) -> str:
        """Where the model's vectors stand for no words and no places, what that means, in a sentence; else ""."""
        if any(row.kind != "latent" for row in self.rows):
            return ""
        return (
            f"This model makes {len(self.rows)} vectors of {self.kind_names()['latent']} and {len(self.tokens)} of the "
            "passage as a whole; none stands for a word or a place, so the score has no such parts to show."
        )

    def parts(self) -> dict[str, float]:
        """What each kind of query row adds to the score."""
        return {kind: sum(row.contribution for row in self.rows if row.kind == kind) for kind in KINDS}

    def kind_names(self) -> dict[str, str]:
        """The kinds of query rows in plain words."""
        photo = "photo" if self.photo else "black stand-in photo"
        latent = "question and photo together" if self.photo else "the question as a whole"
        names = {"text": "question", "prefix": f"{photo} as a whole", "patch": f"patches of the {photo}"}
        return names | {"picture": f"likeness of the {photo} to pictures", "latent": latent}

    def patches(self) -> np.ndarray:
        """What each patch adds to the score, (down, across) float64; (0, 0) without patches."""
        placed = [row.contribution for row in self.rows if row.patch is not None]
        return np.array(placed, np.float64).reshape(self.grid)

    def winners(self, kind: str = "all") -> list[tuple[str, float]]:
        """Labels of the words that won query rows of a kind, with what they won, most first.

        A word that occurs several times is named once."""
        labels: dict[str, str] = {}
        won: dict[str, float] = {}
        for word in self.words:
            key = word.label.casefold()
            labels.setdefault(key, word.label)
            won[key] = won.get(key, 0.0) + getattr(word.won, kind)
        return sorted(((labels[key], part) for key, part in won.items()), key=lambda each: -each[1])

    def question_words(self) -> list[QuestionWord]:
        """The question in whole words, each with the match that counted most, in reading order."""
        groups: list[list[QueryRow]] = []
        for row in self.rows:
            if row.kind != "text":
                continue
            goes_on = groups and (
                (row.token.startswith("##") and groups[-1][0].token not in PLAIN)
                or row.token == groups[-1][-1].token == "[MASK]"
            )
            if goes_on:
                groups[-1].append(row)
            else:
                groups.append([row])
        return [self._question_word(group) for group in groups]

    def _question_word(self, rows: Sequence[QueryRow]) -> QuestionWord:
        first, best = rows[0].token, max(rows, key=lambda row: row.contribution)
        special = first in PLAIN
        return QuestionWord(
            name=PLAIN[first] if special else first + "".join(row.token.removeprefix("##") for row in rows[1:]),
            special=special,
            count=len(rows) if special else 1,
            contribution=sum(row.contribution for row in rows),
            best=self.tokens[best.best].word,
            similarity=best.similarity,
        )

    def summary(self) -> str:
        """A few lines for a terminal: the score, what it is made of, and the words that won most of it."""
        if self.whole:
            return f"{self.score:.4f}  {self.title}\n{self.whole}"
        present, parts = {row.kind for row in self.rows}, self.parts()
        made = ", ".join(
            f"{name} {_percent(parts[kind], self.score)}" for kind, name in self.kind_names().items() if kind in present
        )
        named = ", ".join(f"{label} {_percent(won, self.score)}" for label, won in self.winners()[:5] if won > 0)
        return f"{self.score:.4f}  {self.title}\nfrom: {made}\nwon by: {named}"

    def as_dict(self) -> dict[str, Any]:
        """All of it in types that `json.dumps` takes.

        Parts of the score have 7 decimals, similarities 4; the rounded parts sum to the score within 1e-4."""
        return {
            "passage": self.passage_id,
            "title": self.title,
            "text": self.text,
            "question": self.question,
            "score": round(self.score, SCORE_DECIMALS),
            "parts": _rounded(self.parts()),
            "photo": self.photo,
            "grid": list(self.grid),
            "area": [round(float(side), 6) for side in self.area],
            "query": [self._row_dict(row) for row in self.rows],
            "tokens": [
                {"piece": each.piece, "start": each.start, "end": each.end, "word": each.word, "won": _won(each.won)}
                for each in self.tokens
            ],
            "words": [
                {"name": each.name, "special": each.special, "start": each.start, "end": each.end}
                | {"won": _won(each.won)}
                for each in self.words
            ],
            "similarities": [
                [round(value, SIMILARITY_DECIMALS) for value in line] for line in self.similarities.tolist()
            ],
        }

    def as_json(self) -> str:
        """`as_dict` as JSON, one row, token or word to a line."""
        lines = []
        for key, value in self.as_dict().items():
            if isinstance(value, list) and value and isinstance(value[0], dict | list):
                inner = ",\n".join(f"    {_json(each)}" for each in value)
                lines.append(f"  {_json(key)}: [\n{inner}\n  ]")
            else:
                lines.append(f"  {_json(key)}: {_json(value)}")
        return "{\n" + ",\n".join(lines) + "\n}"

    def _row_dict(self, row: QueryRow) -> dict[str, Any]:
        place: dict[str, Any] = {"position": row.position}
        if row.kind == "text":
            place["token"] = row.token
        if row.patch is not None:
            place["patch"] = list(row.patch)
        best = self.tokens[row.best]
        return {
            "kind": row.kind,
            **place,
            "weight": round(row.weight, SCORE_DECIMALS),
            "similarity": round(row.similarity, SIMILARITY_DECIMALS),
            "contribution": round(row.contribution, SCORE_DECIMALS),
            "best": {
                "token": row.best,
                "word": self.words[best.word].name,
                "start": best.start,
                "end": best.end,
            },
        }


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f}%" if whole > 0 else "-"


def _won(won: Won) -> dict[str, float]:
    return _rounded({"all": won.all} | {kind: getattr(won, kind) for kind in KINDS})


def _rounded(parts: dict[str, float]) -> dict[str, float]:
    return {name: round(part, SCORE_DECIMALS) for name, part in parts.items()}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
