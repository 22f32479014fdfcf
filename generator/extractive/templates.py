"""Every fixed piece of text an answer may hold; all else in an answer is quoted from a cited passage.

Knows nothing of questions or passages. tests/support/answer_checks.py accepts these pieces and nothing else around the
quotes, so a sentence an answerer wants to say must be written down here first.
"""

from __future__ import annotations

OPEN_QUOTE = "“"
CLOSE_QUOTE = "”"
COLON = ": "
COMMA = ", "
AND = " and "
STOP = "."
LINE = "\n"
ALSO = "Also, "
PHOTO_IF = "If the photo shows "
ALTERNATIVES = "It could also be: "

UNRECOGNISED = "I do not recognise what the photo shows"
GUESS_ONE = "; the nearest guess is "
GUESS_MANY = "; the nearest guesses are "
NO_PERSONS = "I do not recognise persons; name the person in the question"

NOT_SAID = "The evidence I found does not say: "
NO_QUESTION = "there was no question to answer"
NO_PHOTO = "the question points at something, but there is no photo"
NEAREST = "the nearest is about "
ABOUT_ONE = "the nearest passage is about "
ABOUT_MANY = "the nearest passages are about "
BUT_ONE = " but it does not say "
BUT_MANY = " but they do not say "

# What a question may want, in words that follow "does not say".
WANTED = {
    "person": "who",
    "date": "when",
    "place": "where",
    "reason": "why",
    "length": "how long, high or wide it is",
    "area": "how large it is",
    "speed": "how fast",
    "mass": "how heavy it is",
    "temperature": "how hot or cold it is",
    "duration": "how long it lasts or how old it is",
    "money": "how much money",
    "share": "what share",
    "count": "how many",
    "taxon": "which group of living things it belongs to",
    "any": "what is asked",
}
