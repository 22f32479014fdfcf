"""Answers that people keep under links: of one that was shown what is kept, with its photo made small or without it.

Knows nothing of SQL, of pages, or of who people are.
"""

from __future__ import annotations

import json

from app.service.answer_formats import Told
from app.service.answer_page import small_jpeg
from app.service.shown_answers import ShownAnswer
from common.images import load_image
from common.problems import BadRequest
from kb.catalogue.database import Database
from kb.links.keeping import Link, Linked, keep

# Of all that a program gets, as Result.as_dict() has it, what the page under the link tells.
_TOLD = ("question", "answer", "answered", "reason", "citations", "passages", "corpora", "answerer")


def kept(database: Database, shown: ShownAnswer, person: str, with_photo: bool, days: float) -> Link:
    """Keep it for so many days. Raises Problem."""
    if shown.told is None:
        raise BadRequest("This answer was given by an older version of the program; ask the question again.")
    photo = None
    if with_photo and shown.photo is not None:
        photo = small_jpeg(load_image(shown.photo))
    told = {name: shown.told[name] for name in _TOLD}
    return keep(database, person, json.dumps(told, ensure_ascii=False), photo, days)


def told_of(linked: Linked) -> Told:
    return Told.of(json.loads(linked.told))
