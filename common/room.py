"""Room for torch: looked for before it is loaded, since what does not fit may end the process without a sentence.

Knows nothing of what is done with it.
"""

from __future__ import annotations

import mmap
import sys

# Bytes of address space, as `ulimit -v` counts it, that torch and what is loaded after it were measured to take.
FOR_A_COMMAND = 1_300_000_000
FOR_THE_PAGE = 2_000_000_000


def look_before_torch(needed: int) -> None:
    """From now on, to load torch where there are not as many bytes raises OSError (ENOMEM).

    Without this it is a matter of some megabytes whether a library says what it lacks or aborts."""
    if sys.platform.startswith("linux"):  # nothing else holds to ulimit -v
        sys.meta_path.insert(0, _BeforeTorch(needed))


class _BeforeTorch:
    """One of Python's finders of modules: it finds none, so that the others are asked."""

    def __init__(self, needed: int) -> None:
        self._needed = needed

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "torch":
            # Only to be read, so that it counts towards the limit and not as memory that is promised.
            mmap.mmap(-1, self._needed, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ).close()
