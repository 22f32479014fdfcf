"""Photograph features without photographs: drawn from what the vision tower itself remembers of its training.

The last convolution's batch normalisation keeps the mean and variance of each channel over all of ImageNet, and the
classifier's weights say which direction means which class. Tilting the channels' Gaussian by a class's logit moves
its mean by the variance times the weights; ReLU6 then gives a patch's features. A photo is a grid of patches, some
showing the thing and the rest something else. Knows nothing of texts or articles.
"""

from __future__ import annotations

import numpy as np
import torch

from retriever.encoders.flmr import EfficientNetLiteModel

# How strongly a patch shows its class, in standard deviations of the class's logit over ImageNet. Drawn evenly.
STRENGTH = (12.0, 34.0)
UNEVEN = (0.1, 1.6)  # times what each patch of the thing shows of it
BACKGROUND = (0.0, 1.5)
COVERED = (0.25, 1.0)  # part of the photo that shows the thing
MIXING = (2.0, 60.0)  # concentration of a photo's class mixture around its subject's, drawn log-evenly
SHARED_NOISE = 0.5  # part of the noise's variance that a photo's patches have in common


class FeatureSampler:
    """Draws features of photos of given class mixtures."""

    def __init__(self, tower: EfficientNetLiteModel, grid: int, generator: torch.Generator) -> None:
        norm, head = tower._bn1, tower._fc
        self.mean = norm.bias.detach()
        self.std = norm.weight.detach().abs()
        weight = head.weight.detach() - head.weight.detach().mean(0)
        # One standard deviation of each class's logit, as a shift of the channels.
        logit_std = (weight * self.std).norm(dim=1, keepdim=True)
        self.shift = weight * self.std**2 / logit_std
        self.grid = grid
        self.generator = generator

    def draw(self, mixtures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Photos of class mixtures (B, classes), rows summing to 1.

        Returns patch features (B, grid*grid, channels), pooled features (B, channels), and which patches show the
        thing, (B, grid*grid) bool."""
        batch, patches = len(mixtures), self.grid**2
        shown = self._blobs(batch)
        strength = self._uniform((batch, 1, 1), STRENGTH)
        # No two patches of a thing show it equally well: a face tells more than a flank.
        strength = strength * self._uniform((batch, patches, 1), UNEVEN)
        thing = _unit(mixtures @ self.shift, self.std)[:, None] * strength
        others = torch.randint(len(self.shift), (batch, 3), generator=self.generator)
        behind = self.shift[others].mean(1)[:, None] * self._uniform((batch, 1, 1), BACKGROUND)
        noise = self._normal((batch, 1, len(self.mean))) * SHARED_NOISE**0.5
        noise = noise + self._normal((batch, patches, len(self.mean))) * (1 - SHARED_NOISE) ** 0.5
        raw = self.mean + self.std * noise + torch.where(shown[..., None], thing, behind)
        features = raw.clamp(0, 6)
        return features, features.mean(1), shown

    def _blobs(self, batch: int) -> torch.Tensor:
        """Ellipses of random size and place on the grid, (B, grid*grid) bool, never empty."""
        axis = torch.linspace(-1, 1, self.grid)
        y, x = torch.meshgrid(axis, axis, indexing="ij")
        area = self._uniform((batch, 1, 1), COVERED)
        stretch = self._uniform((batch, 1, 1), (0.6, 1.6)).sqrt()
        radius = (area * 4 / torch.pi).sqrt() * 1.1
        cx, cy = (self._uniform((batch, 1, 1), (-0.3, 0.3)) for _ in range(2))
        distance = ((x - cx) / (radius * stretch)) ** 2 + ((y - cy) / (radius / stretch)) ** 2
        distance = distance.flatten(1)
        return distance <= torch.maximum(torch.ones(()), distance.amin(1, keepdim=True))

    def _uniform(self, shape: tuple[int, ...], between: tuple[float, float]) -> torch.Tensor:
        low, high = between
        return low + (high - low) * torch.rand(shape, generator=self.generator)

    def _normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        return torch.randn(shape, generator=self.generator)


def _unit(shift: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """Shifts scaled to one standard deviation, in the metric in which a single class's shift has length 1."""
    return shift / (shift / std).norm(dim=1, keepdim=True)


def mixtures(classes: np.ndarray, chance: np.random.Generator) -> torch.Tensor:
    """For each photo a mixture of its subject's `classes` (B, classes): nearly one class at times, nearly all of them
    at others. (B, classes) float32, rows sum to 1."""
    low, high = np.log(MIXING)
    concentration = np.exp(chance.uniform(low, high, len(classes)))
    rows = [chance.dirichlet(c * row + 1e-6) for c, row in zip(concentration, classes, strict=True)]
    return torch.tensor(np.array(rows), dtype=torch.float32)
