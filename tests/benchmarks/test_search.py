"""The vectors that the index is measured with, and the command that measures it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app.commands import retriever as command
from benchmarks.search import VIEWS, read_vectors, write_vectors
from retriever.encoders.base import Query
from retriever.encoders.sample_queries import QUESTIONS, made_up_queries, pictures
from tests.fakes.small_encoder import COLOURS, SmallEncoder, plain


class BatchEncoder(SmallEncoder):
    def encode_queries(self, queries):
        assert all(query.instruction is None for query in queries)
        if len(queries) == 1:
            return super().encode_queries(queries)
        # Real ones have more word pieces than words.
        return super().encode_queries([replace(query, text=f"{query.text} {query.text}") for query in queries])


@pytest.fixture
def folder(tmp_path):
    words = [f"word{number}" for number in range(40)]
    draw = np.random.default_rng(2)
    texts = [plain(*(" ".join(draw.choice(words, 12)) for _ in range(30))), plain("?"), plain(*["red green blue"] * 2)]
    encoder = BatchEncoder()
    encoder.encode_passages = lambda some: [np.zeros((0, 128), np.float32)] if some == plain("?") else real(some)
    real = BatchEncoder().encode_passages
    photos = [Image.new("RGB", (90, 60), COLOURS[name]) for name in ("red", "blue")]
    write_vectors(tmp_path / "deep" / "vectors", encoder, texts, photos)
    return tmp_path / "deep" / "vectors"


def test_what_is_written_is_read(folder):
    passages, queries, sample = read_vectors(folder)
    assert len(passages) == 32  # the one without vectors is left out
    expected = BatchEncoder().encode_passages(plain("red green blue"))[0].astype(np.float16)
    assert all(np.array_equal(rows, expected) for rows in passages[-2:])
    assert {name: len(asked) for name, asked in queries.items()} == dict.fromkeys(queries, 2 * len(VIEWS))
    assert set(queries) == {"32", "113", "320", "own"}
    assert all(len(query) == 32 for query in queries["32"])
    assert sample.shape[1] == 128 and np.isfinite(sample).all()
    lengths = np.linalg.norm(queries["own"][0], axis=1)
    np.testing.assert_allclose(lengths.sum(), 1, rtol=1e-5)  # a vector is as long as it counts


def test_made_up_queries_are_the_same_every_time_and_with_and_without_pictures():
    again = made_up_queries(SmallEncoder())
    np.testing.assert_array_equal(again, made_up_queries(SmallEncoder()))
    alone = sum(len(SmallEncoder().encode_queries([Query(question)])[0].vectors) for question in QUESTIONS)
    assert len(again) > 2 * alone and again.dtype == np.float32
    assert len({picture.tobytes() for picture in pictures()}) == len(QUESTIONS)


def test_the_command_measures_the_vectors_in_a_folder(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["bench", "--vectors", str(folder), "--queries", "2"]
    assert command.main([*arguments, "--json", "--plot", "plot.png"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["passages"] == 32 and set(report["indexes"]) == {"4", "2", "8", "16"}
    assert (tmp_path / "plot.png").stat().st_size > 5_000
    assert command.main([*arguments, "--copies", "3"]) == 0
    assert "96 passages" in capsys.readouterr().out


def test_a_folder_without_vectors_and_a_collection_without_passages(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / "vectors.npy").write_bytes(b"no array")
    assert command.main(["bench", "--vectors", "vectors"]) != 0
    said = capsys.readouterr().err
    assert "does not hold vectors" in said and "Traceback" not in said
