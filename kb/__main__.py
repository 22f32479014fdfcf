"""`python -m kb`; see app/commands/kb.py."""

import sys

from app.commands.beginning import begin

if __name__ == "__main__":
    sys.exit(begin("kb"))
