"""`python -m app`; see app/commands/app.py."""

import sys

from app.commands.beginning import begin

if __name__ == "__main__":
    sys.exit(begin("app"))
