"""How well a text answers a question, by the measures that the published question sets use.

Plain functions from texts to scores from 0 to 1. Knows nothing of answerers, of passages or of where questions come
from. Each says whose measure it is and where it departs from the authors' script.
"""

from __future__ import annotations

import math
import re
import string
from collections import Counter
from collections.abc import Collection, Sequence

MAX_TEXT = 20_000  # characters looked at of any text

_ARTICLES = ("a", "an", "the")
_SQUAD_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)

_DIGITS = {word: str(n) for n, word in enumerate("zero one two three four five six seven eight nine ten".split())}
_DIGITS["none"] = "0"

# The words that the VQA script writes with their apostrophes. Those that without one are another word ("were", "ill",
# "its") are not among them.
_CONTRACTIONS = """
ain't aren't can't couldn't couldn't've could've didn't doesn't don't hadn't hadn't've hasn't haven't isn't mightn't
mightn't've might've mustn't must've needn't oughtn't shan't shouldn't shouldn't've should've wasn't weren't won't
wouldn't wouldn't've would've not've
he'd he'd've he's it'd it'd've it'll she'd've they'd they'd've they'll they're they've we'd've we've you'd you'd've
you'll you're you've y'all y'all'll y'all'd've
somebody'd've somebody'll somebody's someone'd someone'd've someone'll someone's something'd something'd've
something'll that's there'd there'd've there're there's
how'd how'll how's what'll what're what's what've when's where'd where's where've who'd who'd've who'll who's who've
why'll why're why's
ma'am o'clock 'twas 'ow's'at
""".split()
_WHOLE = {
    word[:at] + word[at + 1 :]: word for word in _CONTRACTIONS for at, letter in enumerate(word) if letter == "'"
}
_WHOLE["somebody'd"] = "somebodyd"  # the script's own slip

_VQA_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_DIGIT_COMMA = re.compile(r"\d,\d")
_FULL_STOP = re.compile(r"\.(?!\d)")


# --- VQA


def normalise_vqa(text: str) -> str:
    """A text as VQA's evaluation compares it (visualqa.org/evaluation; VQAEval.processPunctuation and
    processDigitArticle of GT-Vision-Lab/VQA, for arXiv 1505.00468): lower case, without full stops (but for decimal
    points), other punctuation and articles, number words up to ten as digits, contractions with their apostrophe.

    As in the script a punctuation mark becomes nothing where one of its kind stands beside a space, or where the text
    has a comma between digits, and else a space; a contraction is known by exactly one missing apostrophe.
    """
    text = text[:MAX_TEXT].replace("\n", " ").replace("\t", " ").strip()
    bare = text
    thousands = _DIGIT_COMMA.search(text) is not None
    for mark in _VQA_PUNCTUATION:
        beside_space = f"{mark} " in text or f" {mark}" in text
        bare = bare.replace(mark, "" if thousands or beside_space else " ")
    words = (_DIGITS.get(word, word) for word in _FULL_STOP.sub("", bare).lower().split())
    return " ".join(_WHOLE.get(word, word) for word in words if word not in _ARTICLES)


def vqa_accuracy(answer: str, annotated: Sequence[str]) -> float:
    """VQA's soft score (arXiv 1505.00468; the mean is that of its evaluation script): over every way to
    leave one annotator out, the mean of min(1, annotators among the others who gave this answer / 3).

    annotated holds one answer for each annotator, with repeats; VQA and OK-VQA have ten. The formula stands for any
    number n of them, but with n below 4 no answer reaches 1 (n - 1 are left to agree), and with one annotator, who is
    left out, every answer scores 0. Raises ValueError without annotators. The script leaves texts as they are when
    all annotators agree to the letter; here they are always normalised, so "Yes" is right where all say "yes".
    """
    if not annotated:
        raise ValueError("VQA accuracy needs at least one annotator's answer")
    said = normalise_vqa(answer)
    same = sum(normalise_vqa(other) == said for other in annotated)
    # Leaving out one of those who agree leaves one less; leaving out another leaves all.
    scores = same * min(1.0, max(0, same - 1) / 3) + (len(annotated) - same) * min(1.0, same / 3)
    return scores / len(annotated)


# --- SQuAD


def normalise_squad(text: str) -> str:
    """A text as SQuAD's evaluation script compares it (arXiv 1606.05250, section 6.1): lower case, without ASCII
    punctuation, then without articles, one kind of space."""
    bare = text[:MAX_TEXT].lower().translate(_WITHOUT_PUNCTUATION)
    return " ".join(_SQUAD_ARTICLES.sub(" ", bare).split())


def exact_match(answer: str, accepted: Sequence[str]) -> float:
    """1 if the answer, normalised as SQuAD's, is one of the accepted ones; else 0 (arXiv 1606.05250, section 6.1)."""
    said = normalise_squad(answer)
    return float(any(normalise_squad(other) == said for other in accepted))


def token_f1(answer: str, accepted: Sequence[str]) -> float:
    """The harmonic mean of precision and recall of the answer's words, counted with repeats, against the accepted
    answer it fits best; 0 without any (arXiv 1606.05250, section 6.1). Where one of the two has no words left the
    score is 1 if neither has, as in the script for SQuAD 2.0."""
    said = normalise_squad(answer).split()
    return max((_f1(said, normalise_squad(other).split()) for other in accepted), default=0.0)


def _f1(said: Sequence[str], wanted: Sequence[str]) -> float:
    if not said or not wanted:
        return float(said == wanted)
    shared = sum((Counter(said) & Counter(wanted)).values())
    # 2 p r / (p + r), with p = shared / said and r = shared / wanted
    return 2 * shared / (len(said) + len(wanted))


# --- Encyclopedic VQA


_EVQA_PUNCTUATION = str.maketrans("", "", string.punctuation + "‘’´`_")
_EVQA_LEFT_OUT = re.compile(r"\b(?:the answer is|a|an|the)\b")
_EVQA_WORDS = _DIGITS | {"true": "yes", "entailment": "yes", "false": "no", "contradiction": "no"}
_EVQA_BETWEEN = re.compile(r",| and | & ")
LIST_MARK = "&&"  # between the parts of an accepted answer that is a list
LIST_OVERLAP = 0.5


def normalise_evqa(text: str) -> str:
    """A text as Encyclopedic VQA's script compares it (google-research/encyclopedic_vqa, evaluation_utils.py): lower
    case, without punctuation, "the answer is" and articles, number words up to ten as digits, true and false as yes
    and no. The script's contractions are left out: every apostrophe is gone by then, so they change no comparison."""
    bare = text[:MAX_TEXT].lower().translate(_EVQA_PUNCTUATION)
    return " ".join(_EVQA_WORDS.get(word, word) for word in _EVQA_LEFT_OUT.sub(" ", bare).split())


def evqa_without_bem(answer: str, accepted: Sequence[str], is_list: bool = False) -> float:
    """Encyclopedic VQA's measure (arXiv 2306.09224) without its second half: 1 for an exact match with an accepted
    answer after normalise_evqa, for a list (parts joined by && in the accepted answer, by commas, "and" or "&" in the
    given one) an intersection over union of the parts of at least 0.5; else 0.

    The script asks the model BEM about what does not match exactly. That is not done here, so this is a lower bound
    of the published measure and must not be compared with its figures.
    """
    return float(any((_same_list if is_list else _same_evqa)(answer, other) for other in accepted))


def _same_evqa(answer: str, accepted: str) -> bool:
    wanted = normalise_evqa(accepted)
    return bool(wanted) and normalise_evqa(answer) == wanted


def _same_list(answer: str, accepted: str) -> bool:
    wanted = _parts(accepted.split(LIST_MARK))
    said = _parts(_EVQA_BETWEEN.split(answer[:MAX_TEXT]))
    return bool(wanted) and len(said & wanted) / len(said | wanted) >= LIST_OVERLAP


def _parts(parts: Sequence[str]) -> set[str]:
    return {normalised for part in parts if (normalised := normalise_evqa(part))}


# --- Infoseek


TOLERANCE = 0.1  # either side of an accepted number
RANGE_OVERLAP = 0.5
_NUMBER = re.compile(r"[-+]?\.?\d+(?:,\d\d\d)*(?:\.\d*)?(?:[eE][-+]?\d+)?", re.ASCII)
_SCRIPT_NUMBER = re.compile(r"[-+]?\.?\d+(?:,\d\d\d)*\.?\d*(?:[eE][-+]?\d+)?")
_DASH_AFTER_DIGIT = re.compile(r"(?<=[0-9])-")


def infoseek_scored(answer: str, wanted: Sequence[str] | tuple[float, float]) -> float:
    """Infoseek's relaxed accuracy of one answer, 1 or 0, as its script has it (arXiv 2302.11713; infoseek_eval.py of
    edchengg/infoseek_eval). wanted: what the data has as answer_eval, and nothing else.

    - Texts, of times too: exact_match with one of them. That a year may be one off, or stand for a date, is the data's
      doing: it lists these as accepted.
    - A range of two numbers, which has the tolerance in it: the first two numbers of the answer are a range, if in
      order, else the first stands alone. A number is right inside the wanted range; a range is right inside it, or when
      their intersection over union is at least 0.5. A text without numbers is the range 0 to 0, and ".5" is five.

    Only a number that is not finite differs: it is wrong, where the script may fail. The published score is the
    harmonic mean of this measure's means over two splits of the data, unseen questions and unseen entities.
    """
    if not wanted or isinstance(wanted[0], str):
        return exact_match(answer, wanted)
    found = [number.replace(",", "").strip(".") for number in _SCRIPT_NUMBER.findall(_script_dashes(answer))[:2]]
    numbers = [float(number.split(".")[0] if number.count(".") > 1 else number) for number in found] or [0.0, 0.0]
    if not all(map(math.isfinite, numbers)):
        return 0.0
    low, high = wanted
    if len(numbers) == 1 or numbers[0] > numbers[1]:
        return float(low <= numbers[0] <= high)
    inside = low <= numbers[0] and numbers[1] <= high
    shared = max(0.0, min(numbers[1], high) - max(numbers[0], low))
    union = (numbers[1] - numbers[0]) + (high - low) + 2e-12 - shared
    return float(inside or shared / union >= RANGE_OVERLAP - 1e-12)


def _script_dashes(text: str) -> str:
    """Dashes after a digit, a raised one too, between spaces."""
    text = text[:MAX_TEXT]
    return "".join(" - " if c == "-" and at and text[at - 1].isdigit() else c for at, c in enumerate(text))


def infoseek_match(answer: str, accepted: Sequence[str], kind: str = "string") -> float:
    """The same for questions that are not Infoseek's, and have no range. What is right depends on their kind:

    - "number": the first two numbers of a text are a range, if in order; one is itself. An accepted number stands for
      10 % either side. A number is right inside the accepted range; a range is right inside it, or when their
      intersection over union is at least 0.5.
    - anything else, times too: exact_match with one of the accepted texts. That a year may be one off, or stand for
      a date, is the data's doing: it lists these as accepted answers.

    Unlike infoseek_scored, a text without numbers is never right, ".5" is a half, and the 10 % of a negative number are
    put in order.
    """
    if kind != "number":
        return exact_match(answer, accepted)
    said = _range(answer)
    if said is None:
        return 0.0
    ranges = (_range(other) for other in accepted)
    return float(any(_fits(said, _tolerant(wanted)) for wanted in ranges if wanted is not None))


def _range(text: str) -> tuple[float, float] | None:
    """The first number of a text as (x, x), or the first two as (low, high) when they are in order."""
    # A dash after a digit parts two numbers, any other may be a sign.
    found = _NUMBER.findall(_DASH_AFTER_DIGIT.sub(" - ", text[:MAX_TEXT]))[:2]
    numbers = [_number(n) for n in found]
    if not numbers or not all(map(math.isfinite, numbers)):
        return None
    return (numbers[0], numbers[-1]) if numbers[0] <= numbers[-1] else (numbers[0], numbers[0])


def _number(text: str) -> float:
    text = text.replace(",", "")
    # ".5.2" is no number; what stands before the second point is.
    return float(text if text.count(".") < 2 else text[: text.rindex(".")])


def _tolerant(wanted: tuple[float, float]) -> tuple[float, float]:
    low, high = wanted
    return (low - TOLERANCE * abs(low), low + TOLERANCE * abs(low)) if low == high else wanted


def _fits(said: tuple[float, float], wanted: tuple[float, float]) -> bool:
    if wanted[0] <= said[0] and said[1] <= wanted[1]:
        return True
    shared = min(said[1], wanted[1]) - max(said[0], wanted[0])
    union = (said[1] - said[0]) + (wanted[1] - wanted[0]) - max(0.0, shared)
    return union > 0 and shared / union >= RANGE_OVERLAP - 1e-12


# --- Whether an answer, or a passage, holds the right words


def contained(answer: str, accepted: Sequence[str]) -> float:
    """1 if an accepted text is a part of the answer, whatever the case and the kind of space; else 0. Our own measure,
    for answers that are sentences: it says nothing against what else they say."""
    said = _folded(answer)
    return float(any(_folded(other) in said for other in accepted))


def holds_words(passage: str, accepted: Sequence[str]) -> bool:
    """Whether an accepted text stands in a passage as whole words: what retrieval papers call a pseudo-relevant
    passage (RA-VQA, arXiv 2210.03809), but that these take a part of a word too."""
    said = _folded(passage)
    wanted = (_folded(other) for other in accepted)
    return any(re.search(rf"(?<!\w){re.escape(words)}(?!\w)", said) for words in wanted if words)


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()


def judged_citations(cited: Sequence[int], good: Collection[int]) -> list[float]:
    """For each passage that an answer cites, by number and each counted once, 1 if it is a good one, else 0.

    Over a set of answers the mean of all these values is the citation precision, and the share of answers with a 1
    among theirs the citation recall. ALCE (arXiv 2305.14627) asks the same of each sentence, with an entailment model
    to say whether the passages bear it out; here a passage is good or not for the whole question.
    """
    return [float(number in good) for number in dict.fromkeys(cited)]
