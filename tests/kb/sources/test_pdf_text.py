"""PDFs as text: letters of every kind, words and paragraphs that a page divides, columns, and what cannot be read."""

from __future__ import annotations

import pytest

from common.problems import Problem
from kb.records import Section
from kb.sources import file_text
from kb.sources.file_text import parse
from kb.sources.pdf import library, page
from kb.sources.pdf import text as pdf_text
from tests.support.pdf import east_asian, encrypted, named, pdf, shown_at


def text(content: bytes) -> str:
    return "\n".join(section.text for section in parse("pdf", content).sections)


def why(content: bytes) -> str:
    with pytest.raises(Problem) as problem:
        parse("pdf", content)
    assert str(problem.value).endswith(".")
    return str(problem.value)


def test_what_has_no_text_or_cannot_be_read():
    whole = pdf("Some text.", title="T")
    assert "it is a scan" in why(pdf(b"0 0 m 9 9 l S", b""))
    assert "no pages" in why(pdf())
    assert "damaged" in why(whole[:200]) and "damaged" in why(b"") and "damaged" in why(b"PK\3\4")


INLINE_IMAGE = b"q 9 0 0 9 0 0 cm BI /W 1 /H 1 /BPC 8 /CS /G ID x EI Q"
IMAGE = b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /BitsPerComponent 8 /Length 1 >>\nstream\nx\nendstream"


def test_pages_that_are_pictures_between_pages_of_text_are_told():
    one = parse("pdf", pdf("one", INLINE_IMAGE, "three"))
    assert [section.path for section in one.sections] == [("page 1",), ("page 3",)]
    [said] = one.notes
    assert said.startswith("Page 2 shows pictures and no text, and was not read;")
    some = parse("pdf", pdf("one", b"", INLINE_IMAGE, "four", *[b"0 0 m 9 9 l S " * 100] * 3, b"0 0 m 9 9 l S"))
    assert some.notes[0].startswith("Pages 3, 5-7 show pictures and no text, and were not read;")
    of_object = pdf("one", b"/X Do", drawings=[b""])
    form = of_object[of_object.index(b"<< /Type /XObject") : of_object.rindex(b"endstream") + len(b"endstream")]
    assert parse("pdf", of_object).notes == ()
    assert len(parse("pdf", of_object.replace(form, IMAGE)).notes) == 1
    many = parse("pdf", pdf(*["text", INLINE_IMAGE] * 25)).notes
    assert len(many) == 1 and "40 and more, 25 in all, show" in many[0]


def test_scans_with_a_stamp_are_told_and_the_stamp_is_read():
    scan = b"q 612 0 0 792 0 0 cm BI /W 1 /H 1 /BPC 8 /CS /G ID x EI Q "
    stamp, words = shown_at((50, 700, "a stamp")), shown_at((50, 700, "a word and more " * 20))
    found = parse("pdf", pdf(scan + stamp, scan + words))
    assert [section.text[:7] for section in found.sections] == ["a stamp", "a word "]
    [said] = found.notes
    assert said.startswith("Page 1 shows pictures and few words, and what they show was not read;")
    small = INLINE_IMAGE + shown_at((50, 700, "a logo"))
    assert parse("pdf", pdf(small)).notes == ()


def test_what_many_pages_are_left_out_for_is_told_once_and_hides_nothing(monkeypatch):
    together = "Thewordsofthispagestandtogethersincenobodyputspacesbetweenthem" * 3
    monkeypatch.setattr(pdf_text, "MOST_PAGES", 25)
    found = parse("pdf", pdf("one", *[together] * 24, "more"))
    assert found.notes[0].startswith("Pages 2-25 are left out: no spaces between words;")
    assert found.notes[1:] == ("What follows page 25 is left out.",)


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256"])
def test_what_is_encrypted_opens_where_it_has_no_password(algorithm):
    whole = pdf("Some text.", title="T")
    assert parse("pdf", encrypted(whole, "", algorithm)).sections == (Section(("page 1",), "Some text."),)
    assert why(encrypted(whole, "secret", algorithm)) == "It is protected by a password; save it without one."


def test_titles_that_are_none():
    assert parse("pdf", pdf("text", title="Microsoft Word - report.docx")).title == ""
    for title in ("Untitled", "(anonymous)", "untitled"):
        assert parse("pdf", pdf("text", title=title)).title == ""
    assert parse("pdf", pdf("text", title="\ufeffÜber uns")).title == "Über uns"


def test_words_that_the_end_of_a_line_divides():
    assert text(pdf("An exam-\nple of well-\nKnown")) == "An example of well- Known"
    # Where the document has the word with its hyphen elsewhere, the hyphen is its own.
    assert text(pdf("A well-\nknown man.", "He is well-known.")).split("\n")[0] == "A well-known man."
    assert text(pdf("A well-\nknown man.", "It is wellknown and well-known.")).startswith("A wellknown man.")
    assert text(pdf(b"BT /F1 12 Tf 72 700 Td <657861ad> Tj 0 -14 Td (mple, mu\255ch) Tj ET")) == "example, much"


def test_quotes_ligatures_and_what_is_escaped():
    assert text(pdf(shown_at((50, 700, "“so” ‘it’s’ – 1…2")))) == "“so” ‘it’s’ – 1…2"
    assert text(pdf("What\\ need not be \\escaped")) == "What need not be escaped"
    assert text(pdf("a b", font=named("/fi /ffl"))) == "fi ffl"


@pytest.mark.parametrize(
    ("encoding", "ordering", "python", "said"),
    [
        ("90ms-RKSJ-H", "Japan1", "cp932", "東京は日本の首都である。"),
        ("GBK-EUC-H", "GB1", "gbk", "柏林是德国的首都。"),
        ("ETen-B5-H", "CNS1", "big5", "臺北是臺灣的城市。"),
        ("KSCms-UHC-H", "Korea1", "cp949", "베를린은 독일의 수도이다."),
        ("UniJIS-UCS2-H", "Japan1", "utf-16-be", "東京は日本の首都である。"),
    ],
)
def test_east_asian_fonts_that_are_not_in_the_file(encoding, ordering, python, said):
    shown = b"BT /F1 12 Tf 72 700 Td <%s> Tj ET" % said.encode(python).hex().encode()
    assert text(pdf(shown, font=east_asian(encoding, ordering))) == said


def test_lines_without_spaces_between_words_are_joined_without():
    lines = [b"<%s> Tj 0 -14 Td" % line.encode("cp932").hex().encode() for line in ("東京は日本の首", "都である。")]
    shown = b"BT /F1 12 Tf 72 700 Td %s ET" % b" ".join(lines)
    assert text(pdf(shown, font=east_asian("90ms-RKSJ-H", "Japan1"))) == "東京は日本の首都である。"


def test_japanese_from_the_top_down():
    letters = [(column, 700 - 12 * row, letter) for column, said in ((400, "東京は日本"), (380, "の首都です"))
               for row, letter in enumerate(said)]  # fmt: skip
    shown = (b"1 0 0 1 %d %d Tm <%s> Tj" % (x, y, letter.encode("cp932").hex().encode()) for x, y, letter in letters)
    said = text(pdf(b"BT /F1 12 Tf %s ET" % b" ".join(shown), font=east_asian("90ms-RKSJ-H", "Japan1")))
    assert said.replace("\n", "") == "東京は日本の首都です"


def test_columns_one_after_the_other():
    left = [f"left line {n} of some prose that fills it" for n in range(5)]
    right = [f"right line {n} of some prose that fills it" for n in range(5)]
    places = [(x, 700 - 12 * n, line) for n in range(5) for x, line in ((50, left[n]), (320, right[n]))]
    assert text(pdf(shown_at(*places))) == " ".join(left) + "\n" + " ".join(right)


@pytest.mark.parametrize("turn", ["0 1 -1 0 300 100", "-1 0 0 -1 300 300", "0 -1 1 0 300 400"])
def test_writing_that_is_turned(turn):
    turned = b"BT /F1 10 Tf %s Tm (Some words that) Tj 0 -12 Td (are turned.) Tj ET" % turn.encode()
    assert text(pdf(turned)) == "Some words that are turned."
    assert text(pdf(shown_at((50, 700, "Upright words.")) + turned)) == "Upright words.\nSome words that are turned."


def test_tables_of_figures_are_read_row_by_row():
    rows = [("River", "Length", "km2"), ("Vetla", "1,024", "77"), ("Orn", "350", "12"), ("Mol", "98", "3.5")]
    cells = [(50 + 150 * column, 700 - 12 * row, said) for column in range(3) for row, said in enumerate(
        cells[column] for cells in rows)]  # fmt: skip
    above, below = (50, 740, "Rivers of a country and how long each of them is, as was measured"), (50, 600, "The end.")
    said = text(pdf(shown_at(*cells, above, below))).split("\n")
    assert said[0] == above[2] and said[-1] == "The end." and said[1:-1] == [" | ".join(row) for row in rows]
    # Numbers of lines are none, nor are addresses beside each other.
    lines = [(50, 700 - 12 * number, str(number)) for number in range(5)]
    lines += [(80, 700 - 12 * number, f"line {number} of what somebody said, as they are") for number in range(5)]
    assert " | " not in text(pdf(shown_at(*lines)))
    lines = [(50 + 200 * x, 700 - 12 * y, f"Name {x} Street"[: 6 + 3 * y]) for x in range(2) for y in range(3)]
    assert " | " not in text(pdf(shown_at(*lines)))


def test_a_letter_printed_twice_to_look_bold_is_one():
    assert text(pdf(shown_at((50, 700, "Bold letters"), (50, 700, "Bold letters")))) == "Bold letters"
    assert text(pdf(b"BT /F1 10 Tf 50 700 Td (all) Tj ET BT /F1 10 Tf 50.4 700 Td (all) Tj ET")) == "all"


def test_letters_set_apart_are_words_where_spaces_are_between_them():
    assert text(pdf(b"BT /F1 10 Tf 4 Tc 50 700 Td (Some words set) Tj ET")) == "Some words set"
    cells = [(50 + 40 * number, 700, letter) for number, letter in enumerate("ABCDEF")]
    assert text(pdf(shown_at(*cells))).split() == ["A", "B", "C", "D", "E", "F"]


def test_letters_of_which_only_the_shape_is_known_are_left_out_with_a_reason():
    shapes = east_asian("Identity-H", "Identity")
    said = why(pdf(b"BT /F1 12 Tf 72 700 Td <%s> Tj ET" % (b"00410042" * 40), font=shapes))
    assert "the shapes of letters" in said and "recognised" in said
    assert "the shapes of letters" in why(pdf(b"BT /F1 12 Tf 72 700 Td <0041> Tj ET", font=shapes))
    assert text(pdf("A bullet \177 and words.")) == "A bullet and words."


def test_words_without_spaces_are_left_out_with_a_reason():
    together = "Thewordsofthispagestandtogethersincenobodyputspacesbetweenthem" * 3
    said = why(pdf(together))
    assert "no spaces between words" in said
    found = parse("pdf", pdf("A page that can be read.", together))
    assert [section.path for section in found.sections] == [("page 1",)]
    assert found.notes == (said.removeprefix("It has no text that can be read. ").replace("Page 1", "Page 2"),)


def test_what_is_too_long_is_cut_and_that_is_said(monkeypatch):
    monkeypatch.setattr(pdf_text, "MOST_PAGES", 2)
    long = parse("pdf", pdf("one", "two", "three"))
    assert [section.text for section in long.sections] == ["one", "two"]
    assert long.notes == ("What follows page 2 is left out.",)
    monkeypatch.setattr(page, "MOST_LETTERS", 30)
    crowded = parse("pdf", pdf("few", "many letters, many of them on one page"))
    assert len(crowded.sections) == 1 and crowded.notes[0].startswith("Page 2 is left out: more than 30")
    monkeypatch.setattr(file_text, "MOST_CHARACTERS", 10)
    cut = parse("pdf", pdf("a short", "one too long"))
    assert len(cut.sections) == 1 and "Page 2 and what follows" in cut.notes[0]
    assert "more than 10 characters" in why(pdf("much too long a text"))


def test_of_what_takes_too_long_the_first_pages_come():
    found = parse("pdf", pdf("one", "two", "three"), seconds=0)
    assert [section.text for section in found.sections] == ["one"]
    assert found.notes == ("What follows page 1 is left out; reading it takes too long.",)


def test_a_damaged_page_leaves_the_others():
    found = parse("pdf", pdf("one", "two", "three").replace(b"/Contents 8 0 R", b"/Contents 8.5  "))
    assert [section.path for section in found.sections] == [("page 1",), ("page 3",)]


def test_what_is_filled_into_a_form_is_read_in_its_place():
    whole = pdf(shown_at((50, 700, "Name:"), (50, 650, "Town:"), (50, 600, "End")))
    fields = (
        b"/Annots [<< /Subtype /Widget /FT /Tx /Rect [100 640 200 655] /V (Vetla) >> << /Subtype /Widget /Rect "
        b"[100 690 200 705] /Parent << /FT /Tx /V <FEFF00C50073> >> >> << /Subtype /Widget /FT /Tx /F 2 "
        b"/Rect [0 0 9 9] /V (hidden) >> << /Subtype /Widget /FT /Btn /Rect [0 0 9 9] /V /Off >> << /Subtype /Link >>]"
    )
    filled = whole.replace(b"/MediaBox", fields + b" /MediaBox")
    assert text(filled).split("\n") == ["Name:", "Ås", "Town:", "Vetla", "End"]


def test_too_large_a_drawing_is_left_out_and_the_rest_is_read(monkeypatch):
    monkeypatch.setattr(page, "MOST_CONTENT", 5_000)
    drawing = b"0 0 m 9 9 l S " * 1000
    found = parse("pdf", pdf("one", drawing, "three"))
    assert [section.text for section in found.sections] == ["one", "three"]
    assert found.notes == ("Page 2 is left out in part: too large a drawing.",)


def test_drawings_are_read_but_not_for_ever(monkeypatch):
    monkeypatch.setattr(page, "MOST_CONTENT", 200_000)
    within = b"BT /F1 10 Tf 50 600 Td (within) Tj ET"
    found = parse("pdf", pdf(shown_at((50, 700, "above")) + b" /X Do", drawings=[b"/X Do", within]))
    assert found.sections[0].text == "above\nwithin" and found.notes == ()
    thousands_of_millions = [b"/X Do /X Do"] * 30
    found = parse("pdf", pdf(shown_at((50, 700, "above")) + b" /X Do", drawings=[*thousands_of_millions, within]))
    assert found.sections[0].text.startswith("above") and "too large a drawing" in found.notes[0]


def test_what_unpacks_to_far_more_is_left_out(monkeypatch):
    monkeypatch.setattr(library, "MOST_UNPACKED", 10_000)
    assert text(pdf("A line of text", packed=True)) == "A line of text"
    assert "too large a drawing" in why(pdf(b"q " * 100_000, packed=True))
