"""Whether the pictures that the catalogue names are kept as files, and no others; and mending it where not.

Knows nothing of how they are kept (kb/pictures.py) or of where they come from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from common.problems import Problem
from common.text import shown
from kb.catalogue.alive import is_lost
from kb.catalogue.bulk import at_once
from kb.catalogue.catalogue import Catalogue
from kb.catalogue.checking import Fault
from kb.catalogue.tables import DocumentRow, IngestionRunRow, PassageRow, PictureRow
from kb.pictures import Pictures
from kb.records import RunState, passage_hash

_AT_ONCE = 500


def remove_unnamed(catalogue: Catalogue, pictures: Pictures) -> int:
    """Remove the files of pictures that no document has any more; how many there were. None while a run goes on, which
    may be about to name one. A stop in between leaves others, which `check_pictures` tells of. Raises Problem."""
    removed = 0
    for some in at_once(_unnamed(catalogue, pictures)):
        with catalogue.database.writing() as session:
            # No run can begin before the end of this, and find a picture there that is about to be removed.
            catalogue.database.lock(session, IngestionRunRow.__tablename__)
            for content_hash in _unnamed_of(session, some):
                try:
                    pictures.remove(content_hash)
                except OSError as problem:
                    raise Problem(f"A picture cannot be removed ({problem.strerror or problem}).") from None
                removed += 1
    return removed


def sweep(catalogue: Catalogue, pictures: Pictures | None) -> None:
    """remove_unnamed, after work that is done: what cannot be removed is left for `check_pictures` to tell of."""
    if pictures is not None:
        with suppress(Problem):
            remove_unnamed(catalogue, pictures)


def check_pictures(catalogue: Catalogue, pictures: Pictures) -> list[Fault]:
    """What is wrong with the files of pictures. Raises Problem when the database fails."""
    _, others = pictures.strays()
    left = "They stay as they are; move them elsewhere."
    told = [Fault(f"{len(others):,} files in {shown(pictures.folder)} are no pictures of documents.", left)]
    return _faults(_lost(catalogue, pictures), _unnamed(catalogue, pictures), _strays(catalogue, pictures)) + (
        told if others else []
    )


def repair_pictures(catalogue: Catalogue, pictures: Pictures) -> list[Fault]:
    """Mend what check_pictures finds, and say what that was. Raises Problem."""
    lost = _lost(catalogue, pictures)
    faults = _faults(lost, _unnamed(catalogue, pictures), _strays(catalogue, pictures))
    for some in at_once([*lost.missing, *lost.damaged]):
        _forget(catalogue, some)
    if faults:
        remove_unnamed(catalogue, pictures)  # and what is left of those that are lost, which nobody names now
        _remove_strays(catalogue, pictures)
    return faults


def _faults(lost: _Lost, unnamed: Sequence[str], strays: Sequence[Path]) -> list[Fault]:
    faults = []
    for some, what in ((lost.missing, "not there"), (lost.damaged, "damaged")):
        if some:
            faults.append(
                Fault(
                    f"{len(some):,} pictures of documents are {what}.",
                    "Their passages are indexed anew without them; ingesting again brings them back.",
                )
            )
    if unnamed or strays:
        number = len(unnamed) + len(strays)
        faults.append(Fault(f"{number:,} pictures are kept that no document has.", "They are removed."))
    return faults


@dataclass(frozen=True)
class _Lost:
    """Pictures that documents have and that are not there, and those that cannot be read, by hash."""

    missing: list[str]
    damaged: list[str]


def _lost(catalogue: Catalogue, pictures: Pictures) -> _Lost:
    lost = _Lost([], [])
    for each in _named(catalogue):
        if not pictures.has(each):
            lost.missing.append(each)
        elif not pictures.is_whole(each):
            lost.damaged.append(each)
    return lost


def _strays(catalogue: Catalogue, pictures: Pictures) -> list[Path]:
    """Files that are called as pictures are and lie elsewhere, or that a stop left; none while a run goes on, which
    writes such."""
    with catalogue.database.reading() as session:
        return [] if _goes_on(session) else pictures.strays()[0]


def _remove_strays(catalogue: Catalogue, pictures: Pictures) -> None:
    with catalogue.database.writing() as session:
        catalogue.database.lock(session, IngestionRunRow.__tablename__)
        if _goes_on(session):
            return
        for file in pictures.strays()[0]:
            try:
                file.unlink(missing_ok=True)
            except OSError as problem:
                raise Problem(f"A picture cannot be removed ({problem.strerror or problem}).") from None


def _named(catalogue: Catalogue) -> Iterator[str]:
    """The hash of every picture that a document has, in order."""
    last = ""
    while True:
        some = select(PictureRow.content_hash).where(PictureRow.content_hash > last).distinct()
        with catalogue.database.reading() as session:
            found = session.scalars(some.order_by(PictureRow.content_hash).limit(_AT_ONCE)).all()
        yield from found
        if len(found) < _AT_ONCE:
            return
        last = found[-1]


def _unnamed(catalogue: Catalogue, pictures: Pictures) -> list[str]:
    """Pictures that are there and that no document has, by hash; none while a run goes on."""
    found: list[str] = []
    for some in at_once(list(pictures.hashes())):
        with catalogue.database.reading() as session:
            found += _unnamed_of(session, some)
    return found


def _unnamed_of(session: Session, some: Sequence[str]) -> list[str]:
    """Those of a few pictures that no document has; none while a run goes on."""
    if _goes_on(session):
        return []
    named = set(session.scalars(select(PictureRow.content_hash).where(PictureRow.content_hash.in_(some))))
    return [each for each in some if each not in named]


def _goes_on(session: Session) -> bool:
    """Whether a run does."""
    running = select(IngestionRunRow).where(IngestionRunRow.state == RunState.RUNNING)
    return not all(map(is_lost, session.scalars(running)))


def _forget(catalogue: Catalogue, lost: Collection[str]) -> None:
    """That documents and passages have these pictures; the next ingestion writes the documents anew."""
    with catalogue.database.writing() as session:
        theirs = select(PictureRow.document_id).where(PictureRow.content_hash.in_(lost)).distinct()
        documents = session.scalars(theirs).all()
        for some in at_once(documents):
            for passage in session.scalars(select(PassageRow).where(PassageRow.document_id.in_(some))):
                left = [each for each in passage.pictures.splitlines() if each not in lost]
                passage.pictures = "\n".join(left)
                passage.content_hash = passage_hash(passage.title, passage.section, passage.text, left)
            session.execute(update(DocumentRow).where(DocumentRow.id.in_(some)).values(content_hash=""))
        gone = {"content_hash": "", "width": 0, "height": 0}
        session.execute(update(PictureRow).where(PictureRow.content_hash.in_(lost)).values(gone))
