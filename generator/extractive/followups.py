"""A follow-up question made to stand alone by a rule: what it points back at is named.

Knows nothing of models; one that is there does this better. English only: other questions are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from generator.answers import Turn
from generator.extractive.question_kinds import clean_question, read_question
from generator.extractive.spans import names
from generator.grounding.plain_text import without_marks
from generator.sentences import shown_title
from generator.words import STOP_WORDS, plain, stems, words

# What stands for the subject; a possessive is in the first group.
_PRONOUN = re.compile(
    r"\b(?:(its|his|their|her(?=\s+(?!and\b|or\b|than\b)[a-z]))|it|he|she|they|him|them|her)\b", re.IGNORECASE
)
_THIS = re.compile(r"\b(?:this|that|these|those)\b", re.IGNORECASE)  # points at the photo
# "it" that stands for nothing: "Is it true that", "What time is it".
_EMPTY = re.compile(
    r"\bis it (?:true|possible|known|likely|because)\b|\b(?:time|day|year) is it\b|\bit (?:rain|snow)", re.IGNORECASE
)
# Questions that are a piece of one: "And in winter?", "Why?", "How many?"; those that begin with "and" and the like may
# say more, since they go on from something.
_GOING_ON = re.compile(r"(?:and|or|but|also|what about|how about)\b", re.IGNORECASE)
_PIECE = re.compile(
    r"(?:what else|anything else|why(?: not)?|how(?: many| much| so)?|when|where|who|since when)\b", re.IGNORECASE
)
_LEADING = re.compile(r"^(?:and|or|but|also|so|then)[,\s]+", re.IGNORECASE)
_GOING_ON_WORDS, _PIECE_WORDS = 2, 1  # content words that such a piece has at most
# "And the Starry Night?": a new subject for the question before, a name or something new.
_NEW_SUBJECT = re.compile(
    r"(?i:(?:and|or|what about|how about)(?: what about| how about)?)\s+(?P<new>(?:the\s+)?[^\W\d_a-zß-ÿ][\w’'-]*"
    r"(?:\s[\w’'-]+){0,5}|an?\s[\w-]+(?:\s[\w-]+)?)\s*\?*"
)
# What such a subject takes the place of in the question before, where that points at the photo: "this tower in Paris".
_SHOWN = re.compile(
    r"\b(?:this|that|these|those)\s+(?!is\b|was\b|are\b|were\b)[a-z-]+"
    r"(?:\s+(?:in|at|on|of|from|near)\s+(?:the\s+)?[^\W\d_a-zß-ÿ][\w’'-]*(?:\s[^\W\d_a-zß-ÿ][\w’'-]*)*)?",
)
# "What about the lion?": said as the subject before was ("How fast is the tiger?"), it is another one, unless it may be
# a part of that, or many of them.
_THE_OTHER = re.compile(
    r"(?:and|or|what about|how about)(?: what about| how about)?\s+(?P<new>the\s[\w-]+)\s*\?*", re.IGNORECASE
)
# "What about the tiger? Where does it live?": a new subject, and what is asked of it.
_TURNS_TO = re.compile(
    r"(?:(?:and|but|or|so|no|ok|okay|now)[,\s]+){0,3}(?:what|how) about "
    r"(?P<new>[^?.!;]{1,80}?)\s*[?.!;,:]+\s+(?P<rest>\S.*)",
    re.IGNORECASE | re.DOTALL,
)
_PARTS = frozenset(
    "age antler back beak belly bill blood body bone brain claw coat color colour diet ear egg eye face female fin "
    "foot front fur hair hand head heart horn inside jaw leaf leg male mane mother mouth name neck nest nose one "
    "other outside paw rest roof root second shell size skin skull stem tail teeth third tongue tooth top trunk tusk "
    "weight wing wood young".split()
)
_ARTICLES = ("a", "an", "the")
_PERSON = frozenset(("he", "she", "him", "her", "his"))
# What a possessive, or a pronoun of a later clause, stands for where it comes before: "Does a whale feed its young?"
_OWN_SUBJECT = re.compile(
    r"\b(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|may|must)\s+"
    r"(?:(?:an?|any|every|each|some|most|all)\s+(?:\w+\s)?\w+\b(?!\s+of\b)|[a-z]{3,}s\b)",
)
_CLAUSE = re.compile(r"\b(?:when|while|if|because|before|after|since|until|unless|that|which|who|where|and)\s+$")
_AT_END = re.compile(r"\b(?:the|an?)\s(\w+(?:\s\w+){0,2})\W*$")
MAX_LINE = 300  # characters of an answer in which a name is looked for


def standalone(question: str, turns: Sequence[Turn]) -> str:
    """The question with what the conversation is about in the place of its pronouns, or before it when it is only a
    piece of a question; the question before it with a new subject where it is no more than that. The question itself
    where it stands alone already or nothing is known to put there."""
    asked = question.strip()
    if (turned := _TURNS_TO.fullmatch(asked)) and _is_new(turned["new"]):
        return _about(turned["rest"], turned["new"]) or question
    if _EMPTY.search(asked) or _THIS.search(asked):
        return question
    if changed := _of_another(asked, turns):
        return changed
    pronoun = _PRONOUN.search(asked)
    subject = _meant(turns, pronoun[0].lower() if pronoun else "")
    return (subject and _about(asked, subject)) or question


def _is_new(subject: str) -> bool:
    """Whether these words say what is asked about now: not "it", and no part of what was asked about before."""
    said = words(subject)
    points = _PRONOUN.search(subject) or _THIS.search(subject)
    return not points and bool(set(said) - STOP_WORDS) and said[-1] not in _PARTS


def _about(asked: str, subject: str) -> str:
    """What is asked of a subject, as a question that stands alone; "" where it does already."""
    pronoun = _PRONOUN.search(asked)
    if set(stems(subject)) & set(stems(asked)) or (pronoun and _has_own_subject(asked, pronoun)):
        return ""
    if pronoun:  # the first only: what follows it points back at what was put there
        name = subject if pronoun[1] is None else subject + ("’" if plain(subject).endswith("s") else "’s")
        named = _LEADING.sub("", asked[: pronoun.start()], count=1) + name + asked[pronoun.end() :]
        return named[0].upper() + named[1:]
    said = len(stems(asked))
    if (_GOING_ON.match(asked) and said <= _GOING_ON_WORDS) or (_PIECE.match(asked) and said <= _PIECE_WORDS):
        return f"{subject}: {asked}"
    return ""


def _meant(turns: Sequence[Turn], pronoun: str) -> str:
    """What a pronoun stands for, or a question that is a piece of one: the latest subject; a person where the pronoun
    says so, and no person where it is "it". Who was asked for is a person, and so is whoever was called one before."""
    spoken = [_spoken_of(turn) for turn in turns]
    persons = {person for person, _ in spoken if person}
    things = {thing for person, thing in spoken if person and thing}
    for person, thing in reversed(spoken):
        if pronoun in _PERSON and (person or (thing and thing not in things)):
            return person or thing
        if pronoun in ("it", "its") and thing and thing not in persons:
            return thing
    latest = [person or thing if pronoun in _PERSON else thing or person for person, thing in spoken]
    return next((subject for subject in reversed(latest) if subject), "")


def _spoken_of(turn: Turn) -> tuple[str, str]:
    """The person that a turn names where it asks for one, and what it is about; "" for what it does not name.

    What an unanswered question is about stands in the question alone."""
    about = shown_title(turn.subject) or _named_in(turn.question)
    asked = read_question(turn.question)
    if asked.kind != "person":
        return "", about
    line = without_marks(turn.answer[:MAX_LINE].split("\n")[0])[0].rsplit(": ", 1)[-1]
    known = set(stems(turn.question))
    found = (line[start:end] for start, end in names(line))
    person = next((shown_title(name) for name in found if set(stems(name)) - known), "") if turn.subject else ""
    if person == about or not person:
        return about if person else "", _named_in(turn.question) or ("" if person else about)
    # "Who designed this tower in Paris?" is about the tower.
    return person, about if asked.deictic else _named_in(turn.question) or about


def _named_in(question: str) -> str:
    """The first name in a question, else the thing at its end, "" without either."""
    question = clean_question(question)
    first = question.split(" ")[0]
    for start, end in names(question):
        if start >= len(first):
            return shown_title(question[start:end])
    at_end = _AT_END.search(question)
    return shown_title(at_end[1]) if at_end and question == question.lower() else ""


def _of_another(asked: str, turns: Sequence[Turn]) -> str:
    """The question before with another subject, where that is all that is asked; else ""."""
    if not turns:
        return ""
    before = clean_question(turns[-1].question)
    new = _NEW_SUBJECT.fullmatch(asked) or _the_other(asked, before, shown_title(turns[-1].subject))
    if new is None or next((w for w in words(new["new"]) if w not in _ARTICLES), "") in STOP_WORDS:
        return ""
    name = new["new"]
    if shown := _SHOWN.search(before):
        return before[: shown.start()] + name + before[shown.end() :]
    for old in (shown_title(turns[-1].subject), _named_in(before)):
        if old and (place := re.search(rf"(?:\b(?:the|an?)\s)?(?<!\w){re.escape(old)}(?!\w)", before, re.IGNORECASE)):
            return before[: place.start()] + name + before[place.end() :]
    return ""


def _the_other(asked: str, before: str, subject: str) -> re.Match[str] | None:
    """What _THE_OTHER finds, where the question before spoke of its subject in the same way."""
    new = _THE_OTHER.fullmatch(asked)
    if new is None or words(new["new"])[-1].endswith("s") or words(new["new"])[-1] in _PARTS:
        return None
    spoken_of = rf"\b(?:the|an?)\s{re.escape(subject)}(?!\w)" if subject else r"(?!)"
    return new if _SHOWN.search(before) or re.search(spoken_of, before, re.IGNORECASE) else None


def _has_own_subject(asked: str, pronoun: re.Match[str]) -> bool:
    """Whether what a pronoun stands for comes before it in the same question. An object of the same clause, as in "Did
    Ada Holm build it?", stands for something else."""
    before = asked[: pronoun.start()]
    if pronoun[1] is None and not _CLAUSE.search(before):
        return False
    named = any(start > 0 for start, _ in names(before))
    return named or _OWN_SUBJECT.search(before.lower()) is not None
