"""The account of a score: worked out by hand, over random vectors, and with the real encoder."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.images import load_image
from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import PassageToken, Query, QueryVectors
from retriever.encoders.flmr import late_interaction_scores
from retriever.encoders.registry import load_encoder
from retriever.search.explain import above_weakest, align, explain, explain_passage, patch_contrasts
from retriever.search.explanation import Explanation
from tests.fakes.small_encoder import plain
from tests.support.checkpoints import write_checkpoint

CHEETAH = Path(importlib.util.find_spec("gradio").origin).parent / "media_assets" / "images" / "cheetah1.jpg"
TEXT = "A large spotted cat with black tear-marks; no animal on land runs faster, and it purrs unbelievably."
ABOUT = {"question": "", "passage_id": "things:1#0", "title": "Chess", "text": "playing chess", "photo": True}

PLAYING = [
    PassageToken("[CLS]", 0, 0),
    PassageToken("play", 0, 4),
    PassageToken("##ing", 4, 7),
    PassageToken("chess", 8, 13),
]
PLAYING_VECTORS = np.array([[0, -1], [0.9, 0], [0, 0.9], [0.6, 0.8]], np.float32)


def query_of(
    text: list[list[float]],
    prefix: list[list[float]],
    patches: list[list[float]],
    weights: list[float],
    tokens: list[str],
    grid: tuple[int, int],
) -> QueryVectors:
    words, photo = len(text), len(text) + len(prefix)
    return QueryVectors(
        vectors=np.array(text + prefix + patches, np.float32),
        weights=np.array(weights, np.float32),
        text_rows=slice(0, words),
        prefix_rows=slice(words, photo),
        patch_rows=slice(photo, photo + len(patches)),
        tokens=tokens,
        grid=grid,
    )


def by_hand() -> Explanation:
    query = query_of([[1, 0]], [[0, 1]], [[0.6, 0.8]], [0.5, 0.25, 0.25], ["game"], (1, 1))
    return explain(query, PLAYING_VECTORS, PLAYING, **ABOUT)


def test_a_score_worked_out_by_hand():
    made = by_hand()
    # game: 1 * 0.9 with "play"; the photo: 0.9 with "##ing"; its patch: 0.36 + 0.64 with "chess".
    assert [(row.kind, row.best) for row in made.rows] == [("text", 1), ("prefix", 2), ("patch", 3)]
    assert [row.similarity for row in made.rows] == pytest.approx([0.9, 0.9, 1.0])
    assert [row.contribution for row in made.rows] == pytest.approx([0.45, 0.225, 0.25])
    assert made.score == pytest.approx(0.925)
    assert made.parts() == pytest.approx({"text": 0.45, "prefix": 0.225, "patch": 0.25, "picture": 0, "latent": 0})
    assert made.rows[2].patch == (0, 0) and made.rows[0].patch is None and made.rows[0].token == "game"
    expected = [[0, 0.9, 0, 0.6], [-1, 0, 0.9, 0.8], [-0.8, 0.54, 0.72, 1]]
    assert made.similarities == pytest.approx(np.array(expected), abs=1e-6)


def test_pieces_are_put_together_and_what_they_won_is_added():
    made = by_hand()
    assert [(word.name, word.special) for word in made.words] == [("start", True), ("playing", False), ("chess", False)]
    assert [(word.start, word.end) for word in made.words] == [(0, 0), (0, 7), (8, 13)]
    playing, chess = made.words[1:]
    assert (playing.won.text, playing.won.prefix, playing.won.patch) == pytest.approx((0.45, 0.225, 0))
    assert playing.won.all == pytest.approx(0.675) and chess.won.patch == chess.won.all == pytest.approx(0.25)
    assert [token.word for token in made.tokens] == [0, 1, 1, 2]
    assert [token.won.all for token in made.tokens] == pytest.approx([0, 0.45, 0.225, 0.25])


def words_of(text: str, *spans: tuple[str, int, int]) -> list[str]:
    tokens = [PassageToken(*span) for span in spans]
    query = query_of([[1.0]], [], [], [1.0], ["x"], (0, 0))
    made = explain(query, np.ones((len(tokens), 1), np.float32), tokens, **{**ABOUT, "text": text, "photo": False})
    return [word.label for word in made.words]


@pytest.mark.parametrize(
    ("text", "spans", "words"),
    [
        ("well-known", [("well", 0, 4), ("known", 5, 10)], ["well", "known"]),
        ("Zürich", [("zur", 0, 3), ("##ich", 3, 6)], ["Zürich"]),
        ("unbelievably", [("un", 0, 2), ("##believ", 2, 8), ("##ably", 8, 12)], ["unbelievably"]),
        ("漢字", [("漢", 0, 1), ("字", 1, 2)], ["漢", "字"]),
        ("ab cd", [("ab", 0, 2), ("##cd", 3, 5)], ["ab", "cd"]),
        ("ing", [("##ing", 0, 3)], ["ing"]),
        ("a🦁", [("a", 0, 1), ("[UNK]", 1, 2)], ["a", "🦁"]),
        ("", [("[CLS]", 0, 0), ("[unused1]", 0, 0), ("[SEP]", 0, 0)], ["(start)", "(passage marker)", "(end)"]),
    ],
)
def test_only_pieces_of_one_word_are_put_together(text, spans, words):
    assert words_of(text, *spans) == words


def test_the_question_in_whole_words():
    tokens = ["[CLS]", "[unused0]", "chee", "##tah", "[UNK]", "[SEP]", "[MASK]", "[MASK]"]
    text = [[0.1, 0], [0.1, 0], [0.2, 0], [0, 0.5], [0.1, 0], [0.1, 0], [0.3, 0], [0, 0.4]]
    query = query_of(text, [], [], [0.125] * 8, tokens, (0, 0))
    words = explain(query, PLAYING_VECTORS, PLAYING, **ABOUT).question_words()
    names = ["start", "question marker", "cheetah", "unknown word", "end", "fill-up"]
    assert [word.name for word in words] == names
    assert [word.special for word in words] == [True, True, False, True, True, True]
    assert [word.count for word in words] == [1, 1, 1, 1, 1, 2]
    # "chee" gives 0.2 * 0.9 and "##tah" 0.5 * 0.9, the latter with "##ing".
    assert words[2].contribution == pytest.approx(0.7 * 0.9 / 8)
    assert words[2].similarity == pytest.approx(0.45) and words[2].best == 1
    assert sum(word.contribution for word in words) == pytest.approx(1.8 * 0.9 / 8)


def test_a_word_that_occurs_twice_is_named_once():
    tokens = [PassageToken("cat", 0, 3), PassageToken("cat", 4, 7), PassageToken("dog", 8, 11)]
    query = query_of([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [], [], [0.3, 0.3, 0.4], ["a", "b", "c"], (0, 0))
    made = explain(query, np.eye(3, dtype=np.float32), tokens, **{**ABOUT, "text": "Cat cat dog"})
    assert [label for label, _ in made.winners("text")] == ["Cat", "dog"]
    assert [won for _, won in made.winners()] == pytest.approx([0.6, 0.4])
    assert "Cat 60%, dog 40%" in made.summary() and "question 100%" in made.summary()


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    text=st.integers(0, 40),
    prefix=st.integers(0, 40),
    grid=st.tuples(st.integers(0, 16), st.integers(0, 16)),
    tokens=st.integers(1, 60),
)
def test_parts_sum_to_the_score_exactly_and_rounded(seed, text, prefix, grid, tokens):
    random = np.random.default_rng(seed)
    patches = grid[0] * grid[1]
    rows = text + prefix + patches
    vectors = random.standard_normal((rows, 8)).astype(np.float32)
    passage = random.standard_normal((tokens, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    passage /= np.linalg.norm(passage, axis=1, keepdims=True)
    weights = random.random(rows) if rows else np.zeros(0)
    query = query_of([], [], [], [], ["w"] * text, grid if patches else (0, 0))
    query = replace(
        query,
        vectors=vectors.reshape(rows, 8),
        weights=(weights / max(weights.sum(), 1e-9)).astype(np.float32),
        text_rows=slice(0, text),
        prefix_rows=slice(text, text + prefix),
        patch_rows=slice(text + prefix, rows),
    )
    marks = [PassageToken("w" if random.random() < 0.6 else "##w", i, i + 1) for i in range(tokens)]
    made = explain(query, passage, marks, **{**ABOUT, "text": "w" * tokens})

    score = sum(
        float(weight) * max(float(vector.astype(np.float64) @ token) for token in passage)
        for weight, vector in zip(query.weights, vectors, strict=True)
    )
    assert made.score == pytest.approx(score, abs=1e-5)
    assert sum(made.parts().values()) == pytest.approx(made.score, abs=1e-12)
    for won in ([token.won.all for token in made.tokens], [word.won.all for word in made.words]):
        assert sum(won) == pytest.approx(made.score, abs=1e-12)
    assert made.patches().shape == query.grid and made.patches().sum() == pytest.approx(made.parts()["patch"])
    assert "".join(word.name for word in made.words) == "w" * tokens

    said = made.as_dict()
    assert abs(sum(row["contribution"] for row in said["query"]) - said["score"]) < 1e-4
    assert abs(sum(token["won"]["all"] for token in said["tokens"]) - said["score"]) < 1e-4
    assert abs(sum(word["won"]["all"] for word in said["words"]) - said["score"]) < 1e-4
    assert abs(sum(said["parts"].values()) - said["score"]) < 1e-4


def test_the_patches_of_a_stand_in_photo_have_no_place():
    query = query_of([[1, 0]], [], [[0, 1], [0, 1]], [0.5, 0.25, 0.25], ["game"], (0, 0))
    made = explain(query, PLAYING_VECTORS, PLAYING, **{**ABOUT, "photo": False})
    assert made.patches().shape == (0, 0) and {row.patch for row in made.rows} == {None}
    assert made.parts()["patch"] == pytest.approx(0.45) and "stand-in" in made.summary()
    assert contrasts_of(query, [PLAYING_VECTORS])[0].shape == (0, 0)


def test_patches_lie_row_by_row():
    query = query_of([], [], [[part, 0] for part in (1, 2, 3, 4, 5, 6)], [1.0] * 6, [], (2, 3))
    made = explain(query, PLAYING_VECTORS, PLAYING, **ABOUT)
    assert [row.patch for row in made.rows] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert made.patches() == pytest.approx(0.9 * np.array([[1, 2, 3], [4, 5, 6]]))


def test_a_grid_without_patch_vectors_is_no_map():
    query = query_of([[1, 0]], [[0, 1]], [], [0.5, 0.5], ["game"], (7, 7))
    made = explain(query, PLAYING_VECTORS, PLAYING, **ABOUT)
    assert made.grid == (0, 0) and made.patches().size == 0 and contrasts_of(query, [PLAYING_VECTORS])[0].size == 0


# --- what cannot be explained


def test_vectors_that_are_no_numbers_are_refused():
    query = query_of([[1, 0]], [], [], [1.0], ["game"], (0, 0))
    with pytest.raises(Problem, match=r"no numbers.*\.$"):
        explain(query, np.full((4, 2), np.nan, np.float32), PLAYING, **ABOUT)
    with pytest.raises(Problem, match=r"no numbers.*\.$"):
        explain(replace(query, weights=np.array([np.inf], np.float32)), PLAYING_VECTORS, PLAYING, **ABOUT)


def test_a_passage_without_vectors_is_refused():
    query = query_of([[1, 0]], [], [], [1.0], ["game"], (0, 0))
    with pytest.raises(Problem, match="no vector"):
        explain(query, np.zeros((0, 2), np.float32), [], **ABOUT)


def test_vectors_and_tokens_must_go_together():
    query = query_of([[1, 0]], [], [], [1.0], ["game"], (0, 0))
    with pytest.raises(ValueError, match="4 passage vectors and 3 tokens"):
        explain(query, PLAYING_VECTORS, PLAYING[:3], **ABOUT)


@pytest.mark.parametrize("question", ["", " \n"])
def test_nothing_to_ask_with_is_said_before_anything_is_encoded(question):
    with pytest.raises(Problem, match=r"Give a photo, a question, or both.*\.$"):
        explain_passage(None, question, None, Passage("things:1#0", "Chess", "A game."))


# --- JSON


def strictly(text: str) -> dict:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_by_hand():
    said = strictly(by_hand().as_json())
    assert said == by_hand().as_dict()
    assert said["score"] == 0.925
    assert said["parts"] == {"text": 0.45, "prefix": 0.225, "patch": 0.25, "picture": 0, "latent": 0}
    assert said["passage"] == "things:1#0" and said["photo"] is True and said["area"] == [0, 0, 1, 1]
    assert said["query"][0] == {
        "kind": "text",
        "position": 0,
        "token": "game",
        "weight": 0.5,
        "similarity": 0.9,
        "contribution": 0.45,
        "best": {"token": 1, "word": "playing", "start": 0, "end": 4},
    }
    assert said["query"][2]["patch"] == [0, 0] and "token" not in said["query"][2]
    assert said["tokens"][2] == {
        "piece": "##ing",
        "start": 4,
        "end": 7,
        "word": 1,
        "won": {"all": 0.225, "text": 0, "prefix": 0.225, "patch": 0, "picture": 0, "latent": 0},
    }
    assert said["words"][1]["name"] == "playing" and said["words"][1]["won"]["all"] == 0.675
    assert said["similarities"][0] == [0, 0.9, 0, 0.6]


def test_json_has_a_line_for_each_row():
    lines = by_hand().as_json().splitlines()
    assert [line for line in lines if '"kind"' in line][2].strip().startswith('{"kind": "patch"')
    assert sum('"piece"' in line for line in lines) == 4 and sum('"kind"' in line for line in lines) == 3


def of_wholes(photo: bool = True) -> Explanation:
    """Of a model whose vectors stand for no words and no places: two of the query, two of the passage."""
    query = replace(query_of([], [], [], [0.5, 0.5], [], (0, 0)), vectors=np.eye(2, dtype=np.float32))
    query = replace(query, latent_rows=slice(0, 2))
    tokens = [PassageToken("vector 1", 0, 0), PassageToken("vector 2", 0, 0)]
    vectors = np.array([[0.6, 0.8], [1, 0]], np.float32)
    return explain(query, vectors, tokens, **{**ABOUT, "photo": photo, "text": "Chess: playing chess"})


def test_vectors_of_a_whole_are_told_of_as_such():
    made = of_wholes()
    rows = [(row.kind, row.best, row.patch, row.token) for row in made.rows]
    assert rows == [("latent", 1, None, ""), ("latent", 0, None, "")]
    assert made.score == pytest.approx(0.9) == made.parts()["latent"] and not made.question_words()
    assert made.as_dict()["parts"] == {"text": 0, "prefix": 0, "patch": 0, "picture": 0, "latent": 0.9}
    said = made.summary()
    assert said.startswith("0.9000  Chess\n")
    assert "2 vectors of question and photo together and 2 of the passage" in said
    assert "won by" not in said and "%" not in said and "vector 1" not in said
    assert "of the question as a whole" in of_wholes(photo=False).summary()
    assert not by_hand().whole


# --- with the real encoder


def contrasts_of(query, passages) -> np.ndarray:
    """Of passages given by their vectors."""
    return patch_contrasts(query, [align(query, vectors) for vectors in passages])


def test_an_alignment_is_what_the_score_is_made_of():
    query = query_of([[1, 0]], [], [[0, 1]], [0.6, 0.4], ["x"], (1, 1))
    made = align(query, np.array([[0, 0.5], [0.9, 0]], np.float32))
    assert made.best.tolist() == [1, 0]
    assert made.contributions == pytest.approx(np.array([0.54, 0.2])) and made.contributions.dtype == np.float32


def test_what_speaks_for_a_passage_rather_than_for_the_others():
    """Three patches: one that all passages have alike, one that the first has alone, one that the second has more."""
    patches = [[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    query = query_of([[1, 0, 0, 0]], [], patches, [0.4, 0.2, 0.2, 0.2], ["x"], (1, 3))
    first = np.array([[1, 0, 0, 0], [0, 0.8, 0.6, 0.0], [0, 0, 0, 0.3]], np.float32)
    second = np.array([[0, 0.8, 0, 0.6]], np.float32)
    third = np.array([[0.6, 0.8, 0, 0]], np.float32)
    contrasts = contrasts_of(query, [first, second, third])
    assert contrasts.shape == (3, 1, 3) and contrasts.dtype == np.float32
    assert contrasts[0] == pytest.approx(np.array([[0, 1, 0]]), abs=1e-6)  # .6 over a mean of .2: the largest
    assert contrasts[1] == pytest.approx(np.array([[0, 0, 0.75]]), abs=1e-6)  # .6 over .3, on the same scale
    assert not contrasts[2].any()  # nothing speaks for it before the others
    # What differs by less than storing makes is no difference, and equal passages have none.
    nearly = first + np.float32(0.01)
    assert not contrasts_of(query, [first, nearly]).any()
    alone = align(query, first).contributions[query.patch_rows].reshape(query.grid)
    assert contrasts_of(query, [first])[0] == pytest.approx(above_weakest(alone))
    assert patch_contrasts(query, []).shape == (0, 1, 3)
    assert contrasts_of(query_of([[1, 0]], [], [], [1], ["x"], (0, 0)), [np.eye(2)] * 2).shape == (2, 0, 0)


@pytest.fixture(scope="module")
def cheetah(mini) -> Explanation:
    return explain_passage(mini, "Which animal is this?", load_image(CHEETAH), Passage("animals:7#0", "Cheetah", TEXT))


def test_the_explained_score_is_the_models_own(mini, cheetah):
    [query] = mini.encode_queries([Query("Which animal is this?", load_image(CHEETAH))])
    (vectors,) = mini.encode_passages([Passage("", "Cheetah", TEXT)])
    whole = late_interaction_scores(
        torch.from_numpy(query.vectors)[None],
        torch.from_numpy(vectors)[None],
        torch.ones(1, len(vectors), 1),
        torch.from_numpy(query.weights)[None],
    )
    assert cheetah.score == pytest.approx(float(whole.reshape(-1)[0]), abs=1e-4)
    assert sum(row.contribution for row in cheetah.rows) == pytest.approx(cheetah.score, abs=1e-9)
    assert cheetah.similarities.shape == (len(query.vectors), len(vectors))
    assert above_weakest(cheetah.patches()) == pytest.approx(contrasts_of(query, [vectors])[0], abs=1e-4)


def test_words_stand_where_the_account_says(cheetah):
    text = cheetah.text
    assert text == f"Cheetah: {TEXT}"
    names = [word.name for word in cheetah.words if not word.special]
    assert names[:5] == ["Cheetah", "A", "large", "spotted", "cat"] and "unbelievably" in names
    assert "tear" in names and "marks" in names and "," not in names
    assert [word.label for word in cheetah.words if word.special] == ["(start)", "(passage marker)", "(end)"]
    for word in cheetah.words:
        assert word.special or text[word.start : word.end] == word.name
    for token in cheetah.tokens:
        if token.end > token.start:
            assert text[token.start : token.end].casefold() == token.piece.removeprefix("##")


def test_the_question_meets_its_words(cheetah):
    words = {word.name: word for word in cheetah.question_words()}
    assert cheetah.words[words["animal"].best].name == "animal"
    assert cheetah.winners("prefix")[0][0] == "Cheetah"


def test_json_of_the_real_encoder_is_complete(cheetah):
    said = strictly(cheetah.as_json())
    down, across = said["grid"]
    kinds = [row["kind"] for row in said["query"]]
    assert kinds.count("patch") == down * across > 0 and kinds.count("prefix") == 16
    assert [row["patch"] for row in said["query"] if row["kind"] == "patch"][across] == [1, 0]
    assert len(said["similarities"]) == len(kinds)
    assert {len(line) for line in said["similarities"]} == {len(said["tokens"])}
    for row, line in zip(said["query"], said["similarities"], strict=True):
        assert line[row["best"]["token"]] == max(line) == row["similarity"]
        assert row["weight"] * row["similarity"] == pytest.approx(row["contribution"], abs=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("?!...", id="signs"),
        pytest.param("🦁 lion 🦁", id="emoji"),
        pytest.param("مرحبا بالعالم", id="arabic"),
        pytest.param("漢字かな", id="chinese"),
        pytest.param("a\x00b\x07c\x1b[31m", id="control"),
        pytest.param("x" * 10_000, id="one word"),
        pytest.param("word " * 2_000, id="many words"),
        pytest.param("[SEP] [MASK]", id="special"),
    ],
)
def test_odd_passages_are_accounted_for(mini, text):
    made = explain_passage(mini, "What is this?", None, Passage("odd:1#0", "Odd", text))
    said = strictly(made.as_json())
    assert abs(sum(row["contribution"] for row in said["query"]) - said["score"]) < 1e-4
    assert len(said["tokens"]) <= 512
    for word in made.words:
        assert word.special or made.text[word.start : word.end] == word.name != ""


def test_a_question_that_is_no_proper_text_is_explained(mini):
    made = explain_passage(mini, "what\ud800 is\x00 this", None, Passage("x:1#0", "Cat", TEXT))
    assert made.as_json().encode("utf-8") and made.score > 0


# --- with a checkpoint in PreFLMR's layout


@pytest.fixture(scope="module")
def preflmr(tmp_path_factory):
    folder = write_checkpoint(tmp_path_factory.mktemp("preflmr") / "checkpoint")
    return load_encoder(str(folder), tmp_path_factory.mktemp("cache"))


def test_a_preflmr_score_is_accounted_for(preflmr):
    photo = load_image(CHEETAH).resize((300, 200))
    made = explain_passage(preflmr, "what is this", photo, Passage("x:1#0", "the cat", "this cat is spotted"))
    assert made.grid == (4, 4) and made.area == pytest.approx((1 / 6, 0, 5 / 6, 1))
    assert [row.patch for row in made.rows if row.kind == "patch"] == [(i, j) for i in range(4) for j in range(4)]
    assert sum(row.kind == "prefix" for row in made.rows) == 4
    assert [word.name for word in made.words if not word.special] == ["the", "cat", "this", "cat", "is", "spotted"]
    [query] = preflmr.encode_queries([Query("what is this", photo)])
    (vectors,) = preflmr.encode_passages(plain(made.text))
    assert made.score == pytest.approx(float((query.vectors @ vectors.T).max(axis=1).mean()), abs=1e-5)


def test_a_preflmr_question_without_photo_has_a_stand_in(preflmr):
    made = explain_passage(preflmr, "what is this", None, Passage("x:1#0", "the cat", "this cat is spotted"))
    assert made.grid == (0, 0) and not made.photo
    assert sum(row.kind == "patch" for row in made.rows) == 16 and {row.patch for row in made.rows} == {None}
    assert "stand-in" in made.summary()
    assert sum(made.parts().values()) == pytest.approx(made.score)


def test_a_preflmr_question_is_shown_without_its_instruction(preflmr):
    [query] = preflmr.encode_queries([Query("what is this", None, "the cat:")])
    text = "the cat: this"
    tokens, (vectors,) = preflmr.passage_tokens(plain(text)[0]), preflmr.encode_passages(plain(text))
    made = explain(query, vectors, tokens, **{**ABOUT, "text": text, "photo": False})
    words = made.question_words()
    assert [word.name for word in words] == ["start", "question marker", "what", "is", "this", "end", "fill-up"]
    assert words[-1].count == 32 - 6 - len("the cat :".split())
