"""Processes for tests to kill, forked from one that has imported what takes long: there is one such in a process of
tests, so it imports what all of these tests need."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext


def forked() -> ForkServerContext:
    several = multiprocessing.get_context("forkserver")
    several.set_forkserver_preload(["tests.app.service.test_kills", "tests.support.annotations"])
    return several
