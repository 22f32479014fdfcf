"""Files and folders that are there whole or not at all, whatever happens meanwhile. Knows nothing of their content."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.problems import BadRequest, kept_in
from common.text import shown


def write_whole(path: Path, content: bytes) -> None:
    """Puts the content at the path, in a folder made if need be, in place of what was there; on the disk when this
    returns. Raises OSError, and then what was there still is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:80]}-{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """A folder to write in, which is at `output` when all went well and nowhere else. Raises BadRequest where there is
    something already."""
    if output.exists() or output.is_symlink():
        raise BadRequest(f"There is a {shown(output)} already; name a folder that is not there, or delete it first.")
    part = output.with_name(f".{output.name}.part")
    with kept_in(output.parent):
        shutil.rmtree(part, ignore_errors=True)
        try:
            part.mkdir(parents=True)
            yield part
            os.replace(part, output)
        finally:
            shutil.rmtree(part, ignore_errors=True)
