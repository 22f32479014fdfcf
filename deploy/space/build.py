"""Makes the folder of a Space: the program, what it needs, and the files beside this one. `python deploy/space/build.py
DIR`, then push DIR as docs/spaces.md says. Knows nothing of Hugging Face.
"""

from __future__ import annotations

import shutil
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc")
REQUIREMENTS = ("requirements.txt", "requirements-zerogpu.txt")


def build(folder: Path) -> None:
    """folder: one that is not there yet, or is empty but for what Git keeps."""
    if folder.is_dir() and any(each.name not in (".git", ".gitattributes") for each in folder.iterdir()):
        raise SystemExit(f"error: {folder} is not empty; give a new folder.")
    about = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = [name.rstrip("*") for name in about["tool"]["setuptools"]["packages"]["find"]["include"]]
    folder.mkdir(parents=True, exist_ok=True)
    for name in packages:
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    for name in ("LICENSE", "CITATION.cff"):
        shutil.copy(ROOT / name, folder)
    for name in ("README.md", "app.py"):
        shutil.copy(HERE / name, folder)
    needed = "".join((ROOT / name).read_text(encoding="utf-8") for name in REQUIREMENTS)
    (folder / "requirements.txt").write_text(needed, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python deploy/space/build.py DIR")
    build(Path(sys.argv[1]))
