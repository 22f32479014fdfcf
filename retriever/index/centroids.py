"""The codebook: how many centroids, trained on what, when it grows, and which one a vector belongs to.

What is near is not only a matter of length: directions in which queries differ more count for more, so that centroids
tell passages apart as queries do. A codebook only ever grows, so the numbers that vectors were given stay valid. On a
processor centroids are looked up through a small inverted file of the centroids themselves, so a vector is compared
with a few hundred of them and not with thousands; the now and then second-best centroid costs no recall that could be
measured. Where faiss has a GPU, all are compared. It knows nothing of files, passages or queries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import faiss
import numpy as np

from retriever.index.quantise import evened, spread_of

SEED = 20240717
SAMPLES_PER_CENTROID = 24
ITERATIONS = 6
MOST_CENTROIDS = 65_536  # codes are stored in 16 bits
HELD_OUT = 10  # one in so many of the first sample is not trained on but tells the radius
# Squared distances are by the moment to this power. With 0 they are plain, and centroids alone leave more candidates
# behind; with 1/2 what they leave of vectors takes 5 % more error when it is rounded than with 1/4.
MOMENT_POWER = 1 / 3
PASSAGES_SHARE = 1 / 3  # of the moment that decides how residuals are rounded; the rest is the queries'
RADIUS_PERCENTILE = 99
# Of vectors beyond the radius, from which on they get centroids of their own. Measured: of further passages of the
# same kind 3 to 7 % are, since even many centroids fit the sample a little better than the rest.
FAR_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Codebook:
    """centroids (c, dim) float32, each a float16 number, none before training; radius: how far from its centroid a
    vector usually is, as Lookup measures it; spread (dim, dim) float32: what residuals are like, as
    quantise.spread_of() makes it; moment (dim, dim) float32: the second moment of what the vectors will be compared
    with.

    The spread is made with the first centroids and stays, since vectors are stored by it. fixed: it never grows, since
    other indexes have the same."""

    centroids: np.ndarray
    radius: float
    spread: np.ndarray
    moment: np.ndarray
    fixed: bool = False


def centroid_count(vectors: int) -> int:
    """How many centroids suit that many vectors: the power of two nearest to 8 times the square root."""
    wanted = 2 ** round(math.log2(8 * math.sqrt(max(vectors, 1))))
    return max(2, min(wanted, vectors // 2, MOST_CENTROIDS))


def sample_rows(vectors: int, total: int | None = None) -> np.ndarray:
    """Which of that many vectors to grow a codebook on: ascending numbers, chosen with a fixed seed. total: for so many
    vectors together (None: these)."""
    size = min(vectors, centroid_count(vectors if total is None else total) * SAMPLES_PER_CENTROID)
    return np.sort(np.random.default_rng(SEED).choice(vectors, size, replace=False))


def untrained(dim: int, queries: np.ndarray | None) -> Codebook:
    """A codebook without centroids. queries: (n, dim) float32, vectors like those that will be searched with."""
    moment = _moment(np.zeros((1, dim)) if queries is None else queries)
    return Codebook(np.empty((0, dim), np.float32), 0.0, np.eye(dim, dtype=np.float32), moment)


def shared(dim: int, queries: np.ndarray | None, sample: np.ndarray, total: int) -> Codebook:
    """A codebook that never grows, for indexes of so many vectors together.

    queries: as of untrained(). sample (n, dim): some of all those vectors, best as many as sample_rows() says. Raises
    ValueError where it is none."""
    sample = np.ascontiguousarray(sample, np.float32)
    if sample.ndim != 2 or sample.shape[1] != dim or len(sample) < 4 or not np.isfinite(sample).all():
        raise ValueError(f"A codebook is trained on at least four vectors of {dim} finite numbers.")
    count = min(centroid_count(total), max(len(sample) // SAMPLES_PER_CENTROID, centroid_count(len(sample) // 2)))
    return replace(_first(untrained(dim, queries).moment, sample, count), fixed=True)


def grow(codebook: Codebook, sample: np.ndarray, vectors: int, total: int) -> Codebook:
    """The codebook for an index of total vectors; the same one where nothing is to be added to it.

    sample (n, dim) float32 is of the vectors that are to be given codes. New centroids are trained on it when the
    total calls for more, as many as the sample carries, and on what lies far from all centroids if that is much.
    """
    centroids, moment = codebook.centroids, codebook.moment
    if codebook.fixed:
        return codebook
    if not len(centroids):
        return _first(moment, sample, centroid_count(total))
    more = min(centroid_count(total) - len(centroids), len(sample) // SAMPLES_PER_CENTROID)
    if more > 0:
        centroids = np.concatenate([centroids, train(sample, more, moment)])
    far = sample[Lookup(centroids, moment).nearest(sample)[1] > codebook.radius]
    if len(far) > max(FAR_SHARE * len(sample), SAMPLES_PER_CENTROID):
        count = min(centroid_count(len(far) * vectors // len(sample)), len(far), MOST_CENTROIDS - len(centroids))
        if count > 0:
            centroids = np.concatenate([centroids, train(far, count, moment)])
    if len(centroids) == len(codebook.centroids):
        return codebook
    radius = _radius(Lookup(centroids, moment).nearest(sample)[1])
    return replace(codebook, centroids=centroids, radius=max(codebook.radius, radius))


def _first(moment: np.ndarray, sample: np.ndarray, count: int) -> Codebook:
    """The first centroids, and what goes with them; moment: of the queries."""
    # Queries have something of the passages they look for, and are not all like the sample of them.
    moment = ((1 - PASSAGES_SHARE) * moment + PASSAGES_SHARE * _moment(sample)).astype(np.float32)
    held_out = np.arange(len(sample)) % HELD_OUT == 0
    centroids = train(sample[~held_out], count, moment)
    numbers, distances = Lookup(centroids, moment).nearest(sample[held_out])
    return Codebook(centroids, _radius(distances), spread_of(sample[held_out] - centroids[numbers]), moment)


def _moment(vectors: np.ndarray) -> np.ndarray:
    """The second moment (dim, dim) float32 of vectors (n, dim), with trace 1; zeros if they are."""
    vectors = np.asarray(vectors, np.float32)
    moment = vectors.T @ vectors
    return moment / (np.trace(moment) or 1)


def _radius(distances: np.ndarray) -> float:
    return float(np.percentile(distances, RADIUS_PERCENTILE))


def train(sample: np.ndarray, count: int, moment: np.ndarray) -> np.ndarray:
    """Centroids (count, dim) float32 of a sample (n >= count, dim) float32, by seeded k-means, rounded to float16."""
    settings = faiss.ClusteringParameters()
    settings.niter = ITERATIONS
    settings.seed = SEED
    settings.min_points_per_centroid = 1
    settings.max_points_per_centroid = len(sample)
    clustering = faiss.Clustering(sample.shape[1], count, settings)
    stretch = _stretch(moment)
    clustering.train(np.ascontiguousarray(sample @ stretch, np.float32), _empty_lookup(sample.shape[1], count))
    stretched = faiss.vector_to_array(clustering.centroids).reshape(count, sample.shape[1])
    centroids = stretched @ np.linalg.inv(stretch)
    return centroids.astype(np.float16).astype(np.float32)  # what is stored and what is used are the same


def _stretch(moment: np.ndarray) -> np.ndarray:
    """T (dim, dim) float32, symmetric: distances between vectors T v are those that count. A mean square is kept."""
    values, directions = np.linalg.eigh(evened(moment))
    values = values**MOMENT_POWER
    return ((directions * np.sqrt(values / values.mean())) @ directions.T).astype(np.float32)


def _empty_lookup(dim: int, count: int) -> faiss.Index:
    if faiss.get_num_gpus():
        return faiss.index_cpu_to_all_gpus(faiss.IndexFlatL2(dim))
    cells = 2 ** round(math.log2(math.sqrt(count)))
    if cells < 8:
        return faiss.IndexFlatL2(dim)
    lookup = faiss.IndexIVFFlat(faiss.IndexFlatL2(dim), dim, cells, faiss.METRIC_L2)
    lookup.nprobe = max(4, cells // 16)
    lookup.cp.seed = SEED
    lookup.cp.min_points_per_centroid = 1
    return lookup


class Lookup:
    """Finds a near centroid for each vector; the same ones for the same centroids and moment."""

    def __init__(self, centroids: np.ndarray, moment: np.ndarray) -> None:
        self._stretch = _stretch(moment)
        stretched = centroids @ self._stretch
        self._index = _empty_lookup(centroids.shape[1], len(centroids))
        self._index.train(stretched)
        self._index.add(stretched)

    def nearest(self, vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, dim) float of any kind -> numbers (n,) uint16 and distances (n,) float32."""
        stretched = np.asarray(vectors, np.float32) @ self._stretch
        squares, numbers = self._index.search(np.ascontiguousarray(stretched), 1)
        numbers = np.maximum(numbers[:, 0], 0)  # -1 where all cells looked into are empty
        return numbers.astype(np.uint16), np.sqrt(np.maximum(squares[:, 0], 0))
