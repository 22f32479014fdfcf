"""`citesight`, which an installed package has: the page, or one of the other commands by its first word."""

from __future__ import annotations

import sys
from typing import NoReturn

from app.commands.beginning import begin, end_quietly

COMMANDS = ("app", "kb", "retriever", "generator")


def run() -> NoReturn:
    """Runs `python -m NAME` for `citesight NAME`, and the page for everything else."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in COMMANDS:
        del sys.argv[1]
        sys.exit(begin(name))
    end_quietly()
    from app.web.serve import run as serve

    serve()
