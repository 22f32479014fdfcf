"""In which language a question is: sure of what is another, and never of what may be the same."""

from __future__ import annotations

import json

import pytest

from generator.grounding.language import asked_in_another
from tests import ROOT

FOREIGN = [
    "Wie schnell kann dieses Tier laufen?", "Was ist das?", "Wo lebt dieses Tier?", "Wann wurde das erfunden?",
    "Wie hoch ist der Turm?", "Welche Farbe haben seine Federn?", "Où vit cet animal ?", "Combien pèse-t-il ?",
    "Quelle est la hauteur de cette tour ?", "¿Dónde vive este animal?", "¿Cuánto mide esta torre?",
    "¿Quién lo inventó?", "Quanto pesa questo animale?", "Dove vive?", "Chi ha progettato questa torre?",
    "Onde vive este animal?", "Quando foi construído?", "Hoe snel kan dit dier rennen?", "Waar leeft dit dier?",
    "Vad äter den här fågeln?", "Hur hög är den?", "Jak szybko biega to zwierzę?", "Kde žije toto zvíře?",
    "Bu hayvan ne kadar hızlı koşabilir?", "Где живёт это животное?", "Що їсть ця тварина?", "Πόσο γρήγορα τρέχει;",
    "この動物はどこに住んでいますか。", "这种动物吃什么？", "이 동물은 어디에 사나요?", "أين يعيش هذا الحيوان؟",
    "यह जानवर कहाँ रहता है?", "สัตว์ตัวนี้อาศัยอยู่ที่ไหน",
]  # fmt: skip
ENGLISH = [
    "", "?", "What is this?", "cheetah top speed", "Who was Hans Sachs?", "Where do these die?", "How hot does it get?",
    "What was the hat made of?", "Which des Moines river is it?", "Where does the jalapeño grow?", "Tell me about it.",
    "When was the Musée d'Orsay opened?", "What does 'Wie geht es dir' mean?", "Is it a Führer's car?",
    "Where is Côte d'Ivoire?", "What do die casts cost?", "Was it in Die Zeit?", "Come si va - what does it mean?",
    "weight", "lion?",
]  # fmt: skip


@pytest.mark.parametrize("question", FOREIGN)
def test_other_languages_than_english(question):
    assert asked_in_another(question, "English")


@pytest.mark.parametrize("question", ENGLISH)
def test_english(question):
    assert not asked_in_another(question, "English")


def test_the_questions_that_answers_are_measured_with_are_english():
    asked = [
        entry["question"]
        for name in ("questions", "photo_questions", "photo_subjects", "answerable", "silence")
        for entry in json.loads((ROOT / "tests" / "data" / f"{name}.json").read_text(encoding="utf-8"))
    ]
    assert len(asked) > 500
    assert [question for question in asked if asked_in_another(question, "English")] == []


@pytest.mark.parametrize(
    ("question", "than", "another"),
    [
        ("Wie hoch ist der Turm?", "German", False), ("How tall is the tower?", "German", True),
        ("¿Dónde vive este animal?", "Portuguese", True), ("Onde vive este animal?", "Portuguese", False),
        ("Где живёт это животное?", "German", True), ("How tall is the tower?", "", False),
        ("How tall is the tower?", "Cyrillic", False),
    ],
)  # fmt: skip
def test_other_languages_than_those_of_the_passages(question, than, another):
    assert asked_in_another(question, than) is another
