"""Connecting to a Ray cluster, or making one of this machine, within a bounded time, with sentences where that fails.

Knows nothing of what is done there.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from common.problems import Problem

LOCAL = "local"
FOUND = "auto"  # a cluster that this machine belongs to
KNOCK_SECONDS = 10.0
BEGIN_SECONDS = 180.0  # a busy machine may take more than a minute to start a cluster of its own
SLOW = "timed out during startup"  # what Ray says of one that took more than half a minute; it may go better again
MISSING = "Ray is not installed; install it with: pip install -r requirements-ray.txt."


@contextmanager
def connected(address: str) -> Iterator[None]:
    """As long as it is entered this process is part of the cluster at `address`: host:port of its head, "auto" for the
    one that this machine belongs to, or "local" for one of this machine alone, which ends with it. A process that is
    connected already stays so. Raises Problem, after KNOCK_SECONDS or BEGIN_SECONDS at most."""
    if importlib.util.find_spec("ray") is None:
        raise Problem(MISSING)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told of its use
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # what takes no GPU leaves it visible
    os.environ.setdefault("RAY_worker_niceness", "0")  # else whatever runs beside them goes first; of "local" only
    import ray

    if ray.is_initialized():
        yield
        return
    if address not in (LOCAL, FOUND):
        _knock(address)
    _begin(address)
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Whether anybody listens there: Ray itself would ask for minutes and then end this process."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise Problem(
            f"A Ray cluster is given as HOST:PORT, {FOUND} or {LOCAL}, and not as {address!r}; ray start --head says "
            "which HOST:PORT it has."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()
    except (OSError, OverflowError) as problem:
        raise _silent(address, str(problem)) from None


def _silent(address: str, why: str) -> Problem:
    return Problem(
        f"No Ray cluster answers at {address} ({why}); check the address, start one with ray start --head, or give "
        f"--ray {LOCAL}."
    )


def _begin(address: str) -> None:
    failed: list[BaseException] = []
    begun = threading.Event()
    args = (address, failed, begun)
    threading.Thread(target=_init, args=args, name="connecting to Ray", daemon=True).start()
    if not begun.wait(BEGIN_SECONDS):
        raise _silent(address, f"nothing came within {BEGIN_SECONDS:.0f} seconds")
    if failed:
        raise _problem(address, failed[0]) from failed[0]


def _init(address: str, failed: list[BaseException], begun: threading.Event) -> None:
    import ray

    named: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
    for last in (False, False, True):
        try:
            ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **named)
            break
        except BaseException as problem:  # it ends the process where it finds nobody
            if last or SLOW not in str(problem):
                failed.append(problem)
                break
    begun.set()
    threading.Event().wait()  # for ever: what Ray starts is killed when the thread that started it ends


def _problem(address: str, why: BaseException) -> Problem:
    said = " ".join(str(why).split()).rstrip(".")
    if "Version mismatch" in said:
        return Problem(f"The Ray cluster at {address} has other versions; install the same everywhere. {said}.")
    if isinstance(why, ConnectionError | SystemExit):
        return _silent(address, said)
    return Problem(f"The Ray cluster at {address} cannot be used: {type(why).__name__}: {said[:300]}.")
