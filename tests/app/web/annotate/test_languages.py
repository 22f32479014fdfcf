"""The Annotate tab in other languages: nothing is English in its scripts, and what its routes tell is translated."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.web.annotate.door import STARTING
from app.web.annotate.grades import graded, written
from app.web.annotate.guidelines import guidelines_html
from app.web.annotate.who import _NO_ACCOUNTS, _NOBODY
from app.web.languages import LANGUAGES, in_words, spoken
from kb.annotations.records import ANSWER_SCALE, PASSAGE_SCALE
from tests import ROOT

SCRIPTS = sorted((ROOT / "app" / "web" / "static" / "annotate").glob("*.js"))
OTHERS = [code for code in LANGUAGES if code != "en"]

# A comment; a string; a template; a regular expression, which stands behind one of these signs.
TOKEN = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?P<string>(?:[^"\\\n]|\\.)*)" | `(?P<template>(?:[^`\\]|\\.)*)`
        | (?<=[(,=:&|!]\ ) /(?:[^/\\\n]|\\.)+/ | (?<=\() /(?:[^/\\\n]|\\.)+/""",
    re.DOTALL | re.VERBOSE,
)
# What stands before a string that is no text of the page.
NO_TEXT = re.compile(r'(?:class|style|"data-key"): $|querySelector(?:All)?\($')
NAMES = {
    "Hugging Face", "python -m app people invite NAME", "nDCG@10", "use strict", "Content-Type", "POST", "Refused",
    "noopener noreferrer nofollow", "citesight-keys-off", "Enter", "Escape", "Arrow",
    "ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight",
}  # fmt: skip


def literals(script: str) -> Iterator[tuple[str, str]]:
    """(what stands before it in its line, text) of each string, and of the fixed pieces of each template."""
    for found in TOKEN.finditer(script):
        before = script[script.rfind("\n", 0, found.start()) + 1 : found.start()]
        if found["string"] is not None:
            yield before, found["string"]
        elif found["template"] is not None:
            for piece in re.split(r"\$\{(?:[^{}]|\{[^{}]*\})*\}", found["template"]):
                yield before, piece
            yield from literals(" ".join(re.findall(r"\$\{((?:[^{}]|\{[^{}]*\})*)\}", found["template"])))


def is_text(text: str) -> bool:
    """Whether people would read it: words with a space between them, or one that begins with a capital letter."""
    words = re.sub(r"[.#][\w-]+|\[[^\]]*\]|:\w+(?:\([^)]*\))?", " ", text)  # selectors
    return bool(re.search(r"[A-Za-z]{2,}\s+[a-z]{2,}|\b[A-Z][a-z]{2,}\b", words))


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.stem)
def test_no_text_is_written_into_a_script_of_the_tab(file):
    said = literals(file.read_text(encoding="utf-8"))
    found = [text for before, text in said if is_text(text) and text not in NAMES and not NO_TEXT.search(before)]
    assert not found, found


def test_a_text_in_a_script_would_be_found():
    script = 'h("p", { class: "ca-row ca-quiet" }, "Nothing yet."); say(`${one} of ${fold ? "the others" : ""} left`);'
    found = [text for before, text in literals(script) if is_text(text) and not NO_TEXT.search(before)]
    assert found == ["Nothing yet.", "the others"]


# What only commands meet, or only whoever sends what the page never does.
UNSEEN = re.compile(
    r"python -m app people role|SHA-256|content hash|A candidate|The rank of|citation|name of a retriever|"
    r"text of a cand|of a candidate$|no format|no run|is not a folder|folder of photographs|is not in X|no role|"
    r"A gold grade is of|A scale must be|has no item X\.$|an entry that|The marked span|The part of the photo must|"
    r"There is no item|Reference answers must"
)
# What has several forms is tried in each of them.
FORMS = {
    "Two grades of a scale have the X X and X, which people take for one; choose another for one.":
        [f"Two grades of a scale have the {what} X and X, which people take for one; choose another for one."
         for what in ("names", "labels")],
    "There were too many wrong passwords X; wait X and try again.":
        [f"There were too many wrong passwords {of}; wait 5 minutes and try again."
         for of in ("for X", "from your network address")],
    "Only X can do this; ask whoever runs the program.":
        [f"Only {roles} can do this; ask whoever runs the program."
         for roles in ("annotators and adjudicators and owners", "adjudicators and owners", "owners")],
}  # fmt: skip
RAISED = ("BadRequest", "Problem", "NoItem", "NoProject", "Refused")
TOLD = [
    *(ROOT / "app" / "web" / "annotate").glob("*.py"),
    *(ROOT / "app" / "service" / f"{name}.py" for name in ("annotating", "judged_rankings", "photo_matches")),
    *(ROOT / "kb" / "annotations" / f"{name}.py" for name in (
        "adjudicating", "asking", "calling", "gold", "identities", "item_files", "items", "judging", "passwords",
        "people", "photos", "pools", "projects", "removing", "saying", "signing_in", "texts",
    )),
]  # fmt: skip


def sentence_of(node: ast.expr) -> str | None:
    """A sentence in the code, with something in the place of its values."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(each.value if isinstance(each, ast.Constant) else "X" for each in node.values)
    return None


def sentences(file: Path) -> Iterator[str]:
    """What is raised in a file as a sentence for people."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in RAISED:
            for each in node.args:
                if (said := sentence_of(each)) and " " in said:
                    yield said


@pytest.mark.parametrize("code", OTHERS)
def test_what_the_routes_tell_is_said_in_the_language(code):
    told = {said for file in TOLD for said in sentences(file) if not UNSEEN.search(said)}
    assert len(told) > 60 and set(FORMS) <= told
    all_forms = [form for said in told for form in FORMS.get(said, [said])] + [STARTING, _NOBODY, _NO_ACCOUNTS]
    with spoken(LANGUAGES[code]):
        assert not [said for said in all_forms if in_words(said) == said]


PIECES = {
    "A project cannot be called 'a b'; a name has up to 64 letters from A to Z, digits, dots, dashes, underscores "
    "and @, and begins with a letter or digit.": "Ein Projekt kann nicht 'a b' heißen;",
    "The reason has 1,001 characters, and 1,000 is the most; shorten it.": "Der Grund: 1,001 Zeichen",
    "There is a person called ann already, an owner; choose another name.": "ann gibt es schon, mit der Rolle Leitung;",
    "There were too many wrong passwords for ann; wait 3 minutes and try again.": "Für ann gab es zu viele",
}


@pytest.mark.parametrize("sentence", PIECES)
def test_pieces_of_sentences_are_said_in_the_language_too(sentence):
    with spoken(LANGUAGES["de"]):
        assert in_words(sentence).startswith(PIECES[sentence]) and "minutes" not in in_words(sentence)


def test_the_usual_grades_are_shown_in_the_language_and_kept_in_english():
    labels = {grade.label for grade in (*PASSAGE_SCALE, *ANSWER_SCALE)}
    for code in OTHERS:
        with spoken(LANGUAGES[code]):
            shown = {graded(label) for label in labels}
            assert len(shown) == len(labels) and not shown & labels
            assert {written(label) for label in shown} == labels
            assert graded("rather good") == written("rather good") == "rather good"


def test_a_picture_of_the_guidelines_is_named_in_the_language():
    with spoken(LANGUAGES["de"]):
        assert ">Bild: a fox<" in guidelines_html("![a fox](https://example.org/fox.png)")
