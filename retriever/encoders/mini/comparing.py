"""Vectors of pictures by which `mini` compares a photo with a picture that stands beside a passage.

They are the tower's features before its classifier, by their square roots, since a few of them are large, less what the
tower's last normalisation says that is on average, in the directions in which its classes differ most: the leading
singular vectors of the classifier's weights, in blocks of as many as a vector of the index has numbers. Nothing is
learned from photographs. The directions lie beside this file, since no two machines compute the same ones to the last
figure, and vectors of an index are compared with those of other machines. Knows nothing of passages or questions.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from retriever.encoders.flmr.efficientnet_lite import EfficientNetLiteModel

DIRECTIONS = Path(__file__).parent / "weights" / "comparing.safetensors"
BLOCKS, DIM = 3, 128
# What each vector counts: about what it has of the length of all, on average over photographs.
WEIGHTS = (0.56, 0.30, 0.14)
_MOST = 6.0  # of a feature, which has gone through ReLU6


def picture_rows(pooled: torch.Tensor) -> torch.Tensor:
    """Of pooled features (B, 1280), (B, BLOCKS, DIM) float32 with unit rows."""
    return nn.functional.normalize(_spread(pooled), dim=-1)


def picture_places(pooled: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """What each place has of the rows: of pooled features (B, 1280) and those of the places (B, places, 1280) whose
    mean they are, (B, BLOCKS, places, DIM) float32, which sum over the places to `picture_rows`. A square root of a
    mean is what each place has of the mean, over the root."""
    mean, directions = _directions()
    roots = pooled.float().cpu().clamp(min=0).sqrt()[:, None]
    parts = torch.where(roots > 0, places.float().cpu() / roots, 0)
    spread = ((parts - mean) @ directions / places.shape[1]).unflatten(2, (BLOCKS, DIM)).transpose(1, 2)
    return spread / _spread(pooled).norm(dim=-1).clamp(min=1e-12)[:, :, None, None]


def _spread(pooled: torch.Tensor) -> torch.Tensor:
    mean, directions = _directions()
    return ((pooled.float().cpu().clamp(min=0).sqrt() - mean) @ directions).unflatten(1, (BLOCKS, DIM))


@lru_cache(1)
def _directions() -> tuple[torch.Tensor, torch.Tensor]:
    kept = load_file(DIRECTIONS)
    return kept["mean"].float(), kept["directions"].float()


def write_directions(tower: EfficientNetLiteModel, path: Path) -> None:
    """What picture_rows reads, computed from the tower."""
    mean, directions = made_of(tower)
    save_file({"mean": mean.half(), "directions": directions.half()}, path)


def made_of(tower: EfficientNetLiteModel) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean of the features' square roots (1280,), taking each feature for normal before its ReLU6 as its batch
    normalisation does, and the directions (1280, BLOCKS * DIM)."""
    shift, scale = tower._bn1.bias.detach().double(), tower._bn1.weight.detach().double()
    places, weights = (torch.from_numpy(each) for each in np.polynomial.hermite_e.hermegauss(64))
    drawn = (shift[:, None] + scale[:, None] * places).clamp(0, _MOST).sqrt()
    head = tower._fc.weight.detach().double()
    _, _, directions = torch.linalg.svd(head - head.mean(0), full_matrices=False)
    return (drawn @ (weights / weights.sum())).float(), directions[: BLOCKS * DIM].T.contiguous().float()
