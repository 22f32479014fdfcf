"""Web pages as any source reads them; what a page's text is is trafilatura's matter, and measured by `kb eval html`."""

from __future__ import annotations

import pytest

from kb.records import Section, clean_text
from kb.sources.file_text import parse
from kb.sources.html_text import html_text
from kb.sources.html_tree import CUT
from kb.sources.web_page_text import extract

BEFORE = "This is the list that we give to everybody who comes along to the camp in the mountains every single year."
AFTER = "Whoever has forgotten something can borrow it from the store in the village, which is open in the morning."


MILL = "The mill of Xanten was built in the year 1811 by the people of the valley beside the quiet river."


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


def lines(inside: str, head: str = "<title>Camp</title>") -> list[str]:
    """Of the article, but for what stands at both of its ends."""
    found = parse("html", page(inside, head))
    said = [line for section in found.sections for line in (*section.path, *section.text.split("\n"))]
    return [line for line in said if line not in (BEFORE, AFTER)]


AROUND = "".join(f"<p>In the year {n} there was a mill of that name in the valley.</p>" for n in range(1820, 1840))


@pytest.mark.parametrize(
    "holder",
    ["<figure><img src=a><figcaption>{}</figcaption></figure>", "<form><p>{}</p><input></form>", "<center>{}</center>",
     "<aside><h3>Facts</h3><p>{}</p></aside>", "<details><summary>More</summary>{}</details>", "<section>{}</section>",
     "<fieldset><legend>Mill</legend>{}</fieldset>", "<legend>{}</legend>", "<address>{}</address>",
     "<dialog open>{}</dialog>",
     "<menu><li>{}</li></menu>", "<my-box>{}</my-box>", "<div>{}</div>", "<marquee>{}</marquee>",
     "<map><p>{}</p></map>",
     "<font>{}</font>", "<xmp>{}</xmp>", "<noindex>{}</noindex>", "<blockquote>{}</blockquote>", "<pre>{}</pre>", "{}"],
)  # fmt: skip
@pytest.mark.parametrize("frame", ["<article>{}</article>", "<form id=aspnetForm>{}</form>", "{}"])
def test_prose_is_read_wherever_it_stands(holder, frame):
    body = frame.format(AROUND + holder.format(MILL) + AROUND)
    data = f"<html><head><title>Camp</title></head><body>{body}</body></html>".encode()
    said = "\n".join(section.text for section in parse("html", data).sections)
    assert said.split("\n").count(MILL) == 1
    assert MILL in "".join(section.text for section in extract(data, "text/html").sections)


@pytest.mark.parametrize(
    "inside",
    ["<aside><ul><li><a href=a>Fifty more mills that are worth a visit.</a></li></ul></aside>",
     "<template>{}</template>",
     "<form><label>Your name</label><input><button>Send</button></form>", "<noscript><p>{}</p></noscript>",
     "<video>{}</video>", "<dialog><p>{}</p></dialog>", "<figure><figcaption>Photo: A. Miller</figcaption></figure>",
     "<p class='d-none'>{}</p>", "<select><option>{}</option></select>"],
)  # fmt: skip
def test_what_is_for_use_or_unseen_is_not_read(inside):
    assert lines(AROUND + inside.format(MILL)) == lines(AROUND)


def test_words_in_a_line_are_whole_and_all_there():
    said = "<p>On <time>May 3</time> in <span class=c><time>1811</time></span> the <label>new</label> "
    said += "<output>mill</output> b<b>ur</b>n<wbr>ed<ruby>!<rt>x</rt></ruby></p>"
    assert lines(said) == ["On May 3 in 1811 the new mill burned!"]
    assert lines("<p>She said <q>yes, <b>now</b></q>, and <q>„no“</q>.</p>") == ["She said “yes, now”, and „no“."]
    said = "Visit us:<address>12 Mill Road</address>Open. It is open in the morning."
    assert lines(said)[:2] == ["Visit us:", "12 Mill Road"]


def test_a_page_of_frames_says_what_stands_for_them():
    data = f"<html><frameset><frame src=a><noframes><body><p>{MILL}</p></body></noframes></frameset></html>"
    assert parse("html", data.encode()).sections == (Section((), MILL),)
    assert lines(f"<noframes><p>{MILL}</p></noframes>") == []


def test_a_box_of_facts_is_read():
    box = "<aside><h3>Facts</h3><ul><li>Height: 9 m</li><li>Wheels: <a href=x>two</a></li></ul></aside>"
    assert lines(AROUND + box + AROUND)[20:23] == ["Facts", "Height: 9 m", "Wheels: two"]


def test_what_stands_beside_prose_comes_with_it():
    inside = f"<div>{MILL}</div><div>Height: 9 m</div><div>Wheels: 2</div>"
    assert lines(AROUND + inside)[-3:] == [MILL, "Height: 9 m", "Wheels: 2"]


def test_a_page_without_a_frame_keeps_its_headings():
    data = f"<html><body><h1>Mills</h1>{AROUND}<h2>Xanten</h2><p>{MILL}</p></body></html>".encode()
    assert parse("html", data).sections[-1] == Section(("Xanten",), MILL)


def test_tables_that_only_lay_out_leave_paragraphs_and_headings():
    data = f"<html><body><table><tr><td>Menu</td><td><h1>Mills</h1><p>{MILL}</p><h2>Then</h2>{AROUND}</td></tr></table>"
    found = parse("html", data.encode()).sections
    assert MILL in found[0].text.split("\n") and found[1].path == ("Then",) and len(found[1].text.split("\n")) == 20


    column = "".join(f"<tr><td>Mill {n} <code>&lt;a{n}&gt;</code></td></tr>" for n in range(3))
    assert lines(f"{AROUND}<table>{column}</table>")[-3:] == ["Mill 0 <a0>", "Mill 1 <a1>", "Mill 2 <a2>"]


def test_long_text_that_a_page_has_twice_is_read_once_under_its_heading():
    assert lines(f"<p>{MILL}</p><p>Yes.</p><div><p>{MILL}</p></div><p>Yes.</p>") == [MILL, "Yes.", "Yes."]
    assert lines(f"<h2>A</h2><p>{MILL}</p><h2>B</h2><p>{MILL}</p>")[:4] == ["A", MILL, "B", MILL]


def test_what_stands_over_details_is_a_heading():
    inside = f"<details><summary>When was it built?</summary><p>{MILL}</p></details>"
    assert lines(f"<h2>Questions</h2>{inside}")[:3] == ["Questions", "When was it built?", MILL]
    inside = f"<details><summary><a>Source</a><h3>fn build()</h3></summary><div>{MILL}</div></details>"
    assert lines(f"<h2>Functions</h2>{inside}")[:3] == ["Functions", "fn build()", MILL]


@pytest.mark.parametrize("link", ["<a href=x></a>", "<a href=x><img></a>", "<button>copy</button>"])
def test_a_piece_of_code_with_something_to_use_is_read_without_that(link):
    assert lines(f"{AROUND}<div><pre><code>grind(corn)</code>{link}</pre>{link}</div>")[-1] == "grind(corn)"


@pytest.mark.parametrize(
    ("begin", "end", "times"),
    [("<p><font>", "", 300), ("<div>", "</div>", 400), ("<p>a <font><b>", "", 1100), ("<div>", "", 2100),
     ("<x-y>", "", 400),
     ("<ul><li>", "</li></ul>", 400), ("<table><tr><td>", "</td></tr></table>", 300), ("<section><a>", "", 400)],
)  # fmt: skip
def test_text_is_read_however_deep_it_lies(begin, end, times):
    data = f"<html><body><p>{BEFORE}</p>{begin * times}<h2>Mill</h2><p>{MILL}</p>{end * times}<p>{AFTER}</p>".encode()
    said = [line for section in parse("html", data).sections for line in section.text.split("\n")]
    assert said[0] == BEFORE and said[-2:] == [MILL, AFTER]


def test_what_lies_too_deep_is_told():
    data = f"<html><body><p>{BEFORE}</p>".encode() + b"<blockquote>" * 2100 + b"x"
    assert parse("html", data).notes == (CUT,) and extract(data, "text/html").left_out == CUT


def test_words_in_the_middle_of_a_sentence_stay_whatever_they_are_called():
    names = ("author", "meta", "tags", "rating", "timestamp", "social-name", "date")
    words = " and ".join(f"<span class={name}>{name}</span>" for name in names)
    assert lines(f"{AROUND}<p>The mill has {words}, <meter>7 of 10</meter> full.</p>")[-1] == (
        f"The mill has {' and '.join(names)}, 7 of 10 full."
    )


@pytest.mark.parametrize("name", ["rating", "author", "tags", "social"])
def test_items_stay_whatever_they_are_called(name):
    assert lines(f"{AROUND}<ul><li class={name}>Wheels: 5</li><li>Height: 9 m</li></ul>")[-2:] == [
        "Wheels: 5", "Height: 9 m",
    ]  # fmt: skip


def test_captions_that_are_sentences_are_read_whatever_they_are_called():
    inside = "<div id=caption-9 class=wp-caption><img src=a><p class=wp-caption-text>{}</p></div>"
    assert lines(AROUND + inside.format(MILL))[20:] == [MILL]
    assert lines(AROUND + inside.format("The mill. Photo: A. Miller")) == lines(AROUND)


@pytest.mark.parametrize(
    ("markup", "said"),
    [("<mjx-container><mjx-math aria-hidden=true><mjx-mi>x</mjx-mi></mjx-math><mjx-assistive-mml><math><mi>x</mi>"
      "<mo>=</mo><mn>5</mn></math></mjx-assistive-mml></mjx-container>", "x = 5"),
     ("<span class=katex><span class=katex-html aria-hidden=true><i>y</i><i>=</i><i>6</i></span></span>", "y=6"),
     ("<img class=mwe-math-fallback-image-inline alt='z=7'>", "z = 7"), ("<img class=photo alt='z=7'>", "")],
)  # fmt: skip
def test_formulas_stand_in_their_sentence(markup, said):
    found = lines(f"{AROUND}<p>It holds that {markup} there.</p>")[-1]
    assert found.split() == ["It", "holds", "that", *said.split(), "there."]


def test_a_term_that_is_a_time_is_read():
    assert lines(f"{AROUND}<dl><dt><time>1902</time></dt><dd>{MILL}</dd></dl>")[-2:] == ["1902", MILL]
