"""What in an item's photo speaks for each passage that a retriever found for it, computed anew when somebody looks.

From the item and the texts that were judged, by the profile that the pool's name tells: what became of the corpus and
its index does not matter. What was computed last is kept. Knows nothing of pictures or of who asks.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from app.service.ask import AnswerService
from app.service.encoder_lock import SharedEncoder
from app.service.judged_rankings import SHOWN, ranked
from app.service.pooling import profile_in
from common.images import load_image
from common.passage import Passage
from common.problems import BadRequest
from common.recently_used import RecentlyUsed
from common.text import shown
from kb.annotations.photos import Photos
from kb.annotations.settled import SettledCandidate, SettledItem
from retriever.encoders.base import Query
from retriever.encoders.registry import PROFILES, load_encoder
from retriever.search.explain import align, patch_contrasts

KEPT = 300  # looks at an item by one retriever; each some kilobytes


@dataclass(frozen=True)
class Matches:
    """Of the first passages of a ranking, best first: what in the photo speaks for each rather than for the others,
    (down, across) from 0 to 1; None for one that the model makes no vector of. area: what part of the photo the grids
    cover. alone: there is no other passage."""

    shares: tuple[np.ndarray | None, ...]
    area: tuple[float, float, float, float]
    alone: bool


class PhotoMatches:
    """From any thread. One encoder beside the service's is kept, of the profile that was asked for last."""

    def __init__(self, service: AnswerService, photos: Photos) -> None:
        self._service = service
        self._photos = photos
        self._known: RecentlyUsed[Matches] = RecentlyUsed(KEPT)
        self._other: tuple[str, SharedEncoder] | None = None
        self._loading = threading.Lock()

    def of(self, item: SettledItem, name: str) -> Matches:
        """For the passages that the retriever of this name found, as many as are shown. Raises BadRequest where there
        is no photo, or the profile is not here, and Problem where it cannot be loaded."""
        if item.photo is None or not self._photos.there(item.photo):
            raise BadRequest("There is no photo of this question here.")
        profile, found = profile_in(name), ranked(item, name)[:SHOWN]
        if profile is None:
            raise BadRequest(f"What is called {shown(name, 80)} does not say by which profile it was found.")
        key = (item.photo, item.question, profile, tuple(each.content_hash for each in found))
        known = self._known.get(key)
        if known is None:
            known = self._computed(self._encoder(profile), item, found)
            self._known.put(key, known)
        return known

    def _encoder(self, profile: str) -> SharedEncoder:
        settings = self._service.settings
        if profile == settings.profile:
            return self._service.encoder()
        if profile != "mini" and (profile in PROFILES or not Path(profile).exists()):  # nothing large is fetched for it
            raise BadRequest(
                f"This was found with the profile {shown(profile, 80)}, and the program runs with "
                f"{settings.profile}; to see what in the photo speaks for it, start it with that one."
            )
        with self._loading:
            if self._other is None or self._other[0] != profile:
                self._other = None  # first, so that there are never three
                self._other = profile, SharedEncoder(load_encoder(profile, settings.cache_dir))
            return self._other[1]

    def _computed(self, encoder: SharedEncoder, item: SettledItem, found: Sequence[SettledCandidate]) -> Matches:
        photo = load_image(self._photos.path(item.photo))
        with encoder.asking():
            [query] = encoder.encode_queries([Query(item.question, photo)])
        passages = [Passage(each.content_hash, each.title, each.text, section=each.section) for each in found]
        vectors = encoder.encode_passages(passages) if passages else []
        added = {place: align(query, each) for place, each in enumerate(vectors) if len(each)}
        grids = patch_contrasts(query, list(added.values()))
        if query.grid == (0, 0) or (found and not grids.size):
            raise BadRequest("This profile does not look at parts of a photo.")
        by_place = dict(zip(added, grids, strict=True))
        return Matches(tuple(by_place.get(place) for place in range(len(found))), query.area, len(added) == 1)
