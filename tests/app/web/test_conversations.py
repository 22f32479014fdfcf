"""Conversations that outlive their page, and the turns that questions wait for."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from app.web.ask.layout import TOGETHER, kept_for
from app.web.ask.shown import AnswersHere
from app.web.conversations import Conversations, Kept
from app.web.request_files import EXAMPLES, NOT_HERE, placed
from app.web.waiting_line import WaitingLine
from common.problems import Problem
from tests.support.page import PAGE, Birds, asker_of, awaited, final, page_of, skipped
from tests.support.waiting import LONG

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
    page = page_of(session) if session else PAGE
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
    line = WaitingLine(2, 2)
    first, second, third, fourth = (line.enter(person) for person in "abcd")
    assert [each.before() for each in (first, second, third, fourth)] == [0, 0, 1, 2]
    with pytest.raises(Problem, match="Too many"):
        line.enter("e")
    with third:  # goes before it had its turn
        pass
    assert [each.before() for each in (first, second, fourth)] == [0, 0, 1]
    fifth = line.enter("e")
    with first:
        pass
    assert [each.before() for each in (second, fourth, fifth)] == [0, 0, 1]


def test_who_asks_much_at_once_stands_in_the_queue_once() -> None:
    line = WaitingLine(1, 20)
    at_work = line.enter("x")
    many = [line.enter("greedy") for _ in range(4)]
    others = [line.enter(person) for person in "abc"]
    assert [each.before() for each in (many[0], *others, *many[1:])] == [1, 2, 3, 4, 5, 6, 7]
    with at_work:
        pass
    assert many[0].before() == 0 and [each.before() for each in (*others, many[1], many[2])] == [1, 2, 3, 4, 5]
    with many[0], others[0]:  # the second goes before it had its turn
        pass
    assert [each.before() for each in (*others[1:], many[1], many[2])] == [0, 1, 2, 3]
    with many[1]:  # as soon as one goes, the next one is in the queue, behind who is there
        pass
    later = line.enter("d")
    assert [each.before() for each in (others[1], others[2], many[2], later, many[3])] == [0, 1, 2, 3, 4]
    alone = WaitingLine(2, 20)  # and where nobody else wants it, somebody has every turn
    assert [alone.enter("greedy").before() for _ in range(4)] == [0, 0, 1, 2]


def test_who_has_a_turn_goes_on_at_once() -> None:
    line = WaitingLine(1, 20)

    async def waits() -> bool:
        first, second = line.enter("a"), line.enter("b")
        await second.turn(0.0)
        assert second.before() == 1
        asyncio.get_running_loop().call_later(0.01, first.__exit__)
        await second.turn(LONG)
        return second.before() == 0

    assert awaited(waits())


def test_answers_are_kept_for_a_while_by_a_clock_that_nobody_sets() -> None:
    now = [0.0]
    answers = AnswersHere(2, 100.0, lambda: now[0])
    answers.put("a", "shown")
    now[0] = 99.0
    answers.put("b", "too")
    assert (answers.get("a"), answers.get("c")) == ("shown", None)
    now[0] = 100.0
    assert (answers.get("a"), answers.get("b")) == (None, "too")


def test_the_page_says_how_long_that_is() -> None:
    assert "<bdi>6</bdi>\N{NO-BREAK SPACE}" in kept_for(6.0) and "<bdi>0.25</bdi>" in kept_for(0.25)
    assert "hours" in kept_for(6.0)
