"""The text in a photo as a part of what is asked: it goes into the query's text, as in FLMR's text-based vision, and
where a title stands out in it, that is what the photo is about.

Knows nothing of how a text is read, nor of answers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.service.photo_reading import ALWAYS, PhotoReading, asks_for_writing
from app.service.read_titles import may_be, read_subject
from app.service.results import LIKELY, READ, UNKNOWN, Guess, Subject
from app.service.retrieval import find
from common.problems import Problem
from kb.catalogue import Catalogue
from retriever.encoders.base import Encoder, Query, QueryVectors, Recognition
from retriever.index import Index
from retriever.reading.photo_text import PhotoText

LOOKED_THROUGH = 20  # passages nearest to the text
SEARCHED = 300  # characters of it


@dataclass(frozen=True)
class Looked:
    """A question about a photo, with what was read in that. text: None where nothing was to be read. unread: why it
    could not be, where it is missed; "" else."""

    query: QueryVectors
    subject: Subject | None
    text: PhotoText | None = None
    unread: str = ""


@dataclass(frozen=True)
class TextInPhotos:
    """search(work, ...): calls it where searches are made."""

    catalogue: Catalogue
    reading: PhotoReading
    search: Callable[..., Any]

    def added(
        self,
        asked: Query,
        looked: Looked,
        encoder: Encoder,
        indexes: Mapping[str, Index],
        which: tuple[str, Hashable],
        said: PhotoText | None = None,
    ) -> Looked:
        """What was asked and found of a photo, with its text, where that is to be read. which: names the photo and its
        part. said: what a person says is written there, which is not read then."""
        subject, seen = looked.subject, looked.query.recognition
        text = said
        if said is None:
            if not self.reading.wanted(asked.text, subject, seen):
                return looked
            try:
                text = self.reading.read(asked.photo, which)
            except Problem as problem:
                missed = self.reading.how == ALWAYS or _about_text(asked.text, seen)
                return replace(looked, unread=str(problem) if missed else "")
        if not text.lines:
            return replace(looked, text=text)
        [alone] = encoder.encode_queries([Query(text.text[:SEARCHED])])
        by_text = self.search(nearest_to, self.catalogue, indexes, alone, text)
        about_it = text.corrected or _about_text(asked.text, seen)
        titled = by_text is not None and by_text.word == READ
        if by_text is None or not (titled or about_it or self.reading.how == ALWAYS):
            return replace(looked, text=text)
        if subject is None or subject.word == UNKNOWN or (titled and (about_it or subject.word != LIKELY)):
            subject = by_text
        [query] = encoder.encode_queries([replace(asked, text=f"{asked.text} {text.text[:SEARCHED]}")])
        return Looked(replace(query, area=looked.query.area), subject, text)


def _about_text(question: str, seen: Recognition | None) -> bool:
    """Whether the text is what the photo or the question is about, and not only worth a try."""
    return asks_for_writing(question) or (seen is not None and seen.to_be_read)


def nearest_to(
    catalogue: Catalogue, indexes: Mapping[str, Index], query: QueryVectors, text: PhotoText
) -> Subject | None:
    """What the photo is about by its text alone, which `query` is of: the title that stands out there, else what comes
    nearest, which is not to be answered from. None where there is no passage."""
    found = find(catalogue, indexes, query, LOOKED_THROUGH, text.text)
    nearest = list(dict.fromkeys(each.title for each in catalogue.passages([name for name, _ in found])))
    exact = catalogue.titled(may_be(text), list(indexes))
    subject = read_subject(text, [*exact, *nearest])
    if subject is None and nearest:
        subject = Subject(_unsure(nearest), UNKNOWN)
    return subject


def _unsure(titles: Sequence[str]) -> tuple[Guess, ...]:
    return tuple(Guess(title, 0.0, None, False) for title in titles)
