"""What `mini` knows at sight: the tables of classes and articles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from retriever.recognition import classes, concepts
from retriever.recognition.classes import RELATIONS, load_classes
from retriever.recognition.concepts import TABLES, _weights, load_concepts

TITLES = {"Cheetah", "Guitar", "Rose", "Eiffel Tower", "Dog"}


def test_tables_hold_distributions():
    known = load_concepts(TITLES)
    assert known.titles == sorted(TITLES)
    assert known.drawn.sum() == pytest.approx(1) and np.allclose(known.classes.sum(1), 1)
    cheetah = known.classes[known.titles.index("Cheetah")]
    assert cheetah.argmax() == 293  # ImageNet's cheetah
    assert _weights("3:0.5 10-13:0.4 3:0.1")[[3, 10, 13]].tolist() == pytest.approx([0.6, 0.1, 0.1])


def test_every_class_has_an_article():
    folder = Path(concepts.__file__).parent
    lines = [line for t in TABLES for line in (folder / t).read_text(encoding="utf-8").splitlines()]
    seen = sum(_weights(line.split("\t")[2]) for line in lines if not line.startswith("#"))
    assert (seen > 0).all()


def test_the_classes_name_their_articles():
    known = load_classes()
    assert len(known) == 1000
    assert (known[51].name, known[51].relation, known[51].titles) == ("triceratops", "is", ("Triceratops",))
    assert (known[162].name, known[162].relation, known[162].titles) == ("Beagle", "kind", ("Dog",))
    assert known[23].titles == ("Old World vulture", "New World vulture")
    for each in known:
        assert each.relation in RELATIONS and bool(each.relation) == bool(each.titles)
        assert all(title == title.strip() != "" for title in each.titles)
    # What a class is named after is one thing; only wider things are shared.
    own = [title for each in known if each.relation == "is" for title in each.titles]
    assert {title for title in own if own.count(title) > 1} == set()


def test_what_the_classes_are_called_is_known_to_the_tables_of_looks():
    titles = {title for each in load_classes() for title in each.titles}
    assert set(load_concepts(titles).titles) == titles


@pytest.mark.parametrize("lines", ["0\ttench\tkind\tCarp\n", "# nothing\n", "1\tgoldfish\tis\tGoldfish\n"])
def test_a_table_that_is_not_whole_is_refused(lines, tmp_path, monkeypatch):
    (tmp_path / classes.TABLE).write_text(lines, encoding="utf-8")
    monkeypatch.setattr(classes, "__file__", str(tmp_path / "classes.py"))
    with pytest.raises(ValueError, match="classes 0 to 999"):
        load_classes()
