"""What a photo shows, through the service: found once, said with how sure it is, and kept to in answers."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from app.commands import retriever as command
from app.service import ask as services_of
from app.service import index_building
from app.service.photo_subject import find_subject
from app.service.results import LIKELY, MAY_BE, NAMED, UNKNOWN
from app.web.ask.answer_html import final_answer
from app.web.languages import LANGUAGES, spoken
from benchmarks.everything import EXAMPLES
from common.images import load_image
from generator.extractive.templates import NO_PERSONS, UNRECOGNISED
from kb.catalogue import Catalogue
from retriever.encoders.base import Query, Recognition
from retriever.encoders.registry import load_encoder
from retriever.index import LateInteractionIndex
from retriever.search.explain import patch_contrasts
from tests.fakes.small_encoder import ARTICLES, SmallEncoder
from tests.support.checkpoints import write_ret_checkpoint
from tests.support.service import fill, held_until_wanted, photo, services
from tests.support.waiting import wait_for


def classes(*shares: float) -> np.ndarray:
    """Probabilities of the first classes, the rest spread over the others."""
    spread = np.full(1000, (1 - sum(shares)) / (1000 - len(shares)), np.float32)
    spread[: len(shares)] = shares
    return spread


class Recogniser(SmallEncoder):
    """A small encoder whose photos of each colour have classes that speak for titles."""

    SEEN = {
        "red": Recognition(classes(0.97), {"Cherry": 0.9, "Swan": 0.01}),
        "green": Recognition(classes(), {"Swan": 0.4, "Sapphire": 0.2}),
        "blue": Recognition(classes(0.6, 0.4), {"Emerald": 0.72, "Sapphire": 0.1}),
        "white": Recognition(classes(0.9), {"Unicorn": 0.8}),
    }

    def _query(self, query):
        made = super()._query(query)
        return made if query.photo is None else replace(made, recognition=self.SEEN[self._colours(query.photo)[0]])


@pytest.fixture
def ready(tmp_path, catalogue, monkeypatch):
    fill(catalogue, monkeypatch)
    with services(tmp_path, catalogue) as make:
        one = make(Recogniser())
        one.start()
        wait_for(lambda: one.status().state == "ready")
        yield one


def test_what_the_photo_shows_is_the_same_whatever_is_asked_and_looked_for_once(ready, monkeypatch):
    looked = []

    def counted(catalogue, indexes, query):
        looked.append(query)
        return find_subject(catalogue, indexes, query)

    monkeypatch.setattr(services_of, "find_subject", counted)
    asked = ["What is this?", "Is it a gem of chromium, cut and green?", "How much does it weigh?"]
    found = [ready.ask_once(photo("red"), question).subject for question in asked]
    assert {(each.title, each.word, each.probability) for each in found} == {("Cherry", LIKELY, found[0].probability)}
    assert len(looked) == 1
    assert ready.ask_once(photo("blue"), "What is this?").subject.title != "Cherry" and len(looked) == 2
    large = photo("red").resize((600, 400))
    ready.ask_once(large, "What is this?")
    ready.ask_once(large, "What is this?", region=(0, 0, 0.5, 0.5))
    assert len(looked) == 4  # a part of a photo is another photo


def test_passages_of_what_is_shown_come_first_and_answer_alone(ready):
    result = ready.ask_once(photo("red"), "Where was a gem of chromium cut?")
    first, *others = result.passages
    assert (first.title, first.shown, first.seen) == ("Cherry", True, 0.9)
    assert others and all(each.shown is False for each in others)
    assert "Zurich" not in result.answer.text


def test_what_speaks_for_a_passage_is_added_apart_from_its_score(ready):
    passages = ready.ask_once(photo("blue"), "What is blue?").passages
    by_title = {passage.title: passage for passage in passages}
    assert by_title["Emerald"].seen == pytest.approx(0.72) and by_title["Cherry"].seen == 0
    assert all(0 <= passage.score <= 1 for passage in passages)
    after = [passage.score + passage.seen for passage in passages[1:]]
    assert after == sorted(after, reverse=True)


def test_a_look_alike_is_quoted_only_where_the_photo_speaks_for_it(ready):
    subject = ready.ask_once(photo("blue"), "What is this?").subject
    assert (subject.title, subject.word) == ("Sapphire", MAY_BE)
    assert subject.shows("Emerald") and not subject.shows("Cherry") and not subject.shows("Swan")
    told = ready.ask_once(photo("blue"), "Which chromium?").answer
    assert not told.answered or told.text.startswith("If the photo shows Emerald")
    assert "If the photo shows" not in ready.ask_once(photo("blue"), "When was it found?").answer.text


def test_a_photo_that_is_not_recognised_is_not_answered_from(ready):
    for question in ("What is this?", "How heavy is it?"):
        result = ready.ask_once(photo("green"), question)
        assert result.subject.word == UNKNOWN and result.subject.probability < 0.5
        assert not result.answer.answered and result.answer.reason == UNRECOGNISED
        nearest = [guess["title"] for guess in result.subject.as_dict()["guesses"]]
        assert [passage.title for passage in result.passages][: len(nearest)] == nearest[: len(result.passages)]
        assert f"{nearest[0]} [1]" in result.answer.text
        assert "The photo: not recognised" in final_answer(result)


def test_what_the_question_says_it_is_counts_then(ready):
    result = ready.ask_once(photo("green"), "How heavy is this cherry?")
    assert (result.subject.title, result.subject.word) == ("Cherry", NAMED)
    assert result.answer.answered and "8 grams" in result.answer.text
    assert ready.ask_once(photo("green"), "Which of these was found in Ceylon?").subject.title == "Sapphire"
    assert "The photo: Cherry, by what the question says" in final_answer(result)


def test_passages_nearest_to_a_question_are_looked_for_once_also_where_the_question_says_what_it_is(ready, monkeypatch):
    searched, search = [], LateInteractionIndex.search

    def counted(index, query, k, weights, within):
        searched.append(within)
        return search(index, query, k, weights, within)

    monkeypatch.setattr(LateInteractionIndex, "search", counted)
    assert ready.ask_once(photo("green"), "Which of these was found in Ceylon?").subject.word == NAMED
    assert searched.count(None) == 2  # by the photo alone, and by all of the question


def test_a_question_with_a_subject_of_its_own_is_answered_without_the_photo(ready):
    result = ready.ask_once(photo("red"), "When was the Sapphire found?")
    assert result.subject is None and result.query.grid == (0, 0) and result.as_dict()["subject"] is None
    assert result.answer.answered and "1870" in result.answer.text
    assert all(passage.shown is None and passage.seen == 0 for passage in result.passages)
    assert "The photo:" not in final_answer(result)


def test_nobody_knows_how_sure_it_is_where_what_the_classes_say_is_not_in_the_collection(ready):
    result = ready.ask_once(photo("white"), "What is this?")
    assert (result.subject.title, result.subject.word, result.subject.probability) == ("Swan", "", None)
    assert result.answer.answered and "The photo:" not in final_answer(result)


def test_what_the_catalogue_has_and_no_index_yet_is_waited_for(ready, catalogue, tmp_path):
    encoder = Recogniser()
    passages = [passage for page in catalogue.stream("things") for passage in page]
    [query] = encoder.encode_queries([Query("What is this?", photo("red"))])
    index = LateInteractionIndex.create(tmp_path / "part", encoder.dim, encoder.fingerprint, 4)
    found = []
    for part in ([each for each in passages if each.title != "Cherry"], passages):
        new = [each for each in part if each.id not in index]
        index.add([each.id for each in new], encoder.encode_passages(new))
        found.append(find_subject(catalogue, {"things": index}, query))
    index.close()
    assert [(each.word, each.awaited) for each in found] == [(UNKNOWN, "Cherry"), (LIKELY, "")]
    assert not any(guess.may for guess in found[0].guesses)


def test_nothing_else_is_answered_about_meanwhile(ready, catalogue, monkeypatch):
    more = {"Unicorn": "A unicorn is a white animal that weighs 500 kilograms."}
    fill(catalogue, monkeypatch, articles={**ARTICLES, **more})
    result = ready.ask_once(photo("white"), "How heavy is it?")
    assert not result.answer.answered and not result.answer.citations
    assert result.answer.text == "The photo is most like Unicorn, which cannot be searched yet; ask again later."
    assert result.as_dict()["subject"]["awaited"] == "Unicorn"
    for code, language in LANGUAGES.items():
        with spoken(language):
            page = final_answer(result)
        assert page.count("Unicorn") == 2 and (code == "en" or "most like" not in page)  # what it shows, and the answer
        assert all(each not in page for each in ("closer photo", "aus der Nähe"))
    assert ready.ask_once(photo("white"), "How heavy is this cherry?").subject.word == NAMED
    ready.start()
    wait_for(lambda: ready.status().state == "ready")
    result = ready.ask_once(photo("white"), "How heavy is it?")
    assert "500 kilograms" in result.answer.text and result.subject.title == "Unicorn" and not result.subject.awaited


def test_what_the_photo_most_likely_shows_is_indexed_before_the_rest(tmp_path, catalogue, monkeypatch):
    more = {f"Thing{number}": f"Thing number {number}." for number in range(100)}
    unicorn = {"Unicorn": "A unicorn is a white animal that weighs 500 kilograms, as is told in many and longer words."}
    fill(catalogue, monkeypatch, articles={**ARTICLES, **more, **unicorn})
    monkeypatch.setattr(index_building, "COMMIT_PASSAGES", 1)
    with services(tmp_path, catalogue) as make:
        one = make(Recogniser())
        indexer = one.indexes._indexer("things")
        held_until_wanted(monkeypatch, indexer)
        one.start()
        wait_for(lambda: indexer.index() is not None)
        result = one.ask_once(photo("white"), "How heavy is it?")
    assert result.subject.title == "Unicorn" and "500 kilograms" in result.answer.text


def test_persons_are_refused(ready):
    answer = ready.ask_once(photo("red"), "Who is this?").answer
    assert not answer.answered and answer.reason == NO_PERSONS


def test_a_screenshot_is_not_recognised(ready, monkeypatch):
    monkeypatch.setitem(Recogniser.SEEN, "red", Recognition(classes(1.0), {"Cherry": 1.4}, of_text=True))
    result = ready.ask_once(photo("red"), "What is this?")
    assert result.subject.word == UNKNOWN and result.answer.reason == UNRECOGNISED


def test_the_page_and_programs_are_told(ready):
    result = ready.ask_once(photo("red"), "How heavy is it?")
    said = json.loads(json.dumps(result.as_dict()))
    assert said["subject"]["title"] == "Cherry" and said["subject"]["word"] == LIKELY
    assert 0.8 <= said["subject"]["probability"] == said["subject"]["guesses"][0]["probability"] <= 1
    assert f"The photo: likely Cherry ({result.subject.probability:.0%})" in final_answer(result)
    assert said["passages"][0]["seen"] == 0.9 and said["passages"][0]["shown"] is True


def test_an_answer_known_from_before_says_what_the_photo_shows(ready):
    first = ready.ask_once(photo("red"), "How heavy is it?")
    again = ready.ask_once(photo("red"), "How heavy is it?")
    assert again.cached and again.subject == first.subject and again.passages == first.passages


# --- measuring


@pytest.fixture
def labelled(ready, tmp_path, monkeypatch):
    """Labels of photographs of each colour, one of them wrong, and the commands over the small service."""
    labels = [("red", "Cherry", "exact"), ("blue", "Sapphire", "exact"), ("green", "Emerald", "broader")]
    labels += [("red", "Swan", "broader"), ("blue", "Swan", "broader"), ("green", "Swan", "broader")]
    for colour, _, _ in labels:
        photo(colour).save(tmp_path / f"{colour}.png")
    rows = [{"file": f"{colour}.png", "title": title, "group": group} for colour, title, group in labels]
    (tmp_path / "labels.json").write_text(json.dumps(rows), encoding="utf-8")
    monkeypatch.setattr(command, "_ready", lambda settings: ready)
    return str(tmp_path / "labels.json")


def test_photographs_are_measured_by_their_groups(labelled, capsys):
    assert command.main(["eval-photos", labelled, "--apart", "Swan", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["questions"] == 6 and report["recall@1"] == 0.5
    assert {group: each["questions"] for group, each in report["groups"].items()} == {
        "exact": 2, "broader": 1, "Swan": 3,
    }  # fmt: skip
    assert report["groups"]["exact"]["recall@1"] == 1 and report["groups"]["Swan"]["recall@1"] == 0


def test_how_sure_it_is_can_be_fitted_again(labelled, capsys):
    assert command.main(["fit-recognition", labelled, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["photographs"], report["right"], len(report["coefficients"])) == (6, 0.5, 3)


@pytest.mark.parametrize("name", ["eval-photos", "fit-recognition"])
def test_a_photo_that_is_broken_is_named(labelled, tmp_path, capsys, name):
    (tmp_path / "blue.png").write_bytes(b"no photo")
    assert command.main([name, labelled]) == 2
    assert f"error: {tmp_path / 'blue.png'} cannot be used: This is not a photo" in capsys.readouterr().err


# --- the real encoder, over a collection of what it takes drawn pictures and the examples for


def page_of_text() -> Image.Image:
    picture = Image.new("RGB", (800, 600), "white")
    for line in range(24):
        words = f"Settings  Account  Privacy: your data is kept on this computer until you delete it, line {line}."
        ImageDraw.Draw(picture).text((30, 20 + 24 * line), words, fill="black")
    return picture


NOTHING = {
    **{colour: Image.new("RGB", (400, 300), colour) for colour in ("white", "black", "green", "skyblue")},
    "noise": Image.effect_noise((400, 300), 80).convert("RGB"),
    "text": page_of_text(),
}


@pytest.fixture(scope="module")
def shows(mini, tmp_path_factory):
    """The subject of a picture, found by the real encoder in a collection of all that the pictures' classes say."""
    folder = tmp_path_factory.mktemp("subjects")
    pictures = [*NOTHING.values(), *(load_image(EXAMPLES / name) for name in ("lion.jpg", "cheetah1.jpg"))]
    shown = mini.encode_queries([Query("", picture) for picture in pictures])
    titles = {title for query in shown for title in query.recognition.titles}
    catalogue = Catalogue(f"sqlite:///{folder}/catalogue.sqlite")
    with pytest.MonkeyPatch.context() as patch:
        fill(catalogue, patch, articles={title: f"{title} is what this is about." for title in sorted(titles)})
    index = LateInteractionIndex.create(folder / "index", mini.dim, mini.fingerprint, 4)
    for passages in catalogue.stream("things"):
        index.add([passage.id for passage in passages], mini.encode_passages(passages))

    def subject_of(picture):
        [query] = mini.encode_queries([Query("What is this?", picture)])
        return find_subject(catalogue, {"things": index}, query)

    yield subject_of
    index.close()
    catalogue.close()


def test_a_lion_is_likely_one(shows):
    for name, title in (("lion.jpg", "Lion"), ("cheetah1.jpg", "Cheetah")):
        subject = shows(load_image(EXAMPLES / name))
        assert (subject.title, subject.word) == (title, LIKELY) and subject.probability > 0.9
        assert not any(subject.shows(guess.title) for guess in subject.guesses[1:])


@pytest.mark.parametrize("name", NOTHING)
def test_what_shows_nothing_is_not_recognised(shows, name):
    subject = shows(NOTHING[name])
    assert subject.word == UNKNOWN and not any(guess.may for guess in subject.guesses)


def test_a_model_whose_vectors_stand_for_no_places_is_asked_with_photos_too(tmp_path, catalogue, monkeypatch):
    fill(catalogue, monkeypatch)
    with services(tmp_path, catalogue) as make:
        one = make(load_encoder(str(write_ret_checkpoint(tmp_path / "ret")), tmp_path), min_score=0.0)
        one.start()
        wait_for(lambda: one.status().state == "ready")
        results = [one.ask_once(photo("red"), question) for question in ("What is this?", "How heavy is it?")]
        for result in results:
            assert {passage.title for passage in result.passages} == {"Cherry", "Emerald", "Sapphire", "Swan"}
            assert all(0 <= passage.score <= 1 for passage in result.passages)
            assert result.subject.probability is None
            contributions = [each.contributions for each in result.alignments]
            assert len(contributions) == 4 and not patch_contrasts(result.query, contributions).size  # no heat map
        assert results[0].subject == results[1].subject  # found from the photo alone
        assert len(one.ask_once(None, "Which gem is green?").passages) == 4
