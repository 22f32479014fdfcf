"""Finds the spans of a sentence that could answer a question of a given kind: dates, measures, names, places,
groups.

Knows nothing of passages or scores: text in, spans out. Rules only, so they miss things; what they find is
what it looks like. Texts are untrusted: a pattern must not try a run again from each of its characters, nor have two
ways to read one, so runs are possessive (`++`) or bounded and begin where a run begins.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right

from generator.extractive.question_kinds import Question
from generator.words import STOP_WORDS, plain, stem, words

Span = tuple[int, int]

_MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_ERA = r"(?:\s(?:BCE?|AD|CE))"
_CIRCA = r"(?:(?:c\.|ca\.|circa|around|about|early|late|mid)[\s-])?"
_YEAR = r"(?:[12]\d{3}s?(?![\d,.]\d)|\d{1,4}s?(?=\s(?:BCE?|AD|CE)\b)|AD\s\d{1,4})"
_YEARS = (
    rf"{_CIRCA}{_YEAR}{_ERA}?(?:\s?(?:–|-|—|/| to | and | until )\s?{_CIRCA}(?:{_YEAR}|"
    rf"\d{{2}}(?!\d)){_ERA}?)?"
)
_CENTURY = (
    rf"{_CIRCA}(?:\d{{1,2}}(?:st|nd|rd|th)|(?<![A-Za-z])[A-Za-z]++(?<=st|nd|rd|th))(?:\s(?:to|and|"
    rf"or)\s\w++(?<=st|nd|rd|th))?[\s-](?:century|centuries|millennium){_ERA}?"
)
_DAY = (
    rf"(?:\d{{1,2}}(?:\s?–\s?\d{{1,2}})?\s{_MONTH}(?:\s\d{{1,4}}{_ERA}?)?|"
    rf"{_MONTH}\s\d{{1,2}}(?:,\s\d{{4}})?|{_MONTH}\s\d{{4}})"
)
_NUMERAL = r"\d++(?:[.,]\d++)*+"
_AGO = (
    rf"(?:(?<!\d)(?<!\d[.,]){_NUMERAL}(?:\s?(?:–|-|to|and)\s?{_NUMERAL})?\s(?:(?:million|billion|thousand)\s)?"
    r"(?:years|mya|Ma|Mya)(?:\s(?:ago|BP))?)"
)
DATE = re.compile(rf"(?:{_DAY}(?:\s?(?:–|-|to)\s?{_DAY})?|{_AGO}|{_CENTURY}|(?<![\d.,$£€]){_YEARS})")

_SMALL = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million "
    "billion trillion "
    "dozen dozens hundreds thousands millions"
)
_NUMBER_WORD = "(?:{})".format("|".join(sorted(_SMALL.split(), key=len, reverse=True)))
_DIGITS = r"(?:\d++(?:,\d{3})*+(?:\.\d++)?+|\.\d++)"
_VALUE = (
    rf"(?:{_DIGITS}(?:\s(?:thousand|million|billion|trillion))?|"
    rf"\b{_NUMBER_WORD}\b(?:[\s-](?:and\s)?{_NUMBER_WORD}\b){{0,9}}+)"
)
_QUALIFIER = (
    r"(?:(?:about|around|approximately|nearly|almost|over|more than|less than|at least|up to|"
    r"roughly|some)\s)?"
)
_RANGE = (
    rf"{_QUALIFIER}[−-]?{_VALUE}(?:\s?±\s?[\d.]++)?(?:\s?(?:–|-|—|to|and|or|by|×|"
    rf"x)\s?{_QUALIFIER}[−-]?{_VALUE})?"
)
_UNITS = {
    "length": r"(?:km|cm|mm|m|µm|nm|kilomet(?:re|er)s?|centimet(?:re|er)s?|millimet(?:re|er)s?|met(?:re|"
              r"er)s?|ft|feet|foot|"
              r"in|inch(?:es)?|mi|miles?|yards?|yd|nautical miles?|nmi|light[- ]years?|parsecs?|pc|AU|"
              r"stor(?:ey|ie)s)",
    "area": r"(?:square (?:kilomet(?:re|er)s?|met(?:re|er)s?|miles?|feet|km|mi|ft)|sq\.?\s(?:km|mi|ft|m)|"
            r"km2|km²|m2|m²|mi2|"
            r"hectares?|ha|acres?)",
    "speed": r"(?:km/h|kmh|kph|mph|m/s|km/s|mi/s|ft/s|knots?|kn|(?:kilomet(?:re|er)s?|miles?|met(?:re|"
             r"er)s?)[\s-](?:per|an)[\s-](?:hour|"
             r"second)|metres per second|times the speed of sound)",
    "mass": r"(?:kg|g|mg|kilograms?|kilogrammes?|grams?|tonnes?|tons?|t|lbs?|pounds?|oz|ounces?|(?:short|"
            r"long|metric) tons?|"
            r"Earth masses|solar masses|daltons?)",
    "temperature": r"(?:°\s?[CFK]|°|K|kelvins?|degrees(?: (?:Celsius|Fahrenheit))?)",
    "duration": r"(?:years?|months?|weeks?|days?|hours?|minutes?|seconds?|centuries|decades|millennia|"
                r"(?:million|billion) years)(?:\sold)?",
    "money": r"(?:dollars?|euros?|pounds?|francs?|US\$|million|billion)",
    "share": r"(?:%|per ?cent|percent)",
}  # fmt: skip
_MEASURE = {
    kind: re.compile(
        rf"(?<![\w.,/]){_RANGE}[\s-]?{unit}(?![\w²³/])(?:\s(?:and|to|"
        rf"by)\s{_RANGE}[\s-]?{unit}(?!\w))?(?:\s\([^()]{{1,60}}\))?"
    )
    for kind, unit in _UNITS.items()
}
MEASURED = frozenset(_MEASURE)
_CURRENCY = re.compile(r"(?:US)?[$£€¥]\s?\d[\d,.]*(?:\s(?:thousand|million|billion|trillion))?")
_FRACTION = re.compile(
    r"\b(?:one|two|three)[\s-](?:half|third|thirds|quarter|quarters|fifths?|tenths?)\b|\bhalf\b"
)
_LARGE = re.compile(r"\bhow (?:large|big)\b|\bsize\b")
_COUNTED_AS = {"arm": ("limb",), "leg": ("limb",)}  # stems
_AGO_AFTER = re.compile(r"\s(?:ago|BP)\b")
_AT_AGE = re.compile(r"\b(?:[Aa]t|[Bb]y) the (age of \d{1,3})\b")
_COUNT = re.compile(rf"(?<![\w.,/]){_QUALIFIER}(?:{_VALUE})(?:\s?(?:–|-|to)\s?{_VALUE})?(?![\d%⁰¹²³⁴-⁹⁻])")

_CAP = r"(?:[^\W\d_a-zà-öø-ÿ](?>\.(?:\s?[A-Z]\.){0,9}|[\w’'\-]*))"
_PARTICLE = (
    r"(?:of|de|da|di|del|della|des|du|la|le|von|van|der|den|ten|ibn|ben|bin|al|the|y|e|af|zu|"
    r"I{1,3}|IV|V|VI{1,3}|IX|X)"
)
_NAME = re.compile(rf"(?<![\w]){_CAP}(?:\s(?:{_PARTICLE}\s){{0,2}}{_CAP}){{0,5}}(?:,?\s(?:Jr|Sr)\.)?")
_NOT_PERSON = frozenset(
    "the a an it its he she they this that these in on at as by for from with during after before since "
    "january february march april may june july august september october november december monday tuesday "
    "wednesday thursday friday saturday sunday european american english british french german italian "
    "greek roman spanish russian chinese japanese indian world war century earth northern southern "
    "eastern western united states kingdom empire republic north south east west africa asia europe "
    "america christian christianity islam muslim jewish latin ancient modern university church race "
    "committee party championship cup league mount mountain bay sea ocean river lake island peninsula "
    "strait city age bronze stone victory symphony court museum olympic games prize nobel new university "
    "battle great his her their however although it's revolution industrial dynasty era period movement act "
    "treaty institute academy army navy union government".split()
)
_PLACE_CUE = re.compile(
    r"\b(?:in|at|on|of|from|near|to|across|throughout|between|around|off|along|within|inhabits?|into|over|"
    r"through|"
    r"bordering|native to|located)\s((?:(?:the|most of|parts? of|much of|northern|southern|eastern|western|"
    r"central|north|south|east|"
    r"west|north-?eastern|south-?eastern|north-?western|south-?western|sub-Saharan|coast of|tropical|"
    r"temperate|city of|"
    r"western|modern-day|present-day|what is now|ancient|medieval|modern)\s)*)"
)
_LOCATED_REACH = 60  # characters behind such a word in which a name is that of a place
_LOCATED = re.compile(r"\b(?:in|at|on|near|across|throughout|off|along|within|between)\s(?:the\s)?")
_BEHIND_NOUN = re.compile(
    r"\s(?:and\s\w++\s\w++\s)?(?:is\s|was\s|are\s|of\s|called\s|named\s)?(?:the\s)?"
)
_NAMES_BEFORE = re.compile(rf"(?<!\w)(?:{_CAP}\s)++$")
_NEXT_NAME = re.compile(
    rf"(?:, (?:and )?| and )(?:the |northern |southern |eastern |western |central )*+(?={_CAP})"
)
_RANKED = (
    r"(?:king|queen|emperor|empress|pharaoh|sultan|president|engineer|architect|artist|painter|sculptor|"
    r"author|writer|"
    r"composer|astronomer|physicist|chemist|pope|duke|prince|tsar|inventor|philosopher)"
)
PERSON_NOUN = re.compile(
    r"\b(?:king|queen|emperor|empress|president|prime minister|pharaoh|sultan|caliph|tsar|pope|saint|monk|"
    r"nun|general|"
    r"admiral|painter|sculptor|architect|artist|composer|musician|singer|rapper|pianist|guitarist|"
    r"conductor|writer|"
    r"author|novelist|poet|playwright|dramatist|essayist|philosopher|theologian|scholar|scientist|"
    r"physicist|chemist|"
    r"biologist|naturalist|mathematician|astronomer|engineer|inventor|physician|surgeon|nurse|psychologist|"
    r"economist|"
    r"sociologist|historian|explorer|navigator|conqueror|commander|soldier|statesman|politician|"
    r"revolutionary|activist|"
    r"leader|ruler|founder|lawyer|jurist|businessman|industrialist|entrepreneur|actor|actress|filmmaker|"
    r"film director|"
    r"director|dancer|athlete|footballer|boxer|player|sprinter|runner|cosmonaut|astronaut|aviator|aviators|"
    r"polymath|"
    r"reformer|preacher|prophet|teacher|linguist|lexicographer|geologist|botanist|monarch|duke|prince|"
    r"princess|member of|"
    r"god|goddess|deity|hero|figure|swimmer|gymnast|journalist|critic|printer|craftsman|nobleman|khan|"
    r"slave|gladiator)s?\b"
)
_DEMONYM = re.compile(
    r"(?<=\b(?:an|is|as)\s)[A-Z][a-z]{2,}(?:ian|ean|ese|ish|an)\b|(?<=\ba\s)[A-Z][a-z]{2,}(?:ian|ean|ese|"
    r"ish|an)\b"
)
_HABITAT = re.compile(
    r"\b(?:lives?|living|found|dwell|inhabit(?:s|ing)?|rang(?:es?|ing)|occur(?:s|ring)?|native)\s(?:[a-z]+\s)?"
    r"((?:in|on|at|across|to|throughout|along|near)\s[^,.;()]{3,80})"
)
_OF_A_NATION = re.compile(r"(?:ish|ese|ian|ean|an|ch)$")
_AGENT = re.compile(r"\bby ((?:an? |the )?(?:[a-z]++ ){0,2}[a-z-]+(?:ists?|ers?|ors?|ians?|men))\b")  # no name needed
_BINOMIAL = re.compile(
    r"(?<=\()[A-Z][a-z]+\s[a-z]{3,}(?:\s[a-z]{3,})?(?=[),;])|\b[A-Z][a-z]{3,}\s[a-z]{4,}(?:us|a|is|um|ii|i|"
    r"ensis|es)\b"
)


def _dates(text: str) -> list[Span]:
    return [m.span() for m in DATE.finditer(text)]


def _measures(kind: str, text: str) -> list[Span]:
    spans = [m.span() for m in _MEASURE[kind].finditer(text)]
    if kind == "money":
        spans = [m.span() for m in _CURRENCY.finditer(text)]
    if kind == "duration":
        spans = [s for s in spans if not _AGO_AFTER.match(text, s[1])] + [m.span(1) for m in _AT_AGE.finditer(text)]
    if kind == "share":
        spans += [m.span() for m in _FRACTION.finditer(text)]
    return spans


def _counts(text: str, noun: str) -> list[Span]:
    """Numbers followed within three words by the noun counted (or by people, where a population is asked)."""
    wanted = {noun, *_COUNTED_AS.get(noun, ())}
    if noun in ("", "person", "inhabitant", "resident", "population", stem("population")):
        wanted = {"person", stem("population")}
    spans = []
    for match in _COUNT.finditer(text):
        after = re.match(r"(?:,?[\s-]\(?[^\W\d][\w'’-]*){1,4}", text[match.end() : match.end() + 80])
        year = re.fullmatch(r"1\d{3}|20\d\d", match[0]) is not None
        for word in re.finditer(r"[\w'’]+", after[0]) if after else ():
            if year and not word[0].endswith("s"):
                continue  # "a 1968 film"
            if stem(plain(word[0])) in wanted:
                spans.append((match.start(), match.end() + word.end()))
                break
        else:
            if (
                stem("population") in wanted
                and "population" in text[max(0, match.start() - 60) : match.start()]
            ):
                spans.append(match.span())
    return spans


def names(text: str) -> list[Span]:
    """Stretches of capitalised words, also one word long, that are not plainly something else than a name."""
    spans = []
    for match in _NAME.finditer(text):
        start, end = match.span()
        parts = match[0].split(" ")
        lead = 0
        while lead < len(parts) and plain(parts[lead].strip(".,'’")) in _NOT_PERSON:
            start += len(parts[lead]) + 1
            lead += 1
        parts = parts[lead:]
        if parts and any(len(p) > 1 for p in parts) and not (len(parts) == 1 and parts[0].isupper()):
            trimmed = (
                text[start:end].rstrip(".")
                if not text[start:end].endswith(("Jr.", "Sr."))
                else text[start:end]
            )
            trimmed = re.sub(r"['’]s?$", "", trimmed)
            spans.append((start, start + len(trimmed)))
    return [s for s in spans if s[1] > s[0]]


def _people(text: str) -> list[Span]:
    """Names of two words or more, or behind "by"; not where something is, nor plainly a thing's name."""
    located = [cue.end() for cue in _LOCATED.finditer(text) if _NAME.match(text, cue.end())]
    spans = []
    for start, end in names(text):
        parts = words(text[start:end])
        if any(w in _NOT_PERSON for w in parts) or any(c.isdigit() for c in text[start:end]):
            continue
        follows = plain(text[end + 1 : end + 40])
        if len(parts) == 1 and _OF_A_NATION.search(text[start:end]) and PERSON_NOUN.match(follows):
            continue  # "by the Swedish chemist Alfred Nobel"
        near = located[bisect_right(located, start - _LOCATED_REACH) : bisect_right(located, start)]
        if any("." not in text[a:start] and not re.search(r"\b(?:by|and)\b", text[a:start]) for a in near):
            continue
        behind_by = re.search(r"\bby\s(?:[\w’'-]+,?\s){0,8}$", text[max(0, start - 90) : start])
        titled = re.search(rf"\b{_RANKED}\s$", plain(text[max(0, start - 30) : start]))
        if len(parts) > 1 or behind_by or titled:
            spans.append((start, end))
    return spans


def _named(text: str, noun: str) -> list[Span]:
    """Names that stand beside the noun asked for: `the river Yamuna`, `its capital and largest city is
    Reykjavik`."""
    spans = []
    for word in re.finditer(r"[\w’'-]+", text):
        if stem(plain(word[0])) != noun:
            continue
        behind = (
            None
            if word[0][0].isupper()
            else _BEHIND_NOUN.match(text, word.end())
        )
        if behind and (name := _NAME.match(text, behind.end())):
            spans.append((name.start(), name.end() - (name[0][-1] == ".")))
        before = _NAMES_BEFORE.search(text[max(0, word.start() - 60) : word.start()])
        if before and word[0][0].isupper():
            spans.append((max(0, word.start() - 60) + before.start(), word.end()))
    return spans


def _places(text: str) -> list[Span]:
    spans = []
    for cue in _PLACE_CUE.finditer(text):
        if spans and cue.start() < spans[-1][1]:
            continue
        rest = _NAME.match(text, cue.end())
        if rest is None or re.fullmatch(rf"{_MONTH}|Earth|BC|AD", rest[0].split()[0]):
            continue
        end = rest.end()
        while more := _NEXT_NAME.match(text, end):
            following = _NAME.match(text, more.end())
            if following is None:
                break
            end = following.end()
        spans.append((cue.start(1), end - (text[end - 1] == ".")))
    return spans


def _taxa(text: str, rank: str) -> list[Span]:
    """`the family Felidae`, `genus Acinonyx`, `Felidae family`; for a species or no rank also a Latin
    binomial."""
    spans: list[Span] = []
    if rank and rank != "species":
        near = (
            rf"(?:(?<![\w-])[\w-]++\s)?{rank}(?:\s(?:of\s)?(?:[a-z-]+\s){{0,4}}?)(?:\(?[A-Z][a-z]+\)?)|"
            rf"\b[A-Z][a-z]++\s{rank}\b"
        )
        spans = [m.span() for m in re.finditer(rf"\b(?:the\s)?(?:{near})", text)]
        endings = {
            "family": r"[A-Z][a-z]+(?:idae|aceae)",
            "order": r"[A-Z][a-z]+(?:iformes|ales|ptera|oidea)",
        }
        if not spans and rank in endings:
            spans = [m.span() for m in re.finditer(rf"\b{endings[rank]}\b", text)]
        if not spans and rank == "family" and (m := re.search(r"(?<![\w-])the\s[\w-]++\sfamily\b", text)):
            spans = [m.span()]
        return spans
    return [m.span() for m in _BINOMIAL.finditer(text)]


def candidates(question: Question, sentence: str) -> list[Span]:
    """Spans of `sentence` of the kind the question wants, in order; none for kinds that have no form of their
    own."""
    kind = question.kind
    if kind == "date":
        return _dates(sentence)
    if kind == "length" and _LARGE.search(plain(question.text)):
        return _measures("area", sentence) or _measures(kind, sentence)
    if kind in _MEASURE:
        return _measures(kind, sentence)
    if kind == "count":
        return _counts(sentence, question.noun)
    if kind == "person":
        return _people(sentence) or [m.span(1) for m in _AGENT.finditer(sentence)]
    if kind == "place":
        spans = _places(sentence) + _named(sentence, question.noun)
        if not spans and stem("live") in question.stems:
            spans = [m.span(1) for m in _HABITAT.finditer(sentence)]
        return spans or [m.span() for m in _DEMONYM.finditer(sentence)]
    if kind == "any" and question.noun:
        return _named(sentence, question.noun)
    if kind == "taxon":
        return _taxa(sentence, question.noun)
    return []


def _split_life(question: Question, sentence: str, span: Span) -> Span:
    """Of `4 March 1678 – 28 July 1741`, the half that a question about a birth or a death wants."""
    halves = re.split(r"\s?[–—]\s?", sentence[span[0] : span[1]], maxsplit=1)
    if len(halves) == 2 and all(DATE.search(h) for h in halves):
        if "birth" in question.stems:
            return span[0], span[0] + len(halves[0])
        if "die" in question.stems:
            return span[1] - len(halves[1]), span[1]
    return span


def pick(question: Question, sentence: str, spans: list[Span], known: set[str]) -> Span | None:
    """The one of `spans` that most likely answers: near the question's words, after "by" for a person.

    `known` are the plain words of the title and question: a name made of them only is what was asked about,
    not the answer. None when nothing is left.
    """
    named = question.kind in ("person", "place", "any")
    left = [s for s in spans if not (named and set(words(sentence[s[0] : s[1]])) - STOP_WORDS <= known)]
    if not left:
        return None
    wanted = {w for w in question.stems if w not in known or question.kind not in ("person", "place")}
    cues = [m.span() for m in re.finditer(r"[\w'’]+", sentence) if stem(plain(m[0])) in wanted]
    cue_ends = [end for _, end in cues]

    def cost(span: Span) -> float:
        # The last cue before the span, and the next; one before it binds closer than one behind it.
        at = bisect_right(cue_ends, span[0])
        before_it = span[0] - cue_ends[at - 1] if at else math.inf
        near = min(before_it, 1.5 * max(0, cues[at][0] - span[1]) if at < len(cues) else math.inf) if cues else 60.0
        bonus = 0.0
        before = sentence[max(0, span[0] - 60) : span[0]]
        if question.kind == "person":
            if re.search(r"\b(?:by|and)\s(?:[\w-]+\s){0,6}$", before):
                bonus += 40
            if len(sentence[span[0] : span[1]].split()) > 1:
                bonus += 25
        if question.kind == "date" and before.rstrip().endswith(
            ("in", "from", "between", "since", "on", "(")
        ):
            bonus += 5
        return min(near, 80.0) - bonus + span[0] / 100

    best = min(left, key=cost)
    return _split_life(question, sentence, best) if question.kind == "date" else best
