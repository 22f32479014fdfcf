"""Centroids of the stored vectors: how many, trained on what, and which one each vector belongs to.

Training and assignment look centroids up through a small inverted file of the centroids themselves, so a
vector is compared with a few hundred of them and not with thousands; the now and then second-best centroid
costs no recall that could be measured. It knows nothing of files, passages or queries.
"""

from __future__ import annotations

import math

import faiss
import numpy as np

SEED = 20240717
SAMPLES_PER_CENTROID = 24
ITERATIONS = 6
BLOCK = 65_536  # vectors turned to float32 at a time
MOST_CENTROIDS = 65_536  # codes are stored in 16 bits


def centroid_count(vectors: int) -> int:
    """How many centroids suit that many vectors: the power of two nearest to 8 times the square root."""
    wanted = 2 ** round(math.log2(8 * math.sqrt(max(vectors, 1))))
    return max(2, min(wanted, vectors // 2, MOST_CENTROIDS))


def _lookup(dim: int, count: int) -> faiss.Index:
    """An empty faiss index in which nearest centroids are found quickly."""
    cells = 2 ** round(math.log2(math.sqrt(count)))
    if cells < 8:
        return faiss.IndexFlatL2(dim)
    lookup = faiss.IndexIVFFlat(faiss.IndexFlatL2(dim), dim, cells, faiss.METRIC_L2)
    lookup.nprobe = max(4, cells // 16)
    lookup.cp.seed = SEED
    lookup.cp.min_points_per_centroid = 1
    return lookup


def train(sample: np.ndarray, count: int) -> np.ndarray:
    """Centroids (count, dim) float32 of a sample (n >= count, dim) float32, by seeded k-means."""
    settings = faiss.ClusteringParameters()
    settings.niter = ITERATIONS
    settings.seed = SEED
    settings.min_points_per_centroid = 1
    settings.max_points_per_centroid = len(sample)
    clustering = faiss.Clustering(sample.shape[1], count, settings)
    clustering.train(np.ascontiguousarray(sample, np.float32), _lookup(sample.shape[1], count))
    return faiss.vector_to_array(clustering.centroids).reshape(count, sample.shape[1])


class Assigner:
    """Gives vectors the number of a near centroid; the same ones for the same centroids."""

    def __init__(self, centroids: np.ndarray) -> None:
        self._lookup = _lookup(centroids.shape[1], len(centroids))
        self._lookup.train(centroids)
        self._lookup.add(centroids)

    def codes(self, vectors: np.ndarray) -> np.ndarray:
        """(n, dim) float of any kind -> (n,) uint16."""
        codes = np.empty(len(vectors), np.uint16)
        for start in range(0, len(vectors), BLOCK):
            block = np.ascontiguousarray(vectors[start : start + BLOCK], np.float32)
            codes[start : start + BLOCK] = self._lookup.search(block, 1)[1][:, 0]
        return codes


def sample_rows(vectors: int, count: int) -> np.ndarray:
    """Which of that many vectors to train count centroids on: ascending numbers, chosen with a fixed seed."""
    size = min(vectors, count * SAMPLES_PER_CENTROID)
    return np.sort(np.random.default_rng(SEED).choice(vectors, size, replace=False))
