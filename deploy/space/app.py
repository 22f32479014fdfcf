"""CiteSight on a Hugging Face Space: what its README names as the file to run. See docs/spaces.md.

Data lie on the Space's persistent storage where there is some; all other settings are the Space's variables.
"""

import os
import sys
import tempfile
from pathlib import Path

# Of Gradio, which the next import may bring: it reads them then.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("GRADIO_TEMP_DIR", tempfile.mkdtemp(prefix="citesight-space-"))

try:
    import spaces  # before torch, as ZeroGPU wants it; on other hardware it does nothing
except ImportError:
    spaces = None

STORAGE = Path("/data")

if spaces is not None:

    @spaces.GPU(duration=1)
    def lendable() -> None:
        """Says that a GPU is wanted: ZeroGPU asks when the page is launched, and models are loaded behind it."""


def use_storage(storage: Path = STORAGE) -> str:
    """Have data lie on the persistent storage, unless a variable says otherwise. Returns what to tell of it."""
    given = os.environ.get("CITESIGHT_DATA_DIR")
    if given:
        return f"Data lie in {given}, as CITESIGHT_DATA_DIR says."
    if storage.is_dir() and os.access(storage, os.W_OK):
        os.environ["CITESIGHT_DATA_DIR"] = str(storage)
        return f"Data lie on the persistent storage, {storage}."
    return "There is no persistent storage here: what is fetched, and what people keep, goes with a restart."


if __name__ == "__main__":
    print(use_storage(), file=sys.stderr, flush=True)
    from app.web.serve import run

    run()
