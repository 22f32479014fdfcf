"""`python -m retriever`; see app/commands/retriever.py."""

import sys

from app.commands.retriever import main

if __name__ == "__main__":
    sys.exit(main())
