"""Whether a span of a sentence is what a question asks for, and not only of its kind: the depth and not the length,
when something was invented and not when it was used.

Knows nothing of passages or scores: it goes by the words of the question and those around the span. A question whose
words are not among the rules is taken to be content with any span of its kind.
"""

from __future__ import annotations

import re

from generator.extractive.question_kinds import Question
from generator.words import plain, stem

Span = tuple[int, int]

_BEFORE, _AFTER = 70, 40  # characters around a span in which a dimension's word may stand

# Of a length: how it is asked for, what stands beside one, whether that must.
_DIMENSIONS: tuple[tuple[str, re.Pattern[str], re.Pattern[str], bool], ...] = tuple(
    (name, re.compile(asked), re.compile(said), must)
    for name, asked, said, must in (
        ("deep", r"\bhow deep\b|\bdepth\b", r"\bdeep(?:er|est)?\b|\bdepths?\b|\bbelow\b|\bbeneath\b", True),
        ("thick", r"\bhow thick\b|\bthickness\b", r"\bthick(?:ness|er|est)?\b", True),
        ("wide", r"\bhow (?:wide|broad)\b|\bwidth\b|\bwingspan\b|\bdiameter\b",
         r"\bwid(?:e|th|er|est)\b|\bbroad(?:er|est)?\b|\bbreadth\b|\bacross\b|\bwingspans?\b|\bdiameters?\b|\bspan\w*",
         True),
        ("far", r"\bhow far\b|\bdistance\b", r"\baway\b|\bdistan\w+|\bfar\b|\bfrom\b|\bnear\w*|\blight[- ]years?\b",
         True),
        ("high", r"\bhow (?:tall|high)\b|\bheight\b|\belevation\b|\baltitude\b",
         r"\btall\w*|\bheights?\b|\bhigh\w*|\belevations?\b|\baltitudes?\b|\babove\b|\bris", True),
        ("long", r"\bhow long\b|\blength\b", r"\blong\w*|\blengths?\b", False),
    )
)  # fmt: skip
# What a length plainly is one of: "1,849 km (1,149 mi) long", "a depth of 1,642 m".
_IS_AFTER = re.compile(
    r"\s?(?:\([^()]{0,60}\)\s?)?(?:(?:in|of)\s)?(?P<word>long|length|wide|width|broad|diameter|across|deep|depth|tall|"
    r"high|height|elevation|altitude|thick|thickness|away|distant)\b"
)
_IS_BEFORE = re.compile(
    r"\b(?P<word>length|width|breadth|diameter|wingspan|depth|height|elevation|altitude|thickness|distance)s?"
    r"(?:\s(?:is|are|was|of|between|from|about|around|at|up to|over|nearly|approximately|roughly|some|reach\w*)){1,3}"
    r"\s$"
)
_SAME = {
    "long": "long", "length": "long", "wide": "wide", "width": "wide", "broad": "wide", "breadth": "wide",
    "diameter": "wide", "wingspan": "wide", "across": "wide", "deep": "deep", "depth": "deep", "tall": "high",
    "high": "high", "height": "high", "elevation": "high", "altitude": "high", "thick": "thick", "thickness": "thick",
    "away": "far", "distant": "far", "distance": "far",
}  # fmt: skip

_LIFE_DATES = r"\([^()]{0,80}\d{3,4}\s?[–—-]"  # "(15 March 1900 – 3 May 1950)"
# Of other kinds: what is asked, and words of which a sentence that tells it holds one.
_RELATIONS: tuple[tuple[frozenset[str], re.Pattern[str], re.Pattern[str]], ...] = tuple(
    (frozenset(kinds.split()), re.compile(asked), re.compile(said))
    for kinds, asked, said in (
        ("duration", r"\bsle(?:ep|pt)\b|\basleep\b",
         r"\bsle(?:ep|pt)\w*|\basleep\b|\brest(?:s|ing)?\b|\bdorman\w+|\bnap"),
        ("duration", r"\bhibernat", r"\bhibernat|\bdorman|\bwinter"),
        ("duration", r"\bgestat|\bpregnan", r"\bgestat|\bpregnan|\bbirth|\bborn\b"),
        ("duration", r"\bincubat|\bhatch", r"\bincubat|\bhatch|\beggs?\b"),
        ("duration", r"\b(?:live|life|lifespan|life expectancy|survive)\b|\bhow old (?:do|does|can|could|will|may)\b",
         r"\blive[sd]?\b|\bliving\b|\bli(?:fe|ves)\b|\blifespans?\b|\blongevity\b|\bage[sd]?\b|\bold(?:er)?\b|\bsurviv"),
        ("duration", r"\bhow old (?:is|are|was|were)\b",
         r"\bold(?:er)?\b|\bage[sd]?\b|\bago\b|\bdat(?:e|ed|ing)\b|\bform"),
        ("duration", r"\b(?:reign|rule)",
         r"\breign|\brul(?:e|ed|er|ing)\b|\bthrone\b|\bking|\bqueen|\bemperor|\bmonarch"),
        ("duration", r"\borbit|\bgo (?:a)?round\b|\brotat|\bspin",
         r"\borbit|\bperiod|\brevol|\brotat|\bround\b|\bday|\byear"),
        ("count", r"\bdied?\b|\bkilled\b|\bdeaths?\b",
         r"\bdie[sd]?\b|\bdead|\bdeath|\bkill|\blives\b|\bcasualt|\bfatal"),
        ("person date place", r"\binvent",
         r"\binvent|\bcreat|\bdevelop|\bdevis|\bpatent|\bintroduc|\bpioneer|\bbuilt\b|\bbuild|\bdesign|\bconstruct|"
         r"\bmade\b|\boriginat|\bdiscover|\bappear|\bproduc|\bearliest\b|\bdate[sd]?\b|\bcame from\b|"
         r"\bfirst (?:\w+ )?(?:was|were)\b"),
        ("person date place", r"\bdiscover",
         r"\bdiscover|\bfound\b|\bfind|\bidentif|\bobserv|\bisolat|\bfirst\b|\bsighted\b"),
        ("person date", r"\b(?:built|build|builds|constructed|erected)\b",
         r"\bbuil[td]|\bconstruct|\bcomplet|\berect|\bopen|\bbeg[aiu]n|\bfinish|\bcommission|\bfound|\bmade\b|\bdesign|"
         r"\binaugurat|\bdat(?:e|es|ed|ing)\b|\bcreat|\barchitect|\bstarted\b|\braised\b|\bwork\b"),
        ("date place", r"\bborn\b|\bbirth", rf"\bborn\b|\bbirth|\bnative of\b|{_LIFE_DATES}"),
        ("date place", r"\bdie[sd]?\b(?! out)|\bdeath\b",
         r"\bdie[sd]?\b|\bdying\b|\bdeath|\bdead\b|\bkill|\bassassinat|\bexecut|\bmurder|\bsuicide\b|\bburied\b|"
         + _LIFE_DATES),
        ("person date place", r"\bfounded\b|\bestablished\b|\bfounder\b",
         r"\bfound|\bestablish|\bcreat|\bform|\bincorporat|\bstart|\bsign|\bbeg[aiu]n|\bset up\b|\borigin|\blaunch|"
         r"\bfather of\b"),
    )
)  # fmt: skip
LONG = 7  # letters of a stem that may begin another word
LIGHT = frozenset((stem("make"), stem("used"), stem("use")))  # that alone say little: "made" of "made of", "made for"
_POINTED_AT = re.compile(r"\b(?:this|these) (?!is\b|are\b|was\b|were\b|forward\b|one\b|made\b|\w+ed\b)([a-z-]+)")
# Words of a question that say nothing of the relation: what kind of answer is wanted, how often, how much.
_NO_RELATION = frozenset(
    stem(word)
    for word in "high tall long large big wide deep heavy far old fast hot cold age size height length depth area "
    "weight speed distance temperature year day date time century country city place person thing kind number amount "
    "people first once today usually mostly normally still ever ago part world real full last take reach one "
    "get become go run".split()
)
_COME = "come obtain emerge arise originate origin native indigenous appear develop form derive loanword"
# Words that say the same of a subject.
_ALIKE = tuple(
    frozenset(stem(word) for word in line.split())
    for line in (
        "live found native indigenous inhabit habitat occur range distribution endemic population dwell grow",
        "eat feed diet food prey hunt consume herbivore carnivore omnivore",
        "lie located situated stand sit border near",
        "celebrate observe commemorate hold",
        "domesticate tame breed bred",
        _COME,
        "end last span continue until finish close",
        "shoot launch fire throw",
        "write compose work author",
    )
)
_ORIGIN = frozenset(stem(word) for word in _COME.split())  # of which any place in a sentence tells: "Japanese"
# What a question asks, and what a sentence, with its passage's title, must hold to be any answer; "": the same office.
_COLOURS = (
    r"\bcolou?r|\b(?:black|white|gr[ea]y|red|orange|yellow|green|blue|purple|violet|pink|brown|golden|silvery|beige|tawny|"
    r"crimson|scarlet|turquoise|maroon|transparent)(?:ish)?\b|\b(?:redd|whit|blu|purpl)ish\b"
)
_OFFICE = (
    r"(?P<office>president|prime minister|minister|chancellor|king|queen|emperor|empress|monarch|pope|mayor|governor|"
    r"secretary|leader|ruler|head|chief|captain|coach|chairman|owner|patron saint)"
)
_MUST: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(asked), held)
    for asked, held in (
        (r"\b(?:what|which) colou?rs?\b", _COLOURS),
        (r"\bwhere\b[^?]*\b(?:buy|bought|purchased?|get one)\b",
         r"\bs(?:old|ells?|elling)\b|\b(?:shop|store|market|vendor)s?\b|\bbuy|\bbought\b|\bpurchas|\bretail"),
        (rf"\bwho(?:'s|’s| is| are| was| were) the (?:[\w-]+ ){{0,3}}?{_OFFICE}s?(?= (?:of|in|at|for)\b|\W*$)", ""),
    )
)  # fmt: skip
_AMOUNT = re.compile(r"\d|%|\b(?:half|third|quarter|most|one|two|three|four|five|six|seven|eight|nine|ten)\b")


def may_answer(question: Question, sentence: str, title: str) -> bool:
    """False for a sentence that cannot say what is asked: where a colour is asked for, one that names none."""
    asked = plain(question.text)
    if "how much " in asked and not _AMOUNT.search(plain(sentence)):
        return False
    for asks, held in _MUST:
        if match := asks.search(asked):
            return re.search(held or rf"\b{match['office']}", plain(f"{title} {sentence}")) is not None
    return True


def relation(question: Question, about: frozenset[str]) -> frozenset[str]:
    """The stems of what a question asks of its subject, which it is `about`: of "Who governs Vetla?" of governing."""
    return frozenset(question.stems) - about - _NO_RELATION


def holds_one(wanted: frozenset[str], held: frozenset[str]) -> bool:
    """Whether one of the wanted stems is held, or a longer word made from it: "bitterness" of "bitter"."""
    long = tuple(word for word in wanted if len(word) >= LONG)
    return bool(wanted & held) or (bool(long) and any(word.startswith(long) for word in held))


def pointed_at(question: Question) -> frozenset[str]:
    """The stems of what a question calls what is shown: "animal" of "this animal"."""
    return frozenset(stem(match[1]) for match in _POINTED_AT.finditer(plain(question.text)))


def relates(question: Question, about: frozenset[str], held: frozenset[str], sentence: str) -> bool:
    """Whether a sentence holds a word for what a question asks of its subject; `held` are its stems and those of what
    counts with it. Questions without such a word are content with any, and those that count with what they count."""
    wanted = relation(question, about)
    if not wanted or question.kind == "count" or (question.kind == "place" and wanted <= _ORIGIN):
        return True
    if question.cue is not None and (question.cue.search(sentence.casefold()) or wanted <= LIGHT):
        return question.cue.search(sentence.casefold()) is not None
    held -= about
    if holds_one(wanted, held) or any(wanted & same and held & same for same in _ALIKE):
        return True
    asked, said = plain(question.text), plain(sentence)
    return any(held_for and asks.search(asked) for asks, held_for in _MUST) or any(
        question.kind in kinds and asks.search(asked) and says.search(said) for kinds, asks, says in _RELATIONS
    )


def fitting(question: Question, sentence: str, spans: list[Span]) -> list[Span]:
    """Those of the spans that are what is asked for, as far as the words around them tell."""
    if question.kind == "length":
        return [span for span in spans if _right_dimension(question, sentence, span)]
    asked = plain(question.text)
    said = plain(sentence)
    for kinds, asks, says in _RELATIONS:
        if question.kind in kinds and asks.search(asked):
            return spans if says.search(said) else []
    return spans


def _right_dimension(question: Question, sentence: str, span: Span) -> bool:
    asked = plain(question.text)
    wanted = next((each for each in _DIMENSIONS if each[1].search(asked)), None)
    if wanted is None:
        return True
    name, _, said, must = wanted
    before = plain(sentence[max(0, span[0] - _BEFORE) : span[0]])
    after = plain(sentence[span[1] : span[1] + _AFTER + 60])
    # A word after it is closer than one before: "a depth of 1,642 m", "at a height of 3 m, 9 m long".
    plainly = _IS_AFTER.match(after) or _IS_BEFORE.search(before)
    if plainly:
        return _SAME[plainly["word"]] == name
    near = f"{before} {after[:_AFTER]}" if name not in ("high", "long") else plain(sentence)
    return not must or said.search(near) is not None
