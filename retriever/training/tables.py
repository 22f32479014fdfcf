"""Tables of rows on disk, written once and read a row at a time, so that a set of any size can be drawn from at random.

They are Arrow files, which the system maps into memory as rows are looked at. Knows nothing of what the rows are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from common.problems import Problem
from retriever.training.files import whole

_ROWS = 256  # of every batch in a file but the last, so that a row's place is known


class Table:
    """The rows of a file that `write_table` wrote. `about`: what was written with them. Raises Problem."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.about: dict[str, Any] = json.loads((path / "about.json").read_text(encoding="utf-8"))
            self._length = int(self.about["rows"])
        except (OSError, ValueError, KeyError, TypeError):
            raise Problem(f"{path} is damaged; delete it, and it will be made again.") from None

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, row: int) -> dict[str, Any]:
        if not 0 <= row < self._length:
            raise IndexError(row)
        return self._file.get_batch(row // _ROWS).slice(row % _ROWS, 1).to_pylist()[0]

    def __getstate__(self) -> dict[str, Any]:
        """Without the open file: a process that reads ahead opens it itself."""
        return {"path": self.path, "about": self.about, "_length": self._length}

    @cached_property
    def _file(self) -> pa.RecordBatchFileReader:
        try:
            return pa.ipc.open_file(pa.memory_map(str(self.path / "rows.arrow")))
        except (OSError, pa.ArrowException):
            raise Problem(f"{self.path} is damaged; delete it, and it will be made again.") from None


class Part:
    """Some rows of a table, in the order that is said."""

    def __init__(self, table: Table, rows: Sequence[int]) -> None:
        self.about = table.about
        self._table, self._rows = table, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, row: int) -> dict[str, Any]:
        return self._table[int(self._rows[row])]


def write_table(path: Path, schema: pa.Schema, rows: Iterable[Mapping[str, Any]], about: dict[str, Any]) -> Table:
    """Writes rows to the folder `path`. `about` is written after the last of them, so that reading may fill it; to it
    come `rows`, how many, and `key`, a SHA-256 over all of them. Raises Problem."""
    key, count = hashlib.sha256(), 0
    with whole(path) as place:
        place.mkdir()
        with pa.OSFile(str(place / "rows.arrow"), "wb") as file, pa.ipc.new_file(file, schema) as writer:
            held: list[Mapping[str, Any]] = []
            for row in rows:
                key.update(repr([row[name] for name in schema.names]).encode(errors="replace"))
                held.append(row)
                count += 1
                if len(held) == _ROWS:
                    writer.write_batch(_batch(held, schema, count))
                    held = []
            if held:
                writer.write_batch(_batch(held, schema, count))
        text = json.dumps(about | {"rows": count, "key": key.hexdigest()}, ensure_ascii=False)
        (place / "about.json").write_text(text, encoding="utf-8")
    return Table(path)


def _batch(rows: list[Mapping[str, Any]], schema: pa.Schema, count: int) -> pa.RecordBatch:
    try:
        return pa.RecordBatch.from_pylist(rows, schema)
    except UnicodeEncodeError:
        raise Problem(
            f"A text in the rows {count - len(rows) + 1:,} to {count:,} is no Unicode; correct or delete the row."
        ) from None
