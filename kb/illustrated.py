"""The pictures of documents on their way into the catalogue: kept as files, and told beside which passages they stand.

What cannot be kept is told and the document comes without it. Knows nothing of SQL, nor of where documents come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from common.problems import Problem
from common.text import shown
from kb.chunking import Piece
from kb.pictures import Pictures
from kb.records import DocumentRecord, GivenPicture, Item, Note

MOST_KEPT = 64  # pictures of a document
MOST_TOLD = 100  # documents whose pictures cannot be taken
MOST_REASONS = 3  # why pictures of a document are not taken, that are told
MOST_BESIDE = 4  # pictures that stand beside a passage
MOST_PASSAGES = 16  # beside which a picture stands


def illustrated(given: Iterable[Item], pictures: Pictures) -> Iterator[Item]:
    """What a source gives, with those pictures kept that it can read; after a document, what was wrong with its own,
    and of many in one sentence at the end."""
    wrong = 0
    for each in given:
        if not isinstance(each, DocumentRecord) or not any(picture.read for picture in each.pictures):
            yield each
            continue
        record, faults = _with_kept(each, pictures)
        yield record
        wrong += bool(faults)
        if faults and wrong <= MOST_TOLD:
            of = len(record.pictures)
            some = f"{len(faults)} of its {of} pictures" if of > 1 else "Its picture"
            yield Note(shown(record.title or record.key, 400), f"{some} cannot be taken: {_told(faults)}")
    if wrong > MOST_TOLD:
        yield Note("pictures", f"Those of {wrong - MOST_TOLD:,} more documents cannot be taken.", whole=True)


def _told(faults: Sequence[tuple[str, str]]) -> str:
    """The reasons why pictures are not taken, each once and with the first picture it holds for."""
    first: dict[str, str] = {}
    for name, why in faults:
        first.setdefault(why, name)
    return " ".join(f"{name}: {why}" for why, name in list(first.items())[:MOST_REASONS])


def _with_kept(record: DocumentRecord, pictures: Pictures) -> tuple[DocumentRecord, list[tuple[str, str]]]:
    """The document with its pictures, and those that cannot be kept by name, with the reason."""
    found, faults, kept = [], [], 0
    most = max(MOST_KEPT, sum(section.whole for section in record.sections))  # pages, each with its picture
    for picture in record.pictures:
        if picture.read is not None:
            try:
                if kept == most:
                    raise Problem(f"A document may have {most} pictures.")
                picture = _kept(picture, pictures)
                kept += 1
            except Problem as problem:
                faults.append((shown(picture.name), str(problem)))
        found.append(replace(picture, read=None))  # which may hold all of a file
    return replace(record, pictures=tuple(found)), faults


def _kept(picture: GivenPicture, pictures: Pictures) -> GivenPicture:
    kept = pictures.keep(picture.read())
    return replace(picture, content_hash=kept.content_hash, width=kept.width, height=kept.height)


def beside(record: DocumentRecord, pieces: Sequence[Piece]) -> list[Piece]:
    """The passages of a document, with those of its kept pictures that stand beside each: its section's, then those
    that stand in none."""
    kept = {number for number, picture in enumerate(record.pictures) if picture.content_hash}
    if not kept:
        return list(pieces)
    placed = {number for section in record.sections for number in section.pictures}
    everywhere = tuple(sorted(kept - placed))
    stood: dict[int, int] = dict.fromkeys(kept, 0)
    found = []
    for piece in pieces:
        mine: dict[str, int] = {}  # a picture that comes twice stands once
        for number in (*piece.pictures, *everywhere):
            if number in kept and len(mine) < MOST_BESIDE and stood[number] < MOST_PASSAGES:
                if mine.setdefault(record.pictures[number].content_hash, number) == number:
                    stood[number] += 1
        found.append(replace(piece, pictures=tuple(mine.values())))
    return found
