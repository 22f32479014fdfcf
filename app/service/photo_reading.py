"""When the text in a photo is read, by the setting, the question and what else the photo shows; each photo once.

Knows nothing of how a text is read or of what is searched with it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Hashable

from PIL import Image

from app.limits import ANSWERS_KEPT
from app.service.questions import checked_text
from app.service.results import UNKNOWN, Subject
from common.problems import Problem
from common.recently_used import RecentlyUsed
from common.worker_thread import Worker
from retriever.encoders.base import Recognition
from retriever.reading.photo_text import PhotoText, Reader
from retriever.reading.rapid import load_reader

AUTO, ALWAYS, NEVER = "auto", "always", "never"
_WRITING = (
    "book|cover|title|sign|signpost|label|plate|plaque|poster|placard|inscription|caption|text|writing|lettering|"
    "headline|newspaper|magazine|menu|screenshot|screen|page|note|letter|ticket|receipt|packaging|brand|logo"
)
# What is asked of something written: "What does the sign say?", "the title of this book", "What is written here?"
_ASKS = re.compile(
    rf"\b(?:this|these|that|the) (?:[a-z]+ )?(?:{_WRITING})s?\b|\bwritten\b|\btitled?\b"
    r"|\b(?:does|do|did|can|could) (?:[a-z]+ ){1,4}(?:say|read)\b|\bwords?\b.*\b(?:photo|picture|image|here)\b",
    re.IGNORECASE,
)


def asks_for_writing(question: str) -> bool:
    """Whether it is about something that is written in the photo, by plain English words."""
    return _ASKS.search(question) is not None


class PhotoReading:
    """how: AUTO, ALWAYS or NEVER. load: makes the reader, which is loaded for the first photo that is to be read."""

    def __init__(self, how: str = NEVER, load: Callable[[], Reader] = load_reader) -> None:
        self.how = how
        self._load = load
        self._reader: Reader | None = None
        self._known: RecentlyUsed[PhotoText] = RecentlyUsed(ANSWERS_KEPT)
        self._texts: RecentlyUsed[bool] = RecentlyUsed(ANSWERS_KEPT)
        self._worker: Worker | None = None
        self._beginning = threading.Lock()

    def wanted(self, question: str, subject: Subject | None, recognition: Recognition | None) -> bool:
        """Whether the photo of a question is to be read: always, never or, as nothing else tells what the photo shows,
        where it is like things that are there to be read, or not recognised, or the question is about its text."""
        if self.how != AUTO:
            return self.how == ALWAYS
        if recognition is not None and recognition.to_be_read:
            return True
        return (subject is not None and subject.word == UNKNOWN) or asks_for_writing(question)

    def read(self, photo: Image.Image, which: tuple[str, Hashable]) -> PhotoText:
        """The text in a photo, or what was read in it before; `which` names the whole photo, and the part that it is.
        Raises Problem where none can be read."""
        known = self._known.get(which)
        if known is None:
            with self._beginning:
                self._worker = self._worker or Worker("reading")
            known = self._worker.run(self._read, photo)
            self._known.put(which, known)
            self._texts.put((which[0], known.text), True)
        return known

    def said(self, text: str | None, photo: str) -> PhotoText | None:
        """What a person says is written in a photo, the first of `which`; None where that is what was read there, or in
        a part of it, which a page sends back. Raises Problem for what is no such text."""
        if text is None or not photo:
            return None
        said = checked_text(text)
        return None if self._texts.get((photo, said.text)) else said

    def close(self) -> None:
        """Let what is being read be the last."""
        if self._worker is not None:
            self._worker.close()

    def _read(self, photo: Image.Image) -> PhotoText:
        if self._reader is None:
            self._reader = self._load()
        try:
            return self._reader.read(photo)
        except Problem:
            raise
        except Exception as problem:  # whatever it stumbles over, the question can be answered without
            raise Problem("The text in the photo could not be read.") from problem
