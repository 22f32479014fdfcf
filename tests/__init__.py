"""The tests, in a tree like that of the packages; `fakes` stand in for servers and models, `support` is what several
files share, `data` is read, `artefacts` is written, `e2e` uses the page in a browser."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
ARTEFACTS = ROOT / "tests" / "artefacts"
