"""How sentences with holes are counted, on a dump of a few sentences whose holes are known."""

from __future__ import annotations

import bz2

import pytest

from app.commands.kb import main
from benchmarks.dumps import half_of, holes_in, measure_dumps
from benchmarks.wikipedia_dump import dump_head, dump_page
from common.problems import Problem

TEXT = (
    "The mill lies {{far|12|miles}} from the [[Town (x)|town]]. It is old{{who|date=2001}} and big.<ref>{{a|b}}</ref>\n"
    "* In {{flagicon|X}} a town it stands.\n{| class=x\n| a {{b|c}} d\n|}\n{{Box|a}}\nThe "
    "[[File:a.jpg|thumb|{{x|y}}]]end it is."
)


@pytest.mark.parametrize(
    ("read", "wholly", "holes"),
    [
        ("The mill lies from the town. It is old and big. In a town it stands. The end it is.", 4, 1),
        ("The mill lies 12 miles from the town. It is old and big. In X a town it stands. The end it is.", 4, 0),
        ("It is old and big. The end.", 1, 0),
    ],
)
def test_holes_are_where_both_sides_of_a_template_meet(read, wholly, holes):
    found = list(holes_in(TEXT, read))
    assert len(found) == 4
    assert (sum(whole for _, whole, _ in found), sum(map(len, (gone for _, _, gone in found)))) == (wholly, holes)


def test_a_formula_that_is_gone_is_a_hole_too():
    text = "The sum <math>a\n+ b</math> of it is five."
    [(_, _, gone)] = holes_in(text, "The sum of it is five.")
    assert gone == ["the sum {{math|formula}} of it is five"]
    assert [found[1:] for found in holes_in(text, "The sum a + b of it is five.")] == [(True, [])]


def test_the_halves_are_told_apart_for_good():
    assert [half_of("en", title) for title in ("Berlin", "Mill", "River")] == HALVES


HALVES = ["tuned on", "tuned on", "held out"]


def test_dumps_are_measured_beside_the_other_reader(tmp_path, capsys):
    data = dump_head() + dump_page(1, "Mill", TEXT) + dump_page(2, "Old", "#REDIRECT [[Mill]]") + "</mediawiki>\n"
    (tmp_path / "en.xml.bz2").write_bytes(bz2.compress(data.encode()))
    found = {(each.reader, each.half): each for each in measure_dumps(tmp_path)}
    ours, theirs = found["ours", half_of("en", "Mill")], found["mwparserfromhell", half_of("en", "Mill")]
    assert (ours.articles, ours.sentences, ours.holes) == (1, 4, 0)
    assert (theirs.sentences, theirs.holes) == (4, 1) and theirs.holes_per_thousand > 0
    assert main(["eval", "wikipedia", str(tmp_path)]) == 0
    assert "holes_per_thousand" in capsys.readouterr().out


def test_a_folder_without_dumps(tmp_path):
    with pytest.raises(Problem, match="holds no dumps"):
        measure_dumps(tmp_path)
