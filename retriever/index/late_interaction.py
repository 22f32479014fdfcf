"""The index itself: passages as sets of vectors on disk, added to by one writer, searched by anyone.

A state is an immutable object that a writer swaps when a commit is done, so a search works on the passages
that were there when it began, without a lock. It knows nothing of what the vectors stand for.
"""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from retriever.index import search as stages
from retriever.index import storage
from retriever.index.centroids import BLOCK, Assigner, centroid_count, sample_rows, train
from retriever.index.state import State, load, read_state
from retriever.index.storage import IndexProblem, Manifest

TRAIN_AT = 50_000  # vectors from which on there are centroids; fewer are quicker searched one by one
GROWTH = (
    4  # train anew when the vectors have grown by this factor: all trainings cost little more than the last
)
OPTIMIZE_AT = 1.5  # the growth from which on optimize() finds it worth training anew
CANDIDATES = 400  # passages scored exactly, at least
CANDIDATES_PER_HIT = 5


@dataclass(frozen=True)
class Hit:
    """A passage found and its score, sum_i weight_i * max_j q_i . d_j."""

    id: str
    score: float


class LateInteractionIndex:
    """Made by create() or open(). Searching from many threads is safe, also while one of them adds."""

    def __init__(self, path: Path, state: State, lock: storage.WriterLock | None) -> None:
        self.path = path
        self._state = state
        self._lock = lock
        self._changing = threading.Lock()
        self._assigner: tuple[int, Assigner] | None = None  # the training it belongs to, and itself

    @classmethod
    def create(cls, path: str | Path, dim: int = 128, fingerprint: str = "") -> LateInteractionIndex:
        """A new empty index in a directory that is not there or empty, open for writing.

        fingerprint says what makes the vectors. Raises IndexProblem if the directory holds something.
        """
        if dim < 1:
            raise ValueError("dim must be at least 1.")
        path = Path(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            names = {entry.name for entry in path.iterdir()}
            if names and (storage.LOCK not in names or not all(map(storage.is_ours, names))):
                raise IndexProblem(f"{path} is not empty; give a new directory for the index.")
            lock = storage.WriterLock(path)
        except OSError as error:
            raise storage.disk_problem(error, path, "creating") from error
        try:
            if (path / storage.MANIFEST).exists():
                raise IndexProblem(
                    f"There is an index at {path} already; open it, or delete the directory first."
                )
            manifest = Manifest(dim=dim, fingerprint=fingerprint, identity=secrets.token_hex(8))
            storage.cut_tails(path, manifest)
            for name in manifest.sizes():
                storage.append(path, name, 0, b"")
            storage.write_manifest(path, manifest)
            return cls(path, load(path, manifest, None)[0], lock)
        except OSError as error:
            lock.release()
            raise storage.disk_problem(error, path, "creating") from error
        except IndexProblem:
            lock.release()
            raise

    @classmethod
    def open(
        cls, path: str | Path, fingerprint: str | None = None, write: bool = False
    ) -> LateInteractionIndex:
        """An index that is there, for reading or, with write, for adding to as well.

        Raises IndexProblem if path is no index, is damaged or of a newer format, was made by another model
        than fingerprint (None: any), or is being written to by another writer.
        """
        path = Path(path)
        storage.read_manifest(path)  # so that no lock file is left in a directory that is no index
        lock = None
        try:
            lock = storage.WriterLock(path) if write else None
            state = read_state(path, None)
            made_by = state.manifest.fingerprint
            if fingerprint is not None and fingerprint != made_by:
                raise IndexProblem(
                    f"The index at {path} was made by {made_by or 'an unnamed model'} and not by "
                    f"{fingerprint or 'an unnamed model'}; open it with that model or build it anew."
                )
            if write:
                storage.cut_tails(path, state.manifest)
        except BaseException as error:
            if lock is not None:
                lock.release()
            if isinstance(error, OSError):
                raise storage.disk_problem(error, path, "opening") from error
            raise
        return cls(path, state, lock)

    def close(self) -> None:
        """Gives back the right to write. Running searches end well; the index is of no use after."""
        with self._changing:
            if self._lock is not None:
                self._lock.release()
            self._lock = None
            self._state = None

    def __enter__(self) -> LateInteractionIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _now(self) -> State:
        state = self._state
        if state is None:
            raise ValueError(f"The index at {self.path} is closed.")
        return state

    def __len__(self) -> int:
        """How many passages there are."""
        return self._now().manifest.passages

    def __contains__(self, passage_id: object) -> bool:
        return self._now().row(passage_id) is not None

    @property
    def dim(self) -> int:
        return self._now().manifest.dim

    @property
    def fingerprint(self) -> str:
        return self._now().manifest.fingerprint

    def ids(self) -> list[str]:
        """All passage ids in the order they were added."""
        state = self._now()
        return state.ids[: state.manifest.passages]

    def vectors(self, passage_id: str) -> np.ndarray:
        """The stored vectors (tokens, dim) float32 of a passage. Raises KeyError if it is not there."""
        state = self._now()
        row = state.row(passage_id)
        if row is None:
            raise KeyError(passage_id)
        starts = state.snapshot.starts
        return state.snapshot.vectors[starts[row] : starts[row + 1]].astype(np.float32)

    def stats(self) -> dict:
        """Counts and sizes: passages, vectors, dim, fingerprint, generation, centroids, trained_at, bytes,
        bytes_per_vector."""
        manifest = self._now().manifest
        size = sum(manifest.sizes().values())
        return {
            "passages": manifest.passages,
            "vectors": manifest.vectors,
            "dim": manifest.dim,
            "fingerprint": manifest.fingerprint,
            "generation": manifest.generation,
            "centroids": manifest.centroids,
            "trained_at": manifest.trained_at,
            "bytes": size,
            "bytes_per_vector": size / max(1, manifest.vectors),
        }

    def refresh(self) -> bool:
        """Takes up what a writer elsewhere has committed since; whether there was anything.

        Raises IndexProblem if the directory now holds no index, or one of another model.
        """
        with self._changing:
            state = self._now()
            if self._lock is not None:
                return False  # nobody else can have written
            found = read_state(self.path, state)
            if found is state:
                return False
            if (found.manifest.dim, found.manifest.fingerprint) != (self.dim, self.fingerprint):
                raise IndexProblem(
                    f"The index at {self.path} was replaced by one of another model; open it with that model."
                )
            self._state = found
            return True

    def add(self, ids: Sequence[str], vectors: Sequence[np.ndarray]) -> None:
        """Adds passages, all or none; when it returns they are on disk.

        vectors: for each id a (tokens, dim) array with tokens >= 1, kept as float16. Raises ValueError for
        arguments that do not fit together, IndexProblem for ids that are there already, vectors of another
        dimension or with numbers that are not finite, an index open for reading only, or a disk that fails.
        """
        with self._changing:
            state = self._writable()
            lengths, batch = _checked(state, ids, vectors)
            if not len(lengths):
                return
            total = state.manifest.vectors + len(batch)
            due = total >= TRAIN_AT and total >= GROWTH * state.manifest.trained_at
            self._commit(state, list(ids), lengths, batch, due, "adding passages to")

    def optimize(self) -> None:
        """Trains the centroids anew if the index has grown enough for it to pay; call it after the last add.

        Raises IndexProblem as add() does.
        """
        with self._changing:
            state = self._writable()
            total, trained_at = state.manifest.vectors, state.manifest.trained_at
            if total >= TRAIN_AT and total >= OPTIMIZE_AT * trained_at:
                nothing = np.empty((0, state.manifest.dim), np.float16)
                self._commit(state, [], np.empty(0, np.int32), nothing, True, "optimizing")

    def _writable(self) -> State:
        state = self._now()
        if self._lock is None:
            raise IndexProblem(f"The index at {self.path} is open for reading only; open it with write=True.")
        return state

    def _commit(
        self, old: State, ids: list[str], lengths: np.ndarray, batch: np.ndarray, train_anew: bool, doing: str
    ) -> None:
        """Appends passages, trains if asked to, and makes all of it valid at once."""
        was = old.manifest
        lines = "".join(json.dumps(passage_id) + "\n" for passage_id in ids).encode()
        manifest = replace(
            was,
            generation=was.generation + 1,
            passages=was.passages + len(ids),
            vectors=was.vectors + len(batch),
            id_bytes=was.id_bytes + len(lines),
        )
        try:
            storage.append(self.path, storage.VECTORS, was.vectors * was.dim * 2, batch)
            storage.append(self.path, storage.LENGTHS, was.passages * 4, lengths)
            storage.append(self.path, storage.IDS, was.id_bytes, lines)
            if train_anew:
                manifest = self._train(manifest)
            elif was.training:
                if self._assigner is None or self._assigner[0] != was.training:
                    self._assigner = (was.training, Assigner(old.snapshot.centroids))
                codes = self._assigner[1].codes(batch)
                storage.append(self.path, storage.codes_file(was.training), was.vectors * 2, codes)
            state, added = load(self.path, manifest, old)
            storage.write_manifest(self.path, manifest)
            state.take(added)
            self._state = state
        except BaseException as error:
            self._settle()
            if isinstance(error, OSError):
                raise storage.disk_problem(error, self.path, doing) from error
            raise
        if train_anew:
            self._settle()  # the files of the training before

    def _train(self, manifest: Manifest) -> Manifest:
        """Trains for all vectors in the file by now and writes centroids and codes. Raises OSError."""
        shape = (manifest.vectors, manifest.dim)
        stored = storage.map_array(self.path, storage.VECTORS, "<f2", shape)
        count = centroid_count(manifest.vectors)
        centroids = train(stored[sample_rows(manifest.vectors, count)].astype(np.float32), count)
        manifest = replace(
            manifest, training=manifest.training + 1, centroids=count, trained_at=manifest.vectors
        )
        storage.append(self.path, storage.centroids_file(manifest.training), 0, centroids)
        assigner = Assigner(centroids)
        codes = np.empty(manifest.vectors, np.uint16)
        for start in range(0, manifest.vectors, BLOCK):
            codes[start : start + BLOCK] = assigner.codes(stored[start : start + BLOCK])
        storage.append(self.path, storage.codes_file(manifest.training), 0, codes)
        self._assigner = (manifest.training, assigner)
        return manifest

    def _settle(self) -> None:
        """Makes the state the one on disk, on whichever side of a commit, and cuts off what is not valid."""
        try:
            manifest = storage.read_manifest(self.path)
            storage.cut_tails(self.path, manifest)
            if manifest != self._state.manifest:  # interrupted between the commit and taking it up
                self._state = read_state(self.path, None)
        except (OSError, IndexProblem):
            pass  # the next writer to open the index does it; until then the manifest says what is valid

    def search(
        self,
        query: np.ndarray,
        k: int = 100,
        weights: np.ndarray | None = None,
        candidates: int | None = None,
        exact: bool = False,
        within: Collection[str] | Callable[[str], bool] | None = None,
    ) -> list[Hit]:
        """The k best passages for a query (n, dim), best first; equal scores in the order of adding.

        A passage's score is sum_i weights_i * max_j q_i . d_j; weights (n,) >= 0, ones if None. Rows of
        weight zero or only zeros count for nothing, and a query with no other rows finds nothing. candidates:
        how many passages the first stage leaves to be scored exactly (never less than k); exact: score all.
        within: ids to keep to, or a test of an id. Raises ValueError for arguments that make no sense,
        IndexProblem for a query of another dimension or with numbers that are not finite.
        """
        state = self._now()
        if k < 1:
            raise ValueError("k must be at least 1.")
        if candidates is not None and candidates < 1:
            raise ValueError("candidates must be at least 1.")
        query, weights = _checked_query(state, query, weights)
        if not len(query) or not state.manifest.passages:
            return []
        allowed = None if within is None else _allowed(state, within)
        if exact:
            candidates = state.manifest.passages
        elif candidates is None:
            candidates = max(CANDIDATES_PER_HIT * k, CANDIDATES)
        rows = stages.nominate(state.snapshot, query, weights, max(candidates, k), allowed)
        scores = stages.maxsim(state.snapshot, rows, query, weights)
        return [Hit(state.ids[row], score) for row, score in stages.ranked(rows, scores, k)]


def _checked(
    state: State, ids: Sequence[str], vectors: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """What add() was given, as lengths (passages,) int32 and all vectors (n, dim) float16."""
    dim = state.manifest.dim
    if len(ids) != len(vectors):
        raise ValueError(
            f"There are {len(ids)} ids and {len(vectors)} passages' vectors; give one array for each id."
        )
    seen = set()
    arrays = []
    for passage_id, array in zip(ids, vectors, strict=True):
        if not isinstance(passage_id, str) or not passage_id:
            raise ValueError(f"A passage id must be a string of at least one character, not {passage_id!r}.")
        if passage_id in seen or state.row(passage_id) is not None:
            where = "given twice" if passage_id in seen else "in the index already"
            raise IndexProblem(f"The passage id {passage_id!r} is {where}; give each passage once.")
        seen.add(passage_id)
        array = np.asarray(array)
        if array.ndim != 2 or array.dtype.kind not in "fiu":
            raise ValueError(
                f"The vectors of passage {passage_id!r} must be a (tokens, {dim}) array of numbers."
            )
        if not len(array):
            raise IndexProblem(f"The passage {passage_id!r} has no vectors; leave out passages without text.")
        if array.shape[1] != dim:
            raise IndexProblem(
                f"The vectors of passage {passage_id!r} have {array.shape[1]} dimensions and not {dim}; "
                "use the model the index was made by."
            )
        with np.errstate(over="ignore"):
            array = array.astype("<f2")
        if not np.isfinite(array).all():
            raise IndexProblem(
                f"The vectors of passage {passage_id!r} hold numbers that are not finite in 16 bits; check "
                "the model that made them."
            )
        arrays.append(array)
    lengths = np.array([len(array) for array in arrays], "<i4")
    return lengths, np.concatenate(arrays) if arrays else np.empty((0, dim), "<f2")


def _checked_query(
    state: State, query: np.ndarray, weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """The rows (n, dim) float32 that count, and their weights (n,) float32."""
    query = np.asarray(query)
    if query.ndim != 2 or query.dtype.kind not in "fiu":
        raise ValueError("A query must be an array of numbers of shape (vectors, dim).")
    dim = state.manifest.dim
    if query.shape[1] != dim:
        raise IndexProblem(
            f"The query has {query.shape[1]} dimensions and the index has {dim}; "
            "use the model the index was made by."
        )
    with np.errstate(over="ignore"):
        query = query.astype(np.float32)
    if not np.isfinite(query).all():
        raise IndexProblem("The query holds numbers that are not finite; check the model that made it.")
    weights = np.ones(len(query), np.float32) if weights is None else np.asarray(weights).astype(np.float32)
    if weights.shape != (len(query),) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"weights must be {len(query)} finite numbers, none below zero.")
    counts = (weights > 0) & query.any(axis=1)
    return np.ascontiguousarray(query[counts]), weights[counts]


def _allowed(state: State, within: Collection[str] | Callable[[str], bool]) -> np.ndarray:
    """Which passages a search may find, (passages,) bool."""
    allowed = np.zeros(state.manifest.passages, bool)
    if callable(within):
        allowed[:] = [bool(within(passage_id)) for passage_id in state.ids[: len(allowed)]]
        return allowed
    if isinstance(within, str):
        raise ValueError("within must be a collection of ids or a function of an id, not one string.")
    allowed[[row for row in map(state.row, within) if row is not None]] = True
    return allowed
