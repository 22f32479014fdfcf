"""The index itself: passages as sets of vectors on disk, changed by one writer, searched by anyone.

What was committed last is an immutable object, and another is put in its place when a change is done; so a search
works on the passages that were there when it began, without a lock. It knows nothing of what the vectors stand for.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from common.problems import Problem
from retriever.index import search as funnel
from retriever.index import storage
from retriever.index.arguments import allowed_passages, check_fingerprint, checked_search, fresh_pieces
from retriever.index.base import Hit, Index, Within
from retriever.index.centroids import Codebook, untrained
from retriever.index.changes import Change
from retriever.index.commit import Commit, codebook_parts, read_commit
from retriever.index.storage import Manifest

NBITS = (1, 2, 4, 8, 16)
SMALL_BYTES = 1 << 30  # an index that may stay in memory whole
MOST_IN_MEMORY = 0.12  # of the bytes; with the codes and lists, which are looked at more evenly, less than a quarter
LOOKED_AT_BYTES = 1 << 16  # what looking at a passage brings into memory: so much is mapped around a page

log = logging.getLogger(__name__)


class LateInteractionIndex(Index):
    """Made by create() or open(). Whatever looks at passages raises Problem if a file was cut short since then."""

    def __init__(self, path: Path, commit: Commit, lock: storage.WriterLock | None) -> None:
        self.path = path
        self._commit = commit
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
        codebook: Codebook | None = None,
    ) -> LateInteractionIndex:
        """A new empty index in a directory that is not there or empty, open for writing.

        fingerprint says what makes the vectors. nbits: 1, 2, 4 or 8 bits a dimension for what is left of a vector
        beside its centroid, or 16 for the float16 vectors themselves. queries (n, dim): vectors like those that will be
        searched with, some hundred or more; what is stored is rounded so that products with their like change least.
        codebook: that of other indexes, as centroids.shared() makes it, instead of queries and one of its own.
        Raises ValueError for arguments that make no sense, Problem if the directory holds something.
        """
        if dim < 1:
            raise ValueError("dim must be at least 1.")
        if nbits not in NBITS:
            raise ValueError(f"nbits must be 1, 2, 4, 8 or 16, not {nbits!r}.")
        if queries is not None and (np.ndim(queries) != 2 or queries.shape[1] != dim or not np.isfinite(queries).all()):
            raise ValueError(f"queries must be a (vectors, {dim}) array of finite numbers.")
        if codebook is not None and not (codebook.fixed and codebook.spread.shape == (dim, dim)):
            raise ValueError(f"codebook must be one of {dim} dimensions that never grows.")
        path = Path(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            names = {entry.name for entry in path.iterdir()}
            if names and (storage.LOCK not in names or not all(map(storage.is_ours, names))):
                raise Problem(f"{path} is not empty; give a new directory for the index.")
            lock = storage.WriterLock(path)
        except OSError as error:
            raise storage.disk_problem(error, path, "creating") from error
        try:
            if (path / storage.MANIFEST).exists():
                raise Problem(f"There is an index at {path} already; open it, or give another directory.")
            name = storage.file_name("codebook", 1)
            manifest = Manifest(dim, nbits, fingerprint, name, storage.new_identity())
            storage.remove_others(path, manifest)  # what a killed writer left
            file = storage.write_parts(path, name, codebook_parts(codebook or untrained(dim, queries)))
            lock.check()
            storage.write_manifest(path, replace(manifest, files={name: file}))
            return cls(path, read_commit(path, None), lock)
        except BaseException as error:
            lock.release()
            if isinstance(error, OSError):
                raise storage.disk_problem(error, path, "creating") from error
            raise

    @classmethod
    def open(cls, path: str | Path, fingerprint: str | None = None, write: bool = False) -> LateInteractionIndex:
        """An index that is there, for reading or, with write, for changing as well.

        Raises Problem if path is no index, is damaged or of another format, was made by another model
        than fingerprint (None: any), or is being written to by another writer. Damage in vectors and codes is found
        by verify() only.
        """
        path = Path(path)
        storage.read_manifest(path)  # so that no lock file is left in a directory that is no index
        lock = None
        try:
            lock = storage.WriterLock(path) if write else None
            commit = read_commit(path, None)
            check_fingerprint(path, commit.manifest.fingerprint, fingerprint)
            if write and storage.remove_others(path, commit.manifest):
                generation = commit.manifest.generation
                log.warning(
                    "Dropped an unfinished change of the index at %s; it is at generation %d.", path, generation
                )
        except BaseException as error:
            if lock is not None:
                lock.release()
            if isinstance(error, OSError):
                raise storage.disk_problem(error, path, "opening") from error
            raise
        return cls(path, commit, lock)

    def close(self) -> None:
        """Gives back the right to write. Running searches end well; the index is of no use after."""
        with self._changing:
            if self._lock is not None:
                self._lock.release()
            self._lock = None
            self._commit = None

    def commit(self) -> Commit:
        """What was committed last, as it is in memory. Raises ValueError once the index is closed."""
        return self._now()

    def _now(self) -> Commit:
        commit = self._commit
        if commit is None:
            raise ValueError(f"The index at {self.path} is closed.")
        return commit

    def _whole(self) -> Commit:
        """The commit, for who reads its files. Raises Problem if one has been cut short since it was opened."""
        commit = self._now()
        commit.check(self.path)
        return commit

    def exists(self) -> bool:
        return (self.path / storage.MANIFEST).exists()

    def __len__(self) -> int:
        return self._whole().passages

    def __contains__(self, passage_id: object) -> bool:
        return self._whole().number(passage_id) is not None

    @property
    def dim(self) -> int:
        return self._now().manifest.dim

    @property
    def fingerprint(self) -> str:
        return self._now().manifest.fingerprint

    @property
    def identity(self) -> str:
        return storage.identity_of(self._now().manifest)

    @property
    def generation(self) -> int:
        return self._now().manifest.generation

    def ids(self) -> list[str]:
        return self._whole().ids()

    def vectors(self, passage_id: str) -> np.ndarray:
        commit = self._whole()
        number = commit.number(passage_id)
        if number is None:
            raise KeyError(passage_id)
        return funnel.stored_vectors(commit.snapshot, number)

    def stats(self) -> dict:
        """Counts and sizes: passages, vectors (neither counts what is deleted), deleted passages, dim, nbits,
        fingerprint, generation, centroids, segments, whole_vectors (not compressed yet), bytes, bytes_per_vector."""
        commit = self._whole()
        manifest, pieces = commit.manifest, commit.pieces
        return {
            "passages": commit.passages,
            "vectors": commit.vectors,
            "deleted": sum(piece.segment.passages for piece in pieces) - commit.passages,
            "dim": manifest.dim,
            "nbits": manifest.nbits,
            "fingerprint": manifest.fingerprint,
            "generation": manifest.generation,
            "centroids": len(commit.codebook.centroids),
            "segments": len(pieces),
            "whole_vectors": sum(piece.vectors for piece in pieces if not piece.compressed),
            "bytes": manifest.size,
            "bytes_per_vector": manifest.size / max(1, commit.vectors),
        }

    def verify(self) -> None:
        """Reads every file of what was committed last and compares checksums.

        Raises Problem naming the damaged file and the part of it.
        """

        def check(manifest: Manifest) -> None:
            for name, file in manifest.files.items():
                storage.check(self.path, name, file)

        self._now()
        storage.with_manifest(self.path, check)

    def refresh(self) -> bool:
        """Takes up what a writer elsewhere has committed since; whether there was anything.

        Raises Problem if the directory now holds no index, or one of another model.
        """
        with self._changing:
            commit = self._now()
            if self._lock is not None:
                commit.check(self.path)
                return False  # nobody else can have written
            found = read_commit(self.path, commit)
            if found is commit:
                return False
            if (found.manifest.dim, found.manifest.fingerprint) != (self.dim, self.fingerprint):
                raise Problem(
                    f"The index at {self.path} was replaced by one of another model; open it with that model."
                )
            self._commit = found
            return True

    def add(self, ids: Sequence[str], vectors: Sequence[np.ndarray]) -> None:
        """Adds passages, all or none; when it returns they are on disk.

        vectors: for each id a (tokens, dim) array with tokens >= 1, kept as float16 until there are many and then
        compressed. Raises ValueError for arguments that do not fit together, Problem for ids that are there
        already, vectors of another dimension or with numbers that are not finite, an index open for reading only or
        moved, deleted or replaced since it was opened, or a disk that fails.
        """
        with self._change("adding passages to") as change:
            fresh = fresh_pieces(self._now(), ids, vectors)
            if fresh:
                self._commit = change.add(fresh)

    def delete(self, ids: Sequence[str]) -> None:
        """Deletes passages, all or none; their ids may be added again. compact() gives their room back.

        Raises Problem for an id that is not there, and as add() does.
        """
        if isinstance(ids, str):
            raise ValueError("ids must be a collection of ids, not one string.")
        ids = list(dict.fromkeys(ids))
        with self._change("deleting passages from") as change:
            numbers = [self._now().number(passage_id) for passage_id in ids]
            if None in numbers:
                missing = ids[numbers.index(None)]
                raise Problem(f"The passage id {missing!r} is not in the index; nothing was deleted.")
            if numbers:
                self._commit = change.delete(numbers)

    def optimize(self) -> None:
        """Compresses what was added since and arranges it for speed; call it after the last add.

        Raises Problem as add() does.
        """
        with self._change("optimizing") as change:
            self._commit = change.optimize()

    def compact(self) -> None:
        """Removes what is deleted from the files, and joins small ones. Raises Problem as add() does."""
        with self._change("compacting") as change:
            self._commit = change.compact()

    @contextlib.contextmanager
    def _change(self, doing: str) -> Iterator[Change]:
        """One change, after which only the files of a valid commit are left, however it ends."""
        with self._changing:
            commit = self._whole()
            if self._lock is None:
                raise Problem(f"The index at {self.path} is open for reading only; open it with write=True.")
            try:
                self._lock.check()
                yield Change(self.path, commit, self._lock)
            except OSError as error:
                raise storage.disk_problem(error, self.path, doing) from error
            finally:
                self._settle()

    def _settle(self) -> None:
        """Makes the last commit the one on disk, on whichever side of a commit, and removes files of no use."""
        # What fails here the next writer does; until then the manifest says what is valid.
        with contextlib.suppress(OSError, Problem):
            self._lock.check()  # a directory that has been replaced is not ours to tidy
            self._commit = read_commit(self.path, self._commit)
            storage.remove_others(self.path, self._commit.manifest)

    def warm_up(self) -> None:
        """Compiles what searching this index needs, or loads it: seconds on a machine, and less in a process, that the
        first search would take longer."""
        if len(self):
            for rows in (1, 2 * funnel.MOST_ROWS):
                self.search(np.ones((rows, self.dim), np.float32), 1, candidates=1)

    def search_batch(
        self,
        queries: Sequence[np.ndarray],
        k: int = 100,
        weights: Sequence[np.ndarray | None] | None = None,
        within: Within | None = None,
        candidates: int | None = None,
        exact: bool = False,
        final: int | None = None,
    ) -> list[list[Hit]]:
        """As Index.search_batch. Rows of weight zero or only zeros count for nothing, and a query with no other rows
        finds nothing. candidates: how many passages centroids alone leave to be looked at closely; more find more and
        take longer. final: how many of those get their exact score; as many as are usual for k if None."""
        commit = self._whole()
        checked = checked_search(commit.manifest.dim, queries, k, weights, candidates)
        allowed = commit.snapshot.live if within is None else allowed_passages(commit, within)
        found = commit.passages if within is None else sum(int(rows.sum()) for rows in allowed)
        k = min(k, found)
        looked_at = candidates or funnel.usual_candidates(found, k)
        results = []
        for query, some in checked:
            hits = []
            if found and len(query):
                commit.check(self.path)  # again for each, since many take long
                hits = funnel.search(commit.snapshot, query, some, k, allowed, looked_at, exact, final)
                self._forget(commit, found if exact else looked_at)
            results.append([Hit(commit.id(number), score) for number, score in hits])
        return results

    def _forget(self, commit: Commit, passages: int) -> None:
        """Counts what searches have looked at, and lets go of it before it is much of a large index."""
        self._looked_at += passages
        size = commit.manifest.size
        if size > SMALL_BYTES and self._looked_at * LOOKED_AT_BYTES > MOST_IN_MEMORY * size:
            self._looked_at = 0
            for segment in commit.snapshot.segments:
                segment.forget()
