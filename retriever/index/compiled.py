"""Compiling a loop: as numba does it, wherever the program may be installed."""

from __future__ import annotations

from collections.abc import Callable

from numba import njit


def compiled(**options: object) -> Callable[[Callable], Callable]:
    """Compiles a function that lets go of the interpreter when it is first called, with these options of numba; other
    processes find it compiled where there is a folder to keep it in."""

    def decorated(function: Callable) -> Callable:
        try:
            return njit(nogil=True, cache=True, **options)(function)
        except RuntimeError:  # neither the folder of the code nor the user's own may be written to
            return njit(nogil=True, **options)(function)

    return decorated
