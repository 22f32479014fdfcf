"""Pictures in a folder of documents: those referred to, those of a document's name, pictures alone; nothing outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.problems import Problem
from kb.records import DocumentRecord, Note
from kb.sources import folder
from tests.kb.sources.test_folder import write


def documents(base: Path) -> dict[str, DocumentRecord]:
    total, found = folder.source(base, "mine").read(base)
    found = [each for each in found if isinstance(each, DocumentRecord)]
    assert total == len(found)
    assert [each.key for each in folder.preview(base, 9) if isinstance(each, DocumentRecord)] == [e.key for e in found]
    return {each.key: each for each in found}


def test_what_markdown_refers_to_stands_in_its_section(tmp_path):
    text = (
        "# Zebra\n\nStriped.\n\n![A zebra](img/z%201.png)\n\n## Life\n\nIn herds ![herd](img/h.png?x=1#y).\n\n"
        "## Seen\n\n![far](https://example.org/f.png) ![herd](img/h.png?x=1#y)\n\n## Empty\n\n![last](l.png)\n"
    )
    write(tmp_path, {"sub/zebra.md": text, "sub/img/z 1.png": b"z", "sub/img/h.png": b"h", "sub/l.png": b"l"})
    [zebra] = documents(tmp_path).values()
    assert [(each.name, each.caption, each.url) for each in zebra.pictures] == [
        ("sub/img/z 1.png", "A zebra", ""), ("sub/img/h.png", "herd", ""),
        ("https://example.org/f.png", "far", "https://example.org/f.png"), ("sub/l.png", "last", ""),
    ]  # fmt: skip
    assert [each.read and each.read() for each in zebra.pictures] == [b"z", b"h", None, b"l"]
    assert [(section.path, section.pictures) for section in zebra.sections] == [
        ((), (0,)), (("Life",), (1,)), (("Seen",), (2, 1)), (("Empty",), (3,)),
    ]  # fmt: skip


@pytest.mark.parametrize("apart", [" ", "\n\n"], ids=["in a paragraph", "in paragraphs of their own"])
@pytest.mark.parametrize("alt", ["", "a view"], ids=["no alt", "alt"])
def test_markdown_says_at_which_sentence_a_picture_stands(tmp_path, apart, alt):
    text = apart.join(f"Sentence {n:03} says a little.{apart}![{alt}](p{n:03}.png)" for n in range(300))
    write(tmp_path, {"long.md": text})
    [long] = documents(tmp_path).values()
    [section] = long.sections
    assert len(section.places) == 300
    for number, place in zip(section.pictures, section.places, strict=True):
        before = section.text[: place + 1].rpartition("Sentence ")[2]
        assert before[:3] == long.pictures[number].name[1:4]


def test_what_markdown_says_of_a_picture_has_no_markup(tmp_path):
    text = "Striped ![A *bold* **caption** with <b>markup</b>, `code`, 5 m<sup>2</sup> &amp; [a link](x)](a.png)."
    [zebra] = documents(write(tmp_path, {"zebra.md": text})).values()
    [picture] = zebra.pictures
    assert picture.caption == "A bold caption with markup, code, 5 m² & a link"
    assert zebra.sections[0].text == f"Striped {picture.caption}."


def test_a_picture_of_a_documents_name_is_the_documents(tmp_path):
    write(tmp_path, {"a/vase.txt": "A vase.", "a/vase.jpg": b"v", "a/vase.PNG": b"w"})
    write(tmp_path, {"b/vase.jpg": b"x", "a/jar.jpg": b"y"})
    [vase] = documents(tmp_path).values()
    assert [(each.name, each.read()) for each in vase.pictures] == [("a/vase.PNG", b"w"), ("a/vase.jpg", b"v")]
    assert all(not section.pictures for section in vase.sections)


def test_several_pictures_of_a_documents_name_are_numbered(tmp_path):
    more = ("vase-10.png", "vase_2.jpg", "vase 3.jpg", "vase (4).webp", "vase.jpg", "jar-2.jpg")
    write(tmp_path, {"vase.txt": "A vase.", "jar-2.txt": "A jar.", "jar.txt": "Another."} | dict.fromkeys(more, b"v"))
    found = {key: [each.name for each in document.pictures] for key, document in documents(tmp_path).items()}
    assert found == {
        "vase.txt": ["vase.jpg", "vase_2.jpg", "vase 3.jpg", "vase (4).webp", "vase-10.png"],
        "jar-2.txt": ["jar-2.jpg"], "jar.txt": [],
    }  # fmt: skip


def test_pictures_that_are_no_documents_are_counted(tmp_path):
    write(tmp_path, {"lobster.txt": "A lobster.", "UPPER.txt": "Upper.", "m.md": "Text ![](r.png) ![](gone.png)."})
    write(tmp_path, {"Lobster2.jpg": b"", "upper.JPG": b"", "lobster.png": b"", "r.png": b""})
    [note] = [each for each in folder.source(tmp_path, "mine").read(tmp_path)[1] if isinstance(each, Note)]
    assert note.whole and note.said.startswith("2 pictures are passed over")
    assert "(Lobster2.jpg, upper.JPG)" in note.said
    write(tmp_path, {f"{n}.gif": b"" for n in range(10)})
    [note] = [each for each in folder.source(tmp_path, "mine").read(tmp_path)[1] if isinstance(each, Note)]
    assert note.said.startswith("12 pictures are passed over") and "(0.gif, 1.gif, 2.gif, 3.gif, 4.gif, …)" in note.said


def test_pictures_alone_are_documents_called_as_their_files(tmp_path):
    write(tmp_path, {"Blue_vase.jpg": b"b", "sub/Jar.heic": b"j", "notes.odt": b"", ".hidden.jpg": b"h"})
    found = documents(tmp_path)
    assert {key: (each.title, each.sections[0].text) for key, each in found.items()} == {
        "Blue_vase.jpg": ("Blue vase", "Blue vase"), "sub/Jar.heic": ("Jar", "Jar"),
    }  # fmt: skip
    assert [each.read() for document in found.values() for each in document.pictures] == [b"b", b"j"]


def test_one_that_is_not_where_a_document_says_may_lie_beside_it(tmp_path):
    text = "Text ![](img/a.png) ![](../b.png) ![](img/c.png)."
    write(tmp_path, {"d/t.md": text, "d/a.png": b"a", "d/b.png": b"b", "d/c.png": b"other", "d/img/c.png": b"c"})
    [document] = documents(tmp_path).values()
    assert [(each.name, each.read()) for each in document.pictures] == [
        ("d/a.png", b"a"), ("d/b.png", b"b"), ("d/img/c.png", b"c"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["../secret.png", "%2e%2e/secret.png", "/secret.png", "link.png", "a/../../b.png"])
def test_a_reference_never_leads_out_of_the_folder(tmp_path, name):
    (tmp_path / "secret.png").write_bytes(b"secret")
    base = write(tmp_path / "documents", {"a.md": f"Text ![]({name})."})
    (base / "link.png").symlink_to(tmp_path / "secret.png")
    [picture] = documents(base)["a.md"].pictures
    with pytest.raises(Problem):
        picture.read()


def test_a_changed_picture_is_seen(tmp_path):
    write(tmp_path, {"a.txt": "A.", "a.png": b"1"})
    before = folder.look(tmp_path)
    write(tmp_path, {"a.png": b"12"})
    assert folder.look(tmp_path) != before
