"""What a photo's class probabilities say of article titles, from two tables written by hand.

One names the articles about each class (classes.py). The other says what a classifier would answer for photographs of
an article's subject (concepts.py), from which Bayes' rule makes how probable each subject is. Both are weighed to be
added to a late-interaction score. Knows nothing of models, photographs, passages or catalogues.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retriever.encoders.mini.recognition.classes import load_classes
from retriever.encoders.mini.recognition.concepts import CLASSES, load_concepts

# Of a class's probability, what an article about that very thing is given, and one about the nearest wider thing.
ABOUT = {"is": 1.0, "kind": 0.5}
LOOKS = 0.5  # of the probability that the tables of looks give a subject
TITLES = 30  # the most titles that a photo speaks for
SCREENSHOT = 916  # "website": what the classifier calls any picture of a screen with text


@dataclass(frozen=True)
class Sight:
    """What a photo's classes say. `classes`: (1000,) float32 probabilities, sum 1. `titles`: what they add to the score
    of a passage of each title, > 0, the most first; a title that is not there is given nothing."""

    classes: np.ndarray
    titles: dict[str, float]

    @property
    def of_text(self) -> bool:
        """Whether it is most like a screenshot: what that shows is its text, which nobody here reads."""
        return int(self.classes.argmax()) == SCREENSHOT


class Tables:
    """Both tables as one matrix; reading them takes a tenth of a second."""

    def __init__(self) -> None:
        concepts = load_concepts()
        place = {title: i for i, title in enumerate(concepts.titles)}
        own = np.zeros((len(place), CLASSES))
        for number, each in enumerate(load_classes()):
            if each.titles:
                own[[place[title] for title in each.titles], number] = ABOUT[each.relation]
        looks = concepts.drawn[:, None] * concepts.classes
        looks /= looks.sum(0)
        self.titles = concepts.titles
        self._says = (own + LOOKS * looks).astype(np.float32)

    def sight(self, probabilities: np.ndarray) -> Sight:
        """What a photo with these class probabilities, (1000,) float32, speaks for."""
        says = self._says @ probabilities
        best = np.argsort(-says, kind="stable")[:TITLES]
        return Sight(probabilities, {self.titles[i]: float(says[i]) for i in best if says[i] > 0})
