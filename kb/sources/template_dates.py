"""How days, years and centuries are written in Wikipedia's templates, in the words of their languages.

Knows nothing of which templates there are.
"""

from __future__ import annotations

from itertools import takewhile

_MONTHS = "January February March April May June July August September October November December".split()
_MONTH_NUMBERS = {name: str(at) for at, month in enumerate(_MONTHS, 1) for name in (month.lower(), month[:3].lower())}


def date(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{birth date|1950|5|12}} is "12 May 1950", in other languages 1950-05-12; words stay as they are."""
    placed = [*placed[:1], *(_MONTH_NUMBERS.get(word.lower(), word) for word in placed[1:2]), *placed[2:3]]
    numbers = list(takewhile(str.isdecimal, placed))  # what follows a word is not known to be a month or a day
    if not numbers or max(map(len, numbers)) > 4:
        return placed[0] if placed else ""
    if len(numbers) == 3 and len(numbers[0]) < 3 <= len(numbers[2]):
        numbers.reverse()  # {{dts|12|May|1950}}
    if len(numbers) > 1 and 1 <= int(numbers[1]) <= 12:
        if language == "en":
            return " ".join([*(str(int(day)) for day in numbers[2:]), _MONTHS[int(numbers[1]) - 1], numbers[0]])
        return "-".join([numbers[0], *(number.zfill(2) for number in numbers[1:])])
    return numbers[0]


def day_first(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{dtext|12|5|1950}} is 1950-05-12, {{date|12|mai|1950}} "12 mai 1950"."""
    words = [word for word in placed[:3] if word]
    if len(words) == 3 and all(map(str.isdecimal, words)):
        return date(words[::-1], {}, language)
    return " ".join(words)


def old_style(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{OldStyleDate|February 2|1905|January 20}}: a day, its year, and the day in the calendar of before."""
    day, year, old = (*placed, "", "", "")[:3]
    before = "O.S. " if language == "en" else ""
    return f"{day} ({before}{old}) {year}".strip() if old else f"{day} {year}".strip()


def as_of(placed: list[str], named: dict[str, str], language: str) -> str:
    return ("as of " if named.get("lc") else "As of ") + date(placed, named, language)


def century(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{s-|XIX|e}} is "XIXe siècle", and {{s|XIX}} too; what such names mean elsewhere is its first."""
    if language != "fr":
        return "".join(placed[:1])
    number, ending = (*placed, "", "")[:2]
    return f"{number}{ending or ('er' if number in ('I', 'Ier') else 'e')} siècle" if number else ""


def century_before(placed: list[str], named: dict[str, str], language: str) -> str:
    return f"{century(placed, named, 'fr')} av. J.-C."


def centuries(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{sp|XIX|e|et|XX|e}} is "XIXe et XXe siècles"."""
    said = "".join(f" {word} " if word in ("et", "au", "à", "ou", "-", "–") else word for word in placed)
    return f"{said} siècles" if said else ""


def century_in_portuguese(placed: list[str], named: dict[str, str], language: str) -> str:
    before = "século" if named.get("c", "1") != "0" else ""
    return " ".join(word for word in (before, *placed[:1]) if word)


def century_in_spanish(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{siglo|IV|a|s}} is "siglo IV a. C."."""
    number, era = (*placed, "", "")[:2]
    return " ".join(filter(None, ("siglo", number, {"a": "a. C.", "d": "d. C."}.get(era, "")))) if number else ""


def life(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{bd|1950年|5月12日|2000年|1月1日}} in Chinese."""
    born, died = "".join(placed[:2]), "".join(placed[2:4])
    return f"（{born}－{died}）" if born or died else ""
