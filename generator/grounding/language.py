"""Which language a text is in, as far as its script and its commonest words tell.

Knows nothing of passages or claims. Good enough to see that a sentence is in another language than a text it cites; of
a text with too few words it says that it does not know.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable

from generator.words import STOP_WORDS, words

UNKNOWN = ""
MAX_LOOKED_AT = 3_000  # characters
LEAST_LETTERS = 4  # that tell a script other than Latin
LEAST_SHARE = 0.15  # of the words, that a language's common ones make up at least: in running text they are a third
LEAST_FOREIGN = 2  # words that tell another language
NONE_OF_MANY = 6  # words in lower case, none of them a common one of a language: it is another

_LISTED = """
English: after before between during under over through near more most all only each other because while first until
  both up out these two one
German: in der die das und ist sind ein eine einen einem einer eines den dem des mit von zu im auf fur nicht sich
  wird werden wurde wurden auch bei aus nach als es sie er ihre seine hat haben kann bis oder uber wie
French: le la les des du est et une un dans pour par sur avec qui que ne pas au aux ce cette il elle ils elles sont
  ete fut son sa ses leur plus ou comme d l qu
Spanish: el la los las de del y es en un una por para con que se su sus al lo como mas no fue son esta este o
  tambien entre sobre era ha pero
Italian: in il lo la i gli le di del della dei delle e un una in che per con su si non al alla da dal dalla sono nel
  nella come piu anche ha era suo sua ma o
Portuguese: o a os as do da dos das e um uma em no na nos nas que por para com se seu sua ao mais foi sao como nao
  ou tambem ser entre era mas
Dutch: in de het een en van is in op te dat die voor met zijn werd worden wordt niet aan door ook bij naar om als
  uit er maar of hij zij ze deze kan tot over
Swedish: och att det som en ett ar av for pa med den till i inte om har de var kan fran vid eller sig men under sin
  hade efter blev
"""
_COMMON = {
    name: frozenset(listed.split())
    for name, listed in (entry.split(": ") for entry in re.split(r"\n(?! )", _LISTED.strip()))
}
_COMMON["English"] |= STOP_WORDS - {"s", "t", "d", "m", "re", "ve", "ll", "photo", "name", "do", "me"}
# What questions in them begin with, or point at what is shown with, beside the common words.
_ASKING = {
    name: frozenset(listed.split())
    for name, listed in {
        "German": "was wie wo wann wer wen wem warum wieso weshalb welche welcher welches welchen welchem wieviel "
        "woher wohin dieses dieser diese diesem diesen gibt es hier heisst",
        "French": "quel quelle quels quelles combien comment ou quand pourquoi qui quoi cet cette ces cela c'est "
        "s'appelle qu'est",
        "Spanish": "que cual cuales cuanto cuanta cuantos cuantas como donde cuando quien quienes esta estos estas "
        "vive llama puede hay",
        "Italian": "che quale quali quanto quanta quanti quante come dove quando chi perche questo questa questi "
        "queste cosa cos'e dov'e qual vive puo",
        "Portuguese": "que qual quais quanto quanta quantos quantas como onde quando quem este esta esse essa isto "
        "isso vive pode",
        "Dutch": "wat welke welk wie waar wanneer waarom hoe hoeveel dit dat deze heet",
        "Swedish": "vad vilken vilket vilka vem var nar varfor hur detta denna dessa heter finns",
    }.items()
}
# Of corpora and passages; "simple" is that of the Wikipedia in simple English.
_CODES = {
    "en": "English", "simple": "English", "de": "German", "fr": "French", "es": "Spanish", "it": "Italian",
    "pt": "Portuguese", "nl": "Dutch", "sv": "Swedish",
}  # fmt: skip
_LETTER = re.compile(r"[^\W\d_]")
_LOWER = re.compile(r"(?<![^\W\d_])[^\W\d_A-Z][^\W\d_]+")


def language(text: str) -> str:
    """The name of the language, or of the script where that is not Latin; UNKNOWN where too little tells."""
    text = text[:MAX_LOOKED_AT]
    script = _script_of(text)
    if script != "Latin":
        return script
    said = words(text)
    best, second = Counter({name: _hits(said, name) for name in _COMMON}).most_common(2)
    told = best[1] >= max(LEAST_FOREIGN, LEAST_SHARE * len(said)) and best[1] > second[1]
    return best[0] if told else UNKNOWN


def foreign(text: str, to: str) -> bool | None:
    """Whether a text is in another language than `to`, a name from `language`; None where too little tells."""
    text = text[:MAX_LOOKED_AT]
    script = _script_of(text)
    if UNKNOWN in (script, to):
        return None
    if script != (to if to not in _COMMON else "Latin"):
        return True
    if script != "Latin":
        return False
    said = words(text)
    own, most = _hits(said, to), max(_hits(said, name) for name in _COMMON if name != to)
    small = [word for word in _LOWER.findall(text) if word[0].islower()]
    if to == "English":  # which has hardly a word with an accent
        most += sum(not word.isascii() for word in small)
    if most >= LEAST_FOREIGN and most > own:
        return True
    if own:
        return False
    return True if len(small) >= NONE_OF_MANY else None


def asked_in_another(question: str, than: str) -> bool:
    """Whether a question is surely in another language than the one named, whose common words are known."""
    question = question[:MAX_LOOKED_AT]
    script = _script_of(question)
    if UNKNOWN in (script, than) or than not in _COMMON:
        return False
    if script != "Latin":
        return True
    said = words(question)
    hits = {name: sum(word in listed | _ASKING.get(name, frozenset()) for word in said)
            for name, listed in _COMMON.items()}  # fmt: skip
    own = hits.pop(than)
    if max(hits.values()) > max(own, LEAST_FOREIGN - 1):
        return True
    if not own and said and any(said[0] in _ASKING.get(name, ()) for name in hits):
        return True
    # English has hardly a word with an accent, nor a question without more than one of its common words.
    small = [word for word in _LOWER.findall(question) if word[0].islower()]
    return than == "English" and own < 2 and not all(word.isascii() for word in small)


def called(codes: Iterable[str]) -> str:
    """The name of the one language that these codes stand for; UNKNOWN where they stand for several, or for one whose
    words are not known."""
    names = {_CODES.get(code.casefold().partition("-")[0], UNKNOWN) for code in codes}
    return names.pop() if len(names) == 1 else UNKNOWN


def _hits(said: list[str], name: str) -> int:
    return sum(word in _COMMON[name] for word in said)


def _script_of(text: str) -> str:
    scripts = Counter(map(_script, _LETTER.findall(text)))
    if not scripts:
        return UNKNOWN
    script, letters = scripts.most_common(1)[0]
    return script if script == "Latin" or letters >= LEAST_LETTERS else UNKNOWN


def _script(letter: str) -> str:
    """The first word of a letter's name, with Chinese and Japanese in one, which share most of theirs."""
    name = unicodedata.name(letter, "").split(" ")[0].split("-")[0].title()
    return "Han" if name in ("Cjk", "Hiragana", "Katakana") else name
