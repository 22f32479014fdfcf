"""What the bytes of a text mean, where nobody vouches for them.

A byte order mark says it, or UTF-8 itself, whose rules other text does not keep by chance, whatever a page or a server
declares; then what these declare; and else the likeliest of a few encodings, which is told as a guess. On 186 pieces of
150 to 4,000 characters out of the Wikipedias of 23 languages, each in the encodings it was written in before Unicode,
the guess was right for 176. Knows nothing of files or of what is marked up.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from common.problems import Problem
from common.text import shown

SAMPLE = 1 << 20  # bytes at the beginning of a text that say what the rest is
NOT_TEXT = "It holds NUL bytes, so it is not text."
_GUESSED_FROM = 20_000  # bytes; more of them tell no more, and take long

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Of those equally likely the first is taken.
_LIKELY = (
    "cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp932", "euc_jp", "gb18030",
    "big5", "cp949", "cp874", "iso8859_2",
)  # fmt: skip
_SINGLE = re.compile(r"iso8859-\d+|cp(125\d|437|85\d|86\d|874)|koi8-[rut]|mac-[a-z]+|tis-620")  # a byte, a letter
# Seven bits, and says itself where which letters begin. By what such a text holds; Korean is the one of which all is
# said in its first line.
_SHIFTING = ((re.compile(rb"\x1b\$\)C"), "iso2022_kr"), (re.compile(rb"\x1b(?:\$[@AB]|\(J|\$\([CD])"), "iso2022_jp_2"))
_TYPED = re.compile(rb"[\t\n\r -~]")
_IN_CHINESE = re.compile(rb"~\{((?:[\x21-\x77][\x21-\x7e])+)~\}")
_ACCENTED_ALONE = re.compile(r"(?<![^\W\d_])[\u00c0-\u00ff]{3,}(?![^\W\d_])")
_SIGN_WITHIN = re.compile(r"(?<=[a-z\u00df-\u00ff])[¡£¦±³¶¹¼-¿](?=[a-z\u00df-\u00ff])")
_ENOUGH = 4  # bytes of other letters than English ones; fewer say nothing
# Encodings that are a matter of bytes and characters; Python knows others, such as idna, which cost much time.
_KNOWN = re.compile(
    r"(ascii|utf-(8|16|16-[lb]e|32|32-[lb]e)|iso8859-\d+|cp\d+|koi8-[rut]|mac-[a-z]+|tis-620"
    r"|gb2312|gbk|gb18030|hz|big5|big5hkscs|euc_\w+|shift_jis\w*|iso2022_\w+|johab)"
)
# What says it is one of them is read as the larger one that it is part of (WHATWG, Encoding Standard).
_READ_AS = {
    "iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "shift_jis": "cp932", "gb2312": "gb18030",
    "gbk": "gb18030", "euc_kr": "cp949", "big5": "big5hkscs",
}  # fmt: skip
_OFTEN = 300  # characters; in fewer of them than that for each spoilt letter, it is no exception
_OTHER = re.compile(r"[^\x00-\x7f]+")
_BYTES, _LETTERS = re.compile("[\udc80-\udcff]"), re.compile("[^\x00-\x7f\udc80-\udcff]")


@dataclass(frozen=True)
class Encoding:
    """Python's name of it. guessed: whether nothing but its letters speaks for it."""

    name: str
    guessed: bool = False

    def __str__(self) -> str:
        """As people call it."""
        return re.sub(r"^cp(125\d|874)$", r"windows-\1", self.name).replace("_", "-")


def encoding_of(data: bytes, declared: Iterable[str] = ()) -> Encoding:
    """The encoding of a text that begins with `data`, which may end within a character. declared: names of encodings
    that a server or the text gives, the most trustworthy first. Raises Problem when nothing fits."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return Encoding(name)
    if shifting := _shifting(data):
        return shifting
    denied = ""  # what is declared, and cannot be
    for name in declared:
        # What is said to be UTF-8 is looked at, since it shows whether it is; and so does what is and says otherwise.
        if known := _known_encoding(name):
            if known == "utf-8" and _is_utf8(data) or _is_utf8_all_the_same(data, known):
                return Encoding("utf-8")
            if known == _LIKELY[0] and _is_no_language(data):
                denied = known
            elif known != "utf-8":
                return Encoding(known)
    if b"\0" in data:
        return Encoding(_wide(data))
    return Encoding("utf-8") if _is_utf8(data) else _guessed(data, denied)


def decoded(data: bytes, declared: Iterable[str] = (), strict: bool = True) -> tuple[str, Encoding]:
    """A text, whole, and its encoding. Raises Problem for what is no text or was spoilt before and, if this is to be
    `strict`, for what is UTF-8 only in part; else what cannot be read is U+FFFD."""
    encoding = encoding_of(data, declared)
    try:
        text = data.decode(encoding.name, "replace" if encoding.guessed or not strict else "strict")
    except UnicodeDecodeError as problem:
        name = str(encoding).upper().removesuffix("-SIG")
        raise Problem(f"It is {name} but for byte {problem.start + 1:,}; save it anew as UTF-8.") from None
    if strict and "\0" in text:
        raise Problem(NOT_TEXT)
    if fault := spoilt(text):
        raise Problem(fault)
    return text, encoding


def guess_told(encoding: Encoding) -> str:
    """What to say of a text that was read so; "" where it was no guess."""
    if not encoding.guessed:
        return ""
    return f"It was read as {encoding}, which is a guess; save it as UTF-8 if letters of it are wrong."


def _known_encoding(name: str) -> str:
    """Python's name of the encoding that pages call so, read as browsers read it; "" for one that is not taken."""
    try:
        known = codecs.lookup(name.strip().strip("\"'")).name
    except (LookupError, ValueError):
        return ""
    if not _KNOWN.fullmatch(known):
        return ""
    return _READ_AS.get(known, known)


def spoilt(text: str) -> str:
    """What to say of a text that somebody read in a wrong encoding and saved so; "" of one that is sound."""
    if text.isascii():
        return ""
    lost = text.count("\ufffd")
    if lost >= 3 and lost * 50 > len(text):
        return "Many of its letters are lost (\ufffd); get it anew, and save it as UTF-8."
    found = [fault for line in text.split("\n") for fault in _read_twice(line)]
    many = len(found) >= 3 and len(found) * 2 > len(_OTHER.findall(text))
    if not found or not (many or len(text) < _OFTEN * len(found)):
        return ""
    example = f"({shown(found[0])} where another letter is meant)"
    return f"It was once read in a wrong encoding and saved so {example}; get it anew, and save it as UTF-8."


def _read_twice(line: str) -> list[str]:
    """What in a line looks as UTF-8 does that was read in another encoding, if reading it back makes sense of it."""
    if line.isascii():
        return []
    from ftfy import fix_encoding
    from ftfy.badness import BADNESS_RE

    found = BADNESS_RE.findall(line)
    # Control characters that it would take for letters of Windows-1252 are dropped later on, and spoil no more.
    return found if found and fix_encoding(line, fix_c1_controls=False) != line else []


def _is_utf8(data: bytes) -> bool:
    """Whether it is, but for a character cut at its end, or bytes that are fewer than its letters: text in another
    encoding has hardly a letter that is one of UTF-8 too."""
    text = data.decode("utf-8", "surrogateescape")
    return len(_BYTES.findall(text)) <= len(_LETTERS.findall(text))


def _is_utf8_all_the_same(data: bytes, declared: str) -> bool:
    """Whether a text that declares another encoding is UTF-8 to its last letter, but for one cut at its end. One letter
    is enough where each byte is a letter; where two are, a few may keep the rules of UTF-8 by chance."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return False
    return sum(map(len, _OTHER.findall(text))) >= (1 if _SINGLE.fullmatch(declared) else _ENOUGH)


def _shifting(data: bytes) -> Encoding | None:
    """ISO-2022-JP or ISO-2022-KR, where it is, or HZ, which is a guess; it may end within a character."""
    for begins, name in _SHIFTING if b"\x1b" in data else ():
        if begins.search(data):
            try:
                codecs.getincrementaldecoder(name)().decode(data)
                return Encoding(name)
            except UnicodeDecodeError:
                pass
    if b"~{" in data and data.isascii():
        try:
            codecs.getincrementaldecoder("hz")().decode(data)
        except UnicodeDecodeError:
            return None
        # All that is opened is closed, and holds more than a letter that may be there by chance.
        pieces = _IN_CHINESE.findall(data)
        if sum(len(each) // 2 for each in pieces) >= _ENOUGH and len(pieces) == data.count(b"~{"):
            return Encoding("hz", guessed=True)
    return None


def _is_no_language(data: bytes) -> bool:
    """Whether bytes that say they are of Western Europe are not: words of its accented letters alone, of which it has
    hardly any, or signs of it within words, where other encodings have letters."""
    text = data[:SAMPLE].decode(_LIKELY[0], "replace")
    words = _ACCENTED_ALONE.findall(text)
    accented = sum(map(str.isalpha, "".join(_OTHER.findall(text))))
    alone = len(words) >= 3 and 2 * sum(map(len, words)) > accented
    return alone or len(set(_SIGN_WITHIN.findall(text))) >= 2  # one and the same may stand for an apostrophe


def _wide(data: bytes) -> str:
    """UTF-16 without a mark: the halves of its characters that differ less are the upper ones. Raises Problem for what
    is no text."""
    if len(_TYPED.findall(data)) * 10 > 8 * len(data):
        raise Problem(NOT_TEXT)  # English with stray zeros
    upper_last = len(set(data[1::2])) < len(set(data[0::2]))
    name = "utf-16-le" if upper_last else "utf-16-be"
    text = data[: len(data) // 2 * 2].decode(name, "replace")
    strange = sum(unicodedata.category(each) in ("Cn", "Co", "Cc") for each in text if each not in "\r\n\t")
    if not re.search(r"[ \n]", text) or "\0" in text or strange * 100 > len(text):
        raise Problem(NOT_TEXT)
    return name


def _guessed(data: bytes, denied: str = "") -> Encoding:
    """The likeliest encoding but the one that is denied. Raises Problem where none is likely."""
    from charset_normalizer import from_bytes  # slow to import, and seldom needed

    if sum(byte > 0x7F for byte in data[:_GUESSED_FROM]) < _ENOUGH:
        return Encoding(_LIKELY[0], guessed=True)
    sample = data[:_GUESSED_FROM]
    sample = sample[: sample.rfind(b"\n") + 1] or sample  # whole characters, where there is a line
    among = [name for name in _LIKELY if name != denied]
    found = from_bytes(sample, cp_isolation=among, threshold=0.3)
    likely = [match for match in found if match.encoding in among]
    if not likely:
        raise Problem("Its encoding is not known; save it as UTF-8.")
    best = min(likely, key=lambda match: (match.chaos, -match.coherence, _LIKELY.index(match.encoding)))
    return Encoding(best.encoding, guessed=True)
