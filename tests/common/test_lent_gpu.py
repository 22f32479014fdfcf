"""A GPU that is lent call by call: what needs it has it, nothing else touches CUDA, and elsewhere nothing changes."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from common.lent_gpu import lent, on_lent_gpu
from common.memory import free_bytes
from common.problems import BadRequest, Problem
from generator.models import loading
from generator.models.chat import Message
from generator.models.lent import LentModel
from generator.models.local import LocalModel
from retriever.encoders import registry
from retriever.encoders.base import Query
from retriever.encoders.devices import device_for, device_with_room
from retriever.encoders.registry import ENCODING_SECONDS, load_encoder
from tests.fakes.small_encoder import SmallEncoder, plain
from tests.fakes.tiny_models import build
from tests.fakes.zero_gpu import ZeroGpu


@pytest.fixture
def zero(monkeypatch) -> ZeroGpu:
    zero = ZeroGpu()
    zero.put_in(monkeypatch)
    return zero


def double(number: int) -> int:
    return 2 * number


def count(to: int):
    yield from range(to)


@pytest.mark.parametrize("package", [None, ZeroGpu(zero=False)])
def test_without_such_a_gpu_nothing_is_changed(monkeypatch, package):
    monkeypatch.delitem(sys.modules, "spaces", raising=False)
    if package is not None:
        monkeypatch.setitem(sys.modules, "spaces", package)
    assert not lent()
    assert on_lent_gpu(double, 1) is double and on_lent_gpu(count, 1) is count
    assert package is None or not package.calls


def test_a_call_has_it_for_as_long_as_it_takes(zero):
    seen = []

    def work(number: int) -> int:
        seen.append(zero.inside)
        torch.cuda.mem_get_info()
        return double(number)

    assert lent() and on_lent_gpu(work, 7)(4) == 8
    assert seen == [True] and not zero.inside and zero.calls == [("work", 7)]
    with pytest.raises(AssertionError, match="outside"):
        torch.cuda.mem_get_info()


def test_pieces_come_as_they_are_made_and_closing_ends_the_work(zero):
    ended = []

    def work(to: int):
        try:
            yield from count(to)
        finally:
            ended.append(zero.inside)

    assert list(on_lent_gpu(work, 5)(3)) == [0, 1, 2]
    pieces = on_lent_gpu(work, 5)(1000)
    assert next(pieces) == 0
    pieces.close()
    assert ended == [True, True]


@pytest.mark.parametrize("raised", [Problem("No."), BadRequest("Say it otherwise.")])
def test_a_problem_comes_back_as_it_is(zero, raised):
    def work() -> None:
        raise raised

    def pieces():
        yield "some"
        raise raised

    with pytest.raises(type(raised), match=str(raised)):
        on_lent_gpu(work, 1)()
    heard = on_lent_gpu(pieces, 1)()
    assert next(heard) == "some"
    with pytest.raises(type(raised), match=str(raised)):
        next(heard)


def test_where_models_go_is_known_without_touching_it(zero):
    assert free_bytes(torch.device("cuda")) == 70 << 30
    assert device_for("flmr", 207_004_160).type == "cuda"
    assert device_with_room(1_000_000).type == "cpu"  # of what is not called with it


@pytest.mark.parametrize("device", ["cuda", "cpu"])
def test_an_encoder_on_it_encodes_with_it_alone_and_one_on_the_processor_does_not_ask(
    zero, monkeypatch, tmp_path, device
):
    inside = []

    class Placed(SmallEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.model = SimpleNamespace(device=torch.device(device))

        def encode_queries(self, queries):
            inside.append(zero.inside)
            return super().encode_queries(queries)

        def encode_passages(self, passages, pictures=()):
            inside.append(zero.inside)
            return super().encode_passages(passages, pictures)

    module = SimpleNamespace(load=lambda profile, cache_dir, progress: Placed())
    monkeypatch.setattr(registry, "import_module", lambda name: module)
    encoder = load_encoder("mini", tmp_path)
    [query] = encoder.encode_queries([Query("a red fruit", Image.new("RGB", (30, 20), "red"))])
    [rows] = encoder.encode_passages(plain("a green gem"))
    assert query.vectors.shape[1] == rows.shape[1] == 128
    assert inside == [device == "cuda"] * 2
    assert encoder.count_tokens(["one two"]) == [2]
    works = [("encode_queries", ENCODING_SECONDS), ("encode_passages", ENCODING_SECONDS)]
    assert zero.calls == (works if device == "cuda" else [])


def test_a_model_in_this_process_is_read_without_it_and_works_with_it_alone(zero, monkeypatch, tmp_path):
    monkeypatch.setattr(loading, "_place", lambda *given: (torch.device("cpu"), torch.float32, 1))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    inside = {"read": [], "made": []}

    class Watched(LocalModel):
        def _load(self):
            inside["read"].append(zero.inside)
            return super()._load()

        def _generate(self, *given, **how):
            inside["made"].append(zero.inside)
            return super()._generate(*given, **how)

    model = LentModel(Watched(build("qwen2_5_vl", tmp_path / "model"), "tiny"))
    asked = [Message("user", "Question: what bridge is this?", Image.new("RGB", (40, 40), "red"))]
    try:
        pieces = list(model.reply(asked, 6))
        [scored] = model.score_replies([asked], 6)
        [short] = model.short_replies([asked], 2)
        assert pieces and scored.log_probability < 0 and isinstance(short.text, str) and model.context == 1024
    finally:
        model.close()
        torch.set_num_threads(threads)
    assert inside == {"read": [False], "made": [True] * 3}
    assert [name for name, _ in zero.calls] == ["reply", "score_replies", "short_replies"]
