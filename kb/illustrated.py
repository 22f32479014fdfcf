"""The pictures of documents on their way into the catalogue: kept as files, and told beside which passages they stand.

What cannot be kept is told and the document comes without it. Knows nothing of SQL, nor of where documents come from.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from common.problems import Problem
from common.text import shown
from kb.chunking import Piece
from kb.pictures import Pictures
from kb.records import DocumentRecord, GivenPicture, Item, Note

MOST_KEPT = 500  # pictures of a document
MOST_TOLD = 100  # documents whose pictures cannot be taken
MOST_REASONS = 3  # why pictures of a document are not taken, that are told
MOST_BESIDE = 4  # pictures that stand beside a passage
MOST_PASSAGES = 16  # beside which a picture stands, of few


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
    """The passages of a document, with those of its kept pictures that stand beside each: those that stand in it, few
    of its section, then those that stand in no section. Where there are many they are shared out among the passages."""
    kept = {number: each.content_hash for number, each in enumerate(record.pictures) if each.content_hash}
    if not kept:
        return list(pieces)
    found: list[dict[str, int]] = [{} for _ in pieces]  # by hash: a picture that comes twice stands once
    of: dict[int | None, list[int]] = {}
    for number, piece in enumerate(pieces):
        of.setdefault(piece.section, []).append(number)
    for number, section in enumerate(record.sections):
        places = dict(zip(section.pictures, section.places, strict=False))
        mine = {each: kept[each] for each in section.pictures if each in kept}
        _share(mine, places, of.get(number, ()), pieces, found)
    placed = {number for section in record.sections for number in section.pictures}
    rest = {number: content for number, content in kept.items() if number not in placed}
    _share(rest, {}, range(len(pieces)), pieces, found)
    return [replace(piece, pictures=tuple(mine.values())) for piece, mine in zip(pieces, found, strict=True)]


def _share(
    pictures: dict[int, str], places: dict[int, int], inside: Sequence[int], pieces: Sequence[Piece],
    found: list[dict[str, int]],
) -> None:  # fmt: skip
    """Put pictures beside the passages `inside`, by where they stand, else evenly; few of them beside all of these."""
    begins = [pieces[number].begins for number in inside]
    stood = dict.fromkeys(pictures, 0)

    def put(picture: int, place: int) -> bool:
        mine = found[inside[place]] if 0 <= place < len(inside) else None
        if mine is None or pictures[picture] in mine or len(mine) == MOST_BESIDE:
            return mine is not None and pictures[picture] in mine
        mine[pictures[picture]] = picture
        stood[picture] += 1
        return True

    left = []
    for rank, picture in enumerate(pictures):
        at = places.get(picture, -1)
        home = rank * len(inside) // len(pictures) if at < 0 else bisect(begins, at) - 1
        left += [] if put(picture, home) else [(picture, home)]
    for picture, home in left:  # when those that stand in a passage have had their turn
        any(put(picture, home + step) for step in (1, -1, 2, -2))
    if len(pictures) <= MOST_BESIDE:
        for place in range(len(inside)):
            for picture in pictures:
                if stood[picture] < MOST_PASSAGES:
                    put(picture, place)


def left_out(record: DocumentRecord, pieces: Sequence[Piece]) -> str:
    """A sentence on the kept pictures of a document that stand beside none of its passages, or ""."""
    kept = {each.content_hash for each in record.pictures if each.content_hash}
    there = {record.pictures[number].content_hash for piece in pieces for number in piece.pictures}
    if not pieces or kept <= there:
        return ""
    return (
        f"{len(kept - there):,} of its pictures stand beside no passage, since {MOST_BESIDE} can stand beside each. "
        "Divide the pictures, or the text."
    )
