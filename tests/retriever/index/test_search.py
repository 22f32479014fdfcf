"""The steps of a search, one by one against plain definitions, the rounding of residuals, and the benchmark."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.index import bench, lines, overlap, perturbed, plot
from retriever.index import LateInteractionIndex, changes, kernels, late_interaction, parallel, quantise
from retriever.index import search as funnel
from retriever.index.parallel import evenly, in_parallel
from retriever.index.segments import Segment
from tests.support.waiting import LONG

DIM = 32


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def unit(array):
    return (array / np.linalg.norm(array, axis=-1, keepdims=True)).astype(np.float32)


def passages(rng, count, topics=300, dim=DIM):
    centres = unit(rng.normal(size=(topics, dim)))
    own = [rng.choice(topics, size=6) for _ in range(count)]
    return [
        unit(centres[rng.choice(some, size=rng.integers(8, 30))] + rng.normal(size=(1, dim)) * 0.02)
        + rng.normal(size=(1, dim)).astype(np.float32) * 0.01
        for some in own
    ]


def noisy(rng, array, length):
    return unit(array + rng.normal(size=array.shape) * length / np.sqrt(array.shape[-1]))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Two thousand passages in compressed segments, half of them with 4 bits and half in whole vectors' codes."""
    rng = np.random.default_rng(9)
    vectors = [noisy(rng, array, 0.6) for array in passages(rng, 2000)]
    patch = pytest.MonkeyPatch()
    patch.setattr(changes, "TRAIN_AT", 2_000)
    found = {}
    for nbits in (2, 4, 16):
        index = LateInteractionIndex.create(tmp_path_factory.mktemp("index") / "i", DIM, nbits=nbits)
        index.add([f"p{n}" for n in range(1500)], vectors[:1500])
        index.optimize()
        index.add([f"p{n}" for n in range(1500, 2000)], vectors[1500:])
        found[nbits] = index
    patch.undo()
    yield vectors, found
    for index in found.values():
        index.close()


def snapshot_of(index):
    return index._now().snapshot


def asked(rng, vectors, rows):
    chosen = np.concatenate([vectors[n] for n in rng.choice(len(vectors), 12)])
    return noisy(rng, chosen[rng.choice(len(chosen), rows)], 0.3), rng.random(rows).astype(np.float32) + 0.5


def maxsim_by_definition(vectors, query, weights):
    return np.array([(weights * (query @ array.T).max(axis=1)).sum() for array in vectors])


@pytest.mark.parametrize("nbits", [2, 4, 16])
@pytest.mark.parametrize("rows", [7, 64, 200])
def test_the_funnel_finds_what_exact_search_finds(built, rng, nbits, rows):
    vectors, indexes = built
    index = indexes[nbits]
    shares = []
    for _ in range(8):
        query, weights = asked(rng, vectors, rows)
        exact = index.search(query, 10, weights, exact=True)
        found = index.search(query, 10, weights, candidates=400)
        stored = [index.vectors(hit.id) for hit in exact]
        expected = maxsim_by_definition(stored, query, weights)
        np.testing.assert_allclose([hit.score for hit in exact], expected, rtol=1e-5)
        shares.append(len({hit.id for hit in exact} & {hit.id for hit in found}) / 10)
        scores = {hit.id: hit.score for hit in exact}
        assert all(hit.score == pytest.approx(scores[hit.id], rel=1e-6) for hit in found if hit.id in scores)
    assert np.mean(shares) >= 0.97


def test_each_step_agrees_with_its_definition(built, rng):
    vectors, indexes = built
    query, weights = asked(rng, vectors, 100)
    rows = funnel.merged(query, weights)
    for nbits in (2, 4, 16):
        snapshot = snapshot_of(indexes[nbits])
        numbers = np.sort(rng.choice(1500, 400, replace=False))
        table = funnel._centroid_scores(snapshot, rows)
        np.testing.assert_allclose(table, snapshot.centroids @ rows.T, atol=1e-4)

        codes, starts = snapshot.segments[0].codes, snapshot.segments[0].starts.astype(int)
        by_centroids = [table[codes[starts[n] : starts[n + 1]]].max(axis=0).sum() for n in numbers]
        assert np.corrcoef(funnel._by_centroids(snapshot, numbers, table), by_centroids)[0, 1] > 0.999

        everywhere = np.sort(rng.choice(2000, 500, replace=False))  # in whole segments too
        stored = [funnel.stored_vectors(snapshot, n) for n in everywhere]
        expected = maxsim_by_definition(stored, rows, np.ones(len(rows)))
        np.testing.assert_allclose(funnel._by_residuals(snapshot, everywhere, rows, table), expected, rtol=0.01)
        exact = funnel.maxsim(snapshot, everywhere, query, weights)
        np.testing.assert_allclose(exact, maxsim_by_definition(stored, query, weights), rtol=1e-5)


def test_the_lists_give_each_passage_its_best_gain_once(built, rng, monkeypatch):
    vectors, indexes = built
    monkeypatch.setattr(funnel, "PROBES", 5)
    snapshot = snapshot_of(indexes[4])
    rows = funnel.merged(*asked(rng, vectors, 20))
    table = funnel._centroid_scores(snapshot, rows)
    segment = snapshot.segments[0]
    expected = np.zeros(segment.passages)
    for scores in table.T:
        best = np.argsort(-scores, kind="stable")[:6]
        gain = np.zeros(segment.passages)
        for cell in best[:5]:
            met = segment.list_rows[segment.list_starts[cell] : segment.list_starts[cell + 1]]
            gain[met] = np.maximum(gain[met], scores[cell] - scores[best[5]])
        expected += gain
    for used in (20, table.shape[1]):  # the others are zero
        np.testing.assert_allclose(funnel._by_lists(snapshot, table, used)[:1500], expected, atol=1e-4)
    older = replace(segment, list_starts=segment.list_starts[:20])  # from before most centroids
    assert funnel._by_lists(replace(snapshot, segments=(older, *snapshot.segments[1:])), table, 20).shape == (1500,)


def test_the_greatest_of_columns_are_those_of_sorting(rng):
    for width in kernels.WIDTHS:
        rows = kernels.rows_of(width)
        table = np.round(rng.normal(size=(3_000, rows)) * 20).astype(np.float32)  # many are equal
        for columns, count in ((rows, 49), (7, 1), (1, len(table))):
            best, lines = np.empty((columns, count), np.float32), np.empty((columns, count), np.int64)
            kernels.greatest_of_columns(table, best, lines, width)
            expected = np.argsort(-table[:, :columns], axis=0, kind="stable")[:count].T
            np.testing.assert_array_equal(lines, expected)
            np.testing.assert_array_equal(best, np.take_along_axis(table.T[:columns], expected, axis=1))


def test_lists_come_first_where_there_are_many_passages(built, rng, monkeypatch):
    vectors, indexes = built
    monkeypatch.setattr(funnel, "SCANNED", 500)
    shares = []
    for _ in range(8):
        query, weights = asked(rng, vectors, 50)
        exact = {hit.id for hit in indexes[16].search(query, 10, weights, exact=True)}
        shares.append(len(exact & {hit.id for hit in indexes[16].search(query, 10, weights, candidates=300)}) / 10)
    assert np.mean(shares) >= 0.95


def test_more_may_be_asked_for_than_the_lists_usually_leave(built, rng, monkeypatch):
    vectors, indexes = built
    query, weights = asked(rng, vectors, 50)
    for nbits in (4, 16):
        index = indexes[nbits]
        everything = index.search(query, 300, weights, candidates=2000)
        monkeypatch.setattr(funnel, "SCANNED", 100)
        assert index.search(query, 300, weights, candidates=2000) == everything
        compressed = {f"p{n}" for n in range(1500)}
        assert len(index.search(query, 1000, weights, compressed)) == 1000
        assert len(index.search(query, 1000, weights, compressed, candidates=1)) == 1000
        monkeypatch.undo()


def test_rows_that_point_the_same_way_are_merged(rng):
    directions = unit(rng.normal(size=(40, DIM)))
    query = np.repeat(directions, 8, axis=0)
    weights = rng.random(len(query)).astype(np.float32)
    rows = funnel.merged(query, weights)
    assert rows.shape == (kernels.MOST_ROWS, DIM)
    np.testing.assert_allclose(rows.sum(axis=0), (query * weights[:, None]).sum(axis=0), rtol=1e-3, atol=1e-3)
    lengths = np.linalg.norm(rows, axis=1)
    assert (lengths > 1e-6).sum() == 40  # no two directions in one row, none in two
    few = funnel.merged(query[:5], weights[:5])
    assert [len(funnel.merged(query[:n], weights[:n])) for n in (1, 32, 33, 64, 65)] == [32, 32, 64, 64, 64]
    np.testing.assert_array_equal(few[:5], query[:5] * weights[:5, None])
    assert not few[5:].any()


def test_without_instructions_for_bytes_the_results_are_the_same(built, rng, monkeypatch):
    vectors, indexes = built
    query, weights = asked(rng, vectors, 90)
    found = indexes[4].search(query, 10, weights)
    monkeypatch.setattr(funnel, "WHOLE_NUMBERS", not funnel.WHOLE_NUMBERS)
    assert indexes[4].search(query, 10, weights) == found


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    nbits=st.sampled_from([1, 2, 4, 8]),
    count=st.integers(1, 150),
    dim=st.integers(1, 40),
    few=st.booleans(),
)
@example(seed=49247, nbits=1, count=149, dim=1, few=False)
def test_residuals_are_kept_as_well_as_so_many_bits_allow(seed, nbits, count, dim, few):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(count, dim)).astype(np.float32) * np.float32(10.0 ** rng.integers(-3, 3))
    centroids, codes = vectors[:1] * np.float32(0.5), np.zeros(count, np.uint16)
    # Few or many residuals, that may vary in some directions only.
    seen = rng.normal(size=(3 if few else 500, dim)) * 10.0 ** rng.uniform(-3, 0, dim)
    spread = quantise.spread_of(seen.astype(np.float32))
    scales, packed = quantise.encode(vectors, centroids, codes, spread, np.zeros((dim, dim)), nbits)
    assert packed.shape == (count, quantise.packed_bytes(dim, nbits)) and scales.shape == (count,)
    again = quantise.decode(scales, packed, centroids, codes, spread, nbits)
    left, lost = (np.linalg.norm(vectors - other, axis=1) for other in (centroids[codes], again))
    share = {1: 1.0, 2: 0.75, 4: 0.25, 8: 0.03}[nbits] * np.linalg.cond(spread)
    smallest = quantise.STEPS[1] * np.abs(quantise.LEVELS[nbits]).max() * np.linalg.norm(spread, 2) * np.sqrt(dim)
    assert (lost <= share * left + smallest + 1e-6 * np.sqrt(dim)).all()  # left may be less than that


def test_what_residuals_are_spread_by():
    rng = np.random.default_rng(3)
    widths = np.array([1.0, 0.5, 0.1, 0.02], np.float32)
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0].astype(np.float32)
    residuals = rng.normal(size=(5000, 4)).astype(np.float32) * widths @ turn
    spread = quantise.spread_of(residuals)
    np.testing.assert_allclose(spread, spread.T, atol=1e-6)
    even = residuals @ np.linalg.inv(spread)
    second = even.T @ even / len(even)
    variance = (residuals**2).mean()
    np.testing.assert_allclose(second[:3, :3] / variance, np.eye(4)[:3, :3], atol=0.6)  # narrow ones stay a bit wider
    np.testing.assert_allclose(np.trace(spread @ spread), 4, rtol=1e-4)
    np.testing.assert_array_equal(quantise.spread_of(np.zeros((5, 4), np.float32)), np.eye(4))
    assert np.linalg.cond(quantise.spread_of(residuals[:1])) < 2  # one tells nearly nothing


@pytest.mark.parametrize("nbits", [1, 2, 4, 8])
def test_residuals_of_unequal_directions_are_kept_better_with_their_spread(nbits):
    rng = np.random.default_rng(4)
    widths = np.exp(rng.normal(size=DIM)) / 5
    turn = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0]
    vectors = ((rng.normal(size=(4000, DIM)) * widths) @ turn).astype(np.float32)
    centroids, codes = np.zeros((1, DIM), np.float32), np.zeros(2000, np.uint16)
    lost = []
    for spread in (np.eye(DIM, dtype=np.float32), quantise.spread_of(vectors[:2000])):
        scales, packed = quantise.encode(vectors[2000:], centroids, codes, spread, np.eye(DIM), nbits)
        again = quantise.decode(scales, packed, centroids, codes, spread, nbits)
        lost.append(np.square(again - vectors[2000:]).mean())
    assert lost[1] < {1: 0.9, 2: 0.8, 4: 0.7, 8: 0.5}[nbits] * lost[0]


@pytest.mark.parametrize("nbits", [1, 2, 4])
def test_what_a_window_of_packed_codes_stands_for(nbits):
    """Walked through as the encoder does, a dimension at a time."""
    levels, words = quantise.LEVELS[nbits].tolist(), quantise.WORDS[nbits].view(np.int8).reshape(1024, -1)
    assert len(levels) == 2 ** (nbits + 1) and levels == sorted(set(levels)) and levels == [-x for x in levels[::-1]]
    each = 8 // nbits
    for state, byte in ((state, byte) for state in range(4) for byte in range(256)):
        before, last = divmod(state, 2)
        for place, level in enumerate(words[256 * state + byte].tolist()):
            bit = byte >> (each - 1 - place) & 1
            rest = byte >> (each + place * (nbits - 1)) & (2 ** (nbits - 1) - 1)
            subset = [[0, 2], [2, 0], [1, 3], [3, 1]][2 * last + before][bit]
            assert level == levels[4 * rest + subset]
            before, last = last, bit
    for state in range(4):  # no two codes say the same
        assert len(set(map(tuple, words[256 * state : 256 * state + 256].tolist()))) == 256


@pytest.mark.parametrize(("nbits", "dim"), [(1, 11), (2, 6), (4, 3)])
def test_the_best_path_is_found(rng, monkeypatch, nbits, dim):
    monkeypatch.setattr(quantise, "NEIGHBOURS", 0)
    vectors, zeros = rng.normal(size=(200, dim)).astype(np.float32), np.zeros((1, dim), np.float32)
    codes, eye = np.zeros(200, np.uint16), np.eye(dim, dtype=np.float32)
    scales, packed = quantise.encode(vectors, zeros, codes, eye, eye, nbits)
    found = np.square(quantise.decode(scales, packed, zeros, codes, eye, nbits) - vectors).sum(axis=1)
    width = packed.shape[1]
    every = np.arange(256**width)
    every = np.stack([every >> 8 * place & 255 for place in range(width)], axis=1).astype(np.uint8)
    one = quantise.decode(np.full(len(every), 192, np.uint8), every, zeros, np.zeros(len(every), int), eye, nbits)
    for vector, scale, left in zip(vectors, scales, found, strict=True):
        best = np.square(one * quantise.STEPS[scale] / quantise.STEPS[192] - vector).sum(axis=1).min()
        assert left < 1.03 * best + 1e-6  # numbers are rounded to 127ths before the nearest level is looked up


@pytest.mark.parametrize(("nbits", "max_alone", "expected"), [(1, 4.40, 4.95), (2, 9.30, 10.5), (4, 20.22, 22.0)])
def test_normal_numbers_keep_more_than_levels_alone_can(rng, nbits, max_alone, expected):
    """In decibels; what levels without a trellis keep at most is in Max (1960), table 1."""
    numbers = rng.normal(size=(4000, 128)).astype(np.float32)
    codes, eye = np.zeros(4000, np.uint16), np.eye(128, dtype=np.float32)
    stored = quantise.encode(numbers, np.zeros((1, 128), np.float32), codes, eye, eye, nbits)
    again = quantise.decode(*stored, np.zeros((1, 128), np.float32), codes, eye, nbits)
    kept = -10 * np.log10(np.square(again - numbers).mean())
    assert max_alone + 0.5 < expected < kept < 6.02 * nbits


@pytest.mark.parametrize("nbits", [1, 2, 4])
def test_each_level_is_the_mean_of_what_is_rounded_to_it(rng, monkeypatch, nbits):
    monkeypatch.setattr(quantise, "NEIGHBOURS", 0)
    numbers = rng.normal(size=(20_000, 128)).astype(np.float32)
    codes, eye = np.zeros(len(numbers), np.uint16), np.eye(128, dtype=np.float32)
    scales, packed = quantise.encode(numbers, np.zeros((1, 128), np.float32), codes, eye, eye, nbits)
    again = quantise.decode(scales, packed, np.zeros((1, 128), np.float32), codes, eye, nbits)
    steps = quantise.STEPS[scales][:, None]
    chosen, wanted = np.rint(again / steps).astype(int), numbers / steps
    for level in quantise.LEVELS[nbits].tolist():
        np.testing.assert_allclose(wanted[chosen == level].mean(), level, atol=4)


def test_eight_bits_are_levels_as_they_are():
    window = np.arange(1024)
    np.testing.assert_array_equal(quantise.WORDS[8][window], window % 256 - 128)


def test_a_vector_that_is_its_centroid_stays_it(rng):
    vectors = unit(rng.normal(size=(3, DIM)))
    codes, eye = np.arange(3, dtype=np.uint16), np.eye(DIM, dtype=np.float32)
    scales, packed = quantise.encode(vectors, vectors, codes, eye, eye, 4)
    np.testing.assert_array_equal(quantise.decode(scales, packed, vectors, codes, eye, 4), vectors)


@pytest.mark.parametrize("nbits", [1, 2, 4, 8])
def test_products_with_the_queries_told_of_change_less(rng, nbits):
    """As queries of photographs do, these lie close to one direction."""
    vectors = unit(rng.normal(size=(2000, DIM)))
    centroids, codes = np.zeros((1, DIM), np.float32), np.zeros(2000, np.uint16)
    queries = unit(rng.normal(size=(300, DIM)) * 0.1 + unit(rng.normal(size=DIM)))
    spread = quantise.spread_of(vectors * np.linspace(0.5, 2, DIM, dtype=np.float32))
    lost = []
    for moment in (np.zeros((DIM, DIM)), queries[:150].T @ queries[:150]):
        scales, packed = quantise.encode(vectors, centroids, codes, spread, moment, nbits)
        again = quantise.decode(scales, packed, centroids, codes, spread, nbits)
        lost.append(np.square((again - vectors) @ queries[150:].T).mean())
    assert lost[1] < 0.5 * lost[0]


def test_an_index_told_of_queries_stores_for_them(tmp_path, rng, monkeypatch):
    monkeypatch.setattr(changes, "TRAIN_AT", 2_000)
    vectors = [noisy(rng, array, 1.0) for array in passages(rng, 300)]
    queries = unit(rng.normal(size=(300, DIM)) * 0.1 + unit(rng.normal(size=DIM)))
    lost = {}
    for name, told in (("not", None), ("told", queries[:150])):
        with LateInteractionIndex.create(tmp_path / name, DIM, nbits=2, queries=told) as index:
            index.add([str(n) for n in range(300)], vectors)
            index.optimize()
        with LateInteractionIndex.open(tmp_path / name, write=True) as index:  # what it was told lasts
            again = np.concatenate([index.vectors(str(n)) for n in range(300)])
            lost[name] = np.square((again - np.concatenate(vectors)) @ queries[150:].T).mean()
    assert lost["told"] < 0.6 * lost["not"]
    for nonsense in (np.ones(DIM), np.ones((3, DIM + 1)), np.full((3, DIM), np.nan)):
        with pytest.raises(ValueError, match="queries must be"):
            LateInteractionIndex.create(tmp_path / "other", DIM, queries=nonsense)


def test_float16_is_read_as_numpy_reads_it(rng):
    halves = np.concatenate([rng.normal(size=(50, DIM)), rng.normal(size=(50, DIM)) * 1e-6, np.zeros((1, DIM))])
    halves = halves.astype(np.float16)
    begins, ends = np.array([0, 40]), np.array([40, 101])
    small, scale = np.empty((101, DIM), np.int8), np.empty(101, np.float32)
    kernels.shrink_whole(halves.view(np.int16), begins, ends, begins, small, scale)
    wide = halves.astype(np.float32)
    np.testing.assert_allclose(small * scale[:, None], wide, atol=np.abs(wide).max() / 250)
    np.testing.assert_allclose(scale * 127, np.abs(wide).max(axis=1), rtol=1e-6)


def test_a_large_index_is_let_go_of_before_much_of_it_is_in_memory(built, rng, monkeypatch):
    vectors, indexes = built
    index = indexes[4]
    forgotten = []
    real = Segment.forget
    monkeypatch.setattr(Segment, "forget", lambda segment: forgotten.append(segment.name) or real(segment))
    query, weights = asked(rng, vectors, 30)
    expected = index.search(query, 5, weights, exact=True)
    assert not forgotten  # it is small
    monkeypatch.setattr(late_interaction, "SMALL_BYTES", 1_000)
    monkeypatch.setattr(late_interaction, "LOOKED_AT_BYTES", 500)
    for _ in range(10):
        assert index.search(query, 5, weights, candidates=40) == index.search(query, 5, weights, candidates=40)
    assert 0 < len(forgotten) < 20  # the segments of it, not at every search
    assert index.search(query, 5, weights, exact=True) == expected


def resident(segment):
    """Bytes of a segment's file that are in this process's memory."""
    sizes, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            ours = line.endswith(segment)
        elif ours and line.startswith("Rss:"):
            sizes += int(line.split()[1]) * 1024
    return sizes


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="no /proc/self/smaps")
def test_forgetting_takes_a_segment_out_of_memory(built):
    index = built[1][16]
    name = str(index.path / snapshot_of(index).segments[0].name)
    before = index.vectors("p3")
    index.search(np.ones((3, DIM), np.float32), 5, exact=True)
    assert resident(name) > 1 << 20
    snapshot_of(index).segments[0].forget()
    assert resident(name) < 1 << 16
    np.testing.assert_array_equal(index.vectors("p3"), before)


def test_work_is_shared_and_kept_in_order():
    assert [(part.start, part.stop) for part in evenly(10, 3)] == [(0, 3), (3, 6), (6, 10)]
    assert evenly(2, 5) and sum(part.stop - part.start for part in evenly(2, 5)) == 2 and evenly(0, 3) == []
    assert in_parallel(lambda n: n * n, range(50)) == [n * n for n in range(50)]
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda n: 1 // n, [1, 0])


def threads_of_torch():
    """How many threads torch uses in a thread that has not used it before."""
    with ThreadPoolExecutor(1) as fresh:
        return fresh.submit(torch.get_num_threads).result()


@pytest.fixture
def starting(monkeypatch):
    """Another thread that starts a pool of three, halted while torch is told of one thread."""
    usual, real, halted, go_on = torch.get_num_threads(), torch.set_num_threads, threading.Event(), threading.Event()

    def slowly(threads):
        real(threads)
        if threads == 1:
            halted.set()
            go_on.wait(LONG)

    torch.set_num_threads(3)
    parallel._pool.cache_clear()
    monkeypatch.setattr(torch, "set_num_threads", slowly)
    with ThreadPoolExecutor() as others:
        first = others.submit(in_parallel, abs, [-1, 2, -3])
        assert halted.wait(LONG)
        yield others, go_on
        go_on.set()
        assert first.result() == [1, 2, 3]
        monkeypatch.undo()
        assert threads_of_torch() == torch.get_num_threads() == 3
        assert parallel._pool.cache_info().currsize == 1
    parallel._pool.cache_clear()
    torch.set_num_threads(usual)


def test_threads_that_come_while_others_are_started_use_as_many(starting):
    others, go_on = starting
    second = others.submit(in_parallel, abs, [-4, 5])
    time.sleep(0.2)
    go_on.set()
    assert second.result() == [4, 5]


def test_a_process_forked_while_threads_are_started_can_start_its_own(starting):
    _, go_on = starting
    threading.Timer(0.2, go_on.set).start()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(round(LONG))  # ends it should it wait for a lock that nobody holds any more
        os._exit(0 if in_parallel(abs, [-4, 5]) == [4, 5] and threads_of_torch() == 3 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# One of the loops, as it runs without a folder to keep what is compiled.
UNKEPT = """
import numpy as np
from retriever.index import kernels
width = kernels.width_for(20)
table = np.random.default_rng(1).normal(size=(50, kernels.rows_of(width))).astype(np.float32)
best, lines = np.empty((20, 1), np.float32), np.empty((20, 1), np.int64)
kernels.greatest_of_columns(table, best, lines, width)
assert (lines[:, 0] == table.argmax(axis=0)[:20]).all() and kernels.greatest_of_columns.signatures
"""


def test_runs_where_nothing_compiled_can_be_kept(tmp_path):
    package = Path(kernels.__file__).parents[1]
    shutil.copytree(package / "index", tmp_path / "retriever" / "index", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(package / "__init__.py", tmp_path / "retriever")
    shutil.copytree(package.parent / "common", tmp_path / "common")
    (tmp_path / "retriever" / "index" / "__pycache__").write_text("")  # in the way of a folder, even for root
    environment = {"PATH": os.environ["PATH"], "HOME": os.devnull}
    run = subprocess.run(
        [sys.executable, "-c", UNKEPT], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert run.returncode == 0, run.stderr


def test_bench_measures_the_index_against_exact_search(rng, monkeypatch, tmp_path):
    monkeypatch.setattr(changes, "TRAIN_AT", 2_000)
    vectors = [noisy(rng, array, 0.5) for array in passages(rng, 200)]
    queries = {"5": [asked(rng, vectors, 5)[0] for _ in range(3)], "70": [asked(rng, vectors, 70)[0] for _ in range(3)]}
    report = bench(lambda: vectors, queries, (4, 16), np.concatenate(queries["5"]))
    assert (report["passages"], report["vectors"]) == (200, sum(map(len, vectors)))
    assert report["rows_per_query"] == {"5": 5, "70": 70}
    for bits in ("4", "16"):
        index = report["indexes"][bits]
        assert index["centroids"] > 0 and index["build_ratio"] > 0 and index["open_ms"] > 0
        rows = index["searches"]["70"]["at_10"]
        assert [row["candidates"] for row in rows] == [None, 100, 200]
        assert rows[0]["ratio"] == pytest.approx(report["exact_ms"]["70"] / rows[0]["ms"])
        assert len(index["searches"]["5"]["at_10"]) == 1
    whole = report["indexes"]["16"]["searches"]["70"]
    assert whole["stored"] == {"10": 1.0, "100": 1.0} and whole["within"] == 1.0 and whole["at_10"][0]["overlap"] == 1.0
    assert report["indexes"]["4"]["bytes_per_vector"] < report["indexes"]["16"]["bytes_per_vector"]
    assert json.loads(json.dumps(report)) == report
    assert "4 bits" in "\n".join(lines(report))
    plot(report, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 5_000
    with pytest.raises(ValueError):
        bench(lambda: [], queries, (4,))


def test_overlap_and_copies(rng):
    assert overlap([[1, 2, 3], [4, 5, 6]], [[3, 2, 9], [6, 5, 4]], 3) == pytest.approx((2 / 3 + 1) / 2)
    vectors = [unit(rng.normal(size=(4, DIM))) for _ in range(3)]
    more = list(perturbed(vectors, 3))
    assert len(more) == 9 and all(np.array_equal(a, b) for a, b in zip(more, vectors, strict=False))
    cosines = [(a * b).sum(axis=1).mean() for a, b in zip(more[3:], vectors * 2, strict=True)]
    assert 0.8 < np.mean(cosines) < 0.95
    np.testing.assert_allclose(np.linalg.norm(more[8], axis=1), 1, rtol=1e-5)
    assert all(np.array_equal(a, b) for a, b in zip(more, perturbed(vectors, 3), strict=True))
