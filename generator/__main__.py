"""`python -m generator`; see app/commands/generator.py."""

import sys

from app.commands.beginning import begin

if __name__ == "__main__":
    sys.exit(begin("generator"))
