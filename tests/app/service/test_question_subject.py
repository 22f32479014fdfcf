"""Whether a question that comes with a photo is about what the photo shows."""

from __future__ import annotations

import pytest

from app.service.question_subject import asks_of_another, helped_by, names_in, said_kind, said_to_be
from app.service.results import LIKELY, MAY_BE, NAMED, UNKNOWN, Guess, Subject

ARTICLES = {"Eiffel Tower", "India", "Cheetah", "Paris", "World War II", "Animal", "Lion", "Africa", "Speed", "Adult"}


def shown(word: str, *titles: str) -> Subject:
    return Subject(tuple(Guess(title, 1.0, 0.5, place == 0) for place, title in enumerate(titles)), word)


LION = shown(LIKELY, "Lion", "Cougar")


def titled(titles):
    return {title for title in titles if title in ARTICLES}


@pytest.mark.parametrize(
    "question",
    [
        "How tall is the Eiffel Tower?",
        "Who built the Eiffel Tower and when was it opened?",
        "How fast is a cheetah?",
        "When did World War II begin?",
        "Who is Angela Merkel married to?",
        "When was Paris founded?",
        "What is the capital of India?",
    ],
)
def test_a_question_that_names_a_subject_of_its_own_is_not_about_the_photo(question):
    assert asks_of_another(question, LION, titled)


@pytest.mark.parametrize(
    "question",
    [
        "How heavy can males get?",
        "What do they eat?",
        "How many are left in India?",
        "Which European country has the most?",
        "Does this live in Africa like the Cheetah?",
        "Is it faster than the Cheetah?",
        "How heavy is Lion?",
        "How do Lions sleep?",
        "How fast is the animal?",
        "What is an animal like that called?",
        "Speed?",
        "What does an adult weigh?",
        "HOW TALL IS IT",
        "What Is The Speed Of The Animal?",
        "Where do I find one?",
        "",
    ],
)
def test_any_other_question_is_about_it(question):
    assert not asks_of_another(question, LION, titled)


@pytest.mark.parametrize(
    "question",
    [
        "Wie groß wird dieses Tier?",
        "Wo lebt dieses Tier?",
        "Wer hat das Tier entdeckt?",
        "Welche Farbe hat das Fell?",
        "Wie viele Junge Tiere bekommt es?",
        "Où vit cet animal d'Afrique ?",
        "¿Dónde vive este animal de la Sabana Africana?",
        "Quanto pesa questo Animale?",
        "这种动物住在哪里？",
        "أين يعيش هذا الحيوان؟",
    ],
)
def test_capitals_of_another_language_are_no_names(question):
    assert not asks_of_another(question, LION, titled)


@pytest.mark.parametrize(
    "question",
    [
        "Wie alt ist Paris?",
        "Quand a été fondé Paris ?",
        "Qui a fondé Paris ?",
        "Est-ce que Paris est une grande ville ?",
        "¿Dónde vive el Cheetah?",
    ],
)
def test_titles_are_names_in_any_language(question):
    assert asks_of_another(question, LION, titled)


BEGINNINGS = {
    "Cheetah": "The cheetah is the fastest animal on land.",
    "Snow leopard": "The snow leopard is a leopard of the mountains.",
}
KNOWN = {"Leopard", "Tiger", "Cat", "Tail", "Cheetah", "Speed", "Polar bear"}


@pytest.mark.parametrize(
    ("question", "shows", "another"),
    [
        ("How much does the leopard weigh?", "Cheetah", True),
        ("How fast is the leopard?", "Cheetah", True),
        ("Where does the tiger live and what does it eat?", "Cheetah", True),
        ("What does the polar bear eat?", "Cheetah", True),
        ("How much does the leopard weigh?", "Snow leopard", False),  # which that is
        ("How much does the cat weigh?", "Cheetah", False),  # and a cheetah is one
        ("How much does the cheetah weigh?", "Cheetah", False),
        ("How long is the tail?", "Cheetah", False),
        ("What is the speed of the leopard like?", "Cheetah", False),
        ("How fast can the zorblax run?", "Cheetah", False),  # there is no article to answer from
        ("How much does this leopard weigh?", "Cheetah", False),
    ],
)
def test_the_one_is_another_where_it_is_an_animal_of_another_kind(question, shows, another):
    known = lambda titles: {title for title in titles if title in KNOWN}  # noqa: E731
    assert asks_of_another(question, shown(LIKELY, shows), known, lambda title: BEGINNINGS.get(title, "")) == another


def test_names_are_what_is_written_with_capitals():
    names = names_in("Who designed the Tower of London, and the museum in New York?")
    assert [(name.text, name.beside) for name in names] == [("Tower of London", False), ("New York", True)]
    assert names_in("Where does it live?") == [] == names_in("What I see?")


def test_what_the_question_calls_it_counts_where_the_photo_does_not_tell():
    unsure = shown(UNKNOWN, "Hyena", "Jackal", "Lion", "Animal")
    said = said_to_be("How heavy is this lion?", unsure)
    assert (said.title, said.word, said.shows("Lion"), said.shows("Hyena")) == ("Lion", NAMED, True, False)
    assert said_to_be("How heavy is this animal?", unsure) is unsure
    assert said_to_be("Is it a cougar?", LION) is LION


def test_a_named_place_helps_where_the_photo_does_not_tell():
    tower = shown(MAY_BE, "Church (building)", "Pagoda")
    passages = [("Pagoda", "A pagoda is a tower."), ("Eiffel Tower", "A tower in Paris."), ("Louvre", "In Paris.")]
    helped = helped_by("Who designed this tower in Paris?", tower, passages)
    assert (helped.title, helped.word) == ("Eiffel Tower", NAMED) and not helped.shows("Church (building)")
    assert helped_by("Who designed this tower in Rome?", tower, passages) is tower
    assert helped_by("Who designed this tower?", tower, passages) is tower
    assert helped_by("Who saw this animal in Paris?", LION, passages) is LION


def test_what_the_question_only_counts_is_not_what_the_photo_shows():
    cart = shown(MAY_BE, "Cart", "Wheel")
    assert said_to_be("How many wheels does this vehicle have?", cart) is cart
    assert said_to_be("How large is this wheel?", cart).title == "Wheel"


def test_the_kind_that_the_question_says_picks_out_a_guess_where_nothing_is_recognised():
    passages = [
        ("Gazelle", "A gazelle is an antelope of the genus Gazella."),
        ("Mamba", "Mambas are fast-moving, highly venomous snakes of the genus Dendroaspis."),
    ]
    unsure = shown(UNKNOWN, "Gazelle", "Mamba")
    told = said_kind("Where does this snake live?", unsure, passages)
    assert (told.title, told.word) == ("Mamba", NAMED) and told.shows("Mamba") and not told.shows("Gazelle")
    assert said_kind("Where does this live?", unsure, passages) is unsure
    assert said_kind("How fast is this car?", unsure, passages) is unsure
    both = [*passages[1:], ("Gazelle", "A gazelle is a snake.")]  # more than one is
    assert said_kind("Where does this snake live?", unsure, both) is unsure
    sure = shown(MAY_BE, "Gazelle", "Mamba")
    assert said_kind("Where does this snake live?", sure, passages) is sure
