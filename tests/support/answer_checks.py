"""Checks from the outside that an answer says nothing but quotes from cited passages and fixed templates.

Knows nothing of how the answer was made. An answer's text must be a run of: fixed pieces of
`FIXED`; the quotes of its citations, each at most once and in order; titles of cited passages; and,
after the quotes and titles of a passage and before those of another, that passage's mark `[n]`.
"""

from __future__ import annotations

from collections.abc import Sequence

from common.passage import Evidence
from generator.answers import LOOSE, NO_PASSAGE, Answer
from generator.extractive import templates
from generator.sentences import shown_title

MAX_CHECKED = 20_000

_PIECES = {each for name, each in vars(templates).items() if name.isupper() and isinstance(each, str)}
FIXED = tuple(sorted(_PIECES | {*templates.WANTED.values(), NO_PASSAGE, LOOSE, ",", " "}, key=len, reverse=True))

# How far the reading of the text has come: the next citation that may be used, and the passage whose quotes
# still wait for their mark (0: none).
_State = tuple[int, int]


def _citation_faults(answer: Answer, passages: Sequence[Evidence]) -> list[str]:
    faults = []
    for citation in answer.citations:
        mark = f"[{citation.number}]"
        if not 1 <= citation.number <= len(passages):
            faults.append(f"{mark} is no passage's number")
            continue
        passage = passages[citation.number - 1]
        if passage.id != citation.passage_id:
            faults.append(f"{mark} is passage {passage.id}, not {citation.passage_id}")
        exact = 0 <= citation.start <= citation.end <= len(passage.text)
        if not exact or passage.text[citation.start : citation.end] != citation.quote:
            faults.append(f"{mark} does not read: {citation.quote}")
        if mark not in answer.text:
            faults.append(f"{mark} is cited but not in the text")
    return faults


def unsupported_spans(answer: Answer, passages: Sequence[Evidence]) -> list[str]:
    """What in `answer` is neither quoted from a cited passage of `passages` nor a fixed template.

    Returns the stretches of text that nothing supports, and a sentence for each citation that is wrong; an
    empty list for a sound answer. `reason` must be part of the text.
    """
    faults = _citation_faults(answer, passages)
    if faults:
        return faults
    text = answer.text
    if len(text) > MAX_CHECKED:
        return [text[MAX_CHECKED:]]
    if answer.reason not in text:
        faults.append(answer.reason)
    if answer.answered and not answer.citations:
        faults.append("an answer was given without a citation")
    quotes = [(c.quote, c.number) for c in answer.citations]
    numbers = sorted({c.number for c in answer.citations})
    titles = [(title, n) for n in numbers if (title := shown_title(passages[n - 1].title))]
    fixed: dict[str, list[str]] = {}
    for piece in FIXED:
        fixed.setdefault(piece[0], []).append(piece)

    # Cheapest reading of text[:i] for each state, where a character that nothing supports costs one.
    best: list[dict[_State, tuple[int, int, _State | None, bool]]] = [{} for _ in range(len(text) + 1)]
    best[0][(0, 0)] = (0, 0, None, True)

    def reach(at: int, state: _State, cost: int, came_from: int, before: _State, supported: bool) -> None:
        known = best[at].get(state)
        if known is None or cost < known[0]:
            best[at][state] = (cost, came_from, before, supported)

    for i, character in enumerate(text):
        for state, (cost, *_) in list(best[i].items()):
            used, waiting = state
            reach(i + 1, state, cost + 1, i, state, False)
            for piece in fixed.get(character, ()):
                if text.startswith(piece, i):
                    reach(i + len(piece), state, cost, i, state, True)
            if character == "[":
                for number in numbers:
                    if waiting in (0, number) and text.startswith(mark := f"[{number}]", i):
                        reach(i + len(mark), (used, 0), cost, i, state, True)
            for title, number in titles:
                if waiting in (0, number) and text.startswith(title, i):
                    reach(i + len(title), (used, number), cost, i, state, True)
            for later in range(used, len(quotes)):
                quote, number = quotes[later]
                if quote and waiting in (0, number) and text.startswith(quote, i):
                    reach(i + len(quote), (later + 1, number), cost, i, state, True)

    # Ending while a quote waits for its mark costs more than any reading that does not.
    end = best[len(text)]
    state = min(end, key=lambda s: (end[s][0], s[1] != 0))
    if end[state][0] == 0 and state[1]:
        faults.append(f"a quote of [{state[1]}] is not followed by its mark")
    at, spans = len(text), []
    while at:
        _, came_from, before, supported = best[at][state]
        if not supported:
            if spans and spans[-1][0] == at:
                spans[-1] = (came_from, spans[-1][1])
            else:
                spans.append((came_from, at))
        at, state = came_from, before
    return faults + [text[start:end] for start, end in reversed(spans)]
