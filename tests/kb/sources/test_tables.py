"""Tables of wikitext, web pages and Markdown: each row by itself with the words that head it, within bounds."""

from __future__ import annotations

import pytest
from lxml.html import fragment_fromstring

from kb.records import Section
from kb.sources import tables
from kb.sources.file_text import parse
from kb.sources.html_tables import make_plain_tables
from kb.sources.wikitext import read_article
from tests.kb.sources.test_html_text import page
from tests.support.waiting import without_blow_up


def rows(text: str) -> dict[tuple[str, ...], list[str]]:
    """The lines of the tables of wikitext, by their sections."""
    found = [section for section in read_article(text).sections if section.path]
    return {section.path: section.text.split("\n") for section in found}


AWARDS = """It is given.
== Winners ==
{| class="wikitable"
|+ The ''first'' years
|-
! Year !! style="width:20%" | Film
! Winner
|-
| rowspan=2 | 1928
| [[Wings (film)|Wings]] || Hans {{nobody|1|2}}
|-
| ''Seventh Heaven''<ref>x</ref> || colspan="1" | Harry [[Oliver]]
|-
| colspan=3 | The ''thirties''
|-
| 1930 || || {{sortname|Cedric|Gibbons}}
|}
After.
"""


def test_a_wikitable_is_told_row_by_row():
    assert rows(AWARDS) == {
        ("Winners",): ["After."],
        ("Winners", "Table: The first years"): [
            "Year: 1928; Film: Wings",
            "Year: 1928; Film: Seventh Heaven; Winner: Harry Oliver",
            "The thirties",
            "Year: 1930; Winner: Cedric Gibbons",
        ],
    }


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        # Heads over heads, and heads at the side.
        ("{|\n! rowspan=2 | Land !! colspan=2 | Medals\n|-\n! Gold !! Silver\n|-\n| A || 1 || 2\n|}",
         ["Land: A; Medals Gold: 1; Medals Silver: 2"]),
        ("{|\n! Height\n| 8849 m\n|-\n! First climbed\n| 1953\n|}", ["Height: 8849 m", "First climbed: 1953"]),
        ("{| class=wikitable\n| a || b || c\n|}", ["a; b; c"]),
        ("{| class=wikitable\n| Town || Land || People\n|-\n| A || B || 1.200\n|-\n| C || D || 30 %\n|}",
         ["Town: A; Land: B; People: 1.200", "Town: C; Land: D; People: 30 %"]),
        ("{| class=wikitable\n| Town || People\n|-\n| A || B\n|}", ["Town: People", "A: B"]),
        ("{|\n! A !! B\n|-\n| Ada<br>Bo ||\n* one\n* two<br />(three)\n|}", ["A: Ada, Bo; B: one, two (three)"]),
        ("{|\n! A !! B\n|-\n| &lt;b&gt; &amp; c<br>d || <i>x</i>{{!}}y\n|}", ["A: <b> & c, d; B: x|y"]),
        ("<table><tr><th>Name</th><th>Height</th></tr><tr><td>Everest</td><td rowspan=2>8849 m</td></tr></table>",
         ["Name: Everest; Height: 8849 m"]),
        ("{|\n! A !! B\n|-\n| rowspan=2 {{yes}} || style=\"width: 5em\" {{no|Never}}\n|-\n| align=right {{dunno}}\n|}",
         ["A: Yes; B: Never", "A: Yes; B: Unknown"]),
        ("<table><tr><th>A<th>B<tr><td>1<td><table><tr><td>x</table></td></tr><tr><td>3</td><td>4</td></tr></table>",
         ["A: 1", "A: x", "A: 3; B: 4"]),
        # One in another stands by itself.
        ("{|\n! A !! B\n|-\n| 1 || \n{|\n! C !! D\n|-\n| 2 || 3\n|}\n|}", ["A: 1", "C: 2; D: 3"]),
        ("{{hidden|x|\n{|\n! A !! B\n|-\n| 1 || 2\n|}\n}}", ["A: 1; B: 2"]),
        # No data: what only lays out, boxes of navigation, a list in one column.
        ("{|\n| " + "prose " * 60 + "|| more\n|-\n| a || b\n|}", []),
        ("{| class=navbox\n! A !! B\n|-\n| 1 || 2\n|}", []),
        ("{| class=wikitable\n| a\n|-\n| b\n|}", []),
    ],
)  # fmt: skip
def test_forms_of_wikitables(text, lines):
    found = [line for section in read_article(f"Text.\n\n{text}\n").sections[1:] for line in section.text.split("\n")]
    assert found == lines


@pytest.mark.parametrize(
    ("language", "cell", "said"),
    [
        ("en", "{{sort|5|five}}", "five"),
        ("en", "{{sort|FR|{{flagicon|FRA}} [[France]]}}", "France"),
        ("de", "{{SortKey|5|fünf}}", "fünf"),
        ("de", "{{SortKeyName|Ada|Ay}}, {{SortKey|5}}6", "Ada Ay, 6"),
        ("en", "{{dts|1928|5|16}}", "16 May 1928"),
        ("en", "{{dts|16|May|1928}}{{sort dash}} {{right|12}} {{align|right|13}}", "16 May 1928 12 13"),
        ("en", "{{rating|4|5}} {{TableTBA}}", "4/5 TBA"),
        ("en", "{{nts|1234}} {{nts|5|prefix=$}} {{ntsp|40||€}} {{ntsh|7}}8 {{hs|9}}", "1234 $5 €40 8"),
        ("en", "{{yes}}", "Yes"),
        ("en", "{{no|Never}}", "Never"),
        ("en", "{{yes2}}Win", "Win"),
        ("de", "{{Ja}}, {{Nein}}, {{yes}}", "Ja, Nein, Ja"),
        ("de", "{{no}}", ""),
        ("ru", "{{Да}} {{нет|12}}", "Да 12"),
        ("en", "{{n/a}} {{dunno}} {{won|place=1}} {{nom}} {{loss}}", "N/A Unknown Won Nominated Loss"),
        ("en", "{{flag|France}}, {{flagathlete|[[Ann Ay]]|FRA}}, {{flagIOC|ITA}}", "France, Ann Ay (FRA), ITA"),
        ("en", "{{flagicon|France}}", "France"),
        ("en", "{{flagicon|FRA}} [[Paris]]", "Paris"),
        ("de", "{{FRA}}, {{DNF}}, {{IT-TOS}}", "FRA, DNF, IT-TOS"),
        ("en", "<ul><li>a</li><li>b</li></ul>", "a, b"),
        ("en", "{{Party color|X}} | [[Labour]]", "Labour"),
        ("en", "<center>5</center>km", "5 km"),
        ("en", "{{vunblist|a|b}},<br>{{native name|fr|mot}}", "a, b, mot"),
        ("en", "{{increase}} 5 {{duration|m=3|s=5}} {{duration|1:02:03}}", "5 3:05 1:02:03"),
        ("en", "{{center|text}} {{small|more}}", "text more"),
        ("en", "{{IPA|fr|mo}} {{audio|a.ogg}}", "[mo]"),
    ],
)  # fmt: skip
def test_templates_in_cells(language, cell, said):
    article = read_article(f"Text.\n{{|\n! A !! B\n|-\n| x || {cell}\n|}}", language)
    assert article.sections[1].text == (f"A: x; B: {said}" if said else "A: x")
    assert not article.unknown


def test_a_cell_that_cannot_be_read_is_left_out_and_counted():
    article = read_article(
        "{{Infobox x|a={{nobody|1|2}}|b=1}}\n{|\n! A !! B\n|-\n| x || {{nobody|1|2}}\n|-\n| y || 5 {{ells|1|2}}\n|-\n"
        "| z || {{age|1950|1|1}} {{audio|a.ogg}} {{cite|a|b}}\n|-\n{{A row|a|b}}\n|}"
    )
    assert article.sections[1].text == "A: x\nA: y\nA: z"
    assert article.unknown == {"nobody": 2, "ells": 1, "age": 1, "a row": 1}


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("{|class=x\n! A !! B\n|-\n| 1 || 2\n|-\n| 3 || 4", ["A: 1; B: 2", "A: 3; B: 4"]),
        ("{|\n! A !! B\n|-\n| 1 || 2\n== Next ==\nMore.", ["A: 1; B: 2", "More."]),
        ("{|\n! A !! B\n|-\n| 1 || 2\n\nMore [[text]].", ["More text.", "A: 1; B: 2"]),
        ("{|\n! A !! B\n|-\n| 1 || 2\n\n{|\n! A !! B\n|-\n| 3 || 4\n|}\nMore.", ["More.", "A: 1; B: 2", "A: 3; B: 4"]),
        ("{{hidden|\n{|\n! A !! B\n|-\n| 1 || 2\n}}\nMore.", ["More.", "A: 1; B: 2"]),
        ("<table><tr><th>A<th>B<tr><td>1<td>2\n== Next ==\nMore.", ["A: 1; B: 2", "More."]),
        ("<table><tr><th>A<th>B<tr><td>1<td>2", ["A: 1; B: 2"]),
        ("{| is no table.", ["is no table."]),
    ],
)  # fmt: skip
def test_a_table_without_its_end(text, lines):
    sections = read_article(f"Text.\n\n{text}").sections
    assert sections[0].text.startswith("Text.")
    found = [line for section in sections for line in section.text.split("\n")][1:]
    assert sorted(found) == sorted(lines)


def test_tables_of_sections_that_are_dropped_are_dropped():
    assert rows("Text.\n== References ==\n{|\n! A !! B\n|-\n| 1 || 2\n|}\n") == {}


def test_other_boxes_of_an_article_are_tables_of_their_section():
    months = "".join(f"\n| {month} high C = {{{{nts|{n}}}}}" for n, month in enumerate("Jan Feb Mar Apr".split(), -2))
    box = "{{Weather box" + months + "\n| image = a.jpg\n| source = {{a|1|2}}\n}}"
    text = f"{{{{Infobox x|a=b}}}}\nText.\n== Climate ==\n{box}\nHot."
    article = read_article(text)
    assert [section.path for section in article.sections][1:] == [
        ("Climate",), ("Facts",), ("Climate", "Table: weather box"),
    ]  # fmt: skip
    assert article.sections[-1].text.split("\n")[:2] == ["Jan high C: -2", "Feb high C: -1"]
    assert "jpg" not in article.sections[-1].text and article.unknown == {"a": 1}


def test_the_facts_stay_before_the_tables():
    text = "{{Infobox x|a=b}}\nText.\n{|\n! A !! B\n|-\n| 1 || 2\n|}\n"
    assert [section.path for section in read_article(text).sections] == [(), ("Facts",), ("Table",)]


def test_what_is_too_much_is_counted(monkeypatch):
    monkeypatch.setattr(tables, "MAX_ROWS", 3)
    monkeypatch.setattr(tables, "MAX_TABLES", 2)
    table = "{|\n! A !! B\n" + "|-\n| 1 || 2\n" * 5 + "|}\n"
    article = read_article("Text.\n" + table * 3)
    assert [len(section.text.split("\n")) for section in article.sections] == [1, 3, 3]
    assert article.rows == 2 + 2 + 5
    html = page("<table><tr><th>A</th><th>B</th></tr>" + "<tr><td>1</td><td>2</td></tr>" * 5 + "</table>")
    assert parse("html", html).notes == ("2 rows of its tables are left out; it has too many.",)


def test_long_rows_take_several_lines_each_with_the_first_cell():
    cells = ["1928", *(f"{n} " + "x" * 150 for n in range(4))]
    lines = tables.row_lines(["Year", "A", "B", "C", "D"], cells)
    assert len(lines) == 2 and all(line.startswith("Year: 1928; ") for line in lines)
    assert max(map(len, lines)) <= tables.MAX_LINE
    assert len(tables.row_lines(["A"], ["x" * 5000])[0]) < tables.MAX_LINE


def test_tables_of_web_pages():
    inside = (
        "<p>There are two mountains in this list, and both of them are said to be high.</p>"
        "<table><caption>Peaks</caption><thead><tr><td>Name</td><td>Height</td><td>Land</td></tr></thead>"
        "<tr><td>Everest</td><td>8849 m</td><td rowspan=2>Nepal</td></tr>"
        "<tr><td>Lhotse</td><td>8516 m</td></tr></table>"
    )
    found = parse("html", page(inside)).sections
    assert [section.path for section in found] == [(), ("Table: Peaks",), ()]
    assert found[1].text == "Name: Everest; Height: 8849 m; Land: Nepal\nName: Lhotse; Height: 8516 m; Land: Nepal"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        # Heads over heads, which span rows and columns.
        ("<thead><tr><th rowspan=2>City</th><th colspan=2>Population</th></tr>"
         "<tr><th>2011</th><th>2021</th></tr></thead>"
         "<tr><td>Ulm</td><td>1</td><td>2</td></tr>", ["City: Ulm; Population 2011: 1; Population 2021: 2"]),
        ("<tr><th colspan=2>Population<th rowspan=2>City<tr><th>2011<th>2021<tr><td>1<td>2<td>Ulm",
         ["Population 2011: 1; Population 2021: 2; City: Ulm"]),
        ("<thead><tr><td>A</td><td colspan=2>B</td></tr><tr><td></td><td>C</td><td>D</td></tr></thead>"
         "<tr><td>1</td><td>2</td><td>3</td></tr>", ["A: 1; B C: 2; B D: 3"]),
        # A head over all is the title; a cell over all stands alone; spans of cells keep columns in their places.
        ("<tr><th colspan=3>Results<tr><th>A<th>B<th>C<tr><td colspan=3>Then<tr><td colspan=2>1<td>3",
         ["Then", "A: 1; C: 3"]),
        ("<tr><th>A<th>B<th>C<tr><td rowspan=2>1<td>2<td rowspan=2>3<tr><td>4",
         ["A: 1; B: 2; C: 3", "A: 1; B: 4; C: 3"]),
        # Lists and lines within cells.
        ("<tr><th>Name<th>Says<tr><td>Ulm<td><ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>",
         ["Name: Ulm; Says: a, b, c"]),
        ("<tr><th>Name<th>Says<tr><td>Ulm<td><dl><dt>M</dt><dd>q</dd><dt>N:</dt><dd>r</dd></dl>",
         ["Name: Ulm; Says: M: q, N: r"]),
        ("<tr><th>Name<br>(old)<th>Says<tr><td>x<br>y<br>(z)<td><p>So.</p><p>Yes</p><div>No</div>",
         ["Name (old): x, y (z); Says: So. Yes, No"]),
        ("<tr><th colspan=2>Ulm<tr><th>Languages<td><ul><li>German</li><li>French</li></ul>"
         "<tr><th>Area<td>12 km<sup>2</sup>",
         ["Languages: German, French", "Area: 12 km²"]),
        ("<tr><th>Name<th>Says<tr><td>Ulm<td>a\nb<br>c\n d", ["Name: Ulm; Says: a b, c d"]),
        ("<tr><td>Languages<td><ul><li><a href=a>German</a></li><li>French</li></ul>", ["Languages | German, French"]),
    ],
)  # fmt: skip
def test_forms_of_tables_of_web_pages(table, said):
    found = parse("html", page(f"<table>{table}</table>")).sections
    assert [line for section in found for line in section.text.split("\n")][1:-1] == said


def test_tables_of_markdown():
    text = "# Peaks\n\nHigh.\n\n| Name | Height |\n| --- | --- |\n| **Everest** | 8849 m |\n| Lhotse | |\n\nAfter.\n"
    text += "\n<table><tr><th>River</th><th>Length</th></tr><tr><td>Nile</td><td>6650 km</td></tr></table>\n"
    assert parse("md", text.encode()).sections == (
        Section((), "High."),
        Section(("Table",), "Name: Everest; Height: 8849 m\nName: Lhotse"),
        Section((), "After."),
        Section(("Table",), "River: Nile; Length: 6650 km"),
    )
    assert parse("md", b"| a | b |\n| --- | --- |\n").sections[0].text == "a | b"


@pytest.mark.parametrize(
    "unit",
    ["{|\n! a !! b\n|-\n| 1 || 2\n", "| colspan=999 rowspan=999 | x\n|-\n", "|-\n| a || b\n", "! a !! b\n", "|+ a\n",
     "<table><tr><td>", "{|\n|\n", "\n|a=b|",
     "<table><tr><td>a\n=b=\n", "<table><table></table>", "<table></table><table>"],
)  # fmt: skip
def test_time_grows_with_the_length_only(unit):
    text = unit * (80_000 // len(unit))
    with without_blow_up():
        read_article(f"{{|\n{text}\n|}}\n" + "|}\n" * 50)


def test_spans_of_web_pages_are_bounded():
    rows = "<tr><td rowspan=999 colspan=999>x<th colspan=9999999999>y" * 60
    tree = fragment_fromstring(f"<table><tr><th>A<th>B{rows}</table>")
    make_plain_tables(tree)
    assert len(tree.findall(".//tr")) == 61 and len(tree.xpath(".//td|.//th")) < 60 * (tables.MAX_COLUMNS + 3)
