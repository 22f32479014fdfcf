"""What a photo's class probabilities say of article titles, from two tables written by hand and what was learned.

One table names the articles about each class (classes.py). The other says what a classifier would answer for
photographs of an article's subject (appearances.py), from which Bayes' rule makes how probable each subject is. Classes
beyond those of the tables were learned from photographs, each of a title. All are weighed to be added to a
late-interaction score. Knows nothing of models, photographs, passages or catalogues.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from retriever.encoders.base import Recognition
from retriever.encoders.mini.recognition.appearances import CLASSES, load_appearances
from retriever.encoders.mini.recognition.classes import load_classes

# Of a class's probability, what an article about that very thing is given, and one about the nearest wider thing.
ABOUT = {"is": 1.0, "kind": 0.5}
LOOKS = 0.5  # of the probability that the tables of looks give a subject
TITLES = 30  # the most titles that a photo speaks for
SCREENSHOT = 916  # "website": what the classifier calls any picture of a screen with text
# That, an envelope, a packet, a comic book, a crossword, a traffic sign, a dust jacket and a menu.
TO_BE_READ = frozenset((SCREENSHOT, 549, 692, 917, 918, 919, 921, 922))


class Recogniser:
    """Both tables as one matrix; reading them takes a tenth of a second. learned: the titles of the classes after
    theirs, one each."""

    def __init__(self, learned: Sequence[str] = ()) -> None:
        appearances = load_appearances()
        place = {title: i for i, title in enumerate(appearances.titles)}
        own = np.zeros((len(place), CLASSES))
        for number, each in enumerate(load_classes()):
            if each.titles:
                own[[place[title] for title in each.titles], number] = ABOUT[each.relation]
        looks = appearances.drawn[:, None] * appearances.classes
        looks /= looks.sum(0)
        self.titles = [*appearances.titles, *sorted(set(learned) - place.keys())]
        place = {title: i for i, title in enumerate(self.titles)}
        says = np.zeros((len(place), CLASSES + len(learned)), np.float32)
        says[: len(own), :CLASSES] = own + LOOKS * looks
        for number, title in enumerate(learned, start=CLASSES):
            says[place[title], number] = ABOUT["is"] + LOOKS
        self._says = torch.from_numpy(says)  # whose threads rest after a product; NumPy's spin while others work

    def recognise(self, probabilities: np.ndarray) -> Recognition:
        """What a photo with these probabilities of classes, (1000 + learned,) float32, speaks for."""
        says = (self._says @ torch.from_numpy(probabilities)).numpy()
        best = np.argsort(-says, kind="stable")[:TITLES]
        titles = {self.titles[i]: float(says[i]) for i in best if says[i] > 0}
        likeliest = int(probabilities.argmax())
        return Recognition(probabilities, titles, likeliest == SCREENSHOT, likeliest in TO_BE_READ)
