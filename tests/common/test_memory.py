"""What the C library does with memory that is given back to it."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from tests import ROOT


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc")
def test_large_blocks_go_back_to_the_system() -> None:
    """In a process of its own, since it is set once and for all."""
    code = """if True:
        import sys
        import numpy as np, psutil
        from common.memory import give_back_large_blocks
        if sys.argv[1] == "told":
            assert give_back_large_blocks()
        size = 24 << 20
        np.ones(size, np.uint8)  # freed, after which glibc keeps others of its size
        blocks = [np.ones(size, np.uint8) for _ in range(8)]
        small = [np.ones(1 << 16, np.uint8) for _ in range(8)]  # after them in the heap
        held = psutil.Process().memory_info().rss
        del blocks
        print((held - psutil.Process().memory_info().rss) / (8 * size) > 0.9)
    """
    for told, freed in (("told", "True"), ("not told", "False")):
        run = subprocess.run([sys.executable, "-c", code, told], cwd=ROOT, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == freed
