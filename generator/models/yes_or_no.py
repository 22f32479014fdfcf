"""How probable it is that a reply begins with "yes" rather than with "no", by what is known of its first word.

Knows nothing of models or servers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

YES, NO = "yes", "no"
_FIRST = re.compile(r"\W*([a-z]+)")


def said(text: str) -> str:
    """Which of the two a reply begins with; "" for neither."""
    found = _FIRST.match(text.casefold())
    return found[1] if found and found[1] in (YES, NO) else ""


def first_word(text: str, instead: Sequence[tuple[str, float]], probability: float | None) -> float | None:
    """From what a server tells of a reply: what its first word could have been, with log probabilities, or else how
    probable the whole of it is. None where it tells nothing that says which."""
    mass = {YES: 0.0, NO: 0.0}
    for token, log in instead:
        plain = token.strip(" \t\n▁Ġ").casefold()
        if plain in mass:
            mass[plain] += math.exp(log)
    if all(mass.values()):
        return mass[YES] / (mass[YES] + mass[NO])
    if any(mass.values()):  # the other one is less probable than all that was told
        return mass[YES] or 1.0 - min(1.0, mass[NO])
    if probability is None or not said(text):
        return None
    return probability if said(text) == YES else 1.0 - min(1.0, probability)


def first_tokens(spell: Callable[[str], Sequence[int]]) -> tuple[list[int], list[int]]:
    """The tokens that "yes" can begin with and those that "no" can, by a tokenizer, without those that both can."""
    yes, no = (
        {tokens[0] for form in (word, word.title(), word.upper()) for before in ("", " ")
         if (tokens := spell(before + form))}
        for word in (YES, NO)
    )  # fmt: skip
    return sorted(yes - no), sorted(no - yes)
