"""The languages of the page: which one a request is answered in, and the page's texts in each of them.

There is one catalogue a language (texts/CODE.json), by the same keys in all. What handlers and routes tell is said in
the language of the request they answer, which stands in a context variable for as long as that takes; what the browser
says it is sent in that language with the page (for_browser). What the service says in English is looked up by its
English sentence (in_words), so that the service knows nothing of languages; what nobody has translated stays English,
and so does whatever comes from passages. Knows nothing of Gradio.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

COOKIE = "citesight-language"  # what a person chose on the page, which goes before what the browser prefers
_FOLDER = Path(__file__).parent / "texts"
_MOST_ACCEPTED = 30  # languages of a header that are looked at
_LONGEST = 1_000  # characters of a sentence of the service; a longer one takes seconds where it is made to
_FOR_BROWSER = ("label.", "still.", "script.", "annotate.", "source.", "comma", "stop")
_SENTENCE = "sentence."
PLACE = "place."  # where something is or comes from, which is no sentence: in_words looks only there for it
_VALUE = re.compile(r"\{(\w+)\}")
# Values of the service's sentences that are such sentences themselves, or pieces of them.
_WITHIN = ("reason", "wanted", "before", "language", "again", "time", "where", "what", "role", "share")
_LISTS = ("formats", "kinds", "taken", "lacking")  # values that are "A, B and C"


@dataclass(frozen=True)
class Language:
    """group, point: between the digits of numbers."""

    code: str
    name: str
    group: str
    point: str
    direction: str = "ltr"


LANGUAGES = {
    each.code: each
    for each in (
        Language("en", "English", ",", "."),
        Language("de", "Deutsch", ".", ","),
        Language("fr", "Français", "\u202f", ","),
        Language("es", "Español", ".", ","),
        Language("zh-CN", "中文", ",", "."),
        Language("ar", "العربية", ",", ".", "rtl"),
    )
}
_ENGLISH = LANGUAGES["en"]
_speaking: ContextVar[Language] = ContextVar("speaking", default=_ENGLISH)


def speaking() -> Language:
    """The language of whom this is told."""
    return _speaking.get()


@contextmanager
def spoken(language: Language) -> Iterator[None]:
    """What is told in this block is in that language."""
    before = _speaking.set(language)
    try:
        yield
    finally:
        _speaking.reset(before)


def wanted(headers: Mapping[str, str]) -> Language:
    """The language for a request with these headers: the chosen one, else the best that its browser prefers, else
    English."""
    cookies = SimpleCookie()
    try:
        cookies.load(headers.get("cookie", ""))
    except CookieError:
        cookies.clear()
    chosen = LANGUAGES.get(cookies[COOKIE].value) if COOKIE in cookies else None
    return chosen or _accepted(headers.get("accept-language", "")) or _ENGLISH


def _accepted(header: str) -> Language | None:
    weighed = []
    for each in header.split(",")[:_MOST_ACCEPTED]:
        tag, _, weight = each.strip().partition(";")
        number = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", weight) if weight else None
        if weight and number is None:
            continue
        weighed.append((float(number[1]) if number else 1.0, tag.strip().casefold()))
    for weight, tag in sorted(weighed, key=lambda each: -each[0]):
        first = tag.partition("-")[0]
        found = next((each for each in LANGUAGES.values() if each.code.partition("-")[0] == first), None)
        if found is not None and weight > 0:
            return found
    return None


class Speaking:
    """Answers every request in its language."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with spoken(wanted(Headers(scope=scope))):
            await self.app(scope, receive, send)


@lru_cache
def catalogue(code: str) -> dict[str, Any]:
    """The texts of a language by their keys: a text, or its forms by what is counted."""
    return json.loads((_FOLDER / f"{code}.json").read_text(encoding="utf-8"))


def say(key: str, **values: object) -> str:
    """A text, filled. Texts hold no markup, and values are put in as they are."""
    return _filled(catalogue(speaking().code)[key], values)


def counted(key: str, count: int, **values: object) -> str:
    """A text in the form for so many, which may say `{count}`."""
    forms = catalogue(speaking().code)[key]
    form = forms.get(_form(speaking().code, count), forms["other"])
    return _filled(form, {"count": number(count), **values})


def _filled(text: str, values: Mapping[str, object]) -> str:
    return _VALUE.sub(lambda found: str(values[found[1]]), text) if values else text


def _form(code: str, count: int) -> str:
    """The plural form, as the Unicode CLDR has them; those of languages that are not listed have none."""
    if code == "ar":
        rest = count % 100
        if count in (0, 1, 2):
            return ("zero", "one", "two")[count]
        return "few" if 3 <= rest <= 10 else "many" if rest >= 11 else "other"
    if code == "fr":
        return "one" if count in (0, 1) else "other"
    return "one" if count == 1 and code != "zh-CN" else "other"


def number(value: float, places: int = 0) -> str:
    """A number as the language writes it, with so many decimal places."""
    here = speaking()
    return f"{value:,.{places}f}".translate(str.maketrans({",": here.group, ".": here.point}))


def percent(share: float) -> str:
    """A share from 0 to 1 in whole percent."""
    return say("percent", number=number(100 * share))


def in_words(sentence: str, kind: str = _SENTENCE) -> str:
    """What the service says in English, in the language that is spoken; as it is where nobody has translated it."""
    if speaking() is _ENGLISH or len(sentence) > _LONGEST:
        return sentence
    exact, patterns = _sentences(kind)
    if key := exact.get(sentence):
        return say(key)
    for key, pattern in patterns:
        if found := pattern.fullmatch(sentence):
            return say(key, **{name: _value(name, said) for name, said in found.groupdict().items()})
    return sentence


def listed(names: Sequence[str]) -> str:
    """'A, B and C'."""
    *first, last = names
    return say("between").join(first) + say("last") + last if first else last


def _value(name: str, said: str) -> str:
    """What stands in a place of a sentence, in the language that is spoken."""
    if name == "share" and (found := re.fullmatch(r"(\d+) ?%", said)):
        return say("percent", number=found[1])
    if name not in _LISTS:
        return in_words(said) if name in _WITHIN else said
    first, _, last = said.rpartition(" and ")
    return listed([*first.split(", "), last]) if first else said.replace(", ", say("between"))


@lru_cache
def _sentences(kind: str) -> tuple[dict[str, str], list[tuple[str, re.Pattern[str]]]]:
    """The keys of sentences of a kind: of those that are always the same, and by patterns, the closest first."""
    texts = {key: text for key, text in catalogue("en").items() if key.startswith(kind)}
    exact = {text: key for key, text in texts.items() if not _VALUE.search(text)}
    patterns = []
    for key, text in sorted(texts.items(), key=lambda each: -len(_VALUE.sub("", each[1]))):
        if _VALUE.search(text):
            plain, *rest = _VALUE.split(text)  # plain texts and names of values by turns
            written = re.escape(plain)
            for name, plain in zip(rest[::2], rest[1::2], strict=True):
                written += f"(?P<{name}>.+?){re.escape(plain)}"
            patterns.append((key, re.compile(written, re.DOTALL)))
    return exact, patterns


def still(key: str) -> str:
    """A text of HTML that is made before anybody asks for the page: base.js puts it into the page's language."""
    return f'<span data-say="still.{key}">{catalogue("en")[f"still.{key}"]}</span>'


def still_sentence(sentence: str) -> str:
    """The same for a sentence that is written down elsewhere; as it is where nobody has translated it."""
    key = key_of("still.", sentence)
    return still(key.removeprefix("still.")) if key else sentence


def key_of(prefix: str, text: str, code: str = "en") -> str | None:
    """The key that begins so of a text of a catalogue."""
    return next((key for key, each in catalogue(code).items() if each == text and key.startswith(prefix)), None)


def for_browser() -> dict[str, Any]:
    """What the browser says, in the language that is spoken; with the language itself."""
    here = speaking()
    texts = {key: text for key, text in catalogue(here.code).items() if key.startswith(_FOR_BROWSER)}
    return {**texts, "language": here.code, "direction": here.direction}
