"""What templates say that stand in cells of tables: words with a key to sort by, answers, results, flags with names.

Each as its documentation describes it; knows nothing of tables.
"""

from __future__ import annotations

from kb.sources.template_arguments import Saying


def _sorted(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{sort|5|five}} is "five"."""
    return placed[1] if len(placed) > 1 else "".join(placed)


def _shown_alone(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{SortKey|5|fünf}} is "fünf"; without a second word it only sorts."""
    return "".join(placed[1:2])


def _name(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{sortname|Cedric|Gibbons}} is "Cedric Gibbons"."""
    return " ".join(word for word in placed[:2] if word)


def _number(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{nts|1234|prefix=$}} is "$1234"."""
    return named.get("prefix", "") + "".join(placed[:1]) + named.get("suffix", "") if placed else ""


def _amount(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{ntsp|4000||$}} is "$4000"."""
    return "".join(placed[2:3]) + "".join(placed[:1])


def _rating(placed: list[str], named: dict[str, str], language: str) -> str:
    return "/".join(word for word in placed[:2] if word)


def _athlete(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{flagathlete|Ann Ay|FRA}} is "Ann Ay (FRA)"."""
    return f"{placed[0]} ({placed[1]})" if len(placed) > 1 and placed[1] else "".join(placed[:1])


def _minutes(placed: list[str], named: dict[str, str], language: str) -> str:
    """{{duration|m=3|s=45}} is "3:45"."""
    parts = [part for part in placed[:3] or (named.get("h"), named.get("m", "0"), named.get("s", "00")) if part]
    return ":".join([*parts[:1], *(part.zfill(2) for part in parts[1:])])


def _nothing(placed: list[str], named: dict[str, str], language: str) -> str:
    return ""


def _or(word: str) -> Saying:
    """What is given, else `word`."""
    return lambda placed, named, language: next((text for text in placed[:1] if text), word)


# By languages: {{yes}} and {{no}}, and the names of these templates there.
_YES_AND_NO = {
    "en": "Yes No", "simple": "Yes No", "de": "Ja Nein", "fr": "Oui Non", "es": "Sí No", "it": "Sì No", "pt": "Sim Não",
    "ca": "Sí No", "nl": "Ja Nee", "sv": "Ja Nej", "da": "Ja Nej", "no": "Ja Nei", "nn": "Ja Nei", "fi": "Kyllä Ei",
    "pl": "Tak Nie", "cs": "Ano Ne", "sk": "Áno Nie", "hu": "Igen Nem", "ru": "Да Нет", "uk": "Так Ні", "bg": "Да Не",
    "sr": "Да Не", "el": "Ναι Όχι", "tr": "Evet Hayır", "zh": "是 否", "ja": "Yes No", "ko": "예 아니요",
    "vi": "Có Không",
}  # fmt: skip
_NO_IS_NORWEGIAN = frozenset("de fr pt nl sv da no nn fi pl cs sk hu ru uk bg sr el tr".split())  # and an icon

_ANSWERS = {
    "Yes": "yes|yes check|yescheck|aye|tick|check mark|checkmark|checked|check|ya|y",
    "No": "no check|nocheck|nay|cross|x mark|xmark|n",
    "N/A": "n/a|not applicable",
    "Unknown": "unknown|dunno|?",
    "Nominated": "nom|nominated",
    "Shortlisted": "sho|shortlisted",
    "Runner-up": "runner-up|runner up",
    "TBA": "tba|tabletba",
    "TBD": "tbd",
    "Failed": "fail|failed|failure",
    "Success": "success|successful",
    "Gold medal": "gold medal|goldmedal",
    "Silver medal": "silver medal|silvermedal",
    "Bronze medal": "bronze medal|bronzemedal",
    "1": "gold1|gold01",
    "2": "silver2|silver02",
    "3": "bronze3|bronze03",
}
_SAY_THEIR_NAMES = (
    "maybe partial some okay pending planned incorrect won win loss profit draw tie pass optional rarely sometimes"
    " usually depends eliminated free nonfree proprietary included excluded unofficial official dropped beta active"
    " inactive unreleased released scheduled varies various both good bad low medium high operational cancelled shelved"
).split()

CELLS: dict[str, Saying] = {
    name: saying
    for saying, names in (
        *((_or(word), names) for word, names in _ANSWERS.items()),
        *((_or(name.capitalize()), name) for name in _SAY_THEIR_NAMES),
        (_sorted, "sort"),
        (_shown_alone, "sortkey|fr:tri|sort key"),
        (_name, "sortname|sortkeyname|personenzelle"),
        (_number, "nts|number table sorting"),
        (_amount, "ntsp"),
        (_rating, "rating"),
        (_athlete, "flagathlete|flagiocathlete|flagioc2athlete|flagiocmedalist"),
        (_or(""), "yes2|no2|flagioc|flagioc2|flagteam|datumzelle|right|left|rh|decimal cell"),
        (_minutes, "duration|dur"),
        # Keys to sort by, arrows and colours.
        (_nothing,
         "hs|hidden sort key|ntsh|dtsh|increase|decrease|steady|gain|increasenegative|decreasepositive|up|down"
         "|nochange|no change|rise|fall|same position|sort dash|dash|sdash|figure space"),
    )
    for name in names.split("|")
}  # fmt: skip
for _language, _words in _YES_AND_NO.items():
    for _name_there, _word in zip(("yes", "no"), _words.split(), strict=True):
        CELLS[f"{_language}:{_word.lower()}"] = _or(_word)
        if _name_there == "yes" or _language not in _NO_IS_NORWEGIAN:
            CELLS[f"{_language}:{_name_there}"] = _or(_word)
