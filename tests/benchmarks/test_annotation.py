"""The measurement of annotation, small: figures of everything, nothing left behind."""

from __future__ import annotations

import pytest

from benchmarks import annotation
from common.problems import Problem
from kb.annotations.projects import create_project, projects
from kb.annotations.records import Project
from kb.catalogue.database import Database


@pytest.mark.parametrize("url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True)
def test_everything_is_measured_and_nothing_is_left(url, monkeypatch):
    monkeypatch.setattr(annotation, "SECONDS", 0.5)
    doing = []
    found = annotation.measure(url, 200, 1200, doing.append, pause=0.05)
    assert (found.items, found.judgments) == (200, 1200)
    figures = found.as_dict()
    assert figures.pop("load") >= 0 and figures["pause"] == 0.05
    assert all(figures.values()) and "200 items, 1,200 judgments" in str(found)
    assert doing[0] == "writing 200 made-up items" and doing[-1] == "deleting"
    database = Database(url)
    assert projects(database) == []
    create_project(database, Project("mine"))
    database.close()
    with pytest.raises(Problem, match="has projects in it"):
        annotation.measure(url, 1, 1)
