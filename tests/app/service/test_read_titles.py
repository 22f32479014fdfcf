"""Which title stands out in what was read."""

from __future__ import annotations

from app.service.read_titles import may_be, read_subject
from app.service.results import READ
from retriever.reading.photo_text import Line, PhotoText, corrected


def read(*lines: tuple[str, float]) -> PhotoText:
    return PhotoText(tuple(Line(text, (0.0, 0.0, 1.0, 1.0), size, 0.9) for text, size in lines))


COVER = read(("THE HISTORY OF", 0.03), ("MOUNT", 0.1), ("EVEREST", 0.1), ("Ruth Almgren", 0.03))


def test_the_title_in_large_letters_is_what_it_is_about():
    subject = read_subject(COVER, ["History", "Everest", "Ruth", "Mount Everest"])
    assert (subject.title, subject.word) == ("Mount Everest", READ)
    assert subject.shows("Mount Everest") and not subject.shows("History")
    assert subject.said() == "Mount Everest, by what is written in it"


def test_titles_are_looked_for_as_they_are_spelt():
    names = may_be(COVER)
    assert "Mount Everest" in names and "Everest" in names and "Of" not in names
    assert "Theory of relativity" in may_be(corrected("THEORY OF RELATIVITY"))
    assert "War and Peace" in may_be(corrected("WAR AND PEACE"))


def test_a_letter_misread_and_a_space_lost_do_not_matter():
    for said in ("Communicationssatellite", "Cornmunications satellite", "COMMUNICATIONS\nSATELLITE"):
        subject = read_subject(corrected(said), ["Communications satellite", "Satellite"])
        assert subject.title == "Communications satellite", said
    assert read_subject(corrected("Lien"), ["Lion"]) is None


def test_the_longer_title_is_meant_where_lines_are_about_as_large():
    text = read(("Communicatjons", 0.045), ("satellite", 0.047), ("Room 12", 0.03))
    assert read_subject(text, ["Satellite", "Communications satellite"]).title == "Communications satellite"


def test_what_stands_among_others_or_small_is_not_what_it_is_about():
    assert read_subject(corrected("please keep the dog on a lead in this park"), ["Dog", "Park", "Lead"]) is None
    assert read_subject(read(("MENU", 0.2), ("Paris", 0.03)), ["Paris"]) is None
    assert read_subject(corrected("what is this"), ["This", "What is"]) is None
    assert read_subject(PhotoText(), ["Lion"]) is None


def test_a_title_in_brackets_is_found_by_what_stands_before_them():
    assert read_subject(corrected("Mercury"), ["Mercury (planet)"]).title == "Mercury (planet)"
