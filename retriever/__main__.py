"""`python -m retriever`; see app/commands/retriever.py."""

import sys

from app.commands.beginning import begin

if __name__ == "__main__":
    sys.exit(begin("retriever"))
