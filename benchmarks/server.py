"""A server of the page as people start it, in a process of its own: started, waited for, its memory and processor time
looked at, ended. Knows nothing of who asks it, or what.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import psutil

from common.problems import Problem

# As `citesight` does it, which needs no file beside the packages.
COMMAND = (sys.executable, "-c", "from app.commands.citesight import run; run()")
LOOK = 0.2  # seconds between two looks whether it answers
UP = 600.0  # seconds in which the page is there; models and indexes come after it


@dataclass(frozen=True)
class Server:
    """A process that serves the page at `address`, such as http://127.0.0.1:7861/."""

    address: str
    process: subprocess.Popen[bytes]

    def memory(self) -> int:
        """Bytes that are resident of it."""
        return psutil.Process(self.process.pid).memory_info().rss

    def processor_seconds(self) -> float:
        """What it has worked so far, all cores together, with processes that it started and that have ended."""
        return sum(psutil.Process(self.process.pid).cpu_times()[:4])


@contextmanager
def serving(settings: Mapping[str, str], command: Sequence[str] = COMMAND) -> Iterator[Server]:
    """A server on a free port of 127.0.0.1, with these settings by the names of variables; ended afterwards. Raises
    Problem where it does not begin."""
    port = _free_port()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdout=said,
            stderr=subprocess.STDOUT,
            env={**os.environ, **settings},
        )
        server = Server(f"http://127.0.0.1:{port}/", process)
        try:
            until = time.monotonic() + UP
            while not _answers(server.address):
                if process.poll() is not None or time.monotonic() > until:
                    said.seek(0)
                    last = said.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
                    raise Problem(f"The server that was to be measured did not begin ({last[:300]}).")
                time.sleep(LOOK)
            yield server
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(UP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(address: str) -> bool:
    try:
        return httpx.get(address, timeout=UP, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as any_one:
        any_one.bind(("127.0.0.1", 0))
        return any_one.getsockname()[1]
