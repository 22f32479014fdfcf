"""How a command begins: what it needs is imported, which takes seconds, and memory that there may not be.

Knows the commands by their names alone, and imports nothing before them that takes time itself.
"""

from __future__ import annotations

import signal
import sys
from importlib import import_module


def end_quietly() -> None:
    """From now on Ctrl-C ends the program, where it would end in a traceback out of what is being imported."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def begin(name: str) -> int:
    """Runs the command that a module beside this one has the name of; returns its exit code."""
    end_quietly()
    from common.problems import lacks_memory, too_little_memory
    from common.proxies import spare_loopback
    from common.room import FOR_A_COMMAND, look_before_torch

    look_before_torch(FOR_A_COMMAND)
    spare_loopback()
    try:
        main = import_module(f"app.commands.{name}").main
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return main()
    except Exception as problem:
        if not lacks_memory(problem):
            raise
        print(f"error: {too_little_memory('this command')}", file=sys.stderr)
        return 2
