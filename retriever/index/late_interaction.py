"""The index itself: passages as sets of vectors on disk, changed by one writer, searched by anyone.

A state is an immutable object that is swapped when a commit is done, so a search works on the passages that were
there when it began, without a lock. It knows nothing of what the vectors stand for.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from retriever.index import search as funnel
from retriever.index import segments, storage
from retriever.index.centroids import untrained
from retriever.index.changes import Change
from retriever.index.segments import MOST_PASSAGES, Piece
from retriever.index.state import State, codebook_parts, read_state
from retriever.index.storage import IndexProblem, Manifest

Within = Collection[str] | Callable[[str], bool]

NBITS = (1, 2, 4, 8, 16)
SMALL_BYTES = 1 << 30  # an index that may stay in memory whole
MOST_IN_MEMORY = 0.12  # of the bytes; with the codes and lists, which are looked at more evenly, less than a quarter
LOOKED_AT_BYTES = 1 << 16  # what looking at a passage brings into memory: so much is mapped around a page

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Hit:
    """A passage found and its score, sum_i weight_i * max_j q_i . d_j."""

    id: str
    score: float


class LateInteractionIndex:
    """Made by create() or open(). Searching from many threads is safe, also while one of them changes it.

    Whatever looks at passages raises IndexProblem as well if a file was cut short since the index was opened."""

    def __init__(self, path: Path, state: State, lock: storage.WriterLock | None) -> None:
        self.path = path
        self._state = state
        self._lock = lock
        self._changing = threading.Lock()
        self._looked_at = 0  # passages since memory was last let go of; a race between searches does no harm

    @classmethod
    def create(
        cls,
        path: str | Path,
        dim: int = 128,
        fingerprint: str = "",
        nbits: int = 4,
        queries: np.ndarray | None = None,
    ) -> LateInteractionIndex:
        """A new empty index in a directory that is not there or empty, open for writing.

        fingerprint says what makes the vectors. nbits: 1, 2, 4 or 8 bits a dimension for what is left of a vector
        beside its centroid, or 16 for the float16 vectors themselves. queries (n, dim): vectors like those that will be
        searched with, some hundred or more; what is stored is rounded so that products with their like change least.
        Raises ValueError for arguments that make no sense, IndexProblem if the directory holds something.
        """
        if dim < 1:
            raise ValueError("dim must be at least 1.")
        if nbits not in NBITS:
            raise ValueError(f"nbits must be 1, 2, 4, 8 or 16, not {nbits!r}.")
        if queries is not None and (np.ndim(queries) != 2 or queries.shape[1] != dim or not np.isfinite(queries).all()):
            raise ValueError(f"queries must be a (vectors, {dim}) array of finite numbers.")
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
                raise IndexProblem(f"There is an index at {path} already; open it, or delete the directory first.")
            name = storage.file_name("codebook", 1)
            manifest = Manifest(dim, nbits, fingerprint, name, storage.new_identity())
            storage.remove_others(path, manifest)  # what a killed writer left
            file = storage.write_parts(path, name, codebook_parts(untrained(dim, queries)))
            lock.check()
            storage.write_manifest(path, replace(manifest, files={name: file}))
            return cls(path, read_state(path, None), lock)
        except BaseException as error:
            lock.release()
            if isinstance(error, OSError):
                raise storage.disk_problem(error, path, "creating") from error
            raise

    @classmethod
    def open(cls, path: str | Path, fingerprint: str | None = None, write: bool = False) -> LateInteractionIndex:
        """An index that is there, for reading or, with write, for changing as well.

        Raises IndexProblem if path is no index, is damaged or of another format, was made by another model
        than fingerprint (None: any), or is being written to by another writer. Damage in vectors and codes is found
        by verify() only.
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
            if write and storage.remove_others(path, state.manifest):
                generation = state.manifest.generation
                log.warning(
                    "Dropped an unfinished change of the index at %s; it is at generation %d.", path, generation
                )
        except BaseException as error:
            if lock is not None:
                lock.release()
            if isinstance(error, OSError):
                raise storage.disk_problem(error, path, "opening") from error
            raise
        return cls(path, state, lock)

    @staticmethod
    def remove(path: str | Path) -> None:
        """Deletes an index, sound or not, with all that is in its directory; does nothing where there is none.

        Raises IndexProblem if it is being written to or cannot be deleted.
        """
        path = Path(path)
        try:
            lock = storage.WriterLock(path)
            try:
                (path / storage.MANIFEST).unlink(missing_ok=True)  # from here on it is no index, should this be killed
                for file in path.iterdir():
                    if file.is_dir():
                        shutil.rmtree(file)
                    elif file.name != storage.LOCK:
                        file.unlink()
                shutil.rmtree(path)  # the lock's file last, since it says that nobody else may begin here
            finally:
                lock.release()
        except FileNotFoundError:
            return
        except OSError as error:
            raise IndexProblem(
                f"The index at {path} could not be deleted ({error.strerror or error}); check the directory and its "
                "permissions and run it again."
            ) from error

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

    def _whole(self) -> State:
        """The state, for who reads its files. Raises IndexProblem if one has been cut short since it was opened."""
        state = self._now()
        state.check(self.path)
        return state

    def __len__(self) -> int:
        """How many passages there are."""
        return self._whole().passages

    def __contains__(self, passage_id: object) -> bool:
        return self._whole().number(passage_id) is not None

    @property
    def dim(self) -> int:
        return self._now().manifest.dim

    @property
    def nbits(self) -> int:
        return self._now().manifest.nbits

    @property
    def fingerprint(self) -> str:
        return self._now().manifest.fingerprint

    @property
    def identity(self) -> str:
        """What no other index has; one deleted and made anew in the same place gets another."""
        return storage.identity_of(self._now().manifest)

    @property
    def generation(self) -> int:
        """How many changes were made since create()."""
        return self._now().manifest.generation

    def ids(self) -> list[str]:
        """All passage ids in the order they were added."""
        return self._whole().ids()

    def vectors(self, passage_id: str) -> np.ndarray:
        """The stored vectors (tokens, dim) float32 of a passage. Raises KeyError if it is not there."""
        state = self._whole()
        number = state.number(passage_id)
        if number is None:
            raise KeyError(passage_id)
        return funnel.stored_vectors(state.snapshot, number)

    def alignment(self, query: np.ndarray, passage_id: str) -> np.ndarray:
        """The products q . d (n, tokens) float32 of a query (n, dim) and a passage's stored vectors.

        Raises KeyError if the passage is not there; ValueError and IndexProblem for a query as search() does.
        """
        return _checked_query(self._now(), query) @ self.vectors(passage_id).T

    def stats(self) -> dict:
        """Counts and sizes: passages, vectors (neither counts what is deleted), deleted passages, dim, nbits,
        fingerprint, generation, centroids, segments, whole_vectors (not compressed yet), bytes, bytes_per_vector."""
        state = self._whole()
        manifest, pieces = state.manifest, state.pieces
        return {
            "passages": state.passages,
            "vectors": state.vectors,
            "deleted": sum(piece.segment.passages for piece in pieces) - state.passages,
            "dim": manifest.dim,
            "nbits": manifest.nbits,
            "fingerprint": manifest.fingerprint,
            "generation": manifest.generation,
            "centroids": len(state.codebook.centroids),
            "segments": len(pieces),
            "whole_vectors": sum(piece.vectors for piece in pieces if not piece.compressed),
            "bytes": manifest.size,
            "bytes_per_vector": manifest.size / max(1, state.vectors),
        }

    def verify(self) -> None:
        """Reads every file of what was committed last and compares checksums.

        Raises IndexProblem naming the damaged file and the part of it.
        """

        def check(manifest: Manifest) -> None:
            for name, file in manifest.files.items():
                storage.check(self.path, name, file)

        self._now()
        storage.with_manifest(self.path, check)

    def refresh(self) -> bool:
        """Takes up what a writer elsewhere has committed since; whether there was anything.

        Raises IndexProblem if the directory now holds no index, or one of another model.
        """
        with self._changing:
            state = self._now()
            if self._lock is not None:
                state.check(self.path)
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

        vectors: for each id a (tokens, dim) array with tokens >= 1, kept as float16 until there are many and then
        compressed. Raises ValueError for arguments that do not fit together, IndexProblem for ids that are there
        already, vectors of another dimension or with numbers that are not finite, an index open for reading only or
        moved, deleted or replaced since it was opened, or a disk that fails.
        """
        with self._change("adding passages to") as change:
            fresh = _checked(self._now(), ids, vectors)
            if fresh:
                self._state = change.add(fresh)

    def delete(self, ids: Sequence[str]) -> None:
        """Deletes passages, all or none; their ids may be added again. compact() gives their room back.

        Raises IndexProblem for an id that is not there, and as add() does.
        """
        if isinstance(ids, str):
            raise ValueError("ids must be a collection of ids, not one string.")
        ids = list(dict.fromkeys(ids))
        with self._change("deleting passages from") as change:
            numbers = [self._now().number(passage_id) for passage_id in ids]
            if None in numbers:
                missing = ids[numbers.index(None)]
                raise IndexProblem(f"The passage id {missing!r} is not in the index; nothing was deleted.")
            if numbers:
                self._state = change.delete(numbers)

    def optimize(self) -> None:
        """Compresses what was added since and arranges it for speed; call it after the last add.

        Raises IndexProblem as add() does.
        """
        with self._change("optimizing") as change:
            self._state = change.optimize()

    def compact(self) -> None:
        """Removes what is deleted from the files, and joins small ones. Raises IndexProblem as add() does."""
        with self._change("compacting") as change:
            self._state = change.compact()

    @contextlib.contextmanager
    def _change(self, doing: str) -> Iterator[Change]:
        """One change, after which only the files of a valid commit are left, however it ends."""
        with self._changing:
            state = self._whole()
            if self._lock is None:
                raise IndexProblem(f"The index at {self.path} is open for reading only; open it with write=True.")
            try:
                self._lock.check()
                yield Change(self.path, state, self._lock)
            except OSError as error:
                raise storage.disk_problem(error, self.path, doing) from error
            finally:
                self._settle()

    def _settle(self) -> None:
        """Makes the state the one on disk, on whichever side of a commit, and removes files of no use."""
        # What fails here the next writer does; until then the manifest says what is valid.
        with contextlib.suppress(OSError, IndexProblem):
            self._lock.check()  # a directory that has been replaced is not ours to tidy
            self._state = read_state(self.path, self._state)
            storage.remove_others(self.path, self._state.manifest)

    def warm_up(self) -> None:
        """Compiles what searching this index needs, or loads it: seconds on a machine, and less in a process, that the
        first search would take longer."""
        if len(self):
            self.search(np.ones((2 * funnel.ROWS, self.dim), np.float32), 1, candidates=1)

    def search(
        self,
        query: np.ndarray,
        k: int = 100,
        weights: np.ndarray | None = None,
        within: Within | None = None,
        candidates: int | None = None,
        exact: bool = False,
    ) -> list[Hit]:
        """The k best passages for a query (n, dim), best first; equal scores in the order of adding.

        A passage's score is sum_i weights_i * max_j q_i . d_j; weights (n,) >= 0, ones if None. Rows of
        weight zero or only zeros count for nothing, and a query with no other rows finds nothing. within: ids to keep
        to, or a test of an id. candidates: how many passages centroids alone leave to be looked at closely (more find
        more and take longer); exact: all get their exact score. Raises ValueError for arguments that make no sense,
        IndexProblem for a query of another dimension or with numbers that are not finite.
        """
        return self.search_batch([query], k, [weights], within, candidates, exact)[0]

    def search_batch(
        self,
        queries: Sequence[np.ndarray],
        k: int = 100,
        weights: Sequence[np.ndarray | None] | None = None,
        within: Within | None = None,
        candidates: int | None = None,
        exact: bool = False,
    ) -> list[list[Hit]]:
        """What search() finds for each query, all among the same passages; weights: those of each query."""
        state = self._whole()
        if k < 1:
            raise ValueError("k must be at least 1.")
        if candidates is not None and candidates < 1:
            raise ValueError("candidates must be at least 1.")
        if weights is not None and len(weights) != len(queries):
            raise ValueError(f"There are {len(queries)} queries and weights for {len(weights)}; give each its own.")
        each = [None] * len(queries) if weights is None else weights
        checked = [_weighted(state, query, some) for query, some in zip(queries, each, strict=True)]
        allowed = state.snapshot.live if within is None else _allowed(state, within)
        found = state.passages if within is None else sum(int(rows.sum()) for rows in allowed)
        k = min(k, found)
        looked_at = candidates or funnel.usual_candidates(found, k)
        results = []
        for query, some in checked:
            hits = []
            if found and len(query):
                state.check(self.path)  # again for each, since many take long
                hits = funnel.search(state.snapshot, query, some, k, allowed, looked_at, exact)
                self._forget(state, found if exact else looked_at)
            results.append([Hit(state.id(number), score) for number, score in hits])
        return results

    def _forget(self, state: State, passages: int) -> None:
        """Counts what searches have looked at, and lets go of it before it is much of a large index."""
        self._looked_at += passages
        size = state.manifest.size
        if size > SMALL_BYTES and self._looked_at * LOOKED_AT_BYTES > MOST_IN_MEMORY * size:
            self._looked_at = 0
            for segment in state.snapshot.segments:
                segment.forget()


def _checked(state: State, ids: Sequence[str], vectors: Sequence[np.ndarray]) -> list[Piece]:
    """What add() was given, as segments in memory."""
    dim = state.manifest.dim
    if len(ids) != len(vectors):
        raise ValueError(f"There are {len(ids)} ids and {len(vectors)} passages' vectors; give one array for each id.")
    for passage_id in ids:
        if not isinstance(passage_id, str) or not passage_id:
            raise ValueError(f"A passage id must be a string of at least one character, not {passage_id!r}.")
    seen: set[str] = set()
    arrays = []
    for passage_id, number, array in zip(ids, state.numbers(ids), vectors, strict=True):
        if passage_id in seen or number is not None:
            where = "given twice" if passage_id in seen else "in the index already"
            raise IndexProblem(f"The passage id {passage_id!r} is {where}; give each passage once.")
        seen.add(passage_id)
        array = np.asarray(array)
        if array.ndim != 2 or array.dtype.kind not in "fiu":
            raise ValueError(f"The vectors of passage {passage_id!r} must be a (tokens, {dim}) array of numbers.")
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
    return [
        Piece(segments.from_arrays(ids[start : start + MOST_PASSAGES], arrays[start : start + MOST_PASSAGES]))
        for start in range(0, len(ids), MOST_PASSAGES)
    ]


def _checked_query(state: State, query: np.ndarray) -> np.ndarray:
    """A query (n, dim) float32."""
    query = np.asarray(query)
    if query.ndim != 2 or query.dtype.kind not in "fiu":
        raise ValueError("A query must be an array of numbers of shape (vectors, dim).")
    dim = state.manifest.dim
    if query.shape[1] != dim:
        raise IndexProblem(
            f"The query has {query.shape[1]} dimensions and the index has {dim}; use the model the index was made by."
        )
    with np.errstate(over="ignore"):
        query = query.astype(np.float32)
    if not np.isfinite(query).all():
        raise IndexProblem("The query holds numbers that are not finite; check the model that made it.")
    return query


def _weighted(state: State, query: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The rows (n, dim) float32 that count, and their weights (n,) float32."""
    query = _checked_query(state, query)
    weights = np.ones(len(query), np.float32) if weights is None else np.asarray(weights).astype(np.float32)
    if weights.shape != (len(query),) or not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError(f"weights must be {len(query)} finite numbers, none below zero.")
    counts = (weights > 0) & query.any(axis=1)
    return np.ascontiguousarray(query[counts]), weights[counts]


def _allowed(state: State, within: Within) -> tuple[np.ndarray, ...]:
    """Which passages a search may find, (P,) bool for each segment."""
    if isinstance(within, str):
        raise ValueError("within must be a collection of ids or a function of an id, not one string.")
    offsets = state.snapshot.offsets
    allowed = np.zeros(int(offsets[-1]), bool)
    if callable(within):
        for piece, offset in zip(state.pieces, offsets[:-1].tolist(), strict=True):
            for row, passage_id in piece.ids():
                allowed[offset + row] = bool(within(passage_id))
    else:
        allowed[[number for number in state.numbers(list(within)) if number is not None]] = True
    return tuple(np.split(allowed, offsets[1:-1]))
