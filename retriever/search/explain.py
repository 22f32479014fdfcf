"""Why a passage was found: what every query vector matched in the passage, and how much of the score that made.

Late interaction makes this exact: a score is a sum over the query's vectors, each with its best match in the
passage (ColBERT's MaxSim, arXiv 2004.12832; PreFLMR, arXiv 2402.08327). Knows nothing of models, indexes or pictures.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from retriever.encoders.base import Encoder, PassageToken, QueryVectors, passage_text

KINDS = ("text", "prefix", "patch")  # of query rows: the question, the photo as a whole, one patch of the photo
SCORE_DECIMALS = 7  # so that a few hundred rounded parts still sum to the score well within 1e-4
SIMILARITY_DECIMALS = 4
FAINT = 0.05  # of the largest contribution of a patch

# What the tokenizer puts in, in plain words.
_PLAIN = {
    "[CLS]": "start",
    "[SEP]": "end",
    "[unused0]": "question marker",
    "[unused1]": "passage marker",
    "[MASK]": "fill-up",
    "[PAD]": "padding",
    "[UNK]": "unknown word",
}


class ExplainProblem(RuntimeError):
    """A score that cannot be explained or shown; str() is one sentence that says why and what to do."""


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

    @property
    def all(self) -> float:
        return self.text + self.prefix + self.patch


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

    def parts(self) -> dict[str, float]:
        """What each kind of query row adds to the score."""
        return {kind: sum(row.contribution for row in self.rows if row.kind == kind) for kind in KINDS}

    def kind_names(self) -> dict[str, str]:
        """The kinds of query rows in plain words."""
        photo = "photo" if self.photo else "black stand-in photo"
        return {"text": "question", "prefix": f"{photo} as a whole", "patch": f"patches of the {photo}"}

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
                (row.token.startswith("##") and groups[-1][0].token not in _PLAIN)
                or row.token == groups[-1][-1].token == "[MASK]"
            )
            if goes_on:
                groups[-1].append(row)
            else:
                groups.append([row])
        return [self._question_word(group) for group in groups]

    def _question_word(self, rows: Sequence[QueryRow]) -> QuestionWord:
        first, best = rows[0].token, max(rows, key=lambda row: row.contribution)
        special = first in _PLAIN
        return QuestionWord(
            name=_PLAIN[first] if special else first + "".join(row.token.removeprefix("##") for row in rows[1:]),
            special=special,
            count=len(rows) if special else 1,
            contribution=sum(row.contribution for row in rows),
            best=self.tokens[best.best].word,
            similarity=best.similarity,
        )

    def summary(self) -> str:
        """A few lines for a terminal: the score, what it is made of, and the words that won most of it."""
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


def explain_passage(
    encoder: Encoder, question: str, photo: Image.Image | None, passage_id: str, title: str, text: str
) -> Explanation:
    """Encodes the query and this one passage, and accounts for its score.

    The passage's vectors are fresh ones: a score from an index, which stores them rounded, differs a little.
    Raises ExplainProblem when there is nothing to ask with, or what the model gives is no number."""
    if photo is None and not question.strip():
        raise ExplainProblem("Give a photo, a question, or both; without either there is no score to explain.")
    question = question.encode("utf-8", "replace").decode("utf-8")  # lone surrogates, which no tokenizer takes
    encoded = passage_text(title, text)
    query = encoder.encode_query(question, photo)
    vectors = encoder.encode_passages([encoded])[0]
    return explain(
        query,
        vectors,
        encoder.passage_tokens(encoded),
        question=question,
        passage_id=passage_id,
        title=title,
        text=encoded,
        photo=photo is not None,
    )


def explain(
    query: QueryVectors,
    passage_vectors: np.ndarray,
    tokens: Sequence[PassageToken],
    *,
    question: str,
    passage_id: str,
    title: str,
    text: str,
    photo: bool,
) -> Explanation:
    """Accounts for the score of a passage, given as `passage_vectors` (tokens, dim) and one of `tokens` for each.

    Raises ValueError when vectors and tokens do not go together, ExplainProblem when vectors hold what is no number.
    """
    if len(tokens) != len(passage_vectors):
        raise ValueError(f"there are {len(passage_vectors)} passage vectors and {len(tokens)} tokens")
    if not len(tokens):
        raise ExplainProblem("The model makes no vector of this passage, so there is no score to explain.")
    similarities = query.vectors @ np.asarray(passage_vectors, np.float32).T
    if not np.isfinite(similarities).all() or not np.isfinite(query.weights).all():
        raise ExplainProblem(
            "The model gives vectors that hold no numbers (NaN or infinity); its file may be damaged: fetch it again."
        )
    best = similarities.argmax(axis=1)
    nearest = similarities[np.arange(len(best)), best].astype(np.float64)
    parts = query.weights.astype(np.float64) * nearest

    grid = _grid(query)
    rows: list[QueryRow] = []
    won = np.zeros((len(KINDS), len(tokens)))
    for number, (kind, where) in enumerate(
        zip(KINDS, (query.text_rows, query.prefix_rows, query.patch_rows), strict=True)
    ):
        for position, row in enumerate(range(where.start, where.stop)):
            rows.append(
                QueryRow(
                    kind=kind,
                    position=position,
                    token=query.tokens[position] if kind == "text" else "",
                    patch=divmod(position, grid[1]) if kind == "patch" and grid[1] else None,
                    weight=float(query.weights[row]),
                    best=int(best[row]),
                    similarity=float(nearest[row]),
                    contribution=float(parts[row]),
                )
            )
            won[number, best[row]] += parts[row]

    groups = _whole_words(tokens)
    word_of = [number for number, group in enumerate(groups) for _ in group]
    return Explanation(
        question=question,
        passage_id=passage_id,
        title=title,
        text=text,
        score=float(parts.sum()),
        photo=photo,
        grid=grid,
        area=query.area,
        rows=tuple(rows),
        tokens=tuple(
            MatchedToken(token.text, token.start, token.end, word_of[i], Won(*won[:, i].tolist()))
            for i, token in enumerate(tokens)
        ),
        words=tuple(_word(text, [tokens[i] for i in group], won[:, group].sum(axis=1)) for group in groups),
        similarities=similarities,
    )


def contributions(query: QueryVectors, passage_vectors: np.ndarray) -> np.ndarray:
    """What each query vector adds to the passage's score, (n,) float32; they sum to the score.

    passage_vectors: (tokens, dim)."""
    return query.weights * (query.vectors @ np.asarray(passage_vectors, np.float32).T).max(axis=1)


def patch_shares(query: QueryVectors, passage_vectors: np.ndarray) -> np.ndarray:
    """Each patch's part in the score, (down, across) float32 >= 0, scaled so that the largest is 1.

    What the weakest patch has too, every patch has, whatever it shows: it is taken off. Empty without a photo."""
    grid = _grid(query)
    if grid == (0, 0):
        return np.zeros(grid, np.float32)
    return above_weakest(contributions(query, passage_vectors)[query.patch_rows].reshape(grid))


def patch_contrasts(query: QueryVectors, passages: Sequence[np.ndarray]) -> np.ndarray:
    """What in the photo speaks for each passage rather than for the others: (passages, down, across) float32, 0 to 1.

    passages: the vectors of each, (tokens, dim). What a patch adds to a passage's score above its mean over all of
    them, on one scale, whose 1 is the largest of these differences. All 0: nothing speaks for that passage before the
    others; differences below a part of the largest contribution, FAINT, are what the storing of vectors makes.
    Of one passage, `patch_shares`. Empty without a photo."""
    grid = _grid(query)
    if grid == (0, 0) or not passages:
        return np.zeros((len(passages), *grid), np.float32)
    if len(passages) == 1:
        return patch_shares(query, passages[0])[None]
    parts = np.stack([contributions(query, vectors)[query.patch_rows].reshape(grid) for vectors in passages])
    above = parts - parts.mean(axis=0)
    above[above < FAINT * np.abs(parts).max()] = 0
    return above / above.max() if above.max() > 0 else above


def above_weakest(parts: np.ndarray) -> np.ndarray:
    """`parts` less the least of them, scaled so that the largest is 1; all 0 where they are equal."""
    parts = parts - parts.min()
    return parts / parts.max() if parts.max() > 0 else parts


def _grid(query: QueryVectors) -> tuple[int, int]:
    """The query's grid if its patch rows fill it. Those of a black stand-in have no place in any photo."""
    down, across = query.grid
    return query.grid if down * across == query.patch_rows.stop - query.patch_rows.start else (0, 0)


def _whole_words(tokens: Sequence[PassageToken]) -> list[list[int]]:
    """Positions of the tokens, those of one word together: a piece "##x" goes with the one it touches."""
    groups: list[list[int]] = []
    for i, token in enumerate(tokens):
        if i and token.text.startswith("##") and token.start == tokens[i - 1].end and token.start < token.end:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups


def _word(text: str, pieces: Sequence[PassageToken], won: np.ndarray) -> Word:
    start, end = pieces[0].start, pieces[-1].end
    special = start >= end
    name = _PLAIN.get(pieces[0].text, pieces[0].text) if special else text[start:end]
    return Word(name, special, start, end, Won(*won.tolist()))


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f}%" if whole > 0 else "-"


def _won(won: Won) -> dict[str, float]:
    return _rounded({"all": won.all, "text": won.text, "prefix": won.prefix, "patch": won.patch})


def _rounded(parts: dict[str, float]) -> dict[str, float]:
    return {name: round(part, SCORE_DECIMALS) for name, part in parts.items()}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
