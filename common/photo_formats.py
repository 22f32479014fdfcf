"""The formats of photographs that are taken, wherever one is given: their names, how their files end and begin.

Knows nothing of how they are decoded.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PhotoFormat:
    """name: Pillow's. called: by people. endings: of its files, the usual one first. begins: what a file begins with.
    brands: one of what a file of boxes names as its kinds. shown: whether every browser shows it."""

    name: str
    called: str
    endings: tuple[str, ...]
    begins: tuple[bytes, ...] = ()
    brands: tuple[bytes, ...] = ()
    shown: bool = True

    def is_begun_by(self, head: bytes) -> bool:
        """Whether a file that begins so, with some 64 bytes or more, is meant to be one of this format."""
        if self.name == "WEBP":
            return head[:4] == b"RIFF" and head[8:12] == b"WEBP"
        named = head[8:64] if head[4:8] == b"ftyp" else b""
        return head.startswith(self.begins) or any(brand in named for brand in self.brands)


FORMATS = (
    PhotoFormat("JPEG", "JPEG", (".jpg", ".jpeg"), (b"\xff\xd8\xff",)),  # and MPO, the two pictures of some cameras
    PhotoFormat("PNG", "PNG", (".png",), (b"\x89PNG",)),
    PhotoFormat("WEBP", "WebP", (".webp",)),
    PhotoFormat("GIF", "GIF", (".gif",), (b"GIF8",)),
    PhotoFormat("BMP", "BMP", (".bmp",), (b"BM",)),
    PhotoFormat("TIFF", "TIFF", (".tiff", ".tif"), (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), shown=False),
    PhotoFormat("AVIF", "AVIF", (".avif",), brands=(b"avif", b"avis"), shown=False),
    # After AVIF, some files of which name the brand that all still pictures in boxes have, too.
    PhotoFormat("HEIF", "HEIC", (".heic", ".heif", ".hif"), brands=(b"hei", b"hev", b"mif1", b"msf1"), shown=False),
)
ENDINGS = frozenset(ending for each in FORMATS for ending in each.endings)
# For a browser's chooser of files. Many systems do not know the last ones as pictures.
CHOOSER = ",".join(["image/*", *(ending for each in FORMATS if not each.shown for ending in each.endings)])


def format_of(head: bytes) -> PhotoFormat | None:
    """The format that a file is meant to have which begins so."""
    return next((each for each in FORMATS if each.is_begun_by(head)), None)


def in_words(formats: tuple[PhotoFormat, ...] = FORMATS) -> str:
    """'JPEG, PNG and HEIC'."""
    *first, last = [each.called for each in formats]
    return f"{', '.join(first)} and {last}"
