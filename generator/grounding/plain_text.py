"""A model's text, while it still comes, as plain text whose only square brackets are marks of passages.

Knows nothing of servers or of what the text says. Links, pictures and tags lose their markup, addresses that
are not a passage's own are left out, and a mark whose passage does not exist is dropped. What a reasoning model
thinks before it answers is left out. Text is passed on as soon as nothing that may follow can change how it is read:
mostly up to the last white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce

from common.passage import Evidence
from common.text import UNSAFE
from generator.answers import Anew, said_with

LEFT_OUT = "(link left out)"
MAX_OPEN = 200  # characters after which a bracket that stays open is only a bracket
MAX_NESTED = 20  # open brackets inside one another that are waited for

_ENDS = "。！？，、；"  # end a piece in scripts without spaces
_BOUNDARY = re.compile(rf"(?<=[{_ENDS}])|(?<!\s)(?=\s)")
_OPEN = re.compile(
    rf"(?:!?\[[^\[\]]{{0,{MAX_OPEN}}}(?:\]\([^()]{{0,{MAX_OPEN}}})?|<[^<>\s][^<>]{{0,{MAX_OPEN}}})\Z"
)
_LONGEST_OPEN = 2 * MAX_OPEN + len("![](")
_LOOKED_AT = 64  # characters
_UNSAFE = re.compile(f"[{UNSAFE}\u200c\u200d]+")  # the joiners too: they could hide a mark or a tag
_TAG = re.compile(r"<[A-Za-z/!?|｜][^<>]*>|◁/?think▷", re.IGNORECASE)
_TAG_BEGINS = re.compile(r"<(?=[A-Za-z/!?|｜])")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\(\s*[^\s()]*(?:\([^\s()]*\)[^\s()]*)?(?:\s+[\"'][^()]*)?\s*\)")
_EMPHASIS = re.compile(r"\*\*+|`+")
_ADDRESS = re.compile(
    rf"(?:\b\w[\w+.-]{{0,30}}://|www\.|\b(?:https?|ftp|file|data|mailto|tel|javascript|vbscript):"
    rf"|\b[\w-]{{1,63}}(?:\.[\w-]{{1,63}}){{0,4}}\.[a-z]{{2,24}}/)[^\s\x02\x03{_ENDS}]+",
    re.IGNORECASE,
)
_MARK = re.compile(r"(?<![ \t])[ \t]*[\[【] ?(?:passages? )?([0-9][ 0-9,;–-]{0,39})[\]】]", re.IGNORECASE)
_DEAD = "\x02\x03"
# With the space before it when white space follows; else that space still parts two words, or two halves of an address.
_DEAD_RUN = re.compile(rf"(?<![ \t])([ \t]*)(?:{_DEAD})+((?=[.,;:!?\"'”’»)]*(?:\s|\Z)|[{_ENDS}]))?")
_OTHER = str.maketrans("[]", "()")
_MARKS = str.maketrans("\x02\x03", "[]")
_NUMBERS = re.compile(r"([0-9]{1,9})(?:\s*[–-]\s*([0-9]{1,9}))?")
_PUNCTUATION = ".,;:!?\"'”’»)"
_MARKED = re.compile(r"(?<![ \t])[ \t]*\[([0-9]+)\]")
# How models mark what they think: DeepSeek's and Qwen's, Kimi's, Mistral's.
_THOUGHTS = (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("◁think▷", "◁/think▷"), ("[think]", "[/think]"))
_THINKS = re.compile("|".join(re.escape(begin) for begin, _ in _THOUGHTS), re.IGNORECASE)
_THOUGHT = re.compile("|".join(re.escape(end) for _, end in _THOUGHTS), re.IGNORECASE)
_LONGEST = max(len(mark) for marks in _THOUGHTS for mark in marks)


def _own_address(match: re.Match[str], own: set[str]) -> str:
    """The address itself when it is a passage's own; a stop or bracket at its end may belong to the text."""
    address = match[0]
    end = len(address)
    while end and address[:end] not in own and address[end - 1] in _PUNCTUATION:
        end -= 1
    return (address[:end] if address[:end] in own else LEFT_OUT) + address[end:]


def _existing(match: re.Match[str], count: int) -> str:
    """Marks for those numbers of "1, 3-5" that exist, or a mark without a number."""
    numbers: list[int] = []
    for first, last in _NUMBERS.findall(match[1]):
        numbers += range(max(1, int(first)), min(int(last or first), count) + 1)
    space = match[0][: len(match[0]) - len(match[0].lstrip())]
    # \x02 and \x03 cannot be in the text any more: they keep these brackets apart from all others.
    return space + ("".join(f"\x02{n}\x03" for n in dict.fromkeys(numbers)) or _DEAD)


def _clean(text: str, count: int, own: set[str]) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = _TAG.sub("", text)
    text = _LINK.sub(lambda m: f"[{m[1]}]" if _MARK.fullmatch(f"[{m[1]}]") else m[1], text)
    text = _MARK.sub(lambda m: _existing(m, count), _EMPHASIS.sub("", text))
    text = _DEAD_RUN.sub(lambda m: m[1] if m[2] is None else "", text)
    # What was left out may have joined its neighbours to a tag or an address, so these come last.
    text = _TAG_BEGINS.sub("‹", text.translate(_OTHER))
    text = _ADDRESS.sub(lambda m: _own_address(m, own), text).translate(_MARKS)
    return text.replace("](", "] (")  # which could be read as a link


def _last_boundary(text: str, begin: int, end: int) -> int:
    """Looked for from the end, since what is near it is looked at again with every piece; 0 where there is none."""
    while begin < end:
        nearer = max(begin, end - _LOOKED_AT)
        found = [m.start() for m in _BOUNDARY.finditer(text, nearer, end)]
        if found:
            return found[-1]
        end = nearer
    return 0


def _settled(text: str, begin: int, end: int) -> int:
    """How many characters from the beginning can be read without what follows: up to the last boundary, `end`, unless
    an open bracket lies before it. No boundary lies before `begin`."""
    for _ in range(MAX_NESTED):
        opened = _OPEN.search(text, max(0, end - _LONGEST_OPEN), end)
        if opened is None:
            break
        end = _last_boundary(text, begin, opened.start())
    return end


def _half_a_mark(text: str) -> int:
    """How many characters at the end of a text may be the beginning of a mark of thoughts."""
    ending = text[1 - _LONGEST :].lower()
    halves = (n for marks in _THOUGHTS for mark in marks for n in range(1, len(mark)) if ending.endswith(mark[:n]))
    return max(halves, default=0)


def _spoken(pieces: Iterable[str]) -> Iterator[str | Anew]:
    """The pieces without thoughts, and without white space before what is said.

    A thought stands before what is said. Where its beginning was in the prompt only its end tells of it: what was
    passed on till then is taken back by `Anew`. A thought that never ends leaves nothing; in the middle of a text marks
    of both kinds mean nothing.
    """
    waiting, thinking, begun, opened = "", False, False, False
    for piece in pieces:
        waiting += piece
        while True:
            if not begun and not thinking:
                waiting = waiting.lstrip()
                thinking = _THINKS.match(waiting) is not None
            ended = _THOUGHT.search(waiting)
            if ended is None:
                break
            if not thinking and (opened or _THINKS.search(waiting, 0, ended.start())):
                begun, opened = True, False
                yield waiting[: ended.end()]
            else:
                if begun:
                    yield Anew()
                thinking = begun = opened = False
            waiting = waiting[ended.end() :]
        if thinking:
            waiting = waiting[-_LONGEST:]
            continue
        end = len(waiting) - _half_a_mark(waiting)
        if end:
            begun, opened = True, opened or _THINKS.search(waiting, 0, end) is not None
            yield waiting[:end]
            waiting = waiting[end:]
    if waiting and not thinking:
        yield waiting


def plain_pieces(pieces: Iterable[str], passages: Sequence[Evidence]) -> Iterator[str | Anew]:
    """The text of `pieces` as plain text, in pieces that are not empty, without white space at either end.

    A model's thoughts are left out, or taken back by `Anew` where only their end tells that they were some.

    Its square brackets are all of the form [n] with a passage n, counted from 1; "[1, 2]" becomes "[1][2]".
    """
    own = {p.url for p in passages if p.url.startswith(("https://", "http://"))}
    waiting, space, begun = "", "", False
    held = 0  # characters at the beginning of what waits that have no boundary among them
    # First of all without what is unsafe: some of it counts as white space, and then there is none.
    for piece in _spoken(_UNSAFE.sub("", piece) for piece in pieces):
        if isinstance(piece, Anew):
            waiting, space, held = "", "", 0
            if begun:
                yield piece
            begun = False
            continue
        waiting += piece
        last = _last_boundary(waiting, held, len(waiting))
        if not last:
            held = len(waiting)
            continue
        settled = _settled(waiting, held, last)
        if settled:
            held = 0
        ready, waiting = waiting[:settled], waiting[settled:]
        ready = space + _clean(ready, len(passages), own)
        said = ready.rstrip() if begun else ready.strip()
        space = ready[len(ready.rstrip()) :]
        if said:
            begun = True
            yield said
    ready = (space + _clean(waiting, len(passages), own)).rstrip()
    if ready := ready if begun else ready.lstrip():
        yield ready


def plain_text(text: str, passages: Sequence[Evidence] = ()) -> str:
    """All of a text as plain_pieces makes it."""
    return reduce(said_with, plain_pieces([text], passages), "")


def without_marks(text: str) -> tuple[str, list[tuple[int, int]]]:
    """A plain text without its marks, and for each mark its number and where in that text it stood."""
    bare, marks, at = "", [], 0
    for match in _MARKED.finditer(text):
        bare += text[at : match.start()]
        marks.append((int(match[1]), len(bare)))
        at = match.end()
    return bare + text[at:], marks


def places_in_marked(text: str) -> list[int]:
    """Where each character of a plain text without its marks stands in the text with them."""
    places: list[int] = []
    at = 0
    for match in _MARKED.finditer(text):
        places += range(at, match.start())
        at = match.end()
    return places + list(range(at, len(text)))
