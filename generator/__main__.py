"""`python -m generator`; see app/commands/generator.py."""

import sys

from app.commands.generator import main

if __name__ == "__main__":
    sys.exit(main())
