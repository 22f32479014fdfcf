"""Why a passage was found: what every query vector matched in the passage, and how much of the score that made.

Late interaction makes this exact: a score is a sum over the query's vectors, each with its best match in the
passage (ColBERT's MaxSim, arXiv 2004.12832; PreFLMR, arXiv 2402.08327). Knows nothing of models, indexes or pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import Encoder, PassageToken, Query, QueryVectors, passage_text
from retriever.search.explanation import KINDS, PLAIN, Explanation, MatchedToken, QueryRow, Won, Word

OF_PICTURE = "[picture]"  # instead of the token, of a row that a passage's picture makes
FAINT = 0.05  # of the largest contribution of a patch


def explain_passage(
    encoder: Encoder,
    question: str,
    photo: Image.Image | None,
    passage: Passage,
    pictures: Sequence[Image.Image] = (),
) -> Explanation:
    """Encodes the query and this one passage, with the pictures beside it, and accounts for its score.

    The passage's vectors are fresh ones: a score from an index, which stores them rounded, differs a little.
    Raises Problem when there is nothing to ask with, or what the model gives is no number."""
    if photo is None and not question.strip():
        raise Problem("Give a photo, a question, or both; without either there is no score to explain.")
    question = question.encode("utf-8", "replace").decode("utf-8")  # lone surrogates, which no tokenizer takes
    [query] = encoder.encode_queries([Query(question, photo, pictures=bool(pictures))])
    vectors = encoder.encode_passages([passage], [pictures])[0]
    tokens = encoder.passage_tokens(passage, pictures)
    tokens += [PassageToken(OF_PICTURE, 0, 0)] * (len(vectors) - len(tokens))
    return explain(
        query,
        vectors,
        tokens,
        question=question,
        passage_id=passage.id,
        title=passage.heading,
        text="" if pictures and not encoder.takes.texts_beside else passage_text(passage),
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

    Raises ValueError when vectors and tokens do not go together, Problem when vectors hold what is no number.
    """
    if len(tokens) != len(passage_vectors):
        raise ValueError(f"there are {len(passage_vectors)} passage vectors and {len(tokens)} tokens")
    if not len(tokens):
        raise Problem("The model makes no vector of this passage, so there is no score to explain.")
    similarities = query.vectors @ np.asarray(passage_vectors, np.float32).T
    if not np.isfinite(similarities).all() or not np.isfinite(query.weights).all():
        raise Problem(
            "The model gives vectors that hold no numbers (NaN or infinity); its file may be damaged: fetch it again."
        )
    best = similarities.argmax(axis=1)
    nearest = similarities[np.arange(len(best)), best].astype(np.float64)
    parts = query.weights.astype(np.float64) * nearest

    won = np.zeros((len(KINDS), len(tokens)))
    for number, where in enumerate(_kinds(query).values()):
        np.add.at(won[number], best[where], parts[where])
    groups = _whole_words(tokens)
    word_of = [number for number, group in enumerate(groups) for _ in group]
    return Explanation(
        question=question,
        passage_id=passage_id,
        title=title,
        text=text,
        score=float(parts.sum()),
        photo=photo,
        grid=_grid(query),
        area=query.area,
        rows=tuple(_rows(query, best, nearest, parts)),
        tokens=tuple(
            MatchedToken(token.text, token.start, token.end, word_of[i], Won(*won[:, i].tolist()))
            for i, token in enumerate(tokens)
        ),
        words=tuple(_word(text, [tokens[i] for i in group], won[:, group].sum(axis=1)) for group in groups),
        similarities=similarities,
    )


def _kinds(query: QueryVectors) -> dict[str, slice]:
    """Where the rows of each of KINDS are."""
    rows = (query.text_rows, query.prefix_rows, query.patch_rows, query.picture_rows, query.latent_rows)
    return dict(zip(KINDS, rows, strict=True))


def _rows(query: QueryVectors, best: np.ndarray, nearest: np.ndarray, parts: np.ndarray) -> Iterator[QueryRow]:
    """Of each row of the query: which token it matches best, how well, and what that adds to the score."""
    across = _grid(query)[1]
    for kind, where in _kinds(query).items():
        for position, row in enumerate(range(where.start, where.stop)):
            yield QueryRow(
                kind=kind,
                position=position,
                token=query.tokens[position] if kind == "text" else "",
                patch=divmod(position, across) if kind == "patch" and across else None,
                weight=float(query.weights[row]),
                best=int(best[row]),
                similarity=float(nearest[row]),
                contribution=float(parts[row]),
            )


@dataclass(frozen=True)
class Alignment:
    """How the n vectors of a query match a passage. best: (n,) int32, the passage token that each matches best, of
    `tokens`. contributions: (n,) float32, what each adds to the score; they sum to it. places: (patches,) float32, what
    each patch of the photo has of that which likeness to pictures adds; None where that is not known."""

    best: np.ndarray
    contributions: np.ndarray
    tokens: int
    places: np.ndarray | None = None


def align(query: QueryVectors, passage_vectors: np.ndarray) -> Alignment:
    """passage_vectors: (tokens, dim)."""
    # By torch, whose threads rest after a product: NumPy's spin for hundredths of a second, while the answer begins.
    passage = torch.from_numpy(np.ascontiguousarray(passage_vectors, np.float32))
    similarities = (torch.from_numpy(query.vectors) @ passage.T).numpy()
    best = similarities.argmax(axis=1).astype(np.int32)
    places = None
    if query.picture_places is not None:
        rows = query.picture_rows
        matched = query.weights[rows, None] * passage_vectors[best[rows]]
        places = np.einsum("rpd,rd->p", query.picture_places, matched).astype(np.float32)
    return Alignment(best, query.weights * similarities.max(axis=1), len(passage_vectors), places)


def likest_picture(query: QueryVectors, aligned: Alignment, pictures: int) -> int | None:
    """Which of a passage's pictures, whose rows are its last, the photo is most like; None where it is like none."""
    each = query.picture_rows.stop - query.picture_rows.start
    rows = slice(aligned.tokens - each * pictures, aligned.tokens)
    won = np.zeros(pictures)
    for best, added in zip(aligned.best[query.picture_rows], aligned.contributions[query.picture_rows], strict=True):
        if best >= rows.start:
            won[(best - rows.start) // each] += added
    return int(won.argmax()) if won.max(initial=0) > 0 else None


def picture_parts(query: QueryVectors, picture: QueryVectors) -> np.ndarray:
    """What each place of a passage's picture, which was made the photo of a query too, adds to the score by being like
    the photo: (down, across) float32, by the picture's grid."""
    rows = query.picture_rows
    matched = query.weights[rows, None] * query.vectors[rows]
    return np.einsum("rpd,rd->p", picture.picture_places, matched).astype(np.float32).reshape(picture.grid)


def patch_contrasts(query: QueryVectors, passages: Sequence[Alignment]) -> np.ndarray:
    """What in the photo speaks for each passage rather than for the others: (passages, down, across) float32, 0 to 1.

    What a patch adds to a passage's score, by itself and by its part in likeness to pictures, above its mean over all
    of them, on one scale, whose 1 is the largest of these differences. All 0: nothing speaks for that passage before
    the others; differences below a part of the largest contribution, FAINT, are what the storing of vectors makes. Of
    one passage alone, what each patch adds above the weakest: what that adds, every patch adds, whatever it shows.
    Empty without a photo."""
    grid = _grid(query)
    if grid == (0, 0) or not passages:
        return np.zeros((len(passages), *grid), np.float32)
    parts = np.stack([(each.contributions[query.patch_rows] + _of_places(each)).reshape(grid) for each in passages])
    if len(passages) == 1:
        return above_weakest(parts)
    above = parts - parts.mean(axis=0)
    above[above < FAINT * np.abs(parts).max()] = 0
    return above / above.max() if above.max() > 0 else above


def _of_places(aligned: Alignment) -> np.ndarray | float:
    return 0.0 if aligned.places is None else aligned.places


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
    name = PLAIN.get(pieces[0].text, pieces[0].text) if special else text[start:end]
    return Word(name, special, start, end, Won(*won.tolist()))
