"""Numbers raised or lowered by markup, kept as numbers of their own when the markup goes: 10<sup>30</sup> is 10³⁰.

Without this the two runs of digits become one number, 1030. Raised is only what looks like an exponent, an optional
sign and digits or a single n or x, and only directly after a digit, a letter or a closing bracket: ordinals such as
19<sup>th</sup> and footnotes such as [1] stay text. <sub> stays plain, since people search for H2O, not for H₂O; but
after a digit it is the base of a number, 101₂. Knows nothing of where the markup came from.
"""

from __future__ import annotations

import html
import re

_HIGH = str.maketrans("0123456789-‐‑−–+n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁻⁻⁻⁻⁺ⁿ")
_LOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_EXPONENT = re.compile(r"[-‐‑−–+]?[ \xa0\u2009]?\d+(?:[./]\d+)?[⁻⁰¹²³⁴⁵⁶⁷⁸⁹]*|[nx]")

# An innermost <sup> or <sub> with little in it; both repetitions are bounded, as is the look back of _BACK characters.
_RAISED = re.compile(
    r"<su([pb])\b[^<>]*+>([^<]{0,40}+(?:<(?!/?su[pb]\b)[^<>]*+>[^<]{0,40}+){0,6}+)</su\1\s*+>", re.IGNORECASE
)
_FRACTION = re.compile(
    r"<sup\b[^<>]*+>\s*+(\d++)\s*+</sup\s*+>\s?(?:[/⁄]|&frasl;|&#8260;)\s?<sub\b[^<>]*+>\s*+(\d++)\s*+</sub\s*+>",
    re.IGNORECASE,
)
_INLINE = re.compile(
    r"</?(?:a|abbr|b|big|cite|code|em|font|i|mark|nobr|small|span|strong|su[pb]|tt|u|var)\b[^<>]*+>|<!--[^<>]*+-->|'{2,}",
    re.IGNORECASE,
)
_BACK = 300


def raised(exponent: str) -> str:
    """⁻⁹ for "-9"; ^x and ^(1/2) for what Unicode has no characters for."""
    if all(ord(mark) in _HIGH for mark in exponent):
        return exponent.translate(_HIGH)
    return f"^{exponent}" if exponent.isalpha() else f"^({exponent})"


def lowered(digits: str) -> str:
    """₁₀ for "10"."""
    return digits.translate(_LOW)


def with_exponents(markup: str) -> str:
    """`markup` of HTML or wikitext, with exponents and fractions as characters instead of elements."""
    markup = _FRACTION.sub(_fraction, markup)
    for _ in range(2):  # 10<sup>10<sup>100</sup></sup>
        markup = _RAISED.sub(_said, markup)
    return markup


def _fraction(match: re.Match[str]) -> str:
    after_digit = _before(match).isdecimal()  # 5 1/2, not 51/2
    return f"{' ' if after_digit else ''}{match[1]}/{match[2]}"


def _before(match: re.Match[str]) -> str:
    """The character before it."""
    start = match.start()
    before = match.string[max(0, start - 1) : start]
    if before and before in ">;'":  # an element, an entity, or quotes of wikitext
        before = html.unescape(_INLINE.sub("", match.string[max(0, start - _BACK) : start])[-12:])[-1:]
    return before


def _said(match: re.Match[str]) -> str:
    before = _before(match)
    exponent = html.unescape(_INLINE.sub("", match[2])).strip()
    if not _EXPONENT.fullmatch(exponent):
        return match[0]
    if match[1] in "bB":
        return lowered(exponent) if before.isdecimal() and exponent.isdecimal() else match[0]
    return raised("".join(exponent.split())) if before and (before.isalnum() or before in ")]}") else match[0]
