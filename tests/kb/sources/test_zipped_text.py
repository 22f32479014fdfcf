"""Documents of Word's and books in EPUB: what they say in its order, and what is refused of them."""

from __future__ import annotations

from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import pytest

from common.problems import Problem
from kb.records import Section
from kb.sources import zipped_text
from kb.sources.file_text import Parsed, parse

WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
PAGE = (
    '<?xml version="1.0" encoding="utf-8"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>x</title></head>'
    "<body>{}</body></html>"
)
CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'


def zipped(parts: dict[str, str]) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as packed:
        for name, said in parts.items():
            packed.writestr(name, said)
    return file.getvalue()


def word(body: str) -> bytes:
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="berschrift{n}"><w:name w:val="heading {n}"/></w:style>' for n in (1, 2)
    )
    relations = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    return zipped(
        {
            "[Content_Types].xml": "<Types/>",
            "_rels/.rels": relations.format(
                f'<Relationship Id="a" Type="{kind}/officeDocument" Target="word/document.xml"/>'
            ),
            "word/_rels/document.xml.rels": relations.format(
                f'<Relationship Id="b" Type="{kind}/styles" Target="styles.xml"/>'
            ),
            "word/styles.xml": f"<w:styles {WORD}>{styles}</w:styles>",
            "word/document.xml": f"<w:document {WORD}><w:body>{body}</w:body></w:document>",
        }
    )


def line(text: str, style: int = 0) -> str:
    of = f'<w:pPr><w:pStyle w:val="berschrift{style}"/></w:pPr>' if style else ""
    return f"<w:p>{of}<w:r><w:t>{text}</w:t></w:r></w:p>"


def book(pages: dict[str, str], more: dict[str, str] | None = None, order: str = "") -> bytes:
    items = "".join(
        f'<item id="{n}" href="{name.replace(" ", "%20")}" media-type="application/xhtml+xml"/>'
        for n, name in enumerate(pages)
    )
    spine = "".join(f'<itemref idref="{n}"/>' for n in order or range(len(pages)))
    about = '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>The Mill</dc:title></metadata>'
    opf = f"<package>{about}<manifest>{items}</manifest><spine>{spine}</spine></package>"
    parts = {"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": opf}
    return zipped(parts | {f"OEBPS/{name}": PAGE.format(said) for name, said in pages.items()} | (more or {}))


def why(kind: str, data: bytes) -> str:
    with pytest.raises(Problem) as problem:
        parse(kind, data)
    return str(problem.value)


def test_a_document_of_words():
    rows = "".join(
        "<w:tr>" + "".join(f"<w:tc>{line(cell)}</w:tc>" for cell in row) + "</w:tr>"
        for row in (("animal", "weight"), ("zebra", "300"), ("gnu", "200"))
    )
    inserted = "<w:p><w:ins><w:r><w:t>Größer</w:t></w:r></w:ins><w:r><w:t> than before.</w:t></w:r></w:p>"
    body = line("Lions", 1) + inserted + line("Prey", 2) + line("Zebras.") + f"<w:tbl>{rows}</w:tbl>" + line("Fish.")
    assert parse("docx", word(body)) == Parsed(
        "Lions",
        (
            Section((), "Größer than before."),
            Section(("Prey",), "Zebras."),
            Section(("Prey", "Table"), "animal: zebra; weight: 300\nanimal: gnu; weight: 200"),
            Section(("Prey",), "Fish."),
        ),
    )


def test_a_book_comes_in_its_own_order_each_page_once():
    pages = {
        "b c.xhtml": "<section><h2>Two</h2><div><p>The <b>end</b>.</p></div></section>",
        "a.xhtml": "Loose <!-- x --> text.<h2>One</h2><p>It grinds 10<sup>3</sup> sacks.</p><script>secret</script>",
        "c.xhtml": "<p>not in the book</p>",
    }
    found = parse("epub", book(pages, order="1010"))
    assert (found.title, [section.path for section in found.sections]) == ("The Mill", [(), ("One",), ("Two",)])
    assert [section.text for section in found.sections] == ["Loose text.", "It grinds 10³ sacks.", "The end."]


def test_what_is_none_or_too_large_is_refused(monkeypatch):
    for kind in ("docx", "epub"):
        assert "no zip file" in why(kind, b"PK nonsense")
        assert why(kind, word("") if kind == "docx" else book({"a.xhtml": ""})) == "It has no text."
    assert "not a document of Word" in why("docx", zipped({"a": "b"}))
    locked = '<encryption><CipherReference URI="OEBPS/b%20c.xhtml"/><CipherReference URI="font.otf"/></encryption>'
    about = {"META-INF/encryption.xml": locked}
    assert "protected against being copied" in why("epub", book({"b c.xhtml": "x"}, about))
    assert parse("epub", book({"a.xhtml": "x"}, about)).sections == (Section((), "x"),)
    assert "is missing" in why("epub", word(""))
    monkeypatch.setattr(zipped_text, "MOST_UNPACKED", 1 << 20)
    for kind, made in (("docx", word(line("x" * (1 << 20)))), ("epub", book({"a.xhtml": "x" * (1 << 20)}))):
        assert len(made) < 10_000 and "unpacks to more than 1 MB" in why(kind, made)
