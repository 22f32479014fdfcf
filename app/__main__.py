"""`python -m app`; see app/commands/app.py."""

import signal
import sys


def begin() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C would end in a traceback out of what is being imported
    from app.commands.app import main

    signal.signal(signal.SIGINT, signal.default_int_handler)
    return main()


if __name__ == "__main__":
    sys.exit(begin())
