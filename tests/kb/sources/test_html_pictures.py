"""Pictures of web pages in folders: in the section they stand in, captions, and what is there for the look alone."""

from __future__ import annotations

from kb.sources.file_text import parse
from kb.sources.outline import Shown
from tests.kb.sources.test_folder_pictures import documents, write

PROSE = "The zebra is a striped animal of the plains of Africa, where it lives in herds of many families together. "
PAGE = f"""<!doctype html><html><head><title>Zebra</title></head><body>
<header><img src="logo.png" alt="Logo"></header><nav><h2>Menu</h2><img src="menu.png"></nav>
<article><h1>Zebra</h1><p>{PROSE * 2}</p>
<figure><img src="img/z%201.jpg" alt="x"><figcaption>A <b>zebra</b></figcaption></figure>
<h2>Life</h2><p>{PROSE.replace("striped", "social") * 2}</p><p><img src="herd.png" alt="The herd">
<img src="dot.gif" width="1"> <img src="data:image/png;base64,AAAA"></p>
<h2>Elsewhere</h2><p>{PROSE.replace("striped", "travelled") * 2}</p><img src="https://example.org/far.jpg">
</article><footer><h2>About</h2><img src="foot.png"></footer></body></html>"""


def test_each_stands_in_its_section_and_what_is_for_the_look_is_left_out():
    read = parse("html", PAGE.encode())
    assert read.pictures == (
        Shown("img/z%201.jpg", "A zebra"), Shown("herd.png", "The herd"), Shown("https://example.org/far.jpg"),
    )  # fmt: skip
    assert [(section.path, section.pictures) for section in read.sections] == [
        ((), (0,)), (("Life",), (1,)), (("Elsewhere",), (2,)),
    ]  # fmt: skip


def test_the_text_is_what_it_is_without_them():
    import re

    without = re.sub(r"<figure>.*?</figure>|<img[^>]*>", "", PAGE)
    texts = [section.text for section in parse("html", PAGE.encode()).sections]
    assert [text.replace("\nA zebra", "") for text in texts] == [
        section.text for section in parse("html", without.encode()).sections
    ]


def test_a_page_of_little_more_than_a_picture():
    read = parse("html", b"<html><body><main><img src=a.png alt='A vase'><p>A vase.</p></main></body></html>")
    assert read.pictures == (Shown("a.png", "A vase"),) and read.sections[0].pictures == (0,)


def test_from_a_folder(tmp_path):
    write(tmp_path, {"pages/zebra.html": PAGE, "pages/img/z 1.jpg": b"z", "pages/herd.png": b"h"})
    [zebra] = documents(tmp_path).values()
    assert [(each.name, each.read and each.read()) for each in zebra.pictures] == [
        ("pages/img/z 1.jpg", b"z"), ("pages/herd.png", b"h"), ("https://example.org/far.jpg", None),
    ]  # fmt: skip
