"""Answers as Markdown, BibTeX and a page: what they say, and that nothing in them is more than text."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt
from PIL import Image

from app.service.answer_formats import Told, as_bibtex, as_markdown, cited
from app.service.answer_page import as_page
from generator.answers import LOOSE, Answer, Citation
from tests.support.page import HERON, HOSTILE, QUOTE, passage, result


def answered(text: str = f"{QUOTE} [1]", quotes: tuple[str, ...] = (QUOTE,), **changes):
    one = passage(1, **changes)
    places = [(one.text.index(quote), quote) for quote in quotes]
    citations = tuple(Citation(1, one.id, quote, start, start + len(quote)) for start, quote in places)
    found = replace(result(), question="How tall?", passages=(one, passage(2)), answer=Answer(text, citations, True))
    return Told.of(json.loads(json.dumps(found.as_dict())))


class Read(HTMLParser):
    """The elements of a page, its text, and what its elements say of themselves."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.text, self.values = [], "", []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += attrs

    def handle_data(self, data):
        self.text += data


def test_markdown_reads_as_the_answer_does():
    said = as_markdown(answered())
    shown = Read(MarkdownIt().render(said)).text
    assert "How tall?" in shown and f"{QUOTE} [1]" in shown and "Grey heron" in shown and "CC BY-SA 4.0" in shown
    assert "<https://example.org/heron>" in said and "answered by" in shown


@pytest.mark.parametrize("text", [HOSTILE, "# no heading", "1. no list\n- none", "a | b | c", "2 * 3 * 4", "![x](y)"])
def test_markdown_of_what_looks_like_markup_is_text(text):
    one = answered(text)
    one = replace(one, question=text.splitlines()[0], passages=(replace(one.passages[0], title=text),))
    read = Read(MarkdownIt("commonmark", {"html": True}).enable("table").render(as_markdown(one)))
    assert not set(read.tags) & {"script", "img", "h1", "ul", "table"} and read.tags.count("a") == 1
    assert text.split()[0] in read.text and text.split()[-1] in read.text


def test_no_answer_says_why():
    one = replace(answered(), text="I do not know.", citations=(), answered=False, reason=LOOSE)
    assert f"No answer: {LOOSE}" in Read(MarkdownIt().render(as_markdown(one))).text
    assert f"No answer: {LOOSE}" in Read(as_page(one, None)).text
    assert as_bibtex(one) == ""


def test_bibtex_has_an_entry_a_source_and_no_commands():
    one = answered(title=r"100 % \input{x} & {more_}", licence="CC BY-SA 4.0", url="https://example.org/a_{b}%20c")
    said = as_bibtex(one)
    assert said.count("@misc{") == 1 and r"100 \% \textbackslash{}input\{x\} \& \{more\_\}" in said
    assert "url = {https://example.org/a_%7Bb%7D%20c}" in said
    without = re.sub(r"\\[{}]", "", said)
    assert without.count("{") == without.count("}")


def test_a_source_has_the_same_key_in_every_answer_and_no_other_has_it():
    key = lambda one: re.search(r"@misc\{(.+),", as_bibtex(one))[1]  # noqa: E731
    one = answered(title="Château d’If (1531)")
    assert re.fullmatch(r"chateau-dif-1531-[0-9a-f]{8}", key(one))
    second = replace(one.passages[0], rank=2)
    cited_second = replace(one, passages=(second,), citations=tuple(replace(each, number=2) for each in one.citations))
    assert key(cited_second) == key(one)
    assert key(replace(one, passages=(replace(one.passages[0], id="another"),))) != key(one)
    for title in ("狮子", "x" * 500, "}, @comment{"):
        assert re.fullmatch(r"[a-z0-9-]{9,40}", key(answered(title=title)))


def test_quotes_within_quotes_are_said_once():
    [(found, quotes)] = cited(answered(quotes=("100 cm tall", QUOTE, "100 cm")))
    assert found.rank == 1 and quotes == [QUOTE]


def test_the_page_needs_nothing_and_runs_nothing():
    one = answered(HOSTILE)
    one = replace(one, question=HOSTILE, passages=(replace(one.passages[0], title=HOSTILE, licence=HOSTILE),))
    page = as_page(one, Image.new("RGB", (2000, 1000), "red"))
    read = Read(page)
    assert not set(read.tags) & {"script", "iframe", "link"} and read.tags.count("img") == 1
    addresses = [value for name, value in read.values if name in ("src", "href")]
    assert all(value.startswith(("data:image/jpeg;base64,", "https://")) for value in addresses)
    assert not any(name.startswith("on") for name, _ in read.values)
    assert "default-src 'none'" in page and HOSTILE.split("<")[0] in read.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x07]", page)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "file:///etc/passwd", "https://a b", 'https://a"b', "//x", ""])
def test_only_addresses_of_the_web_are_links(url):
    one = answered(url=url)
    assert "a" not in Read(as_page(replace(one, passages=one.passages[:1]), None)).tags
    assert f"<{url}>" not in as_markdown(one) and "url =" not in as_bibtex(one)


def test_quotes_are_marked_in_the_passage():
    assert f"<mark>{QUOTE}</mark>" in as_page(answered(), None)
    page = as_page(answered("x", ("100 cm tall", QUOTE[3:], "Herons eat")), None)
    assert re.findall("<mark>(.*?)</mark>", page) == [QUOTE[3:], "Herons eat"]
    assert HERON in Read(page).text
