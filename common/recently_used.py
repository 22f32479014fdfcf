"""The values that were used last, by a key. Knows nothing of what they are."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class RecentlyUsed(Generic[V]):
    """The `most` values used last, by key; safe to use from any thread."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._using = threading.Lock()

    def get(self, key: Hashable) -> V | None:
        """The value, which now counts as used; None when there is none."""
        with self._using:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: V) -> None:
        """Keep the value; the one not used for longest goes when there are too many."""
        with self._using:
            self._values[key] = value
            self._values.move_to_end(key)
            if len(self._values) > self._most:
                self._values.popitem(last=False)
