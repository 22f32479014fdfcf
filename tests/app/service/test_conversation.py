"""What goes beyond one question at a time: follow-ups, parts of a photo, ways to answer, answers known from before."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from PIL import Image

from app.limits import MAX_TURNS
from app.service import ask as service
from app.service import indexes
from app.service.answerers import Answerers
from app.service.ask import AnswerService
from app.service.indexing import Indexer
from app.service.ingestions import Ingestions
from app.service.results import WHOLE, EvidenceFound, PartialOwn, PartialText, Result
from app.web.ask.answer_html import final_answer
from app.web.escaping import escape
from common.passage import Evidence
from common.problems import Problem
from generator.answers import UNSUPPORTED, Answer, Candidate, Citation, Statement, Turn
from generator.extractive.followups import standalone
from kb.sources import registry
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS
from tests.fakes.small_encoder import ARTICLES, COLOURS, GRID, SmallEncoder, source
from tests.support.service import fill, photo, refused, services
from tests.support.waiting import wait_for

CHERRY = Turn("What is this?", "Cherry [1].", "Cherry")
NO_MODEL = "That needs a vision-language model and none is set; give one as CITESIGHT_MODEL."


@dataclass(frozen=True)
class Asked:
    question: str
    image: Image.Image | None
    passages: Sequence[Evidence]
    turns: Sequence[Turn]


class Quoting:
    """An answerer that quotes the beginning of the best passage and notes what it is asked.

    problem: raised after the first piece. `begun` and `ended` count its answers."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem = problem
        self.asked: list[Asked] = []
        self.begun = self.ended = 0

    def answer(self, question, image, passages, turns=()):
        self.asked.append(Asked(question, image, passages, turns))
        self.begun += 1
        try:
            quote = passages[0].text[:8]
            yield quote
            if self.problem:
                raise self.problem
            yield " [1]"
            citation = Citation(1, passages[0].id, quote, 0, 8)
            candidates = tuple(Candidate(n, p.text[:8], 0.5 / n, 0.5) for n, p in enumerate(passages, start=1))
            unsupported = Statement(quote, 0, len(quote), UNSUPPORTED)
            yield Answer(f"{quote} [1]", (citation,), True, "", (unsupported,), candidates)
        finally:
            self.ended += 1

    def standalone(self, question, turns):
        return standalone(question, turns)


class Model:
    """Answerers of a model: two ways to answer and what it says itself, each told apart.

    own_problems: by how many pieces of what it says itself came before."""

    def __init__(self, problem: Exception | None = None) -> None:
        self.together, self.each = Quoting(problem), Quoting(problem)
        self.own_problems: dict[int, Exception] = {}
        self.own_asked: list[tuple] = []
        self.own_ended = self.closed = 0

    def own(self, question, image, turns):
        self.own_asked.append((question, image, turns))
        try:
            for number, piece in enumerate(("I think", " it is red.")):
                if number in self.own_problems:
                    raise self.own_problems[number]
                yield piece
        finally:
            self.own_ended += 1

    def close(self):
        self.closed += 1

    def answerers(self) -> Answerers:
        return Answerers("a model", self.together, self.each, self.own, self.close)


class Noting(SmallEncoder):
    """Notes the questions it encodes, the sizes of their photos and of the photos that these are parts of; covers the
    middle of a photo, as square vision towers do."""

    def __init__(self, *args) -> None:
        super().__init__(*args)
        self.seen: list[tuple[str, tuple[int, int] | None]] = []
        self.wholes: list[tuple[int, int] | None] = []

    def _query(self, query):
        self.seen.append((query.text, query.photo.size if query.photo else None))
        self.wholes.append(query.whole.size if query.whole else None)
        made = super()._query(query)
        return made if query.photo is None else replace(made, area=(0.25, 0.0, 0.75, 1.0))


@pytest.fixture
def make(tmp_path, catalogue, monkeypatch):
    fill(catalogue, monkeypatch)
    with services(tmp_path, catalogue) as make:
        yield make


@pytest.fixture
def ready(make) -> AnswerService:
    encoder = Noting()
    one = make(encoder)
    one.prepare(lambda status: None)
    encoder.seen.clear()  # an index is tried with questions of its own
    return one


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def asked(make, model) -> AnswerService:
    """A service whose answers are the test's own model's."""
    encoder = Noting()
    one = make(encoder, model.answerers())
    one.prepare(lambda status: None)
    encoder.seen.clear()
    return one


# --- follow-ups


def test_another_photo_is_of_another_subject(ready):
    first = ready.ask_once(photo("red"), "What is this?")
    assert first.turn().subject == "Cherry" and first.turn().photo
    same = ready.ask_once(photo("red"), "How heavy is it?", turns=[first.turn()])
    assert "herry" in same.searched
    other = ready.ask_once(photo("blue"), "How heavy is it?", turns=[first.turn(), same.turn()])
    assert other.searched == "How heavy is it?" and other.passages[0].title == "Sapphire"
    # Who sends turns that say nothing of a photo is taken at the word.
    old = Turn(first.turn().question, first.turn().answer, "Cherry")
    assert "herry" in ready.ask_once(photo("blue"), "How heavy is it?", turns=[old]).searched


def test_a_name_that_nothing_knows_is_not_taken_for_what_a_photo_shows(ready):
    asked = ready.ask_once(photo("red"), "What is this?")
    unknown = Turn("How fast is the Zorblax?", "I do not recognise what the photo shows.", "", asked.photo)
    assert ready.ask_once(photo("red"), "How heavy is it?", turns=[unknown]).searched == "How heavy is it?"
    known = replace(unknown, question="How fast is the Sapphire?")
    assert ready.ask_once(photo("red"), "How heavy is it?", turns=[known]).searched == "How heavy is Sapphire?"
    # Without a photo there is nothing else that it could be about.
    assert "Zorblax" in ready.ask_once(None, "How heavy is it?", turns=[unknown]).searched


def test_an_answer_made_without_the_photo_says_so(ready):
    of_another = ready.ask_once(photo("red"), "How hard is the Sapphire?")
    assert of_another.left_out and of_another.as_dict()["left_out"]
    assert "The photo was left out" in final_answer(of_another)
    of_it = ready.ask_once(photo("red"), "How heavy is it?")
    assert not of_it.left_out and "left out" not in final_answer(of_it)
    assert not ready.ask_once(None, "How hard is the Sapphire?").left_out


def test_a_follow_up_is_searched_and_answered_as_it_stands_alone(ready):
    first = ready.ask_once(photo("red"), "What is this?")
    turn = first.turn()
    assert (turn.question, turn.answer, turn.subject) == ("What is this?", first.answer.text, "Cherry")
    found, *_, result = ready.ask(None, "How heavy is it?", turns=[turn])
    assert found.searched == result.searched == "How heavy is Cherry?" and result.question == "How heavy is it?"
    assert ready._encoder._encoder.seen[-1] == ("How heavy is Cherry?", None)
    # Without a photo and without the turn, nothing says whose weight is asked for.
    assert result.passages[0].title == "Cherry" and "8 grams" in result.answer.text
    assert result.turn().question == "How heavy is Cherry?"
    assert set(result.timings) == {"load", "rewrite", "encode", "search", "passages", "answer", "total"}


def test_a_question_that_stands_alone_is_searched_as_it_is(ready):
    result = ready.ask_once(photo("blue"), "Where was this gem found?", turns=[CHERRY])
    assert result.searched == result.question and result.passages[0].title == "Sapphire"


def test_of_a_turn_that_cites_nothing_there_is_no_subject(ready):
    result = ready.ask_once(None, "zebra giraffe okapi")
    assert not result.answer.answered and result.turn().subject == ""
    assert ready.ask_once(photo("red"), "How heavy is it?", turns=[result.turn()]).searched == "How heavy is it?"


def test_a_subject_is_what_the_answer_cites_first(ready):
    result = ready.ask_once(photo("red"), "What is this?")
    passage = result.passages[2]
    citation = Citation(3, passage.id, passage.text[:5], 0, 5)
    other = replace(result, answer=Answer("So [3].", (citation,), True))
    assert other.turn() == Turn("What is this?", "So [3].", passage.title, result.photo)
    assert replace(other, answer=Answer("No.", (citation,), False)).turn().subject == ""
    # It is about what its passage is about, though that does not say what was asked; and where nothing bears out what
    # a model says, about the passage that this names.
    assert replace(other, answer=Answer("No.", (citation,), False, named=True)).turn().subject == passage.title
    assert replace(other, answer=Answer("So [3].", (), True)).turn().subject == passage.title


def test_the_answerer_is_told_of_the_latest_turns_alone(asked, model):
    turns = [Turn(f"Question {n}?", f"Answer {n}.") for n in range(MAX_TURNS + 3)]
    asked.ask_once(photo("red"), "What is this?", turns=turns)
    assert list(model.together.asked[-1].turns) == turns[-MAX_TURNS:]
    own = [*asked.ask(photo("red"), "What is red?", turns=turns, own=True)]
    assert list(model.own_asked[-1][2]) == turns[-MAX_TURNS:] and own[-1].own == "I think it is red."


# --- a part of the photo


def halves() -> Image.Image:
    """Red on the left, blue on the right."""
    both = Image.new("RGB", (80, 40), COLOURS["red"])
    both.paste(COLOURS["blue"], (40, 0, 80, 40))
    return both


def test_the_part_is_all_that_is_seen(asked, model):
    encoder = asked._encoder._encoder
    left = asked.ask_once(halves(), "What is this?", region=(0, 0, 0.5, 1))
    assert left.passages[0].title == "Cherry" and left.region == (0, 0, 0.5, 1)
    assert encoder.seen[-1][1] == (40, 40) == model.together.asked[-1].image.size
    assert model.together.asked[-1].image.getcolors() == [(40 * 40, COLOURS["red"])]
    right = asked.ask_once(halves(), "What is this?", region=[0.55, 0.1, 0.95, 0.9], own=True)
    assert right.passages[0].title == "Sapphire" and right.region == (0.55, 0.1, 0.95, 0.9)
    assert model.own_asked[-1][1].getcolors() == [(32 * 32, COLOURS["blue"])]
    # An encoder that reads a photo and regions of it gets both; of the whole photo there is no region.
    asked.ask_once(halves(), "What is this?", region=WHOLE)
    assert encoder.wholes[-3:] == [(80, 40), (80, 40), None]


def test_the_grid_lies_over_the_part_of_the_whole_photo(ready):
    whole = ready.ask_once(halves(), "What is this?")
    assert whole.query.area == (0.25, 0.0, 0.75, 1.0) and whole.region == WHOLE
    found, *_ = ready.ask(halves(), "What is this?", region=(0.5, 0.2, 1.0, 0.7))
    assert found.query.area == pytest.approx((0.625, 0.2, 0.875, 0.7))
    assert found.heat()[1].shape == GRID


def test_heat_maps_are_those_of_the_part_as_a_photo(ready):
    part, *_ = ready.ask(halves(), "What is this?", region=(0.5, 0, 1, 1))
    alone, *_ = ready.ask(halves().crop((40, 0, 80, 40)), "What is this?")
    assert np.array_equal(part.heat()[1], alone.heat()[1])
    assert part.passages == alone.passages


@pytest.mark.parametrize(
    "region",
    [
        (0, 0, 1), (0, 0, 1, 1, 1), (), (0.5, 0, 0.5, 1), (0.6, 0, 0.5, 1), (-0.1, 0, 1, 1), (0, 0, 1, 1.01),
        (float("nan"), 0, 1, 1), (0, 0, float("inf"), 1), ("a", 0, 1, 1), (None, 0, 1, 1), "abcd", 5,
    ],
)  # fmt: skip
def test_a_part_that_is_none(ready, region):
    assert "four numbers from 0 to 1" in refused(ready, halves(), "What is this?", region=region)


def test_a_part_in_which_nothing_can_be_seen(ready):
    sentence = refused(ready, halves(), "What is this?", region=(0, 0, 0.19, 1))
    assert "15 by 40 pixels" in sentence and "larger" in sentence
    assert ready.ask_once(halves(), "What is this?", region=(0, 0, 0.2, 0.4)).passages
    assert ready._encoder._encoder.seen[-1][1] == (16, 16)


def test_a_part_of_a_tiny_photo(ready):
    tiny = Image.new("RGB", (9, 4), COLOURS["green"])
    assert ready.ask_once(tiny, "What is this?", region=(0, 0, 1, 1)).passages[0].title == "Emerald"
    assert "too small" not in refused(ready, tiny, "What is this?", region=(0, 0, 0.3, 1))
    dot = Image.new("RGB", (1, 1), COLOURS["green"])
    assert ready.ask_once(dot, "What is this?", region=WHOLE).passages[0].title == "Emerald"
    assert "pixels" in refused(ready, dot, "What is this?", region=(0.2, 0.2, 0.8, 0.8))


def test_without_a_photo_there_is_no_part(ready):
    result = ready.ask_once(None, "What is red?", region=(0, 0, 0.5, 1))
    assert result.region == WHOLE and result.query.grid == (0, 0)


# --- ways to answer


@pytest.mark.parametrize("how", [{"each": True}, {"own": True}, {"each": True, "own": True}])
def test_without_a_model_there_is_one_way_to_answer(ready, how):
    assert refused(ready, photo("red"), "What is this?", **how) == NO_MODEL
    assert ready._encoder._encoder.seen == []  # said before anything is encoded


def test_each_passage_alone(asked, model):
    result = asked.ask_once(photo("red"), "What is this?", k=3, each=True)
    assert model.each.begun == 1 and model.together.begun == 0
    assert [each.number for each in result.answer.candidates] == [1, 2, 3]
    said = json.loads(json.dumps(result.as_dict()))
    assert said["candidates"][1] == {
        "number": 2, "text": result.passages[1].text[:8], "retrieval": 0.25, "generation": 0.5, "joint": 0.125,
    }  # fmt: skip


def test_what_the_model_says_itself_comes_after_the_answer(asked, model):
    steps = list(asked.ask(photo("red"), "How heavy is it?", turns=[CHERRY], own=True))
    assert [type(step) for step in steps] == [
        EvidenceFound, PartialText, PartialText, PartialOwn, PartialOwn, Result,
    ]  # fmt: skip
    assert [step.text for step in steps[1:5]] == ["A cherry", "A cherry [1]", "I think", "I think it is red."]
    result = steps[-1]
    assert result.own == "I think it is red." and result.answerer == "a model"
    # It is asked of the question that stands alone.
    question, image, turns = model.own_asked[0]
    assert question == result.searched == "How heavy is Cherry?" and image.size == (30, 20) and turns == (CHERRY,)
    assert {"rewrite", "answer", "own"} < set(result.timings)
    assert asked.ask_once(photo("red"), "How heavy is it?", turns=[CHERRY]).own is None


def test_a_result_tells_all_as_json(asked):
    result = asked.ask_once(halves(), "How heavy is it?", turns=[CHERRY], region=(0, 0, 0.5, 1), own=True)
    said = json.loads(json.dumps(result.as_dict()))
    assert said["searched"] == "How heavy is Cherry?" and said["question"] == "How heavy is it?"
    assert said["region"] == [0, 0, 0.5, 1] and said["own"] == "I think it is red."
    assert said["answerer"] == "a model" and said["cached"] is False and said["unsupported"] == ["A cherry"]
    again = asked.ask_once(halves(), "How heavy is it?", turns=[CHERRY], region=(0, 0, 0.5, 1), own=True)
    assert json.loads(json.dumps(again.as_dict())) == said | {"cached": True}


@pytest.mark.parametrize("after", [EvidenceFound, PartialText, PartialOwn])
def test_closing_stops_the_work_at_once(asked, model, after):
    steps = asked.ask(photo("red"), "What is this?", own=True)
    while not isinstance(next(steps), after):
        pass
    steps.close()
    begun = after is not EvidenceFound
    assert model.together.begun == model.together.ended == begun
    assert len(model.own_asked) == model.own_ended == (after is PartialOwn)
    # Nothing half done is given to the next who asks, and indexing is no longer held up.
    assert not asked.ask_once(photo("red"), "What is this?", own=True).cached
    assert not asked._encoder._questions.count


def test_a_model_that_fails_is_told_after_the_evidence(make):
    model = Model(Problem("Nothing answers at here:1; check the address."))
    one = make(answerers=model.answerers())
    one.prepare(lambda status: None)
    steps = one.ask(photo("red"), "What is this?")
    found, said = next(steps), next(steps)
    assert found.passages[0].title == "Cherry" and said.text == "A cherry"
    with pytest.raises(Problem, match="^Nothing answers at here:1; check the address.$"):
        next(steps)
    assert model.together.ended == 1
    model.together.problem = None
    assert not one.ask_once(photo("red"), "What is this?").cached


@pytest.mark.parametrize(("after", "said"), [(0, ""), (1, "I think … ")])
def test_an_answer_stays_when_the_model_then_fails_on_its_own(asked, model, after, said):
    model.own_problems = {after: Problem("The model server at here:1 is too busy (status 429).")}
    result = asked.ask_once(photo("red"), "How heavy is it?", own=True)
    assert result.answer.answered and result.answer.text == "A cherry [1]"
    assert result.own == said + "This could not be completed: The model server at here:1 is too busy (status 429)."
    assert escape(result.own) in final_answer(result)
    model.own_problems.clear()
    again = asked.ask_once(photo("red"), "How heavy is it?", own=True)  # asked anew, not known from before
    assert not again.cached and again.own == "I think it is red."


def test_an_answer_stays_when_its_corpus_is_deleted_meanwhile(asked):
    steps = asked.ask(photo("red"), "What is this?", own=True)
    next(steps)
    asked.indexes.forget("things")
    *_, result = steps
    assert result.answer.answered and (result.indexed, result.total) == (4, 4)
    assert "was deleted" in refused(asked, photo("red"), "What is this?")


def test_a_corpus_deleted_before_it_is_searched_is_told(make):
    class Forgetting(SmallEncoder):
        def _query(self, query):
            if query.text == "Which berry is this?":  # and not what a new index is made for
                one.indexes.forget("things")
            return super()._query(query)

    def find(*args):
        one.find(*args, k=1)

    one = make(Forgetting())
    for ask in (one.ask_once, find):
        one.start()
        wait_for(lambda: one.status().state == "ready")
        with pytest.raises(Problem, match="The collection things was deleted"):
            ask(photo("red"), "Which berry is this?")


def test_a_model_that_cannot_be_had_is_told_by_the_status(tmp_path, catalogue, monkeypatch):
    fill(catalogue, monkeypatch)

    tries, loaded = [], []

    def answerers(encoder, progress):
        tries.append(encoder)
        progress(1, 2)
        raise Problem("The folder holds no checkpoint; give another.")

    def loader(progress):
        loaded.append(SmallEncoder())
        return loaded[-1]

    with services(tmp_path, catalogue) as make:
        one = make(loader)
        one._answerers_factory = answerers
        told = []
        status = one.prepare(told.append)
        assert status.state == "failed" and status.message == "The folder holds no checkpoint; give another."
        assert any("Fetching the model" in each.message for each in told)
        assert refused(one, photo("red"), "What is this?") == status.message
        assert len(tries) >= 2 and len(loaded) == 1  # what takes long is done once
        one._answerers_factory = lambda encoder, progress: Model().answerers()
        assert one.prepare(told.append).state == "ready" and len(loaded) == 1
        assert one.ask_once(photo("red"), "What is this?").answerer == "a model"


def test_closing_the_service_closes_what_answers(asked, model):
    asked.ask_once(photo("red"), "What is this?")
    asked.close()
    assert model.closed == 1


# --- answers known from before


def test_the_same_question_is_answered_from_before(asked, model):
    first = list(asked.ask(photo("red"), "What is this?"))
    found, again = asked.ask(photo("red"), "  What is this? ")  # no text in pieces
    assert model.together.begun == 1 and len(asked._encoder._encoder.seen) == 1
    assert isinstance(found, EvidenceFound) and found.passages == first[-1].passages
    assert again == replace(first[-1], cached=True) and not first[-1].cached
    assert found.heat()[1].shape == GRID and found.photo.size == photo("red").size


def test_the_same_photo_in_another_file_is_the_same(asked, model, tmp_path):
    photo("red").save(tmp_path / "photo.png")
    photo("red").save(tmp_path / "photo.bmp")
    assert not asked.ask_once(photo("red"), "What is this?").cached
    for file in (tmp_path / "photo.png", (tmp_path / "photo.bmp").read_bytes()):
        assert asked.ask_once(file, "What is this?").cached
    assert asked.ask_once(halves(), "What?", region=(0, 0, 1, 1)).region == asked.ask_once(halves(), "What?").region
    assert model.together.begun == 2


@pytest.mark.parametrize(
    "other",
    [
        {"question": "What is that?"},
        {"question": "what is this?"},
        {"image": photo("green")},
        {"image": photo("red").resize((20, 30))},
        {"image": None},
        {"region": (0, 0, 0.9, 1)},
        {"turns": [CHERRY]},
        {"k": 3},
        {"corpora": ["things", "more"]},
        {"each": True},
        {"own": True},
    ],
    ids=lambda other: "-".join(other),
)
def test_what_differs_is_asked_anew(asked, model, catalogue, monkeypatch, other):
    fill(catalogue, monkeypatch, "more", {"Ruby": "A ruby is a red stone that shines."})
    asked.prepare(lambda status: None, "more")
    base = {"image": photo("red"), "question": "What is this?", "k": 2}
    asked.ask_once(**base)
    assert asked.ask_once(**base).cached and model.together.begun == 1
    result = asked.ask_once(**{**base, **other})
    assert not result.cached and model.together.begun + model.each.begun == 2
    assert asked.ask_once(**{**base, **other}).cached and asked.ask_once(**base).cached


def test_turns_that_differ_are_asked_anew(asked):
    def cached(*turns: Turn) -> bool:
        return asked.ask_once(photo("red"), "What is this?", turns=turns).cached

    turns = [CHERRY, replace(CHERRY, answer="No."), replace(CHERRY, subject="Swan"), replace(CHERRY, question="Who?")]
    assert [cached(turn) for turn in turns] == [False] * 4
    assert not cached(*turns[:2]) and not cached(*turns[1::-1])
    assert [cached(turn) for turn in turns] == [True] * 4


def test_new_passages_are_looked_at(asked, model, catalogue, monkeypatch):
    assert asked.ask_once(photo("green"), "Which animal jumps?").passages[0].title == "Emerald"
    assert asked.ask_once(photo("green"), "Which animal jumps?").cached
    fill(catalogue, monkeypatch, "things", {**ARTICLES, "Frog": "A frog is a green animal that jumps."})
    assert asked.prepare(lambda status: None).state == "ready"
    result = asked.ask_once(photo("green"), "Which animal jumps?")
    assert not result.cached and result.passages[0].title == "Frog" and model.together.begun == 2


def test_a_corpus_made_anew_under_its_name_is_another(asked, model, catalogue, monkeypatch):
    managed = Ingestions(asked)
    green = photo("green"), "Which animal jumps?", None, 2
    before = asked.ask_once(*green)
    assert asked.ask_once(*green).cached
    managed.delete("things")
    wait_for(lambda: managed.states() == [])
    # The passages found before are in it again, and the index has been changed as often.
    articles = {**ARTICLES, "Frog": "A frog is a green animal that jumps."}
    monkeypatch.setitem(KINDS, "things", fixed_collection(source("things", articles)))
    managed.start(registry.Asked("things"))
    wait_for(lambda: asked.status().state == "ready")
    result = asked.ask_once(*green)
    assert not result.cached and result.passages[0].title == "Frog" and model.together.begun == 2
    assert result.passages[1] == replace(before.passages[0], rank=2)
    managed.close()


def test_a_passage_that_says_something_else_now_is_read_again(asked, model, catalogue, monkeypatch):
    assert "8 grams" in asked.ask_once(photo("red"), "How heavy is this?").passages[0].text
    assert asked.ask_once(photo("red"), "How heavy is this?").cached
    fill(catalogue, monkeypatch, "things", {**ARTICLES, "Cherry": "The cherry weighs 9 grams, it was found."})
    result = asked.ask_once(photo("red"), "How heavy is this?")
    assert not result.cached and "9 grams" in result.passages[0].text and model.together.begun == 2
    assert asked.ask_once(photo("red"), "How heavy is this?").cached


def test_while_the_index_grows_nothing_is_kept(asked, model, catalogue, monkeypatch):
    fill(catalogue, monkeypatch, "things", {**ARTICLES, "Frog": "A frog is a green animal that jumps."})
    for _ in range(2):
        result = asked.ask_once(photo("red"), "What is this?")
        assert (result.indexed, result.total, result.cached) == (4, 5, False)
    asked.prepare(lambda status: None)
    assert [asked.ask_once(photo("red"), "What is this?").cached for _ in range(2)] == [False, True]


def test_while_one_of_the_corpora_is_missing_nothing_is_kept(asked, catalogue, monkeypatch):
    fill(catalogue, monkeypatch, "more", {"Ruby": "A ruby is a red stone that shines."})
    with monkeypatch.context() as held:
        held.setattr(Indexer, "start", lambda indexer: None)
        held.setattr(indexes, "ENCODER_PATIENCE", 0.05)
        asked_twice = [asked.ask_once(photo("red"), "What is this?", ["things", "more"]) for _ in range(2)]
    assert [(each.cached, each.indexed, each.total) for each in asked_twice] == [(False, 4, 5)] * 2
    asked.start("more")
    wait_for(lambda: asked.status("more").state == "ready")
    assert asked.ask_once(photo("red"), "What is this?", ["things", "more"]).indexed == 5


def test_so_many_are_kept_and_no_more(make, model, monkeypatch):
    monkeypatch.setattr(service, "ANSWERS_KEPT", 3)
    one = make(answerers=model.answerers())
    one.prepare(lambda status: None)
    for number in (1, 2, 3, 1, 4):  # 2 is the one not asked for longest
        one.ask_once(photo("red"), f"What is number {number}?")
    known = [one.ask_once(photo("red"), f"What is number {n}?").cached for n in (1, 3, 4, 2)]
    assert known == [True, True, True, False]
