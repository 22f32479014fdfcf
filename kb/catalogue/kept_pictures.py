"""Whether the pictures that the catalogue names are kept as files, and no others; and mending it where not.

Knows nothing of how they are kept (kb/pictures.py) or of where they come from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from common.problems import Problem
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
    return _faults(_lost(catalogue, pictures), _unnamed(catalogue, pictures))


def repair_pictures(catalogue: Catalogue, pictures: Pictures) -> list[Fault]:
    """Mend what check_pictures finds, and say what that was. Raises Problem."""
    lost = _lost(catalogue, pictures)
    faults = _faults(lost, _unnamed(catalogue, pictures))
    for some in at_once(lost):
        _forget(catalogue, some)
    if faults:
        remove_unnamed(catalogue, pictures)  # and what is left of those that are lost, which nobody names now
    return faults


def _faults(lost: Sequence[str], unnamed: Sequence[str]) -> list[Fault]:
    faults = []
    if lost:
        faults.append(
            Fault(
                f"{len(lost):,} pictures of documents are not there.",
                "Their passages are indexed anew without them; ingesting again brings them back.",
            )
        )
    if unnamed:
        faults.append(Fault(f"{len(unnamed):,} pictures are kept that no document has.", "They are removed."))
    return faults


def _lost(catalogue: Catalogue, pictures: Pictures) -> list[str]:
    """Pictures that documents have and that are not there, by hash."""
    return [each for each in _named(catalogue) if not pictures.has(each)]


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
    running = select(IngestionRunRow).where(IngestionRunRow.state == RunState.RUNNING)
    if not all(map(is_lost, session.scalars(running))):
        return []
    named = set(session.scalars(select(PictureRow.content_hash).where(PictureRow.content_hash.in_(some))))
    return [each for each in some if each not in named]


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
