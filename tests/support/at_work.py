"""A fixture for tests that count what is worked on at the same time (common/worker_thread.py)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from common import worker_thread
from tests.support.waiting import wait_for


def nobody_works() -> bool:
    return worker_thread._running._value == worker_thread.MOST


@pytest.fixture
def nobody_at_work() -> Iterator[None]:
    """What other tests left at work has ended, and so has at the end what this one leaves."""
    wait_for(nobody_works)
    yield
    wait_for(nobody_works)
