"""Web pages as any source reads them; what a page's text is is trafilatura's matter, and measured by `kb eval html`."""

from __future__ import annotations

import pytest

from kb.records import Section, clean_text
from kb.sources.file_text import parse
from kb.sources.html_text import html_text
from kb.sources.web_page_text import extract

BEFORE = "This is the list that we give to everybody who comes along to the camp in the mountains every single year."
AFTER = "Whoever has forgotten something can borrow it from the store in the village, which is open in the morning."


def page(inside: str, head: str = "<title>Camp</title>") -> bytes:
    article = f"<article><p>{BEFORE}</p>{inside}<p>{AFTER}</p></article>"
    return f"<html><head>{head}</head><body>{article}</body></html>".encode()


@pytest.mark.parametrize(
    ("inside", "lines"),
    [
        ("<h3>Tent</h3>The tent costs 38 dollars.<br><br>It is green.", ["The tent costs 38 dollars.", "It is green."]),
        ("<blockquote><p>It is 42 km long.</p><p>Trains run.</p></blockquote>", ["It is 42 km long.", "Trains run."]),
        ("<ul><li>Clothing<ul><li>One raincoat</li></ul></li><li>Food</li></ul>", ["Clothing", "One raincoat", "Food"]),
        ("<p hidden>Full of gold.</p><p style='display:none'>900 km.</p><p aria-hidden=true>No.</p>", []),
        ("<table><tr><td>Lion</td><td>190 kg</td></tr></table>", ["Lion | 190 kg"]),
    ],
)
def test_each_text_is_there_once_and_in_its_line(inside, lines):
    for found in (parse("html", page(inside)), extract(page(inside), "text/html")):
        assert [line for section in found.sections for line in section.text.split("\n")] == [BEFORE, *lines, AFTER]


@pytest.mark.parametrize(
    ("head", "heading", "title"),
    [
        ("<title>Red foxes</title>", "<h1>Foxes of the north</h1>", "Foxes of the north"),
        ("<title>Red foxes | Forest News</title>", "<h1>Forest News</h1>", "Red foxes"),
        ("<title>Red foxes</title>", '<h1><a href="/">Forest News</a></h1>', "Red foxes"),
        ("<title>Forest News: Red foxes</title>", '<a href="/"><h1>Forest News</h1></a>', "Red foxes"),
        ('<title>x</title><meta property="og:title" content="Red foxes">', "<h1>Forest</h1>", "Red foxes"),
        ('<title>Red foxes</title><meta property="og:site_name" content="Forest">', "<h1>Forest</h1>", "Red foxes"),
        ("<title>Lions - A site</title>", "<h1>Lions</h1>", "Lions"),
        ("<title>Red foxes</title>", "<h1>One</h1><h1>Two</h1>", "Red foxes"),
        ("", "<h1>Only this</h1>", "Only this"),
    ],
)
def test_a_title_is_the_page_s_and_not_the_site_s(head, heading, title):
    data = page("", head).replace(b"<article>", heading.encode() + b"<article>")
    assert parse("html", data).title == extract(data, "text/html").title == title


def test_html_within_markdown_is_text():
    text = '# Tower\n\n<p align="center">The tower is <b>324</b> m<sup>2</sup>.<br>So it is.</p>\n<!-- no -->\n\n'
    text += "Water has no taste<br>at<br/>all.\n\n<details><summary>More</summary>\n\nInner words.\n\n</details>\n\n"
    text += "<script>\nsecret()\n</script>\n\n<p hidden>no</p>\n\n<div>a</div><div>b</div>\n"
    lines = ["The tower is 324 m².", "So it is.", "Water has no taste at all.", "More", "Inner words.", "a", "b"]
    assert parse("md", text.encode()).sections == (Section((), "\n".join(lines)),)


def test_forms_of_type_are_plain_letters():
    odd = "of\ufb01cers \ufb02y \ufb03 soft\u00adly \uff21\uff11 \uff76\uff9e x² ½"
    assert clean_text(odd) == "officers fly ffi softly A1 ガ x² ½"


def test_text_in_no_paragraph_of_its_own_is_read_beside_paragraphs():
    about = "tells of the mill by the river and of those who worked there then, and what it ground for the whole valley"
    said = [f"Sentence number {n} {about}, day and night." for n in range(12)]
    article = "".join(f"<p>{one}</p>" if n % 2 else f"<div>{one}</div>" for n, one in enumerate(said))
    page = f"<html><body><article><h1>The mill</h1>{article}</article></body></html>"
    assert [text for level, text in html_text(page.encode()).blocks if not level] == said
