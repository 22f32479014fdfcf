"""Which passages say the same, exactly or nearly: each that repeats an earlier one, linked to it.

The texts are read once; of each are kept its number, a digest and a few hashes, 96 bytes in all. A million passages of
80 words take a minute on one core and 360 MB. Exact repeats are found by their digests and compared no further, so a
million copies of one text cost no more than a million texts. Near ones are found as Broder has it ("On the resemblance
and containment of documents", 1997): a text is the set of its shingles, three words in a row, and two texts are as near
as their sets, by Jaccard. A MinHash signature of each set is cut into bands; texts that agree in a whole band are
candidates (Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3), and what is reported has been
compared with the true sets. So nothing is reported wrongly; a pair just at the threshold is missed once in 70 times, a
nearer one hardly ever.

Knows nothing of SQL or of where texts come from. The signatures are made by rensa, which takes some 15 microseconds for
a passage where datasketch takes 100 and brings scipy; they are never stored, so that a later rensa may make others.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

import numpy as np
from rensa import RMinHash

SHINGLE = 3  # words
PERMUTATIONS = 128  # of a signature; rensa is fastest at a power of two
FOUND = 0.98  # of the pairs just at the threshold, so many at least become candidates
MOST_CANDIDATES = 8  # earlier texts that one is compared with
BLOCK = 2048  # texts whose signatures are made at once,
BLOCK_CHARACTERS = 1 << 21  # or fewer where they are long
FETCH = 400  # texts fetched at once, or a few more

# Thai to Burmese, Khmer, Chinese and Japanese: they put no spaces between words.
_UNSPACED = "\u0e00-\u109f\u1780-\u17ff\u3001-\u312f\u31f0-\u31ff\u3400-\u9fff\U00020000-\U0003ffff"
_UNSPACED_ONE = re.compile(f"[{_UNSPACED}]")
# A word; in those scripts, at every character, it and the next two.
_WORD = re.compile(rf"(?=([{_UNSPACED}]{{1,3}}|[^\s{_UNSPACED}]+))(?:[{_UNSPACED}]|[^\s{_UNSPACED}]+)")
# Quotation marks and dashes differ from one copy of a text to the next; the last four are invisible.
_PLAIN = [
    *((mark, '"') for mark in "“”„‟«»"),
    *((mark, "'") for mark in "‘’‚‛′"),
    *((mark, "-") for mark in "‐‒–—―−"),
    *((mark, "") for mark in "\u00ad\u200b\u2060\ufeff"),
]

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Twin:
    """A passage that repeats an earlier one.

    of: the earlier one's number, always the smaller; no passage that is a twin itself, so that groups are stars.
    similarity: Jaccard of the two texts' shingles; 1.0 where the texts are the same but for case and white space.
    """

    number: int
    of: int
    similarity: float


def twins(
    texts: Iterable[tuple[int, str]],
    fetch: Callable[[Sequence[int]], Mapping[int, str]],
    least: float = 0.8,
    progress: Progress = lambda stage, done, total: None,
) -> Iterator[Twin]:
    """The passages that repeat an earlier one, in the order of their numbers, the same from run to run.

    texts: (number, text) of every passage, read once and to the end before `fetch` is called; each number once, and
    fastest in rising order. fetch: the texts of up to some 400 numbers; one that it does not know any more is no twin.
    least: 0.5 to 1. progress(stage, done, total) is called often, first for "reading", then for "comparing".

    A passage is linked to the earliest that is no twin itself and at least so similar to it, never to one that is only
    like one that is like it. A copy of a twin is linked where the twin is. A text without a word is nobody's twin.
    Raises ValueError, once it is iterated, for a `least` out of range or a number given twice.
    """
    if not 0.5 <= least <= 1:
        raise ValueError("least must be from 0.5 to 1")
    numbers, digests, bands = _sketches(texts, *_banding(least), progress)
    if not len(numbers):
        return
    _, first, kind = np.unique(digests, return_index=True, return_inverse=True)
    original = first[kind]  # place of the first passage with the same text
    distinct = np.flatnonzero(original == np.arange(len(numbers)))
    kind = np.searchsorted(distinct, original)
    bands = bands if len(distinct) == len(numbers) else bands[distinct]
    del digests, first
    candidates = _candidates(bands)
    del bands
    of, similarity = _compared(candidates, numbers[distinct], fetch, least, progress)
    roots = distinct[of[kind]]
    for place in np.flatnonzero(roots != np.arange(len(numbers))):
        yield Twin(int(numbers[place]), int(numbers[roots[place]]), float(similarity[kind[place]]))


def _banding(least: float) -> tuple[int, int]:
    """(number of bands, rows of each): the longest bands of which a pair at the threshold still shares one."""
    for rows in range(PERMUTATIONS, 0, -1):
        bands = PERMUTATIONS // rows
        if 1 - (1 - least**rows) ** bands >= FOUND:
            break
    return bands, rows


def _normal(text: str) -> str:
    """What two texts are compared by: one case, single spaces, one form of each character, plain quotation marks."""
    if text.isascii():
        return " ".join(text.lower().split())
    # A lone half of a character cannot be hashed.
    text = unicodedata.normalize("NFKC", text.encode("utf-8", "replace").decode()).casefold()
    for mark, plain in _PLAIN:
        text = text.replace(mark, plain)
    return " ".join(text.split())


def _shingles(normal: str) -> list[str]:
    """Every three words in a row; all the words of a text that has fewer."""
    words = normal.split(" ") if normal.isascii() or not _UNSPACED_ONE.search(normal) else _WORD.findall(normal)
    if len(words) <= SHINGLE:
        return [normal] if normal else []
    return list(map(" ".join, zip(*(islice(words, start, None) for start in range(SHINGLE)), strict=False)))


def _sketches(
    texts: Iterable[tuple[int, str]], bands: int, rows: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(numbers (n,) int64, digests (n,) of 16 bytes, hashes of bands (n, bands) uint32) of the texts that have words,
    in the order of their numbers.

    32 bits are enough for a band: of a million texts some hundred pairs agree by chance, and are compared in vain.
    """
    kept = bytearray(), bytearray(), bytearray()  # these grow in place, where joining arrays would take twice the room
    done = 0
    progress("reading", 0, None)
    for block in _blocks(texts):
        for buffer, part in zip(kept, _sketched(block, bands, rows), strict=True):
            buffer += part.tobytes()
        done += len(block)
        progress("reading", done, None)
    numbers, digests, hashes = map(np.frombuffer, kept, (np.int64, "S16", np.uint32))
    hashes = hashes.reshape(-1, bands)
    if (numbers[1:] <= numbers[:-1]).any():
        order = np.argsort(numbers, kind="stable")
        numbers, digests, hashes = numbers[order], digests[order], hashes[order]
        if (numbers[1:] == numbers[:-1]).any():
            raise ValueError("a number was given twice")
    return numbers, digests, hashes


def _blocks(texts: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    block: list[tuple[int, str]] = []
    size = 0
    for number, text in texts:
        block.append((number, text))
        size += len(text)
        if len(block) == BLOCK or size >= BLOCK_CHARACTERS:
            yield block
            block, size = [], 0
    if block:
        yield block


def _sketched(block: list[tuple[int, str]], bands: int, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As _sketches, in the order given."""
    known = [(number, normal) for number, text in block if (normal := _normal(text))]
    numbers = np.array([number for number, _ in known], np.int64)
    digests = np.array([blake2b(normal.encode(), digest_size=16).digest() for _, normal in known], "S16")
    signatures = RMinHash.digests_from_token_sets([_shingles(normal) for _, normal in known], PERMUTATIONS, seed=1)
    signatures = np.array(signatures, np.uint32).reshape(-1, PERMUTATIONS)
    return numbers, digests, _band_hashes(signatures, bands, rows)


def _band_hashes(signatures: np.ndarray, bands: int, rows: int) -> np.ndarray:
    """(n, bands) uint32 of signatures (n, PERMUTATIONS) uint32."""
    parts = signatures[:, : bands * rows].reshape(-1, bands, rows).astype(np.uint64)
    hashed = np.zeros(parts.shape[:2], np.uint64)
    for row in range(rows):
        hashed = (hashed ^ parts[:, :, row]) * np.uint64(0x9E3779B97F4A7C15)
        hashed ^= hashed >> np.uint64(29)
    return (hashed >> np.uint64(16)).astype(np.uint32)


def _candidates(bands: np.ndarray) -> np.ndarray:
    """For every text two earlier ones of each band, as places (n, 2 x bands) uint32; itself where there are none.

    Of the texts that agree in a band these are the first, and that which agrees best in the next band as well: where
    many texts are made from one form, and agree in a band or two, a true twin is found among them.
    """
    n, count = bands.shape
    found = np.empty((n, 2 * count), np.uint32)
    for band in range(count):
        hashes, following = bands[:, band], bands[:, (band + 1) % count]
        order = np.argsort(hashes.astype(np.uint64) << np.uint64(32) | following, kind="stable").astype(np.uint32)
        ordered = hashes[order]
        same = ordered[1:] == ordered[:-1]  # whether a text and the next are in one group
        starts = np.flatnonzero(np.concatenate(([True], ~same)))
        firsts = np.minimum.reduceat(order, starts)
        found[order, 2 * band] = np.repeat(firsts, np.diff(np.append(starts, n)))
        beside = order.copy()
        beside[:-1] = np.where(same & (order[1:] < order[:-1]), order[1:], order[:-1])
        beside[1:] = np.where(same & (order[:-1] < order[1:]), order[:-1], beside[1:])
        found[order, 2 * band + 1] = beside
    return found


def _compared(
    candidates: np.ndarray,
    numbers: np.ndarray,
    fetch: Callable[[Sequence[int]], Mapping[int, str]],
    least: float,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray]:
    """(place of the text that each is linked to, itself if to none; their similarity), both (n,)."""
    of, similarity = np.arange(len(numbers)), np.ones(len(numbers))
    places = np.flatnonzero((candidates != of.astype(np.uint32)[:, None]).any(axis=1))
    batch: list[tuple[int, list[int]]] = []
    wanted: set[int] = set()

    def compare() -> None:
        known = fetch([int(numbers[place]) for place in sorted(wanted)])
        sets = {
            place: frozenset(_shingles(_normal(known[number])))
            for place in wanted
            if (number := int(numbers[place])) in known
        }
        for place, near in batch:
            # What a candidate was linked to, perhaps in this batch, stands for it; its text was wanted then as well.
            for root in sorted({int(of[candidate]) for candidate in near}):
                jaccard = _jaccard(sets.get(place), sets.get(root))
                if jaccard >= least:
                    of[place], similarity[place] = root, jaccard
                    break
        batch.clear()
        wanted.clear()

    progress("comparing", 0, len(places))
    for start in range(0, len(places), BLOCK):
        block = places[start : start + BLOCK]
        for place, row in zip(block.tolist(), candidates[block].tolist(), strict=True):
            # Those that most bands name come first, being the likeliest.
            named = Counter(candidate for candidate in row if candidate != place)
            near = [candidate for candidate, _ in named.most_common(MOST_CANDIDATES)]
            batch.append((place, near))
            wanted.update((place, *(int(of[candidate]) for candidate in near)))
            if len(wanted) >= FETCH:
                compare()
        progress("comparing", start + len(block), len(places))
    if batch:
        compare()
    return of, similarity


def _jaccard(one: frozenset[str] | None, other: frozenset[str] | None) -> float:
    if not one or not other:
        return 0.0
    common = len(one & other)
    return common / (len(one) + len(other) - common)
