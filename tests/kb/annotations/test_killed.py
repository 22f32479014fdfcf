"""A process that judges is killed at any moment: what judge() returned for is there, and all that is counted agrees."""

from __future__ import annotations

import random
import signal
import time

import pytest
from sqlalchemy import select

from kb.annotations.judging import history
from kb.annotations.recounting import recount
from kb.annotations.tables import ProjectRow
from kb.catalogue.database import Database
from tests.support.annotations import derived, judge_on, project
from tests.support.processes import forked

_AT_ONCE = 5  # processes at work together


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_nothing_that_was_saved_is_lost(url, kills):
    database = Database(url)
    people = [f"person-{number}" for number in range(_AT_ONCE)]
    project(database, items=8, passages=2, judges=2, people=tuple(people))
    several = forked()
    rng = random.Random(17)
    for _ in range(kills // _AT_ONCE):
        begun = []
        for person in people:
            told, telling = several.Pipe(duplex=False)
            process = several.Process(target=judge_on, args=(url, person, telling))
            process.start()
            telling.close()
            begun.append((person, process, told))
        for person, process, told in begun:
            said = [told.recv()]  # at work by now
            time.sleep(rng.uniform(0, 0.1))  # any moment will do
            process.kill()
            process.join()
            assert process.exitcode == -signal.SIGKILL
            try:
                while True:
                    said.append(told.recv())
            except EOFError:  # which also ends what was cut off
                told.close()
            for entry in said:
                _check(database, person, *entry)
    with database.reading() as session:
        number = session.scalar(select(ProjectRow.id))
    before = derived(database)
    recount(database, number)
    assert derived(database) == before
    database.close()


def _check(database: Database, person: str, item: int, candidate: int, number: int, grade: str, comment: str) -> None:
    entries = {each.number: each for each in history(database, "cats", item, candidate, person)}
    assert (entries[number].grade, entries[number].said.comment) == (grade, comment)
