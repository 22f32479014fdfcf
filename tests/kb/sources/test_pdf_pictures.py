"""Pictures inside PDFs: drawn as their pages show them, beside what the pages say; and pages as pictures."""

from __future__ import annotations

import io
import random
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from common.problems import Problem
from kb.records import DocumentRecord, GivenPicture, Item, Note, Section, Skipped
from kb.sources import folder
from kb.sources.file_text import Parser
from kb.sources.pdf import pictures
from kb.sources.pdf.captions import Line, captioned, captions
from kb.sources.pdf.pictures import PdfPictures
from tests.kb.sources.test_folder import write
from tests.support.pdf import encrypted, image, pdf, put, shown_at


def noise(width: int = 120, height: int = 80, colours: int = 3, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(width * height * colours)


def photo(seed: int = 1) -> bytes:
    return image(noise(seed=seed), 120, 80)


def jpeg(mode: str = "RGB", size: tuple[int, int] = (120, 80), colour: object = "red") -> bytes:
    file = io.BytesIO()
    made = Image.new(mode, size, colour)
    made.paste(0, (0, 0, size[0] // 2, size[1] // 2))
    made.save(file, "JPEG", quality=95)
    return file.getvalue()


def jpeg_2000() -> bytes:
    file = io.BytesIO()
    Image.frombytes("RGB", (120, 80), noise()).save(file, "JPEG2000")
    return file.getvalue()


def fax() -> bytes:
    """The one strip of a TIFF as faxes send it."""
    file = io.BytesIO()
    Image.frombytes("L", (120, 80), noise(colours=1)).convert("1").save(file, "TIFF", compression="group4")
    with Image.open(file) as made:
        [at], [size] = made.tag_v2[273], made.tag_v2[279]
    return file.getvalue()[at : at + size]


FAX = "/Filter /CCITTFaxDecode /DecodeParms << /K -1 /Columns 120 /Rows 80 >> "
TEXT = shown_at((72, 700, "What the page says."), (72, 680, "And some more of it."))
FIGURE = TEXT + put("I0", 72, 400, 240, 160)


@dataclass(frozen=True)
class Found:
    sections: tuple[Section, ...]
    pictures: tuple[GivenPicture, ...]


@pytest.fixture(scope="module")
def reading() -> Iterator[tuple[Parser, PdfPictures]]:
    with closing(Parser()) as parser, closing(PdfPictures()) as inside:
        yield parser, inside


def figures(
    reading: tuple[Parser, PdfPictures], content: bytes
) -> tuple[Found, list[Image.Image | str], list[str]]:
    """What is found in a PDF, its pictures or why they cannot be read, and the notes."""
    parser, inside = reading
    parsed = parser.parse("pdf", content)
    sections, found, said = inside.with_figures("a.pdf", lambda: content, parsed.sections)
    return Found(sections, found), list(map(read, found)), [*parsed.notes, *([said] if said else [])]


def read(picture: GivenPicture) -> Image.Image | str:
    try:
        return Image.open(io.BytesIO(picture.read()))
    except Problem as problem:
        return str(problem)


def given(base: Path, **how: object) -> tuple[list[Item], dict[str, Image.Image | str]]:
    """What a folder gives, and its pictures by their names, read as they come."""
    found, drawn = [], {}
    for each in folder.source(base, "mine", **how).read(base)[1]:
        if isinstance(each, DocumentRecord):
            drawn |= {picture.name: read(picture) for picture in each.pictures}
        found.append(each)
    return found, drawn


def test_a_picture_stands_beside_its_page_with_its_caption(reading, tmp_path):
    said = shown_at((72, 385, "Figure 3: The mill by the"), (72, 373, "river, in 1902."), (72, 340, "Text goes on."))
    document, [drawn], notes = figures(reading, pdf("one", FIGURE + said, images=[photo()]))
    [picture] = document.pictures
    assert (picture.name, picture.caption) == ("a.pdf, page 2, picture 1", "Figure 3: The mill by the river, in 1902.")
    assert [section.pictures for section in document.sections] == [(), (0,)] and notes == []
    assert drawn.format == "JPEG" and abs(drawn.width - 120) <= 1 and abs(drawn.height - 80) <= 1
    write(tmp_path, {"a.pdf": pdf("one", FIGURE + said, images=[photo()]), "b.txt": "Text."})
    [found, text], again = given(tmp_path)
    assert (found.sections, found.pictures, text.pictures) == (document.sections, document.pictures, ())
    assert again["a.pdf, page 2, picture 1"].tobytes() == drawn.tobytes()


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_where_a_picture_is_on_a_turned_page_and_within_a_drawing(reading, rotate):
    red = image(jpeg(), 120, 80, how="/Filter /DCTDecode ")
    form = b"q 0.5 0 0 0.5 100 100 cm /X Do Q" + TEXT
    content = pdf(form, drawings=[put("I0", 72, 400, 480, 320)], images=[red], rotate=rotate)
    content = content.replace(b"/XObject << /X 8 0 R >> >> /Length", b"/XObject << /I0 8 0 R >> >> /Length")
    [drawn] = figures(reading, content)[1]
    turned = drawn.rotate(rotate, expand=True)
    assert sorted(drawn.size) == pytest.approx([80, 120], abs=1)
    corners = [turned.getpixel(at) for at in ((10, 10), (100, 10), (10, 70), (100, 70))]
    assert [red > 200 for red, *_ in corners] == [False, True, True, True]


@pytest.mark.parametrize(
    "made",
    [
        image(jpeg("CMYK", colour=(0, 255, 255, 0)), 120, 80, "CMYK", "/Filter /DCTDecode /Decode [1 0 1 0 1 0 1 0] "),
        image(zlib.compress(noise()), 120, 80, how="/Filter /FlateDecode "),
        image(noise(colours=1), 120, 80, "Gray"),
        image(noise(colours=4), 120, 80, "CMYK"),
        image(noise(15, 80, 1), 120, 80, "", "/ImageMask true ").replace(b"Component 8", b"Component 1"),
        image(jpeg_2000(), 120, 80, "", "/Filter /JPXDecode "),
        image(fax(), 120, 80, "Gray", FAX).replace(b"Component 8", b"Component 1"),
    ],
    ids=["JPEG in CMYK", "packed", "grey", "CMYK", "stencil", "JPEG 2000", "fax"],
)
def test_every_kind_of_colours_and_masks(reading, made):
    _, [drawn], notes = figures(reading, pdf(FIGURE, images=[made]))
    assert drawn.mode == "RGB" and notes == [] and all(low < high for low, high in drawn.getextrema()[:1])


def test_a_soft_mask_lets_the_page_through(reading):
    mask = image(b"\0" * 4800 + b"\xff" * 4800, 120, 80, "Gray")
    red = image(b"\xff\0\0" * 9600, 120, 80, how="/SMask 8 0 R ")
    _, [drawn], _ = figures(reading, pdf(FIGURE, images=[red, mask]))
    assert drawn.getpixel((60, 10)) == (255, 255, 255) and drawn.getpixel((60, 70))[1] < 10


def chart(left: int, bottom: int) -> bytes:
    bars = b"".join(b"%d %d 12 %d re f " % (left + 20 * n, bottom, 10 + 9 * n) for n in range(10))
    axes = b"%d %d m %d %d l S %d %d m %d %d l S" % (left, bottom, left + 220, bottom, left, bottom, left, bottom + 120)
    return b" 1 0 0 rg " + bars + axes + b" 0 0 0 rg "


def test_what_is_drawn_is_a_picture_where_it_has_a_caption(reading):
    labels = shown_at((72, 388, "0"), (250, 388, "years"), (72, 525, "people"))
    said = shown_at((72, 365, "Figure 2. People by years."))
    document, [drawn], notes = figures(reading, pdf(TEXT + chart(72, 400) + labels + said))
    assert [each.caption for each in document.pictures] == ["Figure 2. People by years."] and notes == []
    assert 600 < drawn.width < 800 and 400 < drawn.height < 560  # with the labels, and without the text over it
    pixels = drawn.resize((60, 40))
    assert sum(pixels.getpixel((x, y))[1] < 100 for x in range(60) for y in range(40)) > 300
    for without in (TEXT + chart(72, 400) + labels, TEXT + said + b" 72 400 200 100 re S"):
        assert figures(reading, pdf(without))[1] == []


def test_strips_of_a_picture_are_one(reading):
    strips = b"".join(put(f"I{n}", 72, 400 + 20 * n, 240, 20) for n in range(8))
    document, [drawn], _ = figures(reading, pdf(TEXT + strips, images=[image(noise(120, 10), 120, 10)] * 8))
    assert drawn.size == (120, 80)


def test_what_is_there_for_the_look_is_no_picture(reading):
    small = put("I0", 72, 400, 20, 15) + put("I0", 72, 300, 500, 2) + put("I1", 72, 100, 300, 100)
    dot = image(b"\0\0\0", 1, 1)
    assert figures(reading, pdf(TEXT + small, images=[photo(), dot]))[1:] == ([], [])
    logo = put("I0", 400, 700, 120, 80)
    four = [TEXT + logo] * 3 + [TEXT + logo + put("I1", 72, 400, 240, 160)]
    document, drawn, _ = figures(reading, pdf(*four, images=[photo(1), photo(2)]))
    assert [each.name for each in document.pictures] == ["a.pdf, page 4, picture 1"] and len(drawn) == 1


def test_a_scan_of_a_page_of_text_is_no_picture_and_a_plate_is(reading):
    whole = put("I0", 0, 0, 612, 792)
    words = shown_at(*((50, 700 - 12 * n, "a word and more " * 4) for n in range(8)))
    plate = shown_at((72, 40, "Plate 4. The mill."))
    document, _, notes = figures(reading, pdf(whole + words, whole + plate, images=[photo()]))
    assert [(each.name, each.caption) for each in document.pictures] == [
        ("a.pdf, page 2, picture 1", "Plate 4. The mill."),
    ]  # fmt: skip


def test_a_page_without_text_leaves_its_picture_to_the_page_before(reading):
    alone = put("I0", 72, 400, 240, 160)
    document, drawn, _ = figures(reading, pdf(alone, "one", alone, "four", images=[photo()]))
    assert [section.pictures for section in document.sections] == [(0, 1), ()] and len(drawn) == 2


def test_many_are_bounded_and_that_is_said(reading):
    places = [(72 + 130 * (n % 4), 20 + 90 * (n // 4), 100, 70) for n in range(10)]
    pages = [TEXT + b"".join(put(f"I{10 * page + n}", *place) for n, place in enumerate(places)) for page in range(50)]
    images = [image(noise(60, 40, seed=n), 60, 40) for n in range(500)]
    document, drawn, notes = figures(reading, pdf(*pages, images=images))
    assert len(drawn) == 64 and notes == ["436 more pictures are left out."]


def test_one_that_is_broken_is_told_and_the_others_come(reading):
    broken = image(b"no jpeg", 120, 80, how="/Filter /DCTDecode ")
    both = FIGURE + put("I1", 72, 100, 240, 160)
    document, drawn, _ = figures(reading, pdf(both, images=[broken, photo()]))
    assert drawn[0] == "It shows nothing: it is damaged, or of one colour only." and drawn[1].width == 120


def test_a_picture_of_too_many_pixels_is_left_alone(reading):
    bomb = image(zlib.compress(bytes(10 << 20)), 60_000, 60_000, "Gray", "/Filter /FlateDecode ")
    document, drawn, notes = figures(reading, pdf(FIGURE + put("I1", 72, 100, 240, 160), images=[bomb, photo()]))
    assert len(drawn) == 1 and notes == ["1 pictures of too many pixels are left out."]


def test_a_page_of_tiles_is_no_page_of_pictures(reading):
    tiles = b"".join(put("I0", 10 * (n % 50), 10 * (n // 50), 9, 9) for n in range(600))
    document, drawn, notes = figures(reading, pdf(TEXT + tiles, images=[photo()]))
    assert drawn == [] and notes == ["501 more pictures are left out."]


def test_what_breaks_the_drawing_costs_one_picture(tmp_path):
    write(tmp_path, {"a.pdf": pdf(FIGURE, images=[photo()]), "b.pdf": pdf(FIGURE, images=[photo(2)])})
    with closing(PdfPictures()) as inside:
        load = (tmp_path / "a.pdf").read_bytes
        [one] = inside.with_figures("a.pdf", load, ())[1]
        first = one.read()
        inside._process.popen.kill()
        with pytest.raises(Problem, match="broke down"):
            one.read()
        assert one.read() == first  # of a process that is begun anew
        [other] = inside.with_figures("b.pdf", (tmp_path / "b.pdf").read_bytes, ())[1]
        assert other.read() != first == one.read()
    with pytest.raises(Problem, match="during an ingestion only"):
        one.read()


@pytest.mark.parametrize("spoilt", [b"", b"%PDF-1.4 no more"], ids=["empty", "damaged"])
def test_nothing_of_the_document_before_is_taken_for_one_that_cannot_be_read(spoilt, tmp_path):
    made = pdf(FIGURE, TEXT, images=[photo()])
    write(tmp_path, {"a.pdf": made, "b.pdf": spoilt})
    for pages in (True, False):
        document, *notes, skipped = given(tmp_path, pages=pages)[0]
        assert isinstance(document, DocumentRecord) and notes == [] and isinstance(skipped, Skipped)
        assert [type(each) for each in folder.preview(tmp_path, 2, pages)] == [DocumentRecord, Skipped]
    kept = {"a.pdf": made, "b.pdf": made}
    with closing(PdfPictures()) as inside:
        [one], [other] = (inside.with_figures(name, partial(kept.get, name), ())[1] for name in kept)
        kept["a.pdf"] = spoilt  # since it was found
        with pytest.raises(Problem):
            one.read()
        with pytest.raises(Problem):  # asked again, without its bytes
            one.read()
        assert other.read()


def test_encrypted_without_a_password(reading):
    assert len(figures(reading, encrypted(pdf(FIGURE, images=[photo()]), ""))[1]) == 1


class TestPages:
    def test_each_page_is_a_passage_with_its_picture(self, tmp_path):
        words = shown_at(*((72, 700 - 12 * n, "a word and more " * 4) for n in range(30)))
        write(tmp_path, {"a.pdf": pdf(TEXT, words, b"72 72 300 200 re f", title="The mill"), "b.txt": "Text."})
        found, drawn = given(tmp_path, pages=True)
        mill, text = (each for each in found if isinstance(each, DocumentRecord))
        assert [(each.path, each.text[:19], each.pictures, each.whole) for each in mill.sections] == [
            (("page 1",), "What the page says.", (0,), True),
            (("page 2",), "a word and more a w", (1,), True),
            (("page 3",), "The mill, page 3", (2,), True),
        ]  # fmt: skip
        assert [each.caption for each in mill.pictures] == ["Page 1", "Page 2", "Page 3"]
        assert {drawn[each.name].size for each in mill.pictures} == {(1082, 1400)}
        assert drawn["a.pdf, page 3"].getpixel((200, 1200)) < (9, 9, 9)
        assert text.pictures == () and not text.sections[0].whole

    def test_scans_and_what_cannot_be_read_at_all(self, tmp_path):
        write(tmp_path, {"a.pdf": pdf(put("I0", 0, 0, 612, 792), images=[photo()]), "b.pdf": b"%PDF-1.4 no more"})
        scan, note, skipped = given(tmp_path, pages=True)[0]
        assert isinstance(scan, DocumentRecord) and scan.sections[0].text == "a, page 1"
        assert isinstance(note, Note) and isinstance(skipped, Skipped)
        assert note.said.startswith("Its pages are taken as pictures, without their words. It is a scan;")
        assert "first" not in note.said

    def test_a_password_is_said_with_the_same_words(self, tmp_path):
        write(tmp_path, {"a.pdf": encrypted(pdf(TEXT), "secret")})
        [with_pages], [without] = given(tmp_path, pages=True)[0], given(tmp_path)[0]
        assert with_pages == without and "protected by a password" in without.why

    def test_empty_pages_are_none(self, reading):
        content = pdf("one", b"", b"72 72 300 200 re f", b"")
        one = Section(("page 1",), "one")
        sections, found, said = reading[1].as_pages("a.pdf", lambda: content, (one,), "The mill")
        assert [(each.path, each.pictures) for each in sections] == [(("page 1",), (0,)), (("page 3",), (1,))]
        assert [each.name for each in found] == ["a.pdf, page 1", "a.pdf, page 3"] and said == ""
        with pytest.raises(Problem, match="Its pages are empty"):
            reading[1].as_pages("a.pdf", lambda: pdf(b"", b""), (), "The mill")

    def test_many_pages_and_long_ones_are_bounded_and_that_is_said(self, tmp_path, monkeypatch):
        monkeypatch.setattr(pictures, "MOST_PAGE_TEXT", 30)
        write(tmp_path, {"a.pdf": pdf(*[TEXT] * 3_000)})
        with closing(folder.source(tmp_path, "mine", pages=True).read(tmp_path)[1]) as found:
            document = next(found)
            notes = [each.said for each in found]
        assert len(document.sections) == len(document.pictures) == pictures.MOST_PAGES
        assert any("Of its 3,000 pages the first 1,000 are taken. Of 1,000 pages with long texts" in n for n in notes)
        assert document.sections[0].text == "What the page says. And some m"


class TestCaptions:
    @pytest.mark.parametrize(
        "text",
        ["Figure 3: The mill", "Fig. 2. A", "FIG. 12", "Abb. 3 – Die Mühle", "Abbildung 4 Die Mühle", "Plate IV. Mill",
         "Figure 1.2 The mill", "Fig 3a) Wheel", "Рис. 5. Мельница", "図 1: 水車"],
    )  # fmt: skip
    def test_what_begins_as_one(self, text):
        assert [each.text for each in captions([Line(text, (0, 0, 90, 10))])] == [text]

    @pytest.mark.parametrize("text", ["Figure 3 shows the mill", "figure 3: it", "Figures of art", "Plates I", "Map"])
    def test_what_does_not(self, text):
        assert captions([Line(text, (0, 0, 90, 10))]) == []

    def test_the_nearest_one_that_stands_over_or_under(self):
        above, below = Line("Fig. 1. A", (0, 205, 90, 215)), Line("Fig. 2. B", (0, 85, 90, 95))
        aside = Line("Fig. 3. C", (300, 90, 390, 100))
        assert captioned([(0, 100, 100, 200)], [above, below, aside]) in (["Fig. 1. A"], ["Fig. 2. B"])
        assert captioned([(0, 100, 100, 200), (0, 0, 100, 80)], [above, below]) == ["Fig. 1. A", "Fig. 2. B"]
        assert captioned([(0, 500, 100, 600)], [above, below]) == [""]
        assert captioned([(0, 80, 290, 180), (0, 0, 100, 60)], [aside]) == ["Fig. 3. C", ""]  # in the margin
