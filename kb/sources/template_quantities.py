"""How quantities are written in Wikipedia's templates: numbers with powers of ten, ranges, units, fractions, heights.

A number that a template shows is kept whole, with its power of ten, its range and its unit; what is not understood is
kept as it was written. Knows nothing of which templates there are.
"""

from __future__ import annotations

import re

from kb.sources.exponents import raised
from kb.sources.template_arguments import Saying

# Quantities: 1+1/2 and -4-1/2, with // for another look of the same; 1.5e6.
_MIXED = re.compile(r"(?:([\d.,]*\d) ?\+ ?|([-−][\d.,]*\d) ?- ?)?([-−]?\d+) ?//? ?(\d+)")
_POWER = re.compile(r"([-+−±]?[\d.,]*\d)[eE]\+?([-−]?)0*(\d+)")
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
_SHORT_UNITS = {"C": "°C", "F": "°F", "sqmi": "sq mi", "sqft": "sq ft", "sqkm": "km²", "sqm": "m²", "cuft": "cu ft"}
_SEA_LEVELS = {
    "DE-NN": "ü. NN", "DE-NHN": "ü. NHN", "DE": "ü. NHN", "AT": "ü. A.", "CH": "ü. M.", "IT": "s.l.m.",
    "FR": "s.l.m.", "US": "", "NO": "moh.",
}  # fmt: skip
_CHARGE = re.compile(r"\d{0,2}[-−+]")


def ten_to_the(before: str) -> Saying:
    return lambda placed, named, language: before + "10" + raised(placed[0]) if placed and placed[0] else ""


def amount(number: str) -> str:
    """A number as a reader sees it: 1 1/2 for "1+1/2", 1.5 × 10⁶ for "1.5e6", others as they are."""
    if power := _POWER.fullmatch(number):
        return f"{power[1]} × 10{raised(power[2] + power[3])}"
    if mixed := _MIXED.fullmatch(number):
        whole = mixed[1] or mixed[2]
        return f"{whole} {mixed[3]}/{mixed[4]}" if whole else f"{mixed[3]}/{mixed[4]}"
    return number


def _range(placed: list[str]) -> tuple[str, list[str]]:
    """(the numbers with what stands between them, what follows): ["5", "-", "10", "km"] is "5–10" and ["km"]."""
    said, place = "".join(map(amount, placed[:1])), 1
    while place + 1 < len(placed) and placed[place] in _RANGES:
        said += _RANGES[placed[place]] + amount(placed[place + 1])
        place += 2
    return said, placed[place:]


def with_unit(number: str, unit: str) -> str:
    """"5 km²" for "5" and "km2", "5 × 10⁶ m³" for "5" and "e6m3"."""
    if power := _POWER_UNIT.match(unit):
        number, unit = f"{number} × 10{raised(power[1])}", unit[power.end() :]
    unit = _UNIT_EXPONENT.sub(lambda match: raised(match[0]), unit)
    return " ".join(word for word in (number, unit) if word)


def convert(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{convert|5|to|10|km|mi}} is "5 to 10 km", {{convert|5|ft|11|in|m}} "5 ft 11 in". A number that is not understood
    stays as it is written."""
    number, rest = _range(placed)
    if not number:
        return ""
    unit = "".join(rest[:1])
    said = with_unit(number, _SHORT_UNITS.get(unit, unit))
    second = rest[1:3]
    if len(second) == 2 and second[1] in _SMALLER_UNITS and second[0][:1].isdecimal():
        said += " " + with_unit(amount(second[0]), second[1])
    return said


def fraction(placed: list[str], named: dict[str, str], language: str) -> str:
    if len(placed) > 2:
        return f"{placed[0]} {placed[1]}/{placed[2]}"
    above, below = placed if len(placed) == 2 else ("1", "".join(placed))
    if above.isdecimal() and below.isdecimal():
        # Not one number with a digit before it; see kb/sources/exponents.py.
        return f"<sup>{above}</sup>/<sub>{below}</sub>"
    return f"{above}/{below}"


def value(placed: list[str], named: dict[str, str], language: str) -> str:
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
    return named.get("p", "") + with_unit(number, unit) + named.get("s", "") if number else ""


def quantity(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{unité|1.6|e=-19|C}} is "1.6 × 10⁻¹⁹ C", {{unité|3|m|3|s|-1}} "3 m³ s⁻¹"."""
    number = "".join(map(amount, placed[:1]))
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


def money(sign: str, before: bool = False) -> Saying:
    """{{euro|25}} is "25 €", {{GBP|5}} "£5", and without a number the sign alone."""

    def said(placed: list[str], named: dict[str, str], language: str) -> str:
        words = [amount(word) for word in placed[:1] if word]
        words += [word for word in placed[1:2] if word.isalpha()]  # {{INR|5|crore}}
        return sign + " ".join(words) if before else " ".join([*words, sign])

    return said


def prefixed(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{M|1|c|m}} is "1 cm", {{M|700|-|°C}} "700 °C": a number, a prefix of its unit, the unit."""
    number, prefix, unit = (*placed, "", "", "")[:3]
    unit = unit or named.get("u", named.get("ul", ""))
    if exponent := named.get("e", ""):
        number += f" × 10{raised(exponent)}"
    return with_unit(amount(number), prefix.strip("-–") + unit)


def scientific(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{Exp|7,7|15}} is "7,7 × 10¹⁵"."""
    number, exponent = (*placed, "", "")[:2]
    return f"{number} × 10{raised(exponent)}" if number and exponent else number


def above_sea(unit: str) -> Saying:
    """{{mnm|34}} is "34 m n. m." in Slovak."""
    return lambda placed, named, language: " ".join([*(word for word in placed[:1] if word), unit])


def height(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{Höhe|400|DE-NN}} is "400 m ü. NN": metres, and what they are counted from."""
    number, country = (*placed, "", "")[:2]
    return " ".join(word for word in (number, "m", _SEA_LEVELS.get(country.upper(), "")) if word) if number else ""


def tall(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{height|ft=5|in=11}} is "5 ft 11 in"."""
    return " ".join(f"{named[unit]} {unit}" for unit in ("m", "cm", "ft", "in") if named.get(unit))


def hours(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{heure|14|30}} is "14 h 30"."""
    signs = ("h", "") if len(placed) == 2 else ("h", "min", "s")
    return " ".join(part for word, sign in zip(placed, signs, strict=False) if word for part in (word, sign) if part)


def formula(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{chem|SO|4|2-}} is "SO4²⁻", and its numbers stay plain as those of <sub> do."""
    return "".join(raised(part) if at and _CHARGE.fullmatch(part) else part for at, part in enumerate(placed))


def around(before: str, after: str) -> Saying:
    """{{abs|x}} is "|x|"."""
    return lambda placed, named, language: f"{before}{', '.join(placed[:2])}{after}" if any(placed) else ""


def root(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{sqrt|2}} is "√2", {{sqrt|a + b}} "√(a + b)", {{radic|x|3}} "∛x"."""
    number, which = (*placed, "", "")[:2]
    sign = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(which)
    said = number if number.isalnum() else f"({number})"
    return (f"{sign}{said}" if sign else f"{said}{raised('1/' + which)}") if number else ""


def nuclide(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{nuclide|carbon|14}} is "carbon-14"."""
    return "-".join(word for word in placed[:2] if word)


def joined(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{gaps|1|234|567}} is "1234567", which is searched for so."""
    return "".join(placed) + named.get("u", "")


def coordinates(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{coord|48|10|N|100|10|W}} is "48° 10′ N 100° 10′ W"; what stands beside the title alone is nothing."""
    if named.get("display", "inline").strip() in ("title", "t"):
        return ""
    said: list[str] = []
    parts: list[str] = []
    for word in placed:
        if word.upper() in ("N", "S", "E", "W", "O") and parts:
            said.append(" ".join([*(n + sign for n, sign in zip(parts, "°′″", strict=False)), word.upper()]))
            parts = []
        elif re.fullmatch(r"[-−]?[\d.]{1,12}", word) and len(parts) < 3:
            parts.append(word)
        else:
            break
    return " ".join(said) if said else ", ".join(f"{part}°" for part in parts[:2])
