"""The numbers of a text, each with its unit and what is said of it: more than it, less than it.

Knows nothing of passages or claims. English words only; numbers are compared as they are written, and nothing is
converted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from generator.words import plain, stems

# How units are written, plain and in lower case; "in" is not among them, since it mostly is none.
_SPELLED = """
km: km|kilometre|kilometres|kilometer|kilometers
m: m|metre|metres|meter|meters
cm: cm|centimetre|centimetres|centimeter|centimeters
mm: mm|millimetre|millimetres|millimeter|millimeters
ft: ft|foot|feet
inch: inch|inches
mi: mi|mile|miles
yd: yd|yard|yards
km/h: km/h|kmh|kph|kilometres per hour|kilometers per hour|kilometres an hour|kilometers an hour
mph: mph|miles per hour|miles an hour
m/s: m/s|metres per second|meters per second|metres a second|meters a second
kn: kn|knot|knots
km2: km2|square kilometres|square kilometers|square km
sq mi: sq mi|square miles|square mi
ha: ha|hectare|hectares
acre: acre|acres
kg: kg|kilogram|kilograms|kilogramme|kilogrammes|kilo|kilos
g: g|gram|grams|gramme|grammes
mg: mg|milligram|milligrams
t: t|ton|tons|tonne|tonnes
lb: lb|lbs|pound|pounds
oz: oz|ounce|ounces
°C: °c|degrees celsius|degrees c
°F: °f|degrees fahrenheit|degrees f
K: k|kelvin|kelvins
%: %|percent|per cent
year: year|years
month: month|months
week: week|weeks
day: day|days
hour: h|hour|hours
minute: min|minute|minutes
second: s|second|seconds
$: $|dollar|dollars|usd
€: €|euro|euros|eur
"""
_UNITS = {
    form: unit
    for unit, forms in (line.split(": ") for line in _SPELLED.strip().splitlines())
    for form in forms.split("|")
}
UNIT_STEMS = frozenset(stem for form in _UNITS for stem in stems(form))
_WORDS = {
    word: str(number)
    for number, word in enumerate(
        "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty".split(),
        start=2,
    )
} | {"thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80", "ninety": "90"}

# A number with what is glued to it: "20,000", "3.5", "1860s", "b52", "112km".
_NUMBER = re.compile(
    rf"(?<![\w.,])(?P<sign>[$€]?)(?P<before>[^\W\d_]*+)(?P<digits>\d++(?:,\d{{3}}(?!\d))*+(?:\.\d++)?+)(?P<glued>\w*+)"
    rf"|\b(?P<word>{'|'.join(sorted(_WORDS, key=len, reverse=True))})\b"
)
_UNIT = re.compile(
    rf"[\s-]?(?P<scale>thousand|million|billion|trillion)?+[\s-]?"
    rf"(?P<unit>{'|'.join(re.escape(form) for form in sorted(_UNITS, key=len, reverse=True))})?+(?!\w)"
)
_TO = re.compile(r"\s?(?:–|-|—|to|and|or)\s?$")  # between two numbers of one quantity
_LOOKED_BACK = 30  # characters before a number
_LESS = re.compile(
    r"\b(?:under|below|beneath|less than|fewer than|lower than|shorter than|slower than|lighter than|younger than|"
    r"smaller than|nearly|almost|short of|not quite)\s(?:the\s|a\s)?$"
)
_MORE = re.compile(
    r"\b(?:over|above|beyond|more than|greater than|higher than|longer than|faster than|taller than|heavier than|"
    r"older than|larger than|bigger than|deeper than|wider than|at least|exceed(?:s|ed|ing)?|minimum of)"
    r"\s(?:the\s|a\s)?$"
)
_OR_MORE = re.compile(r"\s(?:or|and) (?:more|over|above|older)\b")
_OR_LESS = re.compile(r"\s(?:or|and) (?:less|fewer|under|below|younger)\b")
LESS, MORE = "less", "more"


@dataclass(frozen=True)
class Quantity:
    """`value` is the number in digits without separators, with its scale and what letters belong to it ("1860s",
    "7 million"); `unit` "" where none is named; `bound` is LESS, MORE or ""."""

    value: str
    unit: str = ""
    bound: str = ""


def quantities(text: str) -> list[Quantity]:
    """All numbers of a text, in order; those of a range have its unit. Ordinals in words and "one" are none."""
    text = plain(text)
    found: list[Quantity] = []
    starts: list[int] = []  # of each number, and where what belongs to it ends
    ends: list[int] = []
    for match in _NUMBER.finditer(text):
        value = match["before"] + match["digits"].replace(",", "") if match["digits"] else _WORDS[match["word"]]
        unit, end, glued = _UNITS.get(match["sign"] or "", ""), match.end(), match["glued"] or ""
        measured = None if glued == "s" else _UNIT.match(text, end - len(glued))  # "1860s" are no seconds
        if measured:
            end = measured.end()
            value += f" {measured['scale']}" if measured["scale"] else ""
            unit = _UNITS.get(measured["unit"] or "", unit)
        else:
            value += glued
        before = text[max(0, match.start() - _LOOKED_BACK) : match.start()]
        less = _LESS.search(before) or _OR_LESS.match(text, end)
        more = _MORE.search(before) or _OR_MORE.match(text, end)
        found.append(Quantity(value, unit, LESS if less else MORE if more else ""))
        starts.append(match.start())
        ends.append(end)
    for i in range(len(found) - 2, -1, -1):  # "40–52 km/h": the unit stands behind the last
        if not found[i].unit and found[i + 1].unit and _TO.fullmatch(text, ends[i], starts[i + 1]):
            found[i] = Quantity(found[i].value, found[i + 1].unit, found[i].bound)
    return found


def units_named(text: str) -> set[str]:
    """The units that a text names anywhere, with a number or without."""
    return {_UNITS[word] for word in re.findall(r"[\w/%°$€]+", plain(text)) if word in _UNITS}


def holds(held: Quantity, wanted: Quantity, units: set[str]) -> bool:
    """Whether a text in which `held` and the `units` stand says as much as `wanted`.

    A text that says more than 5 does not say 5 or less; one that says 5 says neither more nor less than 5."""
    if held.value != wanted.value:
        return False
    if wanted.unit and held.unit != wanted.unit and (held.unit or wanted.unit not in units):
        return False
    return not wanted.bound or held.bound == wanted.bound
