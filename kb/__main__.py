"""`python -m kb`; see app/commands/kb.py."""

import sys

from app.commands.kb import main

if __name__ == "__main__":
    sys.exit(main())
