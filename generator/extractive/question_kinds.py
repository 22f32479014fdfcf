"""What a question wants: its kind, the kind of thing that would answer it, and the words to look for.

Knows nothing of passages. Rules over plain words, in order, first match wins; a question that fits none of
them wants "any" sentence that is close enough to it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from common.text import UNSAFE
from generator.words import STOP_WORDS, plain, stem, stems

MAX_QUESTION = 600  # characters that are looked at; nobody asks more in one question
RANKS = ("family", "genus", "order", "class", "phylum", "species", "kingdom", "subfamily", "tribe", "clade")


@dataclass(frozen=True)
class Question:
    """`kind` is a key of `templates.WANTED`, or "identity" ("What is this?"), or "yesno".

    `noun`: the thing asked for or counted ("country" of "In which country ...?"), stemmed, or "".
    `deictic`: the question speaks of something shown ("this animal", "it") rather than named.
    """

    text: str
    kind: str
    noun: str
    deictic: bool
    stems: tuple[str, ...]
    cue: re.Pattern[str] | None = None  # what a sentence that answers would hold, where no span can be named


_THING = r"(?:this|that|these|those|it|he|she|they|here)"
_IN_PHOTO = r"(?: (?:in|on) (?:the|this|my) (?:photo|picture|image))?"
_ASKS_SIGHT = (
    r"(?:do (?:i|you|we) see|am i looking at|can be seen|does (?:this|the) (?:photo|picture|image) show)"
)
_KIND_OF = r"(?: (?:kind|type|sort|species|breed|variety) of)?"
_THE_SHOWN = r"the (?:animal|plant|bird|object|thing|building|flower|photo|picture|image)"
_OWN_NAME = r"(?:its|his|her|their) (?:full |first |last |real )?names?"
_HUMAN = r"(?:person|people|m[ae]n|wom[ae]n|boys?|girls?|guys?|lady|ladies|gentlem[ae]n|child|children|kids?)"
_IDENTITY = re.compile(
    rf"^(?:(?:hi|hello|hey|ok|so|please)\W+)?(?:"
    rf"(?:(?:what|who)(?:'s|’s|s| is| are| was| were)|tell me) {_OWN_NAME}{_IN_PHOTO}"
    rf"|who(?:'s|’s|s| is| are| was| were) (?:the|this|that|these|those) (?:[\w-]+ )?{_HUMAN}{_IN_PHOTO}"
    rf"|(?:what|who)(?:'s|’s|s| is| are| was| were| am)? (?:{_THING}|i (?:looking at|seeing)|i see)\b"
    rf"(?P<rest>.*)"
    rf"|(?:what|which){_KIND_OF}(?P<noun>(?: [\w-]+){{1,3}}?) (?:is|are|was|{_ASKS_SIGHT})"
    rf"(?: (?:{_THING}|shown here))?{_IN_PHOTO}"
    rf"|(?:(?:can|could) you )?(?:identify|name|recognise|recognize|describe)"
    rf"(?: {_THING}(?: [\w-]+){{0,2}}| {_THE_SHOWN})?{_IN_PHOTO}"
    rf"|what {_ASKS_SIGHT}(?: here)?{_IN_PHOTO}"
    rf"|what(?:'s|’s| is) (?:the )?name of (?:this|that)(?: [\w-]+){{1,3}}"
    rf"|what(?:'s|’s| is| are) (?:this|that|these|those)(?: [\w-]+){{1,3}} called"
    rf"|what (?:is|are) (?:it|this|these|they) called"
    rf")\W*$"
)
_ATTRIBUTE = re.compile(  # "What colour is it?" does not ask for its name
    r"\b(?:colou?r|size|shape|age|sex|gender|year|date|century|time|price|temperature|material|taste|smell|sound)s?$"
)
# Words that may follow "what is this" without making it another question.
_IDENTITY_REST = re.compile(
    r"^(?: (?:thing|object|animal|creature|plant|bird|fish|insect|flower|fruit|tree|building|place|person|"
    r"man|woman|"
    r"device|machine|instrument|tool|food|dish|vehicle|vegetable|mammal|reptile|landmark|monument|"
    r"structure|painting|"
    r"here|called|please|exactly|supposed to be|i see|i am looking at|"
    r"(?:in|on) (?:the|this|my) (?:photo|picture|image)))*\W*$"
)
_PERSON = re.compile(
    rf"\bwho\b|\bwhos\b|\b(?:his|her) (?:\w+ )?names?\b|\b(?:this|that|the) (?:{_HUMAN}|actor|actress|singer)\b"
)
# "How many gold medals did": what is counted, and what comes behind it.
_BEHIND_COUNTED = (
    r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|of|in|on|at|to|there|that|which|who|"
    r"live|work|speak|belong|make|fit|die|play|\w+ed)"
)
_COUNTED = rf"(?!{_BEHIND_COUNTED}\b)[\w-]+"
_ASKS_RANK = r"(?:{})".format("|".join(RANKS))
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("count", r"\bhow many (?P<noun>species|genera|families|orders|classes|kinds|breeds)\b"),
        ("taxon", rf"\b(?:what|which)\b[^?]{{0,40}}\b(?:taxonomic |biological |plant |animal "
                  rf")?(?P<noun>{_ASKS_RANK})\b"
                  rf"[^?]{{0,60}}\b(?:belong|part of|member|contains?|includes?|is|are|does|do|in|"
                  rf"classified|placed)\b"),
        ("taxon", rf"\b(?P<noun>{_ASKS_RANK}) (?:of|does|do)\b[^?]*\b(?:animal|plant|bird|fish|insect|this|"
                  rf"it|belong)\b"),
        ("taxon", r"\bscientific name\b|\blatin name\b|\bbinomial\b"),
        ("share", r"\b(?:what|which) (?:percentage|percent|share|fraction|proportion)\b|\bhow (?:common|"
                  r"rare) is\b"),
        ("date", r"\bhow long ago\b"),
        ("speed", r"\bhow (?:fast|quick(?:ly)?)\b|\b(?:top|maximum|what) speed\b|\bspeed of\b"),
        ("mass", r"\bhow heavy\b|\bhow much (?:does|do|did|can)\b[^?]*\bweigh\b|\bwhat (?:is|was|"
                 r"are)[^?]*\b(?:weight|mass)\b|"
                 r"\bweigh\b"),
        ("temperature", r"\bhow (?:hot|cold|warm)\b|(?<!\broom )\btemperature\b|\b(?:boil|melt|freez)(?:s|"
                        r"ing)?\b[^?]*\b(?:point|at)\b"),
        ("money", r"\bhow much (?:did|does|do|money|was|is|were)\b[^?]*\b(?:cost|pay|paid|worth|sell|sold|"
                  r"price|fetch)\b|"
                  r"\bhow expensive\b|\bwhat price\b"),
        ("duration", r"\bhow old\b|\bhow long (?:do|does|did|can|could|will|has|have|had)\b(?![^?]*\b(?:grow|get|"
                     r"become|reach|stretch|extend|measure|run)s?\b)|\bhow long (?:is|are|was|were)\b[^?]*\b(?:pregnan|"
                     r"war\b|reign|life\b|(?:day|year)s?\W*$)|"
                     r"\bhow long\b[^?]*\b(?:last|live|reign|rule|take|took|ago|serve|survive|"
                     r"go|stay|orbit|"
                     r"exist|gestation|pregnan|spend|remain)\w*|\bhow many (?:years|days|months|hours|"
                     r"minutes|centuries|weeks)\b|"
                     r"\b(?:lifespan|life span|life expectancy)\b"),
        ("area", r"\bhow (?:large|big)\b[^?]*\b(?:country|lake|island|desert|sea|ocean|state|city|park|"
                 r"continent|forest|area)\b|"
                 r"\bwhat (?:is the )?(?:surface )?area\b|\bhow much (?:land|area|space|surface)\b"),
        ("length", r"\bhow (?:tall|high|long|far|wide|deep|large|big|thick|small|broad)\b|"
                   r"\bwhat (?:(?:is|was|are|were) )?(?:(?:the|its|their) )?(?:\w+ )?(?:height|length|"
                   r"elevation|altitude|"
                   r"depth|wingspan|diameter|width|size)\b"),
        ("count", rf"\bhow many (?P<counted>(?:{_COUNTED} ){{0,3}}?{_COUNTED})(?= {_BEHIND_COUNTED}\b)|"
                  r"\bhow many (?P<noun>\w+(?: \w+)?)|\b(?:what|which)(?: is the)? population\b|\bpopulation of\b"),
        ("reason", r"\bwhy\b|\bwhat (?:is the )?(?:reason|cause[sd]?)\b|\bhow come\b"),
        ("date", r"^\W*when\b|\b(?:in|since|until|from) (?:which|what) (?:year|century|decade|month|era|"
                 r"period)\b|"
                 r"\b(?:what|which) (?:year|date|century|decade|day|month)\b|\bwhen (?:was|were|did|does|"
                 r"do|is|are|has|had)\b"),
        ("person", r"(?<!one )(?<!people )(?<!person )(?<!man )(?<!woman )\b(?:who|whom|whose)\b|\b(?:what|"
                   r"which) (?P<noun>artist|painter|architect|author|writer|composer|"
                   r"sculptor|engineer|scientist|inventor|king|queen|emperor|explorer|philosopher|poet|"
                   r"director|president|"
                   r"mathematician|physicist|chemist|person|man|woman|designer|playwright|novelist|general|"
                   r"pharaoh|"
                   r"astronomer|leader|musician|singer|actor|actress|conqueror)\b"),
        ("place", r"\bwhere\b|\b(?:what|which) (?P<noun>country|city|continent|region|state|ocean|sea|"
                  r"island|town|place|"
                  r"province|countries|continents|mountains|part of the world|parts of the world|river|"
                  r"county|habitat)\b"),
    )
)  # fmt: skip
_CUES: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = tuple(
    (re.compile(asked), re.compile(answer))
    for asked, answer in (
        (r"\bwho\b(?! (?:is|was|are|were)\b)|\bwhom?\b[^?]*\bby\b|\bby whom\b",
         r"(?:\b\w+ed|written|built|made|drawn|led|found|won|sung|the (?:\w+ )?(?:work|architect|artist|"
         r"author)) (?:\w+ )?by\b"),
        (r"\bhow (?:tall|high)\b|\bheight\b", r"\btall\b|\bhigh\b|\bheight\b|\belevation\b|\baltitude\b"),
        (r"\bhow (?:long|big|large)\b|\blength\b", r"\blong\b|\blengths?\b|\bdiameter\b"),
        (r"\bhow deep\b|\bdepth\b", r"\bdeep\b|\bdepths?\b"),
        (r"\bhow (?:wide|broad)\b|\bwidth\b", r"\bwide\b|\bwidth\b"),
        (r"\bhow far\b|\bdistance\b", r"\bdistance\b|\baway\b|\bfrom (?:the )?(?:earth|sun)\b"),
        (r"\bwhy\b|\breason\b|\bcauses?\b|\bhow come\b",
         r"\bbecause\b|\bdue to\b|\bresult(?:s|ed|ing)? (?:of|from|in)\b|\bcaused? by\b|\breasons?\b|\bin "
         r"order to\b|\bowing to\b"),
        (r"\bused? (?:for|to)\b|\bpurpose\b|\bfor\W*$|\buse of\b|\bused today\b",
         r"\bus(?:ed?|es|ing) (?:for|to|in|as|by|today)\b|\bdesigned (?:to|for)\b|\bserv(?:es?|ed|ing) "
         r"as\b|\b(?:allow|enabl)(?:es|s|ing)\b|\bto (?:drive|cut|make|"
         r"measure|protect)\b|\bfor (?:the )?\w+ing\b|\bprotection\b|\bpurpose\b"),
        (r"\bmade (?:of|from|with|out)\b|\bmaterial\b|\bmade\W*$|\bconsists?\b|\bcontain\b|\bbuilt (?:of|"
         r"from)\b|\binside\b",
         r"\b(?:made|built|formed|prepared|produced|constructed) (?:mainly |primarily |largely |mostly |"
         r"typically )?(?:of|from|with|by|out)\b|"
         r"\bconsist(?:s|ing|ed)?\b|\bcompos(?:ed|es)\b|\bcontain(?:s|ing|ed)?\b|\ballo(?:y|ys) of\b"),
        (r"\beats?\b|\bfood\b|\bdiet\b|\bfeeds?\b|\bhunts?\b",
         r"\bdiet\b|\bfeed(?:s|ing)?\b|\beat(?:s|ing|en)?\b|\bprey(?:s|ing)?\b|\b(?:herbi|carni|omni|"
         r"insecti)vor\w+"),
    )
)  # fmt: skip
_YES_NO = re.compile(r"^\W*(?:is|are|was|were|do|does|did|can|could|has|have|had|will|would|should)\b")
_DEICTIC = re.compile(
    r"\b(?:this|these|it|its|here|that (?:animal|thing|building|bird|plant|one)|they|their|them|he|she|his|"
    r"her)\b"
)
_WHICH_NOUN = re.compile(r"\b(?:what|which)(?: (?:kind|type|sort|name) of)? (?!(?:is|are|was|were|do|does|"
                         r"did|has|have|can|could|kind|type) )((?:[\w-]+ ){0,3}?[\w-]+?)(?= (?:is|are|was|"
                         r"were|do|does|"
                         r"did|has|have|had|can|could|in|of|that|who|which|with|from|on|for|by|to|at|\w+ed|"
                         r"made|won|wrote|"
                         r"began|gave|led|runs|lies|lives|comes)\b|\?|$)")  # fmt: skip


def clean_question(text: str) -> str:
    """The part of a question that is looked at: on one line, without control characters, bounded."""
    return " ".join(re.sub(rf"[{UNSAFE}]+", " ", text[: 4 * MAX_QUESTION]).split())[:MAX_QUESTION]


def _is_identity(asked: str) -> re.Match[str] | None:
    match = _IDENTITY.match(asked)
    if match is None:
        return None
    if _ATTRIBUTE.search(match["noun"] or ""):
        return None
    rest = match["rest"]
    if rest is not None and not _IDENTITY_REST.match(rest):
        return None
    return match


def asks_who(question: Question) -> bool:
    """Whether a question for what is shown asks for a person."""
    return _PERSON.search(plain(question.text)) is not None


def read_question(text: str) -> Question:
    """Never fails: an empty question, or one without words, has kind "any" and no stems."""
    question = _read(text)
    asked = plain(question.text)
    cue = next((answer for when, answer in _CUES if when.search(asked)), None)
    return (
        replace(question, cue=cue)
        if question.kind in ("any", "reason", "person", "yesno", "length")
        else question
    )


def _read(text: str) -> Question:
    text = clean_question(text)
    asked = plain(text)
    found = tuple(dict.fromkeys(stems(text)))
    deictic = _DEICTIC.search(asked) is not None
    if (match := _is_identity(asked)) is not None:
        nouns = stems(match["noun"] or match["rest"] or "")
        return Question(text, "identity", nouns[-1] if nouns else "", True, found)
    for kind, rule in _RULES:
        match = rule.search(asked)
        if match is not None:
            noun = match.groupdict().get("noun") or ""
            if counted := match.groupdict().get("counted"):
                noun = counted.split(" ")[-1]
            elif kind == "count" and noun:
                parts = [w for w in noun.split() if w not in STOP_WORDS]
                noun = (
                    parts[-1] if len(parts) > 1 and parts[0] in _ADJECTIVES else (parts[0] if parts else "")
                )
            return Question(text, kind, noun if kind == "taxon" else stem(noun), deictic, found)
    if _YES_NO.match(asked):
        return Question(text, "yesno", "", deictic, found)
    match = _WHICH_NOUN.search(asked)
    nouns = [w for w in match[1].split() if w not in STOP_WORDS] if match else []
    return Question(text, "any", stem(nouns[-1]) if nouns else "", deictic, found)


_ADJECTIVES = frozenset(
    "different known living main major large small official young great big full natural permanent human "
    "other "
    "individual extant separate total moveable movable".split()
)
