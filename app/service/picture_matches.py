"""The photo and the pictures of passages: whether they can be compared, and where those found are like it.

Knows nothing of pages, or of how passages are found.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from app.service.encoder_lock import SharedEncoder
from app.service.results import PictureMatch
from common.passage import Evidence
from common.recently_used import RecentlyUsed
from kb.catalogue import Catalogue
from kb.pictures import Pictures
from retriever.encoders.base import Query, QueryVectors
from retriever.search.explain import Alignment, likest_picture, picture_parts

LOOKED_AT = 3  # pictures: each takes the encoder as long as a photo
STATES_KEPT = 100


class PictureMatches:
    """From any thread."""

    def __init__(self, catalogue: Catalogue, pictures: Pictures) -> None:
        self._catalogue = catalogue
        self._pictures = pictures
        self._illustrated: RecentlyUsed[bool] = RecentlyUsed(STATES_KEPT)

    def possible(self, encoder: SharedEncoder, names: Sequence[str], states: Hashable) -> bool:
        """Whether the encoder can compare a photo with pictures of these corpora, whose indexes are in these states."""
        known = self._illustrated.get(states)
        if known is None:
            known = encoder.takes.pictures and self._catalogue.illustrated(names)
            self._illustrated.put(states, known)
        return known

    def found(
        self,
        passages: Sequence[Evidence],
        alignments: Sequence[Alignment | None],
        query: QueryVectors,
        encoder: SharedEncoder,
    ) -> tuple[PictureMatch, ...]:
        """Of the passages whose pictures are most like the photo, where the likest of each is; on one scale, whose 1 is
        the largest part that a place of any has."""
        if query.picture_places is None:
            return ()
        pairs = [pair for pair in zip(passages, alignments, strict=True) if pair[0].alike is not None]
        chosen, asked = [], []
        for passage, aligned in sorted(pairs, key=lambda pair: -pair[0].alike)[:LOOKED_AT]:
            number = likest_picture(query, aligned, len(passage.pictures))
            picture = None if number is None else self._pictures.open(passage.pictures[number].content_hash)
            if picture is not None:
                chosen.append((passage.rank, number))
                asked.append(Query("", picture, pictures=True))
        if not asked:
            return ()
        parts = [picture_parts(query, each).clip(min=0) for each in encoder.encode_queries(asked)]
        most = max(float(each.max()) for each in parts) or 1.0
        return tuple(PictureMatch(*which, each / most) for which, each in zip(chosen, parts, strict=True))
