"""Serves the page until it is interrupted: settings from the command line, the page, the service.

The page is up at once; libraries, models and index are loaded behind it. Knows nothing of how any of them work.
"""

from __future__ import annotations

import argparse
import atexit
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

# Before Gradio is imported: it would otherwise call home with what it was started for.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from app.service.starting_service import StartingService
from app.settings import add_answer_options, add_common_options, settings_from
from app.web.page import build_page, launch
from app.web.upload_limits import own_folder
from common.problems import Problem


def main(arguments: list[str] | None = None) -> int:
    """Serve until interrupted. Returns the exit code: 0, or 2 after a sentence on what is wrong."""
    parser = argparse.ArgumentParser(prog="app.py", description="Serve the CiteSight page.")
    add_common_options(parser)
    add_answer_options(parser)
    parser.add_argument("--corpus", metavar="NAME", help="the collection questions are asked of")
    parser.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: 7860)")
    try:
        settings = settings_from(parser.parse_args(arguments))
    except Problem as problem:
        return _refuse(str(problem))
    if "GRADIO_TEMP_DIR" not in os.environ:  # where Gradio puts what is uploaded
        os.environ["GRADIO_TEMP_DIR"] = str(own_folder())
    interruption = _Interruption()
    service = StartingService(settings)
    try:
        try:
            address = launch(build_page(service, service.ingestions, service.annotating), settings)
        except OSError:
            return _refuse(
                f"Port {settings.port} on {settings.host} cannot be used, most likely because another "
                "program has it; stop that one or choose another with --port."
            )
        print(f"CiteSight is at {address}", flush=True)
        if not interruption.came:
            service.load()
        interruption.wait()
    except Problem as problem:
        return _refuse(str(problem))
    except KeyboardInterrupt:
        pass
    finally:
        service.close()
    return 0


class _Interruption:
    """Ctrl-C, or SIGTERM, with which a container is stopped: KeyboardInterrupt until it is waited for. One that comes
    while the page is being launched may be caught there, which is why `came` says it too."""

    def __init__(self) -> None:
        self.came = False
        self._waiting = False
        # Written to whichever thread a signal comes to, and no lock, which the interrupted code may hold.
        self._told, tell = os.pipe()
        os.set_blocking(tell, False)
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        self._drop, sys.unraisablehook = sys.unraisablehook, self._dropped
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._interrupted)

    def wait(self) -> None:
        self._waiting = True
        while not self.came:
            os.read(self._told, 1)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        if self._waiting:
            return
        signal.default_int_handler(number, frame)

    def _dropped(self, what: sys.UnraisableHookArgs) -> None:
        """Python drops what is raised in a finaliser or a weak reference's callback; it is raised again elsewhere."""
        if issubclass(what.exc_type, KeyboardInterrupt):
            threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT]).start()
        else:
            self._drop(what)


def _refuse(sentence: str) -> int:
    print(f"error: {sentence}", file=sys.stderr)
    return 2


def run() -> NoReturn:
    """`main`, and then the end of the process, before that of its threads: one that came back from torch to an
    interpreter that is no more would take the process down with `terminate called`."""
    code = 1

    def end() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    atexit.register(end)  # registered first, so done when all else has been cleaned up
    code = main()
    sys.exit(code)
