"""A process of its own for what may keep a parser busy for days or fill the memory: bounded in both, and begun anew.

The process runs a module that calls `serve`. Each request is a line of JSON and bytes, each answer a line of JSON.
Knows nothing of what they mean.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event, Timer
from typing import Any

from common.problems import Problem

_ROOT = Path(__file__).resolve().parents[2]
_START_SECONDS = 60.0  # for the process to import what it needs on a busy machine
_MOST_ANSWER = 80_000_000  # bytes


class BoundedProcess:
    """Starts `module` when first asked, and again after each time that it had to be ended. Not for several threads."""

    def __init__(self, module: str, seconds: float) -> None:
        self.module, self.seconds = module, seconds
        self.popen: subprocess.Popen[bytes] | None = None

    def ask(self, about: dict[str, Any], data: bytes) -> Any:
        """What the process answers. Raises TimeoutError when it takes too long, ChildProcessError when it breaks down,
        and Problem when it cannot be started."""
        if self.popen is None:
            self._start()
        header = json.dumps(about | {"size": len(data)}).encode("ascii")
        answer, late = b"", Event()
        try:
            answer = self._answer(header + b"\n" + data, self.seconds, late)
        finally:
            if late.is_set() or not answer.endswith(b"\n"):  # what it says now would be taken for the next answer
                self.close()
        if not answer.endswith(b"\n"):
            raise TimeoutError if late.is_set() else ChildProcessError
        return json.loads(answer)

    def close(self) -> None:
        """End the process, if there is one."""
        if self.popen is not None:
            process, self.popen = self.popen, None
            process.kill()
            for pipe in (process.stdin, process.stdout):
                try:
                    pipe.close()
                except OSError:  # what it had not read yet
                    pass
            process.wait()

    def _start(self) -> None:
        ready = b""
        try:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", self.module],
                cwd=_ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            ready = self._answer(b"", _START_SECONDS, Event())
        except OSError:
            pass
        finally:
            if ready != b"ready\n":
                self.close()
        if ready != b"ready\n":
            raise Problem(
                "The process that reads documents cannot be started; see whether all of requirements.txt is installed."
            )

    def _answer(self, said: bytes, seconds: float, late: Event) -> bytes:
        """The line that the process says next; b"" when it ends, or takes so long that it is ended: then `late` is."""
        process = self.popen

        def end() -> None:
            late.set()
            process.kill()

        timer = Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            process.stdin.write(said)
            process.stdin.flush()
            return process.stdout.readline(_MOST_ANSWER)
        except OSError:  # it is gone
            return b""
        finally:
            timer.cancel()


def serve(answer: Callable[[dict[str, Any], bytes], Any], memory: int) -> None:
    """Answer one request after another until there are no more, with at most so many bytes of addresses."""
    asked, told = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    try:
        import resource  # not on every system; time stays bounded

        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    except (ImportError, ValueError, OSError):
        pass
    told.write(b"ready\n")
    told.flush()
    while header := asked.readline(10_000):
        about = json.loads(header)
        said = answer(about, asked.read(about.pop("size")))
        told.write(json.dumps(said).encode("ascii") + b"\n")
        told.flush()
