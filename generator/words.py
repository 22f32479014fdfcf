"""Words of a text for comparing: lower case, without accents, lightly stemmed, stop words left out.

Knows nothing of questions or answers. No library stems here: none brings "old" to "age", and what counts as near enough
to a question (extractive/scoring.py) was set with these stems.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_FOREIGN = re.compile(r"[^\x00-\x7f]+")
MAX_WORD = 40

STOP_WORDS = frozenset(
    "a an the this that these those it its he she they them his her their him i we you me my our your and "
    "or but nor of in on at to for from by with as into onto about than then so if is are was were be "
    "been being am do does did doing done has have had having can could will would shall should may might "
    "must what which who whom whose when where why how many much there here not no any some such also "
    "very just please tell show name called named know s t re ve ll d m picture photo photograph image "
    "pictured shown see".split()
)
# Forms that share no stem, and words that a question and its answer use for the same: "stem: forms".
_SAME = """
age: old
become: became
begin: began begun start started
birth: born
build: builder built completed construct constructed construction erected finished
building: building buildings
capital: capital
child: children
compose: composer composition
create: created creation creator
depth: deep
design: designer
die: dead death deaths died
discover: discoverer discovery
domesticate: domesticated tamed
draw: drawn drew
eat: ate eaten
fight: fought
film: film movie
find: found
first: first
fly: flew
foot: feet
found: establish established establishment founded founder
give: gave given
grow: grew grown
high: altitude elevation height tall
hold: held
invent: invention inventor
kill: assassinated assassination killed killer murder murdered
know: known
large: big biggest largest
lead: led
leaf: leaves
lie: lay
live: lives
long: length
make: made
man: men
measure: measured measures
mouse: mice
ocean: ocean
paint: painter painting
person: inhabitant inhabitants people residents
physics: physics
rule: ruler
run: ran
sculpt: sculpted sculptor sculpture
series: series
sing: sang sung
sink: sank sunk
speak: spoke spoken
species: species
speed: fast
take: taken took
tallest: tallest
temperature: hot
tooth: teeth
water: underwater
weigh: heavy mass weight
win: won
wolf: wolves
woman: women
write: author writer written wrote
"""
_IRREGULAR = {
    form: target
    for target, forms in (line.split(": ") for line in _SAME.strip().splitlines())
    for form in forms.split()
}
_ENDINGS = ("ations", "ation", "ings", "ing", "ied", "ies", "edly", "ed", "ers", "er", "es", "s", "ly", "e")


def stem(word: str) -> str:
    """A light stem, only for comparing: `painted`, `paints` and `painting` come to the same."""
    word = word.split("'")[0].split("’")[0]
    word = _IRREGULAR.get(word, word)
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith(("ss", "us", "is")):
            word = word[: -len(ending)]
            if ending in ("ied", "ies"):
                word += "y"
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    return word


def plain(text: str) -> str:
    """Lower case and without accents; the length may change."""
    folded = text.casefold()
    return folded if folded.isascii() else _FOREIGN.sub(lambda run: "".join(map(_plain_character, run[0])), folded)


@lru_cache(maxsize=4096)
def _plain_character(character: str) -> str:
    # One at a time: a text as a whole is put into canonical order, which takes time quadratic in a run of accents.
    return "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))


def words(text: str) -> list[str]:
    """All words, plain, in order."""
    return [w[:MAX_WORD] for w in _WORD.findall(plain(text))]


def stems(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order, with repetitions."""
    return [stem(w) for w in words(text) if w not in STOP_WORDS]
