"""How the tests are shared out among processes that run them (`-n 2 --dist loadfile`): a file at a time, what takes
long first, so that none is left to run alone at the end.

The tests in a browser go to one process together: they share an app, and to start it takes as long as several of them.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadFileScheduling

_TOGETHER = "tests/e2e/"
_FIRST = (_TOGETHER, "tests/test_whole", "tests/retriever/", "tests/kb/", "tests/app/")  # the others are quick


def sort(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((n for n, each in enumerate(_FIRST) if item.nodeid.startswith(each)), len(_FIRST)))


class Sharing(LoadFileScheduling):
    def __init__(self, config: pytest.Config, log: object) -> None:
        config.option.loadscopereorder = False  # else the files with the fewest tests come last, the longest among them
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return _TOGETHER if nodeid.startswith(_TOGETHER) else super()._split_scope(nodeid)
