"""How words are pronounced, as the templates of Wikipedias have it, and what stands round that in brackets.

In brackets a pronunciation says nothing that is searched for, and goes with what only introduces it; in a sentence it
is the text. Knows nothing of sentences.
"""

from __future__ import annotations

import re

from kb.sources.template_arguments import template_arguments

# Those that only play a sound, and those that are given a pronunciation.
_SOUND = re.compile(
    r"audio|audio-nohelp|link audio|pronunciation|pronunciación|listen|hörbeispiel|écouter|прослушать|発音|lausunta"
)
_SAID = re.compile(r"ipa|ipa[ -]?all|ipa3|ipa-[a-z-]+.*|api|api-[a-z-]+|afi|phon|lautschrift|мфа2?|pron-[a-z-]+")
_LETTERS = re.compile(r"ipac-[a-z-]+.*")
_RESPELT = re.compile(r"respell|usdict|pronunciation respelling")

_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z]{2,8}){0,2}")
_NO_SOUND = re.compile(
    r"(?:(?:uk|us|au|aus|ca|nz|ie|za|in|en|ga|rp)(?:also)?,?)+|lang|pron|local|also|[a-z]{5,}|audio", re.IGNORECASE
)
_STRESS = {"'": "ˈ", ",": "ˌ", "_": " "}
_INTRODUCES = frozenset(
    "pronounced pronunciation listen or and also locally sometimes usually traditionally formerly in english american"
    " british us uk ipa ausgesprochen aussprache auch oder prononcé prononcée prononciation ou pronunciado pronuncia"
    " pronunciación pronunciato o e y uitspraak of wymowa произношение".split()
)
_LABEL = re.compile(r"(?:[\w.]{1,30}[ -]?){1,3}:")


def pronunciation(name: str, rest: str) -> str | None:
    """What a template says of how a word is pronounced, "" for a sound; None for other templates."""
    if _SOUND.fullmatch(name):
        return ""
    if _LETTERS.fullmatch(name):
        said = "".join(_STRESS.get(word, word) for word in _words(rest) if not _NO_SOUND.fullmatch(word))
        return f"/{said}/" if said else ""
    if _RESPELT.fullmatch(name):
        return "-".join(_words(rest))
    if not _SAID.fullmatch(name):
        return None
    words = _words(rest)
    if len(words) > 1 and _LANGUAGE.fullmatch(words[0]):
        return _marked_so(words[1])  # {{IPA|fr|mo}}
    return "".join(words[:1]) if name in ("ipa", "api", "phon") else _marked_so("".join(words[:1]))


def _words(rest: str) -> list[str]:
    return [word for word in template_arguments(rest)[0] if word]


def _marked_so(said: str) -> str:
    return said if not said or said[0] in "[/⟨" else f"[{said}]"


def introduces(text: str) -> bool:
    """Whether what is left of a part in brackets only introduced a pronunciation: "UK:", "pronounced or"."""
    said = text.strip(" ;,；，、/[]'\"\xa0")
    return not said or _LABEL.fullmatch(said) is not None or _INTRODUCES.issuperset(said.lower().split())
