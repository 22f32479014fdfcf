"""PDFs made by hand, a byte at a time, for the tests of reading them."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

import pypdf

HELVETICA = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def pdf(
    *pages: bytes | str,
    title: str = "",
    packed: bool = False,
    font: bytes = HELVETICA,
    drawings: Sequence[bytes] = (),
    images: Sequence[bytes] = (),
    rotate: int = 0,
) -> bytes:
    """A PDF with lines of text a page; bytes are a page's content as it is, in which the font is called F1, the first
    of the drawings X and the images, objects as they are, I0, I1, ... In each drawing the next one is called X."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", font]
    objects.append(b"<< /Title (%s) >>" % title.encode() if title else b"<< >>")
    kids = []
    first = 5 + 2 * len(pages) + len(drawings)
    called = b" ".join(b"/I%d %d 0 R" % (number, first + number) for number in range(len(images)))
    for page in pages:
        lines = page.split("\n") if isinstance(page, str) else []
        shown = b" ".join(b"(%s) Tj 0 -14 Td" % line.encode() for line in lines)
        content = page if isinstance(page, bytes) else b"BT /F1 12 Tf 72 700 Td %s ET" % shown
        if packed:
            content = zlib.compress(content)
        kids.append(b"%d 0 R" % (len(objects) + 1))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Rotate %d /Resources << "
            b"/Font << /F1 3 0 R >> /XObject << /X %d 0 R %s >> >> /Contents %d 0 R >>"
            % (rotate, 5 + 2 * len(pages), called, len(objects) + 2)
        )
        filtered = b"/Filter /FlateDecode " if packed else b""
        objects.append(b"<< %s/Length %d >>\nstream\n%s\nendstream" % (filtered, len(content), content))
    for content in drawings:
        objects.append(
            b"<< /Type /XObject /Subtype /Form /BBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> /XObject << /X "
            b"%d 0 R >> >> /Length %d >>\nstream\n%s\nendstream" % (len(objects) + 2, len(content), content)
        )
    objects += images
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    out, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"trailer\n<< /Size %d /Root 1 0 R /Info 4 0 R >>" % (len(places) + 1)
    return out + b"xref\n0 %d\n0000000000 65535 f \n%s%s\nstartxref\n%d\n%%%%EOF" % (
        len(places) + 1, table, trailer, len(out)
    )  # fmt: skip


def image(data: bytes, width: int, height: int, colours: str = "RGB", how: str = "") -> bytes:
    """An image of a PDF, as an object: values of eight bits, or what `how` says."""
    head = b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /BitsPerComponent 8 %s%s/Length %d >>"
    return head % (
        width, height, b"/ColorSpace /Device%s " % colours.encode() if colours else b"", how.encode(), len(data),
    ) + b"\nstream\n%s\nendstream" % data  # fmt: skip


def put(name: str, left: float, bottom: float, width: float, height: float) -> bytes:
    """A page's content: the image of that name in that place."""
    return b" q %g 0 0 %g %g %g cm /%s Do Q " % (width, height, left, bottom, name.encode())


def shown_at(*places: tuple[int, int, str]) -> bytes:
    """A page's content: lines of text at their lefts and baselines."""
    said = b" ".join(b"1 0 0 1 %d %d Tm (%s) Tj" % (x, y, text.encode("cp1252")) for x, y, text in places)
    return b"BT /F1 10 Tf %s ET" % said


def encrypted(content: bytes, user: str, algorithm: str = "RC4-128") -> bytes:
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(content))
    writer.encrypt(user, "owner", algorithm=algorithm)
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def east_asian(encoding: str, ordering: str) -> bytes:
    """A font that is not in the file."""
    return (
        b"<< /Type /Font /Subtype /Type0 /BaseFont /Made-Up /Encoding /%s /DescendantFonts [<< /Type /Font "
        b"/Subtype /CIDFontType0 /BaseFont /Made-Up /DW 1000 "
        b"/CIDSystemInfo << /Registry (Adobe) /Ordering (%s) /Supplement 2 >> >>] >>"
    ) % (encoding.encode(), ordering.encode())


def named(letters: str) -> bytes:
    """A font whose a, b, c, ... are letters of these names."""
    widths = b"/FirstChar 32 /LastChar 126 /Widths [%s]" % b" ".join([b"500"] * 95)
    return b"<< /Type /Font /Subtype /Type1 /BaseFont /F %s /Encoding << /Differences [97 %s] >> >>" % (
        widths, letters.encode(),
    )  # fmt: skip
