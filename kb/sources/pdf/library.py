"""pdfminer.six as it is used here: what it unpacks is bounded, and two mistakes of it are mended.

It has no settings for that, so that what it keeps for the whole process is changed. Knows nothing of what a PDF says.
"""

from __future__ import annotations

import zlib
from types import SimpleNamespace

from pdfminer import pdftypes
from pdfminer.encodingdb import EncodingDB
from pdfminer.psparser import ESC_STRING

MOST_UNPACKED = 64 << 20  # bytes; fonts of East Asian writings have half as many


class _Unpacker:
    """As zlib's, but raises OverflowError for too much."""

    def __init__(self) -> None:
        self._zlib, self._size = zlib.decompressobj(), 0

    def decompress(self, data: bytes) -> bytes:
        unpacked = self._zlib.decompress(data, MOST_UNPACKED - self._size + 1)
        self._size += len(unpacked)
        if self._size > MOST_UNPACKED:
            raise OverflowError
        return unpacked

    def whole(self, data: bytes) -> bytes:
        unpacked = self.decompress(data)
        if not self._zlib.eof:
            raise zlib.error("it ends too early")
        return unpacked


def set_up() -> None:
    """For this process; more than once does no harm."""
    pdftypes.zlib = SimpleNamespace(
        decompress=lambda data: _Unpacker().whole(data), decompressobj=_Unpacker, error=zlib.error
    )
    EncodingDB.win2unicode[0xAD] = "\u00ad"  # where it has a space
    for code in set(range(256)) - set(b"\r\n01234567"):
        ESC_STRING.setdefault(bytes((code,)), code)  # "\ " is a space; it leaves out what need not be escaped
