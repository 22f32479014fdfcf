"""Files of JSON lines that belong to questions and passages, an object each, read a line at a time.

Files are untrusted: what is wrong with one is a sentence that names the line. Knows nothing of what the objects mean.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.problems import Problem, unreadable

_MOST_LINE = 1 << 22  # characters of a line


def json_rows(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object of a file of JSON lines with where it stands, for messages. Raises Problem."""
    try:
        with file.open(encoding="utf-8-sig") as lines:
            number = 0
            while line := lines.readline(_MOST_LINE):
                number += 1
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    row = None
                if not isinstance(row, dict):
                    raise Problem(f"Line {number} of {file} is no JSON object; correct or delete it.")
                yield f"line {number} of {file}", row
    except UnicodeDecodeError:
        raise Problem(f"{file} is not UTF-8; save it as that.") from None
    except OSError as problem:
        raise unreadable(file, problem) from None
