"""A model's text, while it still comes, as plain text whose only square brackets are marks of passages.

Knows nothing of servers or of what the text says. Links, pictures and tags lose their markup, addresses that
are not a passage's own are left out, and a mark whose passage does not exist is dropped. What a reasoning model
thinks before it answers is left out (thoughts.py), and the box it puts its answer in. Text is passed on as soon as
nothing that may follow can change how it is read: mostly up to the last white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce

from common.passage import Evidence
from common.text import UNSAFE
from generator.answers import Anew, said_with
from generator.grounding.thoughts import spoken

LEFT_OUT = "(link left out)"
MAX_OPEN = 200  # characters after which a bracket that stays open is only a bracket
MAX_NESTED = 20  # open brackets inside one another that are waited for

_ENDS = "。！？，、；"  # end a piece in scripts without spaces
_BOUNDARY = re.compile(rf"(?<=[{_ENDS}])|(?<!\s)(?=\s)")
_TEX = "text|mathrm|mathbf"
_OPEN = re.compile(
    rf"(?:!?\[[^\[\]]{{0,{MAX_OPEN}}}(?:\]\([^()]{{0,{MAX_OPEN}}})?|<[^<>\s][^<>]{{0,{MAX_OPEN}}}"
    rf"|\${{0,2}}\\(?:boxed|{_TEX})\{{(?:[^{{}}]|\{{[^{{}}]*\}}){{0,{MAX_OPEN}}})\Z"
)
_LONGEST_OPEN = 2 * MAX_OPEN + len("![](")
_LOOKED_AT = 64  # characters
_UNSAFE = re.compile(f"[{UNSAFE}\u200c\u200d]+")  # the joiners too: they could hide a mark or a tag
_TAG = re.compile(r"<[A-Za-z/!?|｜][^<>]*>|◁/?think▷", re.IGNORECASE)
_TAG_BEGINS = re.compile(r"<(?=[A-Za-z/!?|｜])")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\(\s*[^\s()]*(?:\([^\s()]*\)[^\s()]*)?(?:\s+[\"'][^()]*)?\s*\)")
_EMPHASIS = re.compile(r"\*\*+|`+")
# How models trained on mathematics mark what they answer.
_TEX_TEXT = re.compile(rf"\\(?:{_TEX})\{{([^{{}}]{{0,{MAX_OPEN}}})\}}")
_BOX = re.compile(rf"\${{0,2}}\\boxed\{{((?:[^{{}}]|\{{[^{{}}]*\}}){{0,{MAX_OPEN}}})\}}\${{0,2}}")
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
    text = _BOX.sub(r"\1", _TEX_TEXT.sub(r"\1", _TAG.sub("", text)))
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


def plain_pieces(pieces: Iterable[str], passages: Sequence[Evidence]) -> Iterator[str | Anew]:
    """The text of `pieces` as plain text, in pieces that are not empty, without white space at either end.

    A model's thoughts are left out, or taken back by `Anew` where only their end tells that they were some.

    Its square brackets are all of the form [n] with a passage n, counted from 1; "[1, 2]" becomes "[1][2]".
    """
    own = {p.url for p in passages if p.url.startswith(("https://", "http://"))}
    waiting, space, begun = "", "", False
    held = 0  # characters at the beginning of what waits that have no boundary among them
    # First of all without what is unsafe: some of it counts as white space, and then there is none.
    for piece in spoken(_UNSAFE.sub("", piece) for piece in pieces):
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


def says_something(text: str) -> bool:
    """Whether there is a letter or a digit in a plain text beside its marks."""
    return any(c.isalnum() for c in without_marks(text)[0])


def places_in_marked(text: str) -> list[int]:
    """Where each character of a plain text without its marks stands in the text with them."""
    places: list[int] = []
    at = 0
    for match in _MARKED.finditer(text):
        places += range(at, match.start())
        at = match.end()
    return places + list(range(at, len(text)))
