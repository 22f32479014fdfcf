"""`python -m app`; see app/commands/app.py."""

import sys

from app.commands.app import main

if __name__ == "__main__":
    sys.exit(main())
