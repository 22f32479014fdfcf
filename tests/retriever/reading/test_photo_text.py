"""What is kept of the text in a photo: clean, sure, and not too much."""

from __future__ import annotations

from retriever.reading.photo_text import LONGEST_WORD, MOST_CHARACTERS, MOST_LINES, Line, cleaned, corrected, kept


def line(text: str, confidence: float = 0.9) -> Line:
    return Line(text, (0.1, 0.1, 0.9, 0.2), 0.1, confidence)


def test_sure_lines_are_kept_as_they_stand():
    read = kept([line("Mount Everest"), line("8,849 m"), line("~//~ |"), line("Hxqq", 0.3), line("a")])
    assert [each.text for each in read.lines] == ["Mount Everest", "8,849 m"]
    assert read.text == "Mount Everest 8,849 m" and not read.cut and not read.corrected


def test_a_page_of_five_thousand_words_is_cut_and_says_so():
    read = kept(line(f"the {number} of five thousand") for number in range(5000))
    assert read.cut and 0 < len(read.lines) <= MOST_LINES and len(read.text) < MOST_CHARACTERS + MOST_LINES
    assert kept([line("word " * 1000)]).cut and not kept([line("word " * 1000)]).lines
    assert not kept([]).cut


def test_a_text_from_a_photo_is_made_fit_to_show_and_quote():
    assert cleaned("Do\x00or\u202e 12\n\tleft\ufeff") == "Do or 12 left"
    assert cleaned("see [1] and 【2】") == "see (1) and (2)"
    assert len(cleaned("x" * 5000)) == LONGEST_WORD
    assert len(cleaned("e" + "\u0308\u0301\u0316" * 30)) <= 3
    assert cleaned("Ｆｕｌｌ　ｗｉｄｔｈ") == "Full width"
    assert cleaned("Köln, São Paulo, Đà Nẵng") == "Köln, São Paulo, Đà Nẵng"


def test_what_a_person_wrote_is_lines_too():
    said = corrected(" Mount Everest\r\n\n8,849 m ")
    assert said.corrected and [each.text for each in said.lines] == ["Mount Everest", "8,849 m"]
    assert corrected("").lines == () and corrected("x\n" * 5000).lines == ()
    assert corrected("some words\n" * 5000).cut
