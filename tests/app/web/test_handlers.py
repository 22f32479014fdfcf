"""The handlers that the page's events call, without a server."""

from __future__ import annotations

import errno
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import gradio.routes
import pytest
from PIL import Image

from app.limits import MAX_TURNS
from app.service.results import IndexStatus, Reranked
from app.web.ask.answering import EACH, PageQuestion
from app.web.error_sentences import sentence_for
from common.problems import BadRequest, Problem
from common.worker_thread import MOST
from generator.answers import (
    DISAGREE,
    Turn,
)
from retriever.reading.photo_text import Line, PhotoText
from tests.support.at_work import nobody_at_work  # noqa: F401
from tests.support.page import (
    PAGE,
    Birds,
    Seen,
    asked,
    asker_of,
    assert_harmless,
    final,
    page_of,
    respond,
    result,
    skipped,
)
from tests.support.waiting import LONG, wait_for

pytestmark = pytest.mark.usefixtures("nobody_at_work")


class TestHandlers:
    def test_answer_cards_and_heat_maps(self, birds: Birds, photo: str) -> None:
        steps = respond(birds, photo, "How tall is this heron?")
        assert birds.asked == [(photo, "How tall is this heron?", ["birds"], 5)]
        assert birds.how == [{"turns": [], "region": None, "each": False, "own": False, "text": None}]
        answer, evidence, figure, problem, *_ = final(steps)
        assert "It stands up to 100 cm tall." in answer and 'data-rank="1"' in answer
        assert 'class="cs-quote"' in evidence and evidence.count("<article") == 2
        assert [layer.get("data-rank") for layer in Seen(figure).named("img")] == [None, "1", "2"]
        assert problem == ""
        for markup in (answer, evidence, figure):
            assert_harmless(markup)
        assert any("It stands</p>" in str(step[0]) for step in steps)  # it streams

    def test_what_put_the_cards_in_order_is_said_with_them(self, birds: Birds, photo: str) -> None:
        birds.reranked = Reranked("small", "small was not done.")
        steps = respond(birds, photo, "How tall is this heron?")
        told = [step[1] for step in steps if isinstance(step[1], str) and step[1]]
        assert len(told) == 2 and all("small was not done." in each for each in told)  # found, and answered

    @pytest.mark.parametrize(("reason", "shown"), [(DISAGREE, True), ("the passages do not say", False)])
    def test_what_passages_that_disagree_say_is_shown_in_them(
        self, birds: Birds, photo: str, reason: str, shown: bool
    ) -> None:
        birds.answer = replace(result().answer, answered=False, reason=reason)
        *_, evidence, _, _, _, turns = final(respond(birds, photo, "How tall?"))
        assert ('class="cs-quote"' in evidence) is shown
        assert turns[-1].subject == ("Grey heron" if shown else "")  # what a next question may point back at

    @pytest.mark.parametrize("question", [None, "", "  \n\t "])
    def test_no_question(self, birds: Birds, photo: str, question: str | None) -> None:
        *kept, problem, earlier, turns = final(respond(birds, photo, question))
        assert kept == ["", "", ""] and "Type a question" in problem and not birds.asked
        assert earlier == "" and turns is None

    def test_no_photo(self, birds: Birds) -> None:
        *kept, problem, _, _ = final(respond(birds, None, "What is it?"))
        assert kept == ["", "", ""] and "Add a photo" in problem and not birds.asked

    def test_a_photo_that_is_gone(self, birds: Birds, tmp_path: Path) -> None:
        steps = respond(birds, str(tmp_path / "gone.jpg"), "What is it?")
        assert "add it again" in final(steps)[3] and str(tmp_path) not in final(steps)[3]

    @pytest.mark.parametrize("late", [False, True])
    @pytest.mark.parametrize(
        ("raised", "told"),
        [
            (BadRequest("The index is of another model; make it again."), "The index is of another model"),
            (Problem("The model's server does not answer."), "server does not answer"),
            (RuntimeError("/secret/place"), "Something unforeseen went wrong"),
            (OSError(errno.ENOSPC, "No space left", "/secret/place"), "disk of this machine is full"),
            (MemoryError(), "ran out of memory"),
        ],
    )
    def test_every_failure_is_a_sentence(
        self, birds: Birds, photo: str, raised: Exception, told: str, late: bool
    ) -> None:
        setattr(birds, "raises_late" if late else "raises", raised)
        answer, evidence, figure, problem, _, turns = final(respond(birds, photo, "How tall?"))
        assert told in problem and 'role="alert"' in problem
        assert "secret" not in problem and "Traceback" not in problem
        assert "aria-busy" not in answer and turns is None
        if late:  # what was found stays
            assert "No answer" in answer and "How tall?" in answer
            assert evidence.count("<article") == 2 and "cs-layer" in figure
        else:
            assert "cs-empty" in answer and evidence == figure == ""
        again = not isinstance(raised, BadRequest)  # what is wrong with the question itself stays so
        assert ('class="cs-retry" data-again="#cs-ask"' in problem) is again

    def test_a_conversation_grows_and_is_told(self, birds: Birds, photo: str) -> None:
        turns: list[Turn] = []
        for number in range(MAX_TURNS + 2):
            before = list(turns)
            *_, earlier, turns = final(respond(birds, photo, f"How tall {number}?", turns=turns))
            assert birds.how[-1]["turns"] == before  # and what was handed in is not changed
            assert earlier.count("<li>") == len(before)
            assert turns == [*before, Turn(f"How tall {number}?", "It stands up to 100 cm tall. [1]", "Grey heron")][
                -MAX_TURNS:
            ]
        assert len(turns) == MAX_TURNS and turns[0].question == "How tall 2?"

    def test_a_failure_is_no_part_of_the_conversation(self, birds: Birds, photo: str) -> None:
        said = [Turn("What is this?", "A heron [1].", "Grey heron")]
        birds.raises_late = BadRequest("The model is too busy.")
        *_, earlier, turns = final(respond(birds, photo, "How tall?", turns=said))
        assert turns is None and earlier.count("<li>") == 1
        birds.raises = BadRequest("There is nothing to search yet.")
        steps = respond(birds, photo, "How tall?", turns=said)
        assert skipped(steps[-1][2])  # the photo of the conversation stays

    def test_how_the_model_is_to_answer(self, birds: Birds, photo: str) -> None:
        steps = respond(birds, photo, "How tall?", each=EACH, own=True)
        assert birds.how[-1]["each"] is True and birds.how[-1]["own"] is True
        streamed = [step[0] for step in steps if "cs-own" in str(step[0])]
        assert len(streamed) == 2 and "aria-busy" in streamed[0] and "aria-busy" not in streamed[1]
        assert "Tall</p>" in streamed[0] and "It stands" in streamed[0] and "Tall.</p>" in streamed[1]
        respond(birds, photo, "How tall?", each=None, own=None)
        assert birds.how[-1]["each"] is False and birds.how[-1]["own"] is False

    def test_what_was_read_in_the_photo_is_shown_and_can_be_corrected(self, birds: Birds, photo: str) -> None:
        read = PhotoText((Line("GREY HERON", (0, 0, 1, 1), 0.2, 0.9), Line("<b>2 km</b>", (0, 0, 1, 1), 0.1, 0.9)))
        birds.text = read
        question = PageQuestion(photo, "How tall?", session=PAGE.session_hash)
        *_, whole = asker_of(birds).respond(question)
        assert whole[-1] == "GREY HERON\n<b>2 km</b>" and birds.how[-1]["text"] is None
        birds.text = replace(read, corrected=True)
        *_, whole = asker_of(birds).respond(replace(question, text="Grey heron"))
        assert skipped(whole[-1]) and birds.how[-1]["text"] == "Grey heron"

    @pytest.mark.parametrize(
        ("written", "region"),
        [("", None), ("0.1,0.2,0.5,1", (0.1, 0.2, 0.5, 1.0)), ("1,2", (1.0, 2.0)), ("0.1,0.2,1e999,1", None)],
    )
    def test_the_part_of_the_photo_that_is_asked_about(
        self, birds: Birds, photo: str, written: str, region: tuple | None
    ) -> None:
        _, _, figure, *_ = final(respond(birds, photo, "How tall?", region=written))
        if written.startswith("0.1,0.2,1e"):
            assert birds.how[-1]["region"][2] == float("inf")
        else:
            assert birds.how[-1]["region"] == region
        if region and len(region) == 4:
            assert 'data-part="0.1000,0.2000,0.5000,1.0000"' in figure

    @pytest.mark.parametrize("written", ["nonsense", ",,,", "0,0,1,1;", "<script>", "0 0 1 1"])
    def test_a_part_that_is_nonsense_is_left_to_the_service(self, birds: Birds, photo: str, written: str) -> None:
        birds.raises = BadRequest("The part of the photo must be given as four numbers.")
        steps = respond(birds, photo, "How tall?", region=written)
        (given,) = birds.how[-1]["region"]
        assert given != given and "four numbers" in final(steps)[3]

    def test_closing_what_the_page_is_told_stops_the_service(self, birds: Birds, photo: str) -> None:
        birds.hold = threading.Event()
        steps = asker_of(birds).respond(asked(photo, "How tall?", 1))
        while "It stands" not in str(next(steps)[0]):
            pass
        assert all(skipped(each) for each in next(steps))  # now and then, so that it can be closed
        steps.close()
        assert not birds.closed  # the model is silent still, and is not waited for
        birds.hold.set()
        wait_for(lambda: birds.closed)

    @pytest.mark.parametrize("how", ["ended", "ended with later ones", "another waits", "another is answered"])
    def test_a_question_that_is_ended_or_followed_by_another_says_nothing_more(
        self, birds: Birds, photo: str, how: str
    ) -> None:
        asker, birds.hold, elsewhere = asker_of(birds), threading.Event(), page_of("two")
        steps = asker.respond(asked(photo, "How tall?", 3))
        while "It stands" not in str(next(steps)[0]):
            pass
        for number, page in ((2, PAGE), (9, elsewhere)):  # an earlier one, and another page's
            asker.end(number, page)
            assert all(skipped(each) for each in next(steps))
        asker.wait(photo, " ", 4, PAGE)  # is no question
        assert all(skipped(each) for each in next(steps))
        if how.startswith("ended"):
            asker.end(3 if how == "ended" else 7, PAGE)
            asker.end(1, PAGE)  # comes late
        elif how == "another waits":
            asker.wait(photo, "How wide?", 4, PAGE)
        else:
            birds.hold.set()
            list(asker.respond(asked(photo, "How wide?", 4)))
        assert list(steps) == []
        birds.hold.set()

    def test_a_question_that_is_ended_before_it_has_its_turn_is_not_asked(self, birds: Birds, photo: str) -> None:
        asker = asker_of(birds)
        asker.end(2, PAGE)
        assert list(asker.respond(asked(photo, "How tall?", 2))) == []
        assert birds.how == []
        assert final(list(asker.respond(asked(photo, "How tall?", 3))))[5]
        # A page that does not number its questions is answered.
        assert final(list(asker_of(birds).respond(asked(photo, "How tall?", None))))[5]

    def test_a_question_that_is_ended_fails_silently(
        self, birds: Birds, photo: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ask, going = birds.ask, threading.Event()

        def failing(*given: object, **how: object):
            yield next(ask(*given, **how))
            going.wait(LONG)
            raise BadRequest("The model is too busy.")

        monkeypatch.setattr(birds, "ask", failing)
        asker = asker_of(birds)
        steps = asker.respond(asked(photo, "How tall?", 1))
        while "article" not in str(next(steps)[1]):
            pass
        asker.end(1, PAGE)
        going.set()
        assert list(steps) == []

    def test_a_model_that_is_being_loaded_is_told_of(self, birds: Birds, photo: str) -> None:
        birds.loads, birds.sentence = threading.Event(), "Loading <Large>, 7.2 GB…"
        steps = asker_of(birds).respond(asked(photo, "How tall?", 1))
        while "Loading" not in str(said := next(steps)[0]):
            pass
        assert "Loading &lt;Large&gt;, 7.2 GB…" in said and "cs-working" in said
        assert skipped(next(steps)[0])  # once is enough
        birds.sentence = ""
        assert "Reading what was found" in next(steps)[0]
        birds.loads.set()
        assert "It stands" in next(step for step in steps if not skipped(step[0]))[0]

    def test_so_many_are_worked_on_at_once(self, birds: Birds, photo: str) -> None:
        birds.hold = threading.Event()
        for _ in range(MOST):
            steps = asker_of(birds).respond(asked(photo, "How tall?", 1))
            while "It stands" not in str(next(steps)[0]):
                pass
            steps.close()
        assert "Too many questions" in final(respond(birds, photo, "How tall?"))[3]
        birds.hold.set()
        wait_for(lambda: "Too many questions" not in final(respond(birds, photo, "How tall?"))[3])

    def test_a_question_is_told_of_before_it_has_its_turn(self, birds: Birds, photo: str) -> None:
        answer, problem = asker_of(birds).wait(photo, "How tall?", 1, PAGE)
        assert "Waiting for its turn…" in answer and "aria-busy" in answer and problem == ""
        # Never the same, so that the browser shows it again after a stop.
        assert asker_of(birds).wait(photo, "How tall?", 2, PAGE)[0] != answer
        for lacking in ((None, "How tall?"), (photo, " "), (f"{photo}.gone", "How tall?")):
            answer, problem = asker_of(birds).wait(*lacking, 1, PAGE)
            assert skipped(answer) and problem == final(respond(birds, *lacking))[3] != ""

    def test_a_passage_that_has_left_the_index_has_no_map(self, birds: Birds, photo: str) -> None:
        birds.gone = {"p1"}
        answer, evidence, figure, problem, *_ = final(respond(birds, photo, "How tall?"))
        assert "It stands up to 100 cm tall." in answer and evidence.count("<article") == 2 and problem == ""
        assert [layer.get("data-rank") for layer in Seen(figure).named("img")] == [None, "2"]

    def test_beginning_anew(self, birds: Birds) -> None:
        asker = asker_of(birds)
        turns, one = asker.begin()
        assert turns == [] and one != asker.begin()[1] != ""

    def test_a_bad_photo_is_refused_when_it_is_given(self, birds: Birds, tmp_path: Path) -> None:
        (tmp_path / "text.jpg").write_text("not a photo")
        *_, value, problem = asker_of(birds).check_photo(str(tmp_path / "text.jpg"))
        assert value is None and 'role="alert"' in problem

    def test_what_browsers_cannot_show_is_shown_as_made(
        self, birds: Birds, tmp_path: Path, photo: str
    ) -> None:
        Image.new("CMYK", (30, 20)).save(tmp_path / "print.tif")
        *_, value, problem = asker_of(birds).check_photo(str(tmp_path / "print.tif"))
        assert value.size == (30, 20) and value.mode == "RGB" and problem == ""
        assert asker_of(birds).check_photo(photo)[2] == gr.skip()

    def test_polling_goes_on_only_while_there_is_something_to_wait_for(self, birds: Birds) -> None:
        for state, active in (("starting", True), ("fetching", True), ("indexing", True), ("ready", False),
                              ("failed", False)):  # fmt: skip
            birds.state = IndexStatus(state, 1, 2, "A sentence.")
            (line, corpora), busy = asker_of(birds).progress([])
            assert busy is active
            assert bool(line) is (state != "ready")
            assert corpora.choices == [("Birds (2 passages)", "birds")] and corpora.value == ["birds"]

    def test_a_corpus_with_nothing_in_it_is_not_offered(self, birds: Birds, monkeypatch: pytest.MonkeyPatch) -> None:
        both = [*birds.corpora(), SimpleNamespace(name="bad", title="bad", passages=0)]
        monkeypatch.setattr(birds, "corpora", lambda: both)
        (_, corpora), _ = asker_of(birds).progress(["bad", "birds"])
        assert corpora.choices == [("Birds (2 passages)", "birds")] and corpora.value == ["birds"]

    def test_unforeseen_problems_are_logged_in_full(self, caplog: pytest.LogCaptureFixture) -> None:
        sentence_for(RuntimeError("the whole story"))
        assert "the whole story" in caplog.text
