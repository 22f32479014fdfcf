"""Templates that nobody here knows, and formulas: what stands for them in a sentence, or that it is not told.

Nothing is expanded, so what such a template shows is not known. Where it stands in a sentence it leaves the text it was
given, if there is one text and that can be right; else the sentence would say something wrong in silence, a number or a
name gone, and is left out and counted. What is said in brackets can be left out alone. Notes, icons and what stands on
lines of its own say nothing of a sentence. Knows nothing of wikitext beside its templates.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from kb.sources.pronunciations import introduces
from kb.sources.template_arguments import template_arguments

BEGIN, _MIDDLE, _END = "\x02", "\x04", "\x03"  # no XML holds them, and no clean text; they are no white space
_MARKED = re.compile(r"\x02([^\x02-\x04]*+)\x04([^\x02-\x04]*+)\x04([^\x02-\x04]*+)\x03")
_FLAG_MARKED = re.compile(r"\x02[^\x02-\x04]*+\x04flag\x04[^\x02-\x04]*+\x03")
_BEFORE_BOLD = re.compile(r"^(?:\x02[^\x02\x03]*+\x03[ \t]*+)++(?='''[^'])", re.MULTILINE)
_HOLE = re.compile(r"\x02(\d+)\x03")  # one that stays, with the place of its name

MAX_ARGUMENTS = 2_000  # characters; what has more is no part of a sentence
MAX_TEXT = 300
_LOOK = 60  # characters on either side that tell
# Whether a template was given anything by place; flags, pronunciations, and formulas.
_BARE, _GIVEN, _FLAG, _BESIDE, _FORMULA = "bare", "given", "flag", "beside", "formula"

# Names that tell: notes and icons say nothing; what is looked up elsewhere is not among the arguments.
_SILENT = re.compile(
    r"(?:normdaten|authority control|navbox|cite|cita|citation|citar|cytuj|literatur|internetquelle|ouvrage|lien web"
    r"|article|kirjaviite|web|isbn|issn|oclc|doi|imdb|youtube|commons|wikt|wiki(?!data)|dmoz|ref|note\w*|multiple"
    r"|annotated image|quote box|anmerkung|nota|fn|sources?|bron|källa|kilde|lähde|webarchive"
    r"|dead link|toter link|lien brisé|архив|wayback|hauptartikel|main|see also|vedi anche|siehe auch|article détaillé"
    r"|требуется|нет источника|要出典|出典|脚注|refnote|referencia|#tag:ref|anchor|r from)\b.*"
    r"|[a-z]{2,3} icon|ref[- ][a-z]{2,3}"
)
_SHOWS_FLAG = re.compile(
    r"flag|drapeau|bandi?era|bandeira|bannera|bandiere|vlag|zastav|lippu|lipp\b|steag|flaga|флаг|прапор|знаме|сцяг|застава"
    r"|旗|پرچم|علم|σημαία|bayrak|bayraq"
)
_ICON = re.compile(r"icon|ikon|piktogram|logo")
_LOOKED_UP = re.compile(
    r"wikidata|einwohner|ewz|inwoner|popula[tcz]|abitanti|habit?ant|насел|人口|metadat|statisti|inflation|current|\bage\b"
    r"|\bage in|alter\b|età\b|edad\b|возраст|number ?of|anzahl|nombre de|^#|pagename|^data\b"
)
_FORMATS = re.compile(
    r"n[uú]m|nombre|zahl|число|liczb|szám|sayı|luku|antal|\btal|数|數|عدد|رقم|form|fmt|nowrap|nobr|no wrap|attaccat"
)
_UNITS = frozenset("km km² km2 cm mm kg ha".split())
_NUMBER = re.compile(r"[-−]?\d[\d., ]*")
_NUMERALS = frozenset("ii iv vi ix xi xv xx".split())  # {{versalita|iv}} names no language
# Whose 5. may be "the fifth" before a capital letter; elsewhere a number ends a sentence as any word does.
_WITH_ORDINALS = frozenset(
    "als bar bs cs da de dsb eo et eu fi fo fy hr hsb hu is ksh lb lt lv nb nds nn no pl sh sk sl sq sr stq sv szl tr"
    " az tk kk uz".split()
)
_LANGUAGE_ICON, _COUNTRY = re.compile(r"[a-z]{2}"), re.compile(r"[a-z]{3}|[a-z]{2}-[a-z]{2,3}")  # or a part of one
_NO_NAME = re.compile(r"[\[\]{}<>]|^.{80,}|^$")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z]{2,8})?")
_NOT_TEXT = re.compile(
    r"[PQ]\d+|[^:./_]*(?:://|_|\.(?:jpe?g|png|svg|gif|og[gva]|webm|mp3|wav|flac|pdf)\b).*|[\w-]+/[\w/-]+", re.IGNORECASE
)
_NO_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_OPENING = frozenset("([{«“„‘‹「『（【〈《-–—/=~≈±$€£")
_STOPS = frozenset(".!?…。！？।؟۔")
_STOP = re.compile(r"(?<![.!?…।؟۔])[.!?…।؟۔]++[\"'”’»)\]]*+\s+|[。！？]+[」』”’）]*")
_WORD_BEFORE = re.compile(r"(\w+)[^\w.]?$")
_LONG = 5  # letters of a word after which a number begins a sentence
_SHORTENED = frozenset(
    "circa abschn chapt"
    " mrs prof rev gen col capt hon gov sen rep approx vol vols figs fig eds est jan feb mar apr jun jul aug sep"
    " sept oct nov dec inc ltd chr bzw ggf evtl sog zool hist etc resp inkl usw ing avv dic cca tzv atd např"
    " сан тыс млн млрд руб стр обл род гос проф акад".split()
)
_BRACKET = re.compile(r"\s?(?:\(([^()]{0,400}+)\)|（([^（）]{0,400}+)）)")
_PART = re.compile(r"(?<=[;；，、])|(?<=[,،])(?=\s)")


def silent(name: str) -> bool:
    """Whether a template's name tells that it says nothing of what an article is about."""
    return bool(_NO_NAME.search(name) or _SILENT.fullmatch(name) or _ICON.search(name) or _SHOWS_FLAG.search(name))


def marked(name: str, rest: str) -> str:
    """What stands for a template that is not known until the line that it lies in is read: see settled()."""
    if len(rest) > MAX_ARGUMENTS or not rest and _LANGUAGE_ICON.fullmatch(name):
        return ""
    if BEGIN in rest:
        rest = _FLAG_MARKED.sub("", rest)
    placed, named = template_arguments(rest)
    words = [word for word in placed if word]
    if _SHOWS_FLAG.search(name) and not _NO_NAME.search(name):
        return _mark(name, _FLAG, _text(name, words, named))
    if silent(name):
        return ""
    if words and all(map(_LANGUAGE_ICON.fullmatch, words)) and _NUMERALS.isdisjoint(words):
        return ""
    if name in _UNITS and words and _NUMBER.fullmatch(words[0]):
        return f"{words[0]} {name}"
    text = "" if _LOOKED_UP.search(name) else _text(name, words, named)
    return _mark(name, _GIVEN if words else _BARE, text)


def pronounced(name: str, text: str) -> str:
    """What stands for a pronunciation, or for a sound, whose text is ""."""
    return _mark(name, _BESIDE, text)


def formula(name: str) -> str:
    """What stands for a formula that cannot be told in a line."""
    return _mark(name, _FORMULA, "")


def _mark(name: str, given: str, text: str) -> str:
    return _MIDDLE.join((BEGIN + name, given, text)) + _END


def _text(name: str, words: list[str], named: dict[str, str]) -> str:
    """The text that a template was given, where it was given but one; "" where what it shows can be something else."""
    if len(words) == 2 and _LANGUAGE.fullmatch(words[0]) and len(words[1]) > 3:
        words = words[1:]  # the way of {{lang|fr|mot}} in every Wikipedia
    if len(set(words)) != 1:
        return ""
    text = words[0]
    if len(text) > MAX_TEXT or "\n" in text or BEGIN in text or _NOT_TEXT.fullmatch(text):
        return ""
    if not any(map(str.isalpha, text)) and any(map(str.isdigit, text)) and (named or not _may_be_bare(name)):
        return ""  # a number whose unit is perhaps what the template adds
    return text if any(map(str.isalnum, text)) else ""


def _may_be_bare(name: str) -> bool:
    return _FORMATS.search(name) is not None


def without_lone(line: str, left_out: Counter[str]) -> str:
    """A line without its templates where nothing else is said in it: boxes, notices, lists of links; counts formulas"""
    rest = _MARKED.sub("", line)
    if any(map(str.isalnum, rest)):
        return line
    left_out.update(f"<{name}>" for name, given, _ in _MARKED.findall(line) if given == _FORMULA)
    return rest


def without_boxes(text: str) -> str:
    """Text without the templates right before what a line begins with in bold, its subject: boxes and notices."""
    return _BEFORE_BOLD.sub("", text)


def value(text: str, left_out: Counter[str], language: str = "") -> str:
    """What a cell of a table or a fact says; "", and counted, where a template in it would have to be known."""
    if BEGIN not in text:
        return text
    if any(map(str.isalnum, _MARKED.sub("", text))):
        return settled(text, left_out, language)
    text = _MARKED.sub(_code, text)
    unknown = [_counted(*found) for found in _MARKED.findall(text) if found[1] not in (_FLAG, _BESIDE) and not found[2]]
    left_out.update(unknown)
    return "" if unknown else _MARKED.sub(lambda match: match[3], text)


def _counted(name: str, given: str, _text: str) -> str:
    return f"<{name}>" if given == _FORMULA else name


def _code(match: re.Match[str]) -> str:
    """{{FRA}} alone in a cell is the flag of a country with its name, {{DNF}} means itself."""
    return match[1].upper() if match[2] == _BARE and _COUNTRY.fullmatch(match[1]) else match[0]


def plain(text: str) -> str:
    """A heading and the like: with the texts of its templates, and without the others."""
    return _MARKED.sub(lambda match: match[3] * (match[2] != _FLAG), text) if BEGIN in text else text


def settled(paragraph: str, left_out: Counter[str], language: str = "") -> str:
    """A paragraph in which every template says something or nothing; counts, by names of templates, the sentences and
    brackets that are left out since one is not known. language: the code of the one it is written in, "" for any."""
    pieces, place, before = [], 0, ""
    holes: list[tuple[str, str | None]] = []  # names, and texts of pronunciations
    for match in _MARKED.finditer(paragraph):
        said = paragraph[place : match.start()]
        place = match.end()
        name, given, text = match.groups()
        before = (before + said)[-_LOOK:]
        after = paragraph[place : place + _LOOK]
        flag = given == _FLAG or given == _BARE and _COUNTRY.fullmatch(name) and after.lstrip()[:1].isupper()
        found = "" if flag else None
        if not flag and given not in (_BESIDE, _FORMULA):
            found = _in_place(before, after, given == _BARE, text)
        if found is None:
            holes.append((_counted(name, given, text), text if given == _BESIDE else None))
            found = f"{BEGIN}{len(holes) - 1}{_END}"
        pieces += (said, found)
        before += found
    said = "".join([*pieces, paragraph[place:]])
    if not holes:
        return said

    def whole(part: str) -> bool:
        unknown = (holes[int(number)] for number in _HOLE.findall(part))
        name = next((name for name, text in unknown if text is None), None)
        if name is not None:
            left_out[name] += 1
        return name is None

    said = _BRACKET.sub(lambda bracket: _bracket(bracket, whole), said)
    if BEGIN not in said:
        return said
    said = _HOLE.sub(lambda hole: hole[0] if (text := holes[int(hole[1])][1]) is None else text, said)
    return "".join(filter(whole, _sentences(said, language))) if BEGIN in said else said


def _in_place(before: str, after: str, bare: bool, text: str) -> str | None:
    """The text of a template, "" where it is a note beside a sentence, None where it is a hole."""
    last, next_ = before[-1:], after[:1]
    if last in ("'", '"'):
        last = before.rstrip("'\"")[-1:] or last  # with a word before it, it closes
    begun = before.rstrip()
    if last and not last.isspace() and last not in _OPENING and not _NO_SPACES.match(last):
        if not last.isalnum():
            return ""  # a note after a mark
        if next_.isalnum() or text and len(text) <= 4:
            return None  # a part of the word
        return ""
    if not begun and next_.isupper():
        return ""  # a box, with the text right behind it
    if text:
        return text
    if not begun or begun[-1] in _STOPS:
        # Between sentences there are notes and boxes; what begins a sentence goes on with it.
        goes_on = after.lstrip()[:1]
        return "" if begun and (not goes_on or goes_on.isupper() or goes_on == BEGIN) else None
    return "" if bare and not after.strip() and not begun[-1].isdigit() else None


def _bracket(match: re.Match[str], whole: Callable[[str], bool]) -> str:
    """Brackets without the parts that have a hole, and without pronunciations."""
    inner = match[1] if match[1] is not None else match[2]
    if BEGIN not in inner:
        return match[0]
    parts = []
    for part in filter(whole, _PART.split(inner)):
        rest = _HOLE.sub("", part)
        if rest == part or not introduces(rest):
            parts.append(rest)
    kept = "".join(parts).rstrip(" ;,；，、")
    if not any(map(str.isalnum, kept)):
        return ""
    return match[0].replace(inner, kept)


def _sentences(paragraph: str, language: str) -> list[str]:
    """The sentences of a paragraph; two where it is not sure that there is an end are one."""
    found, place = [], 0
    for match in _STOP.finditer(paragraph):
        if _ends(paragraph, match, language):
            found.append(paragraph[place : match.end()])
            place = match.end()
    return [*found, paragraph[place:]]


def _ends(paragraph: str, stop: re.Match[str], language: str) -> bool:
    if stop[0][0] in "。！？":
        return True
    following = paragraph[stop.end() : stop.end() + 1]
    if not following or following.islower() or following == BEGIN:
        return False
    if paragraph[stop.start() - 1 : stop.start()] == _END:
        return True
    before = _WORD_BEFORE.search(paragraph, max(0, stop.start() - 30), stop.start())
    if following.isdigit():  # what shortens "chapter" and the like is shorter than most words
        return before is not None and len(before[1]) >= _LONG and before[1].lower() not in _SHORTENED
    if before is not None and before[1].isdecimal() and language and language not in _WITH_ORDINALS:
        return True
    # Short words before a stop are abbreviations, most of them, and short numbers are ordinals: 5. Mai.
    return before is None or len(before[1]) > 2 and before[1].lower() not in _SHORTENED
