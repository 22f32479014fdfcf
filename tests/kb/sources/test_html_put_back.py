"""What of a page's text was not found at first, and what is no text."""

from __future__ import annotations

import pytest

from kb.sources.file_text import parse
from kb.sources.html_put_back import put_back
from kb.sources.html_tree import fragment_tree
from kb.sources.tables import Grid

SAID = [f"In the year {year} the mill of Xanten ground {year - 1700} tons of wheat." for year in range(1800, 1812)]
TOLD = "Left out as standing beside its text: 2 sentences and 1 table."


def page(inside: str) -> bytes:
    return f"<html><head><title>Mills</title></head><body>{inside}</body></html>".encode()


def paragraphs(said: list[str]) -> str:
    return "".join(f"<p>{each}</p>" for each in said)


def lines(inside: str) -> list[str]:
    return [line for section in parse("html", page(inside)).sections for line in section.text.split("\n")]


@pytest.mark.parametrize(
    "post",
    ["<article class=post><h2>Re: Mills</h2><div class=entry-content>{}</div></article>",
     "<div id=p{n} class='post bg{n}'><div class=content>{}</div></div>",
     "<div class=row><div class=text>{}</div></div>"],
)  # fmt: skip
def test_every_post_of_a_page_is_read(post):
    posts = [post.format(paragraphs(SAID[n : n + 3]), n=n) for n in range(0, 12, 3)]
    assert [line for line in lines(f"<div id=page>{''.join(posts)}</div>") if line in SAID] == SAID


@pytest.mark.parametrize("name", ["social-structure", "related-species", "author-life", "navigation-history"])
def test_a_section_stays_in_its_place_whatever_it_is_called(name):
    section = f"<div class={name}><h2>Then</h2><p>{SAID[5]}</p></div>"
    found = parse("html", page(f"<article>{paragraphs(SAID[:5])}{section}{paragraphs(SAID[6:])}</article>"))
    assert [line for section in found.sections for line in section.text.split("\n")] == SAID
    assert found.sections[1].path == ("Then",) and found.notes == ()


@pytest.mark.parametrize("name", ["comments", "author-bio", "newsletter-box"])
def test_what_is_only_called_furniture_is_left_out_and_counted(name):
    inside = f"{paragraphs(SAID[9:11])}<table><tr><th>Year</th><th>Tons</th></tr><tr><td>9</td><td>7</td></tr></table>"
    found = parse("html", page(f"<article>{paragraphs(SAID[:9])}<div class={name}>{inside}</div></article>"))
    assert found.sections[0].text.split("\n") == SAID[:9] and found.notes == (TOLD,)


def test_what_is_there_to_find_one_s_way_is_not_counted():
    found = parse("html", page(f"<nav><p>{SAID[9]}</p></nav><article>{paragraphs(SAID[:9])}</article>"))
    assert found.sections[0].text.split("\n") == SAID[:9] and found.notes == ()


def test_small_tables_of_data_are_all_read():
    table = "<table><tr><th>Year</th><th>Tons</th></tr><tr><td>{}</td><td>77</td></tr></table>"
    tables = "".join(table.format(year) for year in range(1991, 1996))
    plain = "<table><tr><td>Boats</td><td>3</td></tr><tr><td>Men</td><td>30</td></tr></table>"
    found = lines(f"<article>{paragraphs(SAID[:4])}{tables}{plain}{paragraphs(SAID[4:])}</article>")
    rows = [*(f"Year: {year}; Tons: 77" for year in range(1991, 1996)), "Boats | 3", "Men | 30"]
    assert found == [*SAID[:4], *rows, *SAID[4:]]


def test_a_table_that_was_found_within_a_line_is_not_left_out():
    body = fragment_tree(f"<p>{SAID[0]}</p><table><tr><th>Built</th><td>in 1811 at Xanten</td></tr></table>")
    found = [(0, f"{SAID[0]} Built in 1811 at Xanten")]
    assert put_back(found, body, lambda table: Grid("", (), [("Built", "in 1811 at Xanten")])) == (found, "")
