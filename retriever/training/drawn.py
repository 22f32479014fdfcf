"""A set of questions about photographs that nobody took: their features are drawn from a vision tower's own memory of
its training (mini/features.py), for subjects that a table says look like its classes
(encoders/mini/recognition/appearances.py).

As many as one likes, each a pure function of its number and the seed. Knows nothing of files or batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from common.problems import Problem
from retriever.encoders.flmr import EfficientNetLiteModel, FLMRModelForRetrieval
from retriever.encoders.mini.recognition.appearances import load_appearances
from retriever.training.features import Photo, Source
from retriever.training.mini.features import FeatureSampler, mixtures
from retriever.training.photographs import Passages, photo_row, plain_title

_LEAST = 2  # subjects, or nothing could be told apart


@dataclass(frozen=True)
class Drawn:
    """A photo to be drawn. classes: (1000,) float64, what its subject looks like. seed: of the draw."""

    classes: np.ndarray
    seed: tuple[int, ...]


class DrawnRows:
    """So many rows, as sources.py has them, each of a subject that has passages. passages: by `plain_title`. Raises
    Problem where nearly no subject has any."""

    def __init__(self, count: int, passages: Mapping[str, Passages], seed: int) -> None:
        known = load_appearances()
        places = [place for place, title in enumerate(known.titles) if plain_title(title) in passages]
        if len(places) < _LEAST:
            raise Problem("The passages have nearly none of the subjects that can be drawn; take those of Wikipedia.")
        self._passages = [passages[plain_title(known.titles[place])] for place in places]
        self._classes = known.classes[places]
        self._drawn = known.drawn[places] / known.drawn[places].sum()
        self._count, self._seed = count, seed
        self.about: dict[str, Any] = {"key": f"drawn {count} by {seed}", "dropped": 0, "several": True}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> dict[str, Any]:
        if not 0 <= row < self._count:
            raise IndexError(row)
        seed = (self._seed, row, 0xD7)
        subject = int(np.random.default_rng(seed).choice(len(self._drawn), p=self._drawn))
        return photo_row(self._passages[subject]) | {"drawn": Drawn(self._classes[subject], seed)}


class Drawer:
    """Draws photos as the network's vision tower, which does not learn, would see them; `others` looks at all other
    sources. Raises Problem for a tower that cannot be drawn from."""

    def __init__(
        self, network: FLMRModelForRetrieval, precision: str, others: Callable[[Source], Photo]
    ) -> None:
        tower, config = network.query_vision_encoder, network.config
        if not isinstance(tower, EfficientNetLiteModel):
            raise Problem("Photos can be drawn for a model whose vision encoder is an EfficientNet-Lite only.")
        grid = config.vision_config.image_size // config.vision_config.patch_size
        self._sampler = FeatureSampler(tower, grid, torch.Generator())
        self._with_patches = config.use_transformer_mapping_network
        self._dtype = getattr(torch, precision)
        self._others = others

    def look(self, source: Source | Drawn) -> Photo:
        """Raises Problem for an image that cannot be used."""
        if not isinstance(source, Drawn):
            return self._others(source)
        chance = np.random.default_rng([*source.seed, 1])
        self._sampler.generator.manual_seed(int(chance.integers(2**63)))
        patches, pooled, _ = self._sampler.draw(mixtures(source.classes[None], chance))
        features = {"image_features": pooled[0].to(self._dtype)}
        if self._with_patches:
            features["patch_features"] = patches[0].to(self._dtype)
        return Photo("", None, features)
