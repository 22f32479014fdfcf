"""The tests, in a tree like that of the packages; `fakes` stand in for servers and models, `support` is what several
files share, `data` is read, `artefacts` is written, `e2e` uses the page in a browser."""

import os
from pathlib import Path

# Before any library is loaded that reads it: processes that run beside one another share the cores already, and threads
# that wait for one another there take more of them than they save.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
ARTEFACTS = ROOT / "tests" / "artefacts"
