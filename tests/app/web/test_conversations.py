"""Conversations that outlive their page, and the turns that questions wait for."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.web.ask.layout import TOGETHER
from app.web.conversations import Conversations, Kept
from app.web.request_files import EXAMPLES, NOT_HERE, placed
from app.web.waiting_line import WaitingLine
from common.problems import Problem
from tests.support.page import PAGE, Birds, asker_of, awaited, final, skipped

ONE, OTHER = "0123456789abcdef" * 2, "f" * 32


def test_a_conversation_is_kept_by_its_id_for_a_while() -> None:
    now = [0.0]
    kept = Conversations(2, 100.0, lambda: now[0])
    kept.keep(ONE, Kept(question="How tall?"))
    assert kept.of(ONE).question == "How tall?" and kept.of(OTHER) is None
    now[0] = 99.0
    assert kept.of(ONE)
    kept.keep(OTHER, Kept())
    now[0] = 101.0
    assert kept.of(ONE) is None and kept.of(OTHER)
    for number in range(2):
        kept.keep(f"{number:032x}", Kept())
    assert kept.of(OTHER) is None


@pytest.mark.parametrize("identity", [None, "", "x" * 32, ONE[:-1], ONE + "0", ONE.upper(), 5, [ONE]])
def test_what_is_no_id_keeps_nothing(identity: object) -> None:
    kept = Conversations(9, 100.0)
    kept.keep(identity, Kept(question="How tall?"))
    assert not isinstance(identity, str) or kept.of(identity) is None


def given(photo: str, conversation: str | None, turns=(), question: str = "How tall?", session: str = "") -> tuple:
    page = SimpleNamespace(session_hash=session) if session else PAGE
    return photo, question, [], 5, "", TOGETHER, False, list(turns), None, conversation, "", page


def asked(
    asker: object, photo: str, conversation: str | None, steps: int | None = None, **how: object
) -> list[tuple]:
    """What the page is told of a question; with `steps`, the first of it, and then the page is gone."""

    async def told() -> list[tuple]:
        answering = asker.respond_in_turn(*given(photo, conversation, **how))
        said = []
        async for step in answering:
            said.append(step)
            if len(said) == steps:
                break
        await answering.aclose()
        return said

    return awaited(told())


@pytest.fixture
def photo(tmp_path: Path) -> str:
    from PIL import Image

    Image.new("RGB", (40, 30), "grey").save(tmp_path / "heron.jpg")
    return str(tmp_path / "heron.jpg")


def test_what_the_page_showed_is_shown_again(photo: str) -> None:
    asker = asker_of(Birds())
    *_, last = asked(asker, photo, ONE)
    identity, given, question, region, answer, evidence, figure, problem, _, turns, text = asker.restore(ONE, "")
    assert (identity, given, question, region, problem, text) == (ONE, photo, "How tall?", "", "", "")
    assert answer == last[0] and evidence == last[1] and figure == last[2] and turns == last[5]
    assert asker.restore(ONE, "How wide?")[2] == "How wide?"  # what was typed since
    unknown = asker.restore(OTHER, "")  # who made up an address does not get what is asked there
    assert unknown[0] not in (OTHER, "") and "add the photo again" in unknown[7]
    assert all(skipped(each) for place, each in enumerate(unknown) if place not in (0, 7))
    assert all(skipped(each) for each in asker.restore("", "")[1:])  # a page that asks for none is told nothing
    assert asker.restore(unknown[0], "")[0] == unknown[0]
    assert asker.restore(OTHER, "How wide?")[2] == "How wide?"


def test_an_answer_that_was_broken_off_says_so(photo: str) -> None:
    birds = Birds()
    asker, birds.hold = asker_of(birds), threading.Event()
    asked(asker, photo, ONE, steps=4)  # as far as the first words
    answer = asker.restore(ONE, "")[4]
    assert "It stands" in answer and "broken off; what is here is not all of it" in answer
    assert "aria-busy" not in answer and 'class="cs-retry" data-again="#cs-ask"' in answer
    assert answer.count("<section") == answer.count("</section>") == 1
    asked(asker, photo, OTHER, steps=2)  # before it
    answer = asker.restore(OTHER, "")[4]
    assert "broken off before its first word" in answer and "aria-busy" not in answer and "cs-retry" in answer
    birds.hold.set()


@pytest.mark.parametrize("before", ["answered", "broken off", "nothing"])
def test_a_question_that_is_refused_leaves_the_answer(photo: str, before: str) -> None:
    birds = Birds()
    asker = asker_of(birds)
    conversation, turns = (asker.begin(photo)[1] if before == "nothing" else ONE), []
    if before == "broken off":
        birds.hold = threading.Event()
        asked(asker, photo, ONE, steps=4)
        birds.hold.set()
    elif before == "answered":
        *_, (*_, turns, _, _) = asked(asker, photo, ONE)
        asked(asker, photo, ONE, turns=turns, question="How wide?")
        turns = asker.restore(ONE, "")[9]
    was = asker.restore(conversation, "")
    told = asked(asker, photo, conversation, turns=turns, question="x" * 3000)
    answer, evidence, figure, problem, earlier, _ = final([step[:-1] for step in told])
    assert (answer, evidence, figure, earlier) == (*was[4:7], was[8]) and "too long" in problem
    assert ("cs-empty" in answer) is (before == "nothing") and ("cs-evidence" in evidence) is (before != "nothing")
    assert asker.restore(conversation, "")[4:] == was[4:]
    if before == "answered":  # on a page that shows less than the conversation has by now, nothing of the other's
        told = asked(asker, photo, conversation, turns=turns[:1], question="x" * 3000)
        assert "cs-empty" in final([step[:-1] for step in told])[0]


def test_what_is_begun_anew_is_another_conversation(photo: str) -> None:
    asker = asker_of(Birds())
    asked(asker, photo, ONE)
    for told, shows in (
        (asker.begin(photo), photo), (asker.check_photo(photo), photo), (asker.begin(), None),
        (asker.example(EXAMPLES[0][1], "How fast?")(), placed(EXAMPLES[0][1])), (asker.check_photo(None), None),
    ):  # fmt: skip
        assert told[0] == [] and told[1] != ONE
        _, given, question, _, answer, evidence, figure, _, _, turns, _ = asker.restore(told[1], "")
        assert given == shows and question == evidence == figure == "" and turns == []
        assert "Your answer will appear here" in answer
    assert "It stands" in asker.restore(ONE, "")[4]


def test_two_pages_of_one_conversation_take_nothing_from_each_other(photo: str) -> None:
    asker = asker_of(Birds())
    *_, (*_, turns, _, _) = asked(asker, photo, ONE)
    # Both have been loaded with the first turn; one goes on with it, and then the other.
    (*_, same), *_, (*_, longer, _, _) = asked(asker, photo, ONE, turns=turns, question="How wide?")
    assert skipped(same) and len(longer) == 2
    (*_, other), *_ = asked(asker, photo, ONE, turns=turns, question="How deep?")
    assert other not in (ONE, "") and not skipped(other)
    assert [turn.question for turn in asker.restore(ONE, "")[9]] == ["How tall?", "How wide?"]
    assert [turn.question for turn in asker.restore(other, "")[9]] == ["How tall?", "How deep?"]


def test_two_pages_that_ask_at_the_same_time_are_kept_apart(photo: str) -> None:
    birds = Birds()
    asker, birds.hold = asker_of(birds), threading.Event()

    async def told() -> str:
        first, second = (asker.respond_in_turn(*given(photo, ONE, session=name)) for name in ("one", "two"))
        while "It stands" not in str((await anext(first))[0]):
            pass
        *_, other = await anext(second)
        birds.hold.set()
        for each in (first, second):
            async for _ in each:
                pass
        return other

    other = awaited(told())
    assert not skipped(other) and other != ONE
    assert len(asker.restore(ONE, "")[9]) == len(asker.restore(other, "")[9]) == 1


def test_a_photo_that_is_no_longer_there_is_said(photo: str) -> None:
    asker = asker_of(Birds())
    asked(asker, photo, ONE)
    Path(photo).unlink()
    restored = asker.restore(ONE, "")
    assert restored[1] is None and NOT_HERE in restored[7] and "It stands" in restored[4]


def test_first_come_first_served() -> None:
    turns = WaitingLine(2, 2)
    first, second, third, fourth = (turns.enter() for _ in range(4))
    assert [each.before() for each in (first, second, third, fourth)] == [0, 0, 1, 2]
    with pytest.raises(Problem, match="Too many"):
        turns.enter()
    with third:  # goes before it had its turn
        pass
    assert [each.before() for each in (first, second, fourth)] == [0, 0, 1]
    fifth = turns.enter()
    with first:
        pass
    assert [each.before() for each in (second, fourth, fifth)] == [0, 0, 1]
