"""A folder of documents: what each kind gives, what is refused, and that nothing outside is read and nothing hangs."""

from __future__ import annotations

import os
import subprocess
import zlib
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.problems import Problem
from kb.chunking import Cutting
from kb.ingest import ingest
from kb.records import DocumentRecord, Note, Section, Skipped
from kb.sources import file_text, folder
from kb.sources.file_text import Parsed, Parser, parse
from kb.sources.outline import Shown
from tests.support.pdf import pdf

LION = """<!doctype html><html><head><title>Lions - A site</title><style>p {color: red}</style>
<script>var secret = 1;</script></head><body><nav><a href="/">Home</a></nav><article><h1>Lions</h1>
<p>The lion is a large cat of the genus Panthera, native to Africa and India, which lives in prides of several
animals.</p><h2>Hunting</h2><p>Lions hunt in groups at night, mostly antelopes and zebras, and rest for about twenty
hours of the day, as observers report.</p><ul><li>first prey</li><li>second prey</li></ul><h3>Prey</h3><p>Prey weighs
between 190 and 550 kilograms in most cases, as studies of many prides have shown.</p>
<table><tr><th>animal</th><th>weight</th></tr><tr><td>zebra</td><td>300</td></tr></table></article></body></html>"""


def write(base: Path, files: dict[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return base


def taken(base: Path, **named) -> dict[str, DocumentRecord | str]:
    """What comes of a folder: records by key, reasons by place."""
    total, found = folder.source(base, "mine", **named).read(base)
    found = list(found)
    assert total <= len(found) and all(each.why.endswith(".") for each in found if isinstance(each, Skipped))
    found = [each for each in found if not isinstance(each, Note)]
    return {each.key if isinstance(each, DocumentRecord) else each.where: getattr(each, "why", each) for each in found}


def why(kind: str, content: bytes) -> str:
    with pytest.raises(Problem) as problem:
        parse(kind, content)
    return str(problem.value)


@pytest.fixture
def base(tmp_path):
    return tmp_path / "documents"


def test_a_folder_with_each_kind_of_document(base):
    write(
        base,
        {
            "zebra.md": "# Zebra\n\nStriped.\n\n## Life\n\nIn *herds*.\n",
            "a lion.html": LION,
            "sub/deep/Old_Notes.TXT": "\ufeffOne line\nof two.\n\nA second paragraph.\n",
            "b.pdf": pdf("Apples are\nred.", "Pears are green.", title="On fruit"),
            "picture.png": b"\x89PNG",
            "archive.zip": b"PK\x03\x04",
            ".hidden.txt": "hidden",
            ".git/notes.txt": "hidden",
        },
    )
    found = taken(base, licence="CC0", language="en")
    assert [getattr(each, "title", each) for each in found.values()] == ["Lions", "On fruit", "Old Notes", "Zebra"]
    html, pdf_file, txt, md = found.values()
    assert list(found)[1:] == ["b.pdf", "sub/deep/Old_Notes.TXT", "zebra.md"] and html.key.startswith("a_lion.html~")
    assert all(each.licence == "CC0" and each.language == "en" and each.texts == () for each in found.values())
    assert md.sections == (Section((), "Striped."), Section(("Life",), "In herds."))
    assert txt.sections == (Section((), "One line of two.\nA second paragraph."),)
    assert pdf_file.sections == (Section(("page 1",), "Apples are red."), Section(("page 2",), "Pears are green."))
    prey = ("Hunting", "Prey")
    assert [section.path for section in html.sections] == [(), ("Hunting",), prey, (*prey, "Table")]
    assert html.sections[1].text.endswith("\nfirst prey\nsecond prey")
    assert html.sections[3].text == "animal: zebra; weight: 300"
    assert "secret" not in str(html) and "color" not in str(html) and "Home" not in str(html)
    assert taken(base, licence="CC0", language="en") == found


def test_files_of_other_kinds_are_counted_in_a_note_at_the_end(base, catalogue):
    page = '<?xml version="1.0" encoding="UTF-8"?><html xmlns="http://www.w3.org/1999/xhtml"><p>Größe.</p></html>'
    write(base, {"a.odt": b"PK", "b/c.ODT": b"PK", "d.rtf": b"{", ".hidden.rtf": "", "LICENSE": "x"})
    with pytest.raises(Problem, match=r"no file of .*, and no picture.* \(2 \.odt, 1 \.rtf, 1 without one\); t"):
        ingest(catalogue, folder.source(base, "mine"), base)
    write(base, {"e.xhtml": page})
    document, note = folder.source(base, "mine").read(base)[1]
    assert document.sections == (Section((), "Größe."),)
    assert note.whole and "2 .odt" in note.said and "taken are .txt, .md," in note.said
    assert folder.preview(base, 5) == [document]


def test_nothing_outside_the_folder_is_read(base, tmp_path):
    write(tmp_path, {"secret.txt": "secret", "out/secret.txt": "secret", "documents/in.txt": "inside"})
    (base / "a.txt").symlink_to(tmp_path / "secret.txt")
    (base / "b").symlink_to(tmp_path / "out")
    (base / "c").symlink_to("..")
    (base / "d.md").symlink_to("d.md")
    (base / "e.txt").symlink_to("in.txt")
    os.mkfifo(base / "f.txt")
    found = taken(base)
    assert list(found) == ["a.txt", "b", "c", "d.md", "e.txt", "in.txt"] and "secret" not in str(found.values())
    assert all("links are not followed" in reason for place, reason in found.items() if place != "in.txt")


def test_a_file_that_becomes_a_link_or_goes_away_meanwhile(base, tmp_path):
    write(tmp_path, {"secret.txt": "secret", "documents/a.txt": "a", "documents/b.txt": "b", "documents/c.txt": "c"})
    _, found = folder.source(base, "mine").read(tmp_path)
    (base / "a.txt").unlink()
    (base / "a.txt").symlink_to(tmp_path / "secret.txt")
    (base / "b.txt").unlink()
    os.mkfifo(base / "c2")
    (base / "c2").rename(base / "c.txt")
    reasons = [each.why.split("(")[0] for each in found]
    assert reasons == ["It cannot be read ", "It cannot be read ", "It is not a file."]


def test_what_cannot_be_taken_is_named_and_the_rest_is_given(base, monkeypatch):
    monkeypatch.setitem(folder.MOST_BYTES, "txt", 1 << 20)
    write(
        base,
        {
            "1.txt": "größer über Äpfel, älter".encode() + b"\xe9",
            "2.txt": b"nul\0",
            "3.txt": " \n\n ",
            "4.txt": "x" * ((1 << 20) + 1),
            "5.pdf": b"%PDF-1.4 nonsense",
            "6.html": "",
            "7.md": "",
            "/".join("d" * 70) + "/8.txt": "deep",
            "9 \n9.txt": "good",
        },
    )
    found = taken(base)
    reasons = [each if isinstance(each, str) else each.title for each in found.values()]
    expected = ["UTF-8 but for byte 30", "NUL", "no text", "than 1 MB", "not a PDF", "", "no text", "9 9", "64 folders"]
    assert len(reasons) == len(expected)
    for reason, part in zip(reasons, expected, strict=True):
        assert part in reason
    assert all("\n" not in place for place in found)


def test_the_keys_of_what_is_skipped_are_told(base, monkeypatch):
    write(base, {"my notes/a.txt": "one", "big.txt": "x" * 100, "deep/b/c.txt": "two"})
    monkeypatch.setitem(folder.MOST_BYTES, "txt", 50)
    monkeypatch.setattr(folder, "_MOST_DEEP", 1)
    _, found = folder.source(base, "mine").read(base)
    found = list(found)
    [document] = [each for each in found if isinstance(each, DocumentRecord)]
    assert document.key.startswith("my_notes/a.txt~")
    assert {each.where: each.key for each in found if isinstance(each, Skipped)} == {
        "big.txt": "big.txt", "deep/b": "deep/b/",
    }  # fmt: skip


def test_a_folder_that_cannot_be_used_is_refused(base, tmp_path):
    write(tmp_path, {"a.png": b"x"})
    for place, said in ((base, "does not exist"), (tmp_path / "a.png", "not a folder")):
        with pytest.raises(Problem, match=said):
            folder.source(place, "mine").read(tmp_path)
    with pytest.raises(Problem, match="does not exist"):
        folder.preview(base, 3)


def test_a_folder_without_documents_is_refused_unless_they_were_taken_away(base, tmp_path, catalogue):
    write(base, {"a.md": "text", "b.md": "text"})
    source = folder.source(base, "mine")
    cutting = Cutting(lambda texts: [len(text.split()) for text in texts], lambda text: [text])
    assert ingest(catalogue, source, tmp_path, cutting=cutting).added == 2
    for file in base.iterdir():
        file.unlink()
    with pytest.raises(Problem, match="holds no file of the kinds"):
        ingest(catalogue, source, tmp_path, cutting=cutting)
    assert catalogue.count("mine") == 2
    assert ingest(catalogue, source, tmp_path, cutting=cutting, emptied=True).removed == 2
    assert catalogue.count("mine") == 0


def test_a_preview_looks_at_no_more_than_it_needs(base, monkeypatch):
    write(base, {f"{n:03}.txt": f"text {n}" for n in range(50)} | {f"sub{n}/x.txt": "x" for n in range(50)})
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(folder.os, "scandir", lambda path: listed.append(path) or scandir(path))
    assert [each.key for each in folder.preview(base, 3)] == ["000.txt", "001.txt", "002.txt"]
    assert len(listed) == 1
    assert len(folder.preview(base, 1000)) == 100


def test_markdown_as_sections():
    page = """---
title: "The title"
tags: [a]
---
Lead with `code`, [a link](https://e.org) and ![a picture](p.png).

# One
Setext
------
> quoted
> text

1. first
2. second <b>bold</b>

| a | b |
|---|---|
| 1 | *2* |

<script>alert(1)</script>

```python
print(1)
```
# Two
end
"""
    assert parse("md", page.replace("\n", "\r\n").encode()) == Parsed(
        "The title",
        (
            Section((), "Lead with code, a link and a picture.", (0,), places=(35,)),
            Section(("One", "Setext"), "quoted text\nfirst\nsecond bold"),
            Section(("One", "Setext", "Table"), "a: 1; b: 2"),
            Section(("One", "Setext"), "print(1)"),
            Section(("Two",), "end"),
        ),
        pictures=(Shown("p.png", "a picture"),),
    )
    assert parse("md", b"## First\ntext\n## Second\nmore") == Parsed(
        "First", (Section(("First",), "text"), Section(("Second",), "more"))
    )


def test_web_pages_in_other_encodings_and_small_ones():
    assert parse("html", b"<meta charset=iso-8859-2><p>\xb3\xf3d\xbc").sections[0].text == "łódź"
    assert parse("html", b"<p>caf\xe9 \x93quoted\x94").sections[0].text == "café “quoted”"
    assert parse("html", b"<meta charset=zlib><p>caf\xe9").sections[0].text == "café"
    assert parse("html", b"<meta charset=utf-8><p>caf\xe9").notes[0].startswith("It was read as windows-1252, which")
    assert parse("html", "<title>Ä</title><p>tiny 斑马".encode("utf-16")) == Parsed("Ä", (Section((), "tiny 斑马"),))
    tiny = parse("html", b"<h1>Hi</h1><script>secret()</script><style>x</style><p>Small &lt;b&gt; page")
    assert tiny.title == "Hi" and "Small <b> page" in tiny.sections[0].text and "secret" not in str(tiny)
    packed = zlib.compress(LION.encode(), wbits=31)
    try:
        assert "Panthera" not in str(parse("html", packed))
    except Problem:
        pass


@pytest.mark.parametrize(
    ("markdown", "title", "text"),
    [
        ("---\nProse, of more\nlines.\n---\nRest.", "", "Prose, of more lines.\nRest."),
        ("---\n\nHours: 9 to 5, and\nmore.\n\n---\nRest.", "", "Hours: 9 to 5, and more.\nRest."),
        ("---\n# Cats\n\nPurr.\n---\nRest.", "Cats", "Purr.\nRest."),
        ("---\n- one\n- two\n---\nRest.", "", "one\ntwo\nRest."),
        ("---\n---\nRest.", "", "Rest."),
        ('+++\ntitle = "Cats"\n[extra]\nof = 1\n+++\nRest.', "Cats", "Rest."),
        ("+++\nProse, of more.\n+++\nRest.", "", "+++ Prose, of more. +++ Rest."),
        ("It is big[^1], `a[^1]`.\n\n[^1]: So says Olm.", "", "It is big, a[^1].\nSo says Olm."),
        ("---\n# of: a program\ntitle: Cats\ntags:\n- a\nabout: >\n  long\n\nof: [a,\n]\n---\nRest.", "Cats", "Rest."),
    ],
)  # fmt: skip
def test_text_between_two_rules_is_no_front_matter(markdown, title, text):
    found = parse("md", markdown.encode())
    assert (found.title, "\n".join(section.text for section in found.sections)) == (title, text)


def test_exponents_in_web_pages_and_markdown():
    page = LION.replace("<td>300</td>", "<td>3 × 10<sup>2</sup></td>").replace("<h3>Prey", "<h3>Prey of 10<sup>2</sup>")
    page = page.replace("large cat", "cat of 10<sup>&minus;9</sup> m<sup>2</sup>, H<sub>2</sub>O, 19<sup>th</sup>[1]")
    found = parse("html", page.encode()).sections
    assert "cat of 10⁻⁹ m², H2O, 19th[1]" in found[0].text
    assert found[2].path[-1] == "Prey of 10²" and found[3].text.endswith("zebra; weight: 3 × 10²")
    assert parse("html", b"<p>10<sup>30</sup> kg").sections[0].text == "10³⁰ kg"
    note = "## Mass 10<sup>3</sup>\n2 × 10<sup>30</sup> kg <b>of</b> H<sub>2</sub>O, 19<sup>th</sup>\n\n`a<sup>2</sup>`"
    assert parse("md", note.encode()) == Parsed(
        "Mass 10³", (Section((), "2 × 10³⁰ kg of H2O, 19th\na<sup>2</sup>"),)
    )


def test_texts_too_long_are_cut_and_that_is_said(monkeypatch):
    monkeypatch.setattr(file_text, "MOST_CHARACTERS", 10)
    assert "more than 10 characters" in why("txt", b"much too long a text")
    assert parse("md", b"# A\nshort\n# B\nshort too").notes == ("What follows its first 10 characters is left out.",)


def test_what_was_left_out_of_a_document_comes_after_it(base):
    bomb = zlib.compress(b"q" + b" " * 160_000_000)
    pages = pdf("one", b"-", "three").replace(b"/Length 1 >>\nstream\n-", b"@")
    assert pages.count(b"@") == 1
    pages = pages.replace(b"@", b"/Filter /FlateDecode /Length %d >>\nstream\n%s" % (len(bomb), bomb))
    write(base, {"a.pdf": pages, "b.txt": "b"})
    found = list(folder.source(base, "mine").read(base)[1])
    assert [type(each) for each in found] == [DocumentRecord, Note, DocumentRecord]
    assert [section.path for section in found[0].sections] == [("page 1",), ("page 3",)]
    assert found[1] == Note("a.pdf", "Page 2 is left out in part: too large a drawing.")


def test_a_bomb_in_a_pdf_is_not_unpacked_and_the_next_document_is_read():
    bomb = pdf(b"q " * 80_000_000, packed=True)
    assert len(bomb) < 1 << 20
    with closing(Parser(60)) as parser:
        with pytest.raises(Problem, match="too large"):
            parser.parse("pdf", bomb)
        assert parser.parse("pdf", pdf("good")).sections[0].text == "good"


def test_a_document_that_takes_too_long_or_ends_the_process_is_left(tmp_path):
    slow = pdf(b"BT /F1 12 Tf " + b"(a) Tj 1 1 Td " * 200_000 + b"ET")
    with closing(Parser(60)) as parser:
        assert parser.parse("md", b"good").sections[0].text == "good"
        first = parser.process.popen
        parser.process.seconds = 0.2
        with pytest.raises(Problem, match="longer than 0.2 seconds"):
            parser.parse("pdf", slow)
        assert first.returncode is not None
        parser.process.seconds = 60
        assert parser.parse("md", b"good").sections[0].text == "good"
        second = parser.process.popen
        second.kill()
        with pytest.raises(Problem, match="broke down"):
            parser.parse("md", b"x" * 1_000_000)
        assert parser.parse("md", b"good").sections[0].text == "good"
        third = parser.process.popen
    assert third.returncode is not None and len({first.pid, second.pid, third.pid}) == 3


def test_the_process_ends_with_a_reader_that_stops_early(base, monkeypatch):
    started = []
    popen = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(popen(*a, **k)) or started[-1])
    write(base, {f"{n}.md": "text" for n in range(9)})
    _, found = folder.source(base, "mine").read(base)
    next(found)
    found.close()
    assert len(started) == 1 and started[0].returncode is not None


@pytest.fixture(scope="module")
def parser():
    with closing(Parser(30)) as parser:
        yield parser


pieces = st.sampled_from(
    ["# ", "\n", "> ", "- ", "| ", "---\n", "```", "<p>", "<h1>", "</h1>", "<table>", "&", "\0", "*", "[x](y)", "a"]
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["txt", "md", "html", "pdf"]),
    data=st.one_of(
        st.binary(max_size=300),
        st.lists(pieces, max_size=40).map("".join).map(str.encode),
        st.tuples(st.integers(0, 600), st.binary(max_size=20)).map(
            lambda cut: (good := pdf("Some text.", title="T"))[: cut[0]] + cut[1] + good[cut[0] + len(cut[1]) :]
        ),
    ),
)
def test_arbitrary_bytes_are_parsed_or_refused_with_a_sentence(parser, kind, data):
    try:
        parsed = parser.parse(kind, data)
        assert parsed.sections and all(section.text.strip() for section in parsed.sections)
        parsed.title.encode()
    except Problem as problem:
        assert str(problem).endswith(".") and "requirements.txt" not in str(problem)
