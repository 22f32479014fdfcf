"""Words of a text for comparing: lower case, without accents, lightly stemmed, stop words left out.

Knows nothing of questions or answers.
"""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
MAX_WORD = 40

STOP_WORDS = frozenset(
    "a an the this that these those it its he she they them his her their him i we you me my our your and or but nor "
    "of in on at to for from by with as into onto about than then so if is are was were be been being am do does did "
    "doing done has have had having can could will would shall should may might must what which who whom whose when "
    "where why how many much there here not no any some such also very just please tell show name called named know "
    "s t re ve ll d m picture photo photograph image pictured shown see".split()
)
_IRREGULAR = {
    "wrote": "write", "written": "write", "built": "build", "found": "find", "founded": "found", "led": "lead",
    "lay": "lie", "died": "die", "death": "die", "dead": "die", "born": "birth", "made": "make", "won": "win",
    "fought": "fight", "began": "begin", "begun": "begin", "became": "become", "ran": "run", "sang": "sing",
    "sung": "sing", "drew": "draw", "drawn": "draw", "grew": "grow", "grown": "grow", "ate": "eat", "eaten": "eat",
    "flew": "fly", "known": "know", "gave": "give", "given": "give", "took": "take", "taken": "take", "sank": "sink",
    "sunk": "sink", "spoken": "speak", "spoke": "speak", "held": "hold", "sculptor": "sculpt", "sculpture": "sculpt",
    "sculpted": "sculpt", "heavy": "weigh", "weight": "weigh", "mass": "weigh", "tall": "high", "height": "high",
    "fast": "speed", "deep": "depth", "length": "long", "old": "age", "hot": "temperature", "lives": "live",
    "people": "person", "men": "man", "women": "woman", "children": "child", "feet": "foot", "leaves": "leaf",
    "species": "species", "series": "series", "physics": "physics", "mice": "mouse", "wolves": "wolf",
    "teeth": "tooth", "discovery": "discover", "invention": "invent", "inventor": "invent", "painter": "paint",
    "painting": "paint", "designer": "design", "builder": "build", "writer": "write", "author": "write",
    "composer": "compose", "composition": "compose", "founder": "found", "ruler": "rule", "killer": "kill",
    "discoverer": "discover", "biggest": "large", "largest": "large", "big": "large", "creator": "create",
    "creation": "create", "killed": "kill", "murder": "kill", "murdered": "kill", "assassinated": "kill",
    "assassination": "kill", "film": "film", "movie": "film", "capital": "capital",
    "construct": "build", "constructed": "build", "construction": "build", "erected": "build", "completed": "build",
    "finished": "build", "inhabitants": "person", "inhabitant": "person", "residents": "person", "deaths": "die",
    "tamed": "domesticate", "domesticated": "domesticate", "started": "begin", "start": "begin", "first": "first",
    "ocean": "ocean", "measured": "measure", "measures": "measure", "biggest": "large", "tallest": "tallest",
    "building": "building", "buildings": "building", "elevation": "high", "altitude": "high",
    "created": "create", "established": "found", "establish": "found", "establishment": "found", "underwater": "water",
}  # fmt: skip
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
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def words(text: str) -> list[str]:
    """All words, plain, in order."""
    return [w[:MAX_WORD] for w in _WORD.findall(plain(text))]


def stems(text: str) -> list[str]:
    """Stems of the words that carry meaning, in order, with repetitions."""
    return [stem(w) for w in words(text) if w not in STOP_WORDS]
