"""What the templates of Wikipedia say that carry text of a sentence, and how their quantities are written.

Nothing is expanded: each is read as its documentation describes it. A number that a template shows is kept whole, with
its power of ten, its range and its unit; what is not understood is kept as it was written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import takewhile

from kb.sources.exponents import raised

Arguments = tuple[list[str], dict[str, str], str]

_MONTHS = "January February March April May June July August September October November December".split()

# Quantities: 1+1/2 and -4-1/2, with // for another look of the same; 1.5e6.
_MIXED = re.compile(r"(?:([\d.,]*\d) ?\+ ?|([-−][\d.,]*\d) ?- ?)?([-−]?\d+) ?//? ?(\d+)")
_POWER = re.compile(r"([-+−±]?[\d.,]*\d)[eE]\+?([-−]?)0*(\d+)")
_NUMBER = re.compile(r"[-+−±]?[\d.,/ ]*\d")
_POWER_UNIT = re.compile(r"e(\d{1,2})(?=[^\W\d])")  # e6m3 is a million cubic metres
_UNIT_EXPONENT = re.compile(r"(?<=[^\W\d_])(?<!CO)[-−]?[1-9](?!\w|/\d)")  # not in kgCO2 and m1/2
_WHOLE = re.compile(r"[-−]?\d{1,2}")

# What may stand between two numbers of {{convert}} and {{val}}.
_RANGES = {
    **{word: f" {word} " for word in ("to", "and", "or", "by", "to about", "±")},
    **{mark: f"{mark} " for mark in (",", ", and", ", or")},
    "-": "–", "–": "–", "/": "/", "+": " + ", "+/-": " ± ", "&": " and ", "x": " × ", "×": " × ", "xx": " × ",
    "*": " × ", "to(-)": " to ", "to-": " to ", "and(-)": " and ",
}  # fmt: skip
_SMALLER_UNITS = frozenset("in ft yd lb oz ch chain furlong".split())  # second parts, as in 5 ft 11 in
_BETWEEN = frozenset("à a et y ou o x × - – ± +".split())  # the same for {{unité}} and {{unidad}}


def template_name(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).lower()


def template_text(name: str, rest: str, language: str) -> str | None:
    """What a template says in a sentence; None when it says nothing. `name` is as template_name() gives it."""
    known = _SAYING.get(name) or _SAYING.get(f"{language}:{name}")
    if known is not None:
        return known(*_arguments(rest, language))
    if name in _FIXED:
        return _FIXED[name]
    if name.startswith("lang-"):
        return _first(*_arguments(rest, language))
    if name.startswith("formatnum:"):
        return name.partition(":")[2].strip()
    if language == "fr" and re.fullmatch(r"(?:\d{1,3}|[ivx]{1,7})?(?:er|re|e|ème)", name):
        return name
    return None


def _arguments(rest: str, language: str) -> Arguments:
    """(those by place, those by name, language) of what follows a template's name."""
    placed: list[str] = []
    named: dict[str, str] = {}
    for part in rest.split("|"):
        key, given, value = part.partition("=")
        key = key.strip()
        if given and key.isdecimal() and int(key[:4]) == len(placed) + 1:
            placed.append(value.strip())
        elif given and re.fullmatch(r"[\w -]{1,40}", key):
            named[key.lower()] = value.strip()
        else:
            placed.append(part.strip())
    return placed, named, language


def _first(placed: list[str], named: dict[str, str], language: str) -> str:
    given = next((named[key] for key in ("lt", "text", "texte", "quote") if named.get(key)), "")
    return given or "".join(placed[:1])


def _second(placed: list[str], named: dict[str, str], language: str) -> str:
    return placed[1] if len(placed) > 1 else named.get("text", named.get("texte", ""))


def _last(placed: list[str], named: dict[str, str], language: str) -> str:
    return next((word for word in reversed(placed) if word), "")


def _foreign(placed: list[str], named: dict[str, str], language: str) -> str:
    """A link to another Wikipedia's article: `lt` or the title."""
    return named.get("lt") or "".join(placed[:1])


def _spaced(placed: list[str], named: dict[str, str], language: str) -> str:
    return " ".join(word for word in placed if word)


def _list(placed: list[str], named: dict[str, str], language: str) -> str:
    items = (line.strip("*# \t") for item in placed for line in item.splitlines())
    return ", ".join(item for item in items if item)


def _superscript(placed: list[str], named: dict[str, str], language: str) -> str:
    """An element, since what it stands after tells whether it is an exponent; see kb/sources/exponents.py."""
    return f"<sup>{_first(placed, named, language)}</sup>"


def _subscript(placed: list[str], named: dict[str, str], language: str) -> str:
    return f"<sub>{_first(placed, named, language)}</sub>"


def _ten_to_the(before: str) -> Callable[[list[str], dict[str, str], str], str]:
    return lambda placed, named, language: before + "10" + raised(placed[0]) if placed and placed[0] else ""


def _amount(number: str) -> str:
    """A number as a reader sees it: 1 1/2 for "1+1/2", 1.5 × 10⁶ for "1.5e6", others as they are."""
    if power := _POWER.fullmatch(number):
        return f"{power[1]} × 10{raised(power[2] + power[3])}"
    if mixed := _MIXED.fullmatch(number):
        whole = mixed[1] or mixed[2]
        return f"{whole} {mixed[3]}/{mixed[4]}" if whole else f"{mixed[3]}/{mixed[4]}"
    return number


def _range(placed: list[str]) -> tuple[str, list[str]]:
    """(the numbers with what stands between them, what follows): ["5", "-", "10", "km"] is "5–10" and ["km"]."""
    said, place = "".join(map(_amount, placed[:1])), 1
    while place + 1 < len(placed) and placed[place] in _RANGES:
        said += _RANGES[placed[place]] + _amount(placed[place + 1])
        place += 2
    return said, placed[place:]


def _with_unit(number: str, unit: str) -> str:
    """"5 km²" for "5" and "km2", "5 × 10⁶ m³" for "5" and "e6m3"."""
    if power := _POWER_UNIT.match(unit):
        number, unit = f"{number} × 10{raised(power[1])}", unit[power.end() :]
    unit = _UNIT_EXPONENT.sub(lambda match: raised(match[0]), unit)
    return " ".join(word for word in (number, unit) if word)


def _convert(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{convert|5|to|10|km|mi}} is "5 to 10 km", {{convert|5|ft|11|in|m}} "5 ft 11 in". A number that is not understood
    stays as it is written."""
    number, rest = _range(placed)
    if not number:
        return ""
    said = _with_unit(number, "".join(rest[:1]))
    second = rest[1:3]
    if len(second) == 2 and second[1] in _SMALLER_UNITS and second[0][:1].isdecimal():
        said += " " + _with_unit(_amount(second[0]), second[1])
    return said


def _date(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{birth date|1950|5|12}} is "12 May 1950", in other languages 1950-05-12; words stay as they are."""
    numbers = list(takewhile(str.isdecimal, placed[:3]))  # what follows a word is not known to be a month or a day
    if not numbers or max(map(len, numbers)) > 4:
        return placed[0] if placed else ""
    if len(numbers) > 1 and 1 <= int(numbers[1]) <= 12:
        if language == "en":
            return " ".join([*(str(int(day)) for day in numbers[2:]), _MONTHS[int(numbers[1]) - 1], numbers[0]])
        return "-".join([numbers[0], *(number.zfill(2) for number in numbers[1:])])
    return numbers[0]


def _as_of(placed: list[str], named: dict[str, str], language: str) -> str:
    return ("as of " if named.get("lc") else "As of ") + _date(placed, named, language)


def _nihongo(placed: list[str], named: dict[str, str], language: str) -> str:
    rest = ", ".join(word for word in placed[1:3] if word)
    return f"{placed[0] if placed else ''} ({rest})" if rest else _first(placed, named, language)


def _fraction(placed: list[str], named: dict[str, str], language: str) -> str:
    if len(placed) > 2:
        return f"{placed[0]} {placed[1]}/{placed[2]}"
    above, below = placed if len(placed) == 2 else ("1", "".join(placed))
    if above.isdecimal() and below.isdecimal():
        # Not one number with a digit before it; see kb/sources/exponents.py.
        return f"<sup>{above}</sup>/<sub>{below}</sub>"
    return f"{above}/{below}"


def _value(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{val|1.2|0.3|e=30|u=kg}} is "(1.2 ± 0.3) × 10³⁰ kg"; see Module:Val for what it takes."""
    number, rest = _range(placed)
    bare = len(placed) - len(rest) <= 1
    if bare and len(rest) > 1 and rest[0] and rest[1]:
        number += f" +{rest[0].lstrip('+')} −{rest[1].lstrip('-−')}"
    elif bare and rest and rest[0]:
        number += rest[0] if rest[0].startswith("(") else f" ± {rest[0].lstrip('±')}"
        bare = rest[0].startswith("(")
    number += named.get("end", "")
    if exponent := named.get("e", "").lstrip("+"):
        number = f"{number if bare else f'({number})'} × 10{raised(exponent)}" if number else f"10{raised(exponent)}"
    unit = named.get("u") or named.get("ul", "")
    if per := named.get("up") or named.get("upl"):
        unit += f"/{per}"
    return named.get("p", "") + _with_unit(number, unit) + named.get("s", "") if number else ""


def _quantity(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{unité|1.6|e=-19|C}} is "1.6 × 10⁻¹⁹ C", {{unité|3|m|3|s|-1}} "3 m³ s⁻¹"."""
    number = "".join(map(_amount, placed[:1]))
    if exponent := named.get("e", "").lstrip("+"):
        number += f" × 10{raised(exponent)}"
    said, unit = [number], False
    for word in placed[1:]:
        if unit and _WHOLE.fullmatch(word):
            said[-1] += raised(word)
        else:
            said.append(word)
        unit = word[-1:].isalpha() and word not in _BETWEEN
    return " ".join(word for word in said if word)


def _century(placed: list[str], named: dict[str, str], language: str) -> str:
    return f"{''.join(placed[:2])} siècle" if language == "fr" else _first(placed, named, language)


def _quotation(placed: list[str], named: dict[str, str], language: str) -> str:
    return _first(placed, named, language) if language == "fr" else ""  # in English the name of a reference


def _chinese(placed: list[str], named: dict[str, str], language: str) -> str:
    return ", ".join(named[key] for key in ("c", "s", "t", "p") if named.get(key))


def _with(before: str) -> Callable[[list[str], dict[str, str], str], str]:
    return lambda placed, named, language: " ".join(word for word in (before, "–".join(placed[:2])) if word)


# The templates that carry text of a sentence, by what they say; with the language where the name is common.
_SAYING: dict[str, Callable[[list[str], dict[str, str], str], str]] = {
    name: saying
    for saying, names in (
        (_convert, "convert|cvt|convert/spell"),
        (_second, "lang|langue|langx|tsl"),
        (_last, "transl|transliteration|translit"),
        (_foreign, "ill|interlanguage link|lien|仮リンク|link-en|link-ja|internal link helper/en"),
        (
            _first,
            "nowrap|nobr|nobreak|no wrap|small|smaller|big|em|strong|abbr|tooltip|hover|smallcaps|sc|sc2|"
            "flag|flagu|flagcountry|"
            "ruby|ruby-ja|quote|blockquote|block quote|quotation|cquote|zitat|cita|citaat|citazione|цитата|"
            "birth-date|death-date|birth year and age|mvar|var|angbr|sic|w|script|unicode|rtl-lang|s|num|nts|юл|lj",
        ),
        (
            _date,
            "birth date|birth date and age|death date|death date and age|start date|end date|start date and age|"
            "film date|dts|bda|dob|release date|launch date",
        ),
        (_superscript, "sup|fr:exp"),
        (_subscript, "sub"),
        (_ten_to_the(" × "), "en:e|en:esp|es:e|it:e|fr:x10"),
        (_ten_to_the(""), "10^"),
        (_spaced, "date|date-|fecha|data|date de naissance|date de décès"),
        (_quantity, "nombre|unité|unit|unidad"),
        (_nihongo, "nihongo|nihongo2|nihongo3|読み仮名|korean|linktext"),
        (_fraction, "frac|sfrac|fraction|vulgar fraction"),
        (_value, "val"),
        (_as_of, "as of"),
        (_century, "s-|sav|siècle"),
        (_quotation, "citation"),
        (_chinese, "zh|zh-full"),
        (_with("c."), "circa|c.|ca"),
        (_with("fl."), "floruit|fl."),
        (_list, "ubl|unbulleted list|plainlist|plain list|hlist|flatlist|flowlist|collapsible list|bulleted list"),
    )
    for name in names.split("|")
}
_FIXED = {
    "nbsp": " ", "spaces": " ", "snd": " – ", "spnd": " – ", "spaced ndash": " – ", "–": " – ", "ndash": "–",
    "endash": "–", "en dash": "–", "mdash": "—", "emdash": "—", "em dash": "—", "—": "—", "spaced mdash": " — ",
    "'": "'", "'s": "'s", "`": "'", '"': '"', "!": "|", "=": "=", "·": " · ", "•": " · ", "dot": " · ", "*": "*",
    "pi": "π", "minus": "−", "times": "×", "colon": ":", "zwsp": "", "clear": "", "br": " ", "deg": "°",
}  # fmt: skip
