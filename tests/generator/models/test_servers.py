"""One model behind several servers: the requests are shared out, and none is lost where one server fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest
from PIL import Image

from common.cancellation import Cancellation, cancelled_by
from common.passage import Evidence
from common.problems import Problem
from generator.answers import BROKE_OFF
from generator.models import served, servers
from generator.models.chat import Message
from generator.models.in_context import InContextAnswerer
from generator.models.served import ATTEMPTS, ServedModel
from tests.fakes.chat_server import (
    BEGIN,
    EVENTS,
    ChatServer,
    Reply,
    choosy,
    delta,
    event,
    page,
    scored_stream,
    sent,
    stream,
)
from tests.support.ports import free_port
from tests.support.waiting import LONG, ended, wait_for

SAID = "It runs at 112 km/h."
GOOD = stream(SAID)
CHEETAH = Evidence("c", "Cheetah", "The cheetah runs at 112 km/h. It is a cat.", "https://example.org/c", score=0.9)
CHAT = [Message("user", "How fast?")]
# As a server sends whose process is ended: headers, perhaps a piece, and then no more of what it promised.
PROMISED = {"Content-Type": EVENTS, "Content-Length": "100000"}
DIES_SILENT = Reply([BEGIN], headers=PROMISED)
DIES_SPEAKING = Reply([BEGIN, event("It runs at ")], headers=PROMISED)
FAILURES = {
    "hangs up": Reply(status=0),
    "dies before it says anything": DIES_SILENT,
    "ends before it says anything": Reply([BEGIN]),
    "fails": page("oh", 500),
    "is busy": page("later", 503, **{"Retry-After": "30"}),
    "turns away": page("later", 429, **{"Retry-After": "7200"}),
    "tells of an error in its stream": sent({"error": {"message": "engine died"}}),
    "is aborted": sent(delta(finish="abort")),
    "sends no JSON": sent("data: {no"),
}


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch) -> Clock:
    """The clock by which servers are left out, which stands still until a test moves it."""
    found = Clock()
    monkeypatch.setattr(servers, "monotonic", found)
    return found


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """The waits between attempts that are not at once; they are not waited for."""
    found: list[float] = []
    monkeypatch.setattr(Cancellation, "wait", lambda stop, seconds: found.append(seconds) if seconds else stop.is_set())
    return found


@contextmanager
def serving(*replies: Reply | Callable[[dict], Reply]) -> Iterator[list[ChatServer]]:
    """A server for each of the replies, which gives it to all requests."""
    with ExitStack() as stack:
        yield [stack.enter_context(ChatServer(reply)) for reply in replies]


def model_at(*found: ChatServer, **options) -> ServedModel:
    return ServedModel(" ".join(server.url for server in found), "small", **options)


def said(model: ServedModel, chat=CHAT) -> str:
    return "".join(model.reply(chat, 9))


def counts(*found: ChatServer) -> list[int]:
    return [len(server.asked) for server in found]


# Addresses


def test_addresses_have_spaces_or_commas_between_and_count_once():
    with serving(GOOD, GOOD, GOOD) as (a, b, c):
        model = ServedModel(f" {a.url},{b.url}/ , {c.url}\n{a.url}", "small")
        assert [said(model) for _ in range(6)] == [SAID] * 6
    assert counts(a, b, c) == [2, 2, 2]
    assert model.name == f"small at 127.0.0.1:{a.port} and 2 more"
    assert ServedModel(f"{a.url} {b.url}", "small", called="the address that is set").name == "small"


@pytest.mark.parametrize("addresses", ["", " , ", "http://a/v1 localhost:8000", "http://a/v1,ftp://b/v1"])
def test_each_address_is_checked(addresses):
    with pytest.raises(Problem, match="must look like .* spaces or commas between"):
        ServedModel(addresses, "small")


# Sharing out


def together(count: int, *found: ChatServer) -> Callable[[dict], Reply]:
    """A reply that comes once so many requests are at work at all of the servers together."""
    all_there = threading.Barrier(count)

    def reply(body: dict) -> Reply:
        all_there.wait(LONG)
        return stream(body["messages"][-1]["content"])

    return reply


def test_eight_clients_at_once_are_spread_over_both():
    with serving(*[together(8)] * 2) as (a, b):
        model = model_at(a, b)
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(lambda n: said(model, [Message("user", f"q{n}")]), range(8)))
    assert answers == [f"q{n}" for n in range(8)] and [a.most, b.most] == counts(a, b) == [4, 4]


def test_short_replies_go_to_all_servers_at_once():
    at_once = 2 * served.AT_ONCE
    with serving(*[together(at_once)] * 2) as (a, b):
        found = model_at(a, b).short_replies([[Message("user", f"q{n}")] for n in range(at_once)], 4)
    assert [each.text for each in found] == [f"q{n}" for n in range(at_once)]
    assert [a.most, b.most] == [served.AT_ONCE] * 2


def test_a_request_goes_to_the_server_with_fewer_at_work():
    holds = Reply([event("on and ")], hold=True)
    with serving(holds, GOOD) as (a, b):
        model = model_at(a, b)
        reply = model.reply(CHAT, 9)
        next(reply)
        assert [said(model) for _ in range(3)] == [SAID] * 3 and counts(a, b) == [1, 3]
        reply.close()
        assert a.closed.wait(LONG)


def test_questions_about_a_photo_go_where_it_was_asked_about_before():
    photos = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    with serving(GOOD, GOOD) as (a, b):
        model = model_at(a, b)
        for photo in (*photos, *reversed(photos), *photos):
            said(model, [Message("system", "Be short."), Message("user", "How fast?", photo)])
    seen = [{asked.body["messages"][1]["content"][0]["image_url"]["url"] for asked in each.asked} for each in (a, b)]
    assert [len(each) for each in seen] == [2, 1] and not seen[0] & seen[1]


def test_only_so_many_requests_are_at_work_the_others_wait_and_can_be_stopped(monkeypatch):
    monkeypatch.setattr(servers, "AT_MOST", 2)
    go = threading.Semaphore(0)

    def reply(body: dict) -> Reply:
        assert go.acquire(timeout=LONG)
        return stream(body["messages"][-1]["content"])

    with serving(reply) as (server,):
        model, stops, done = model_at(server), [Cancellation() for _ in range(5)], []

        def ask(number: int) -> None:
            with cancelled_by(stops[number]):
                try:
                    done.append(said(model, [Message("user", f"q{number}")]))
                except Problem as problem:
                    done.append(str(problem))

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
        assert model.loading == ""
        for number, thread in enumerate(threads):
            thread.start()
            wait_for(lambda n=number: len(server.asked) + model._servers.waiting == n + 1)
        assert model.loading == "The model server is busy; requests that wait for their turn: 3."
        stops[3].set()
        assert ended(threads[3]) and done == ["The question was stopped while it waited for the model server."]
        for asked in (3, 4):
            go.release()  # one after the other, so that their order is seen
            wait_for(lambda n=asked: len(server.asked) == n)
        go.release(2)
        assert all(ended(thread) for thread in threads)
    asked = [each.body["messages"][0]["content"] for each in server.asked]
    assert asked == ["q0", "q1", "q2", "q4"] and sorted(done[1:]) == asked and server.most == 2
    assert model.loading == ""


# Servers that fail


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_what_fails_before_it_is_shown_is_asked_of_another_at_once(failure, waits):
    with serving(failure, GOOD) as (bad, good):
        model = model_at(bad, good)
        assert [said(model) for _ in range(5)] == [SAID] * 5
    assert counts(bad, good) == [1, 5] and waits == []


def test_one_that_refuses_connections_is_passed_over(waits):
    with serving(GOOD) as (good,):
        model = ServedModel(f"http://127.0.0.1:{free_port()}/v1 {good.url}", "small")
        assert [said(model) for _ in range(3)] == [SAID] * 3
    assert counts(good) == [3] and waits == []


@pytest.mark.parametrize("silent", [Reply([BEGIN], hold=True), Reply(hold=True)], ids=["silent", "not even headers"])
def test_one_that_hangs_is_given_up_for_another(silent):
    with serving(silent, GOOD) as (bad, good):
        model = model_at(bad, good, timeout=2)  # which the good one has too, on a busy machine
        assert [said(model) for _ in range(2)] == [SAID] * 2
    assert bad.asked and len(good.asked) == 2


def test_an_answer_that_breaks_off_stays_as_far_as_it_was_shown_and_the_next_goes_elsewhere():
    with serving(DIES_SPEAKING, GOOD) as (bad, good):
        answerer = InContextAnswerer(model_at(bad, good))
        *_, broken = answerer.answer("How fast?", None, [CHEETAH])
        *_, whole = answerer.answer("How fast?", None, [CHEETAH])
    assert (broken.text, broken.reason, broken.answered) == ("It runs at …", BROKE_OFF, False)
    assert f"The connection to 127.0.0.1:{bad.port} broke off; ask again" in broken.broken
    assert whole.text == SAID and not whole.broken and counts(bad, good) == [1, 1]


def test_thoughts_are_not_shown_so_that_what_dies_thinking_is_asked_of_another():
    thinks = sent(delta(reasoning_content="hm"), delta(reasoning_content="hm")).chunks[:2]
    with serving(Reply(thinks, headers=PROMISED), GOOD) as (bad, good):
        assert said(model_at(bad, good)) == SAID
    assert counts(bad, good) == [1, 1]


def test_short_answers_are_not_shown_in_pieces_so_that_none_is_lost_when_a_server_dies_in_the_middle():
    def dies(body: dict) -> Reply:
        return Reply([BEGIN, event("nonsense", None, [-9.0])], headers=PROMISED)

    def scores(body: dict) -> Reply:
        return scored_stream((body["messages"][-1]["content"], [-1.0]))

    with serving(dies, scores) as (bad, good):
        found = model_at(bad, good).score_replies([[Message("user", f"q{n}")] for n in range(12)], 9)
    assert [each.text for each in found] == [f"q{n}" for n in range(12)]
    assert {each.log_probability for each in found} == {-1.0} and bad.asked and len(good.asked) == 12


def test_no_client_of_eight_loses_its_request_when_a_server_dies_under_all_of_them():
    under_way = threading.Barrier(8)

    def reply(other: Reply | None) -> Callable[[dict], Reply]:
        def made(body: dict) -> Reply:
            if first:
                first.pop()
                under_way.wait(LONG)
                if other is not None:
                    return other
            return stream(body["messages"][-1]["content"])

        first = [None] * 4
        return made

    with serving(reply(DIES_SILENT), reply(None)) as (bad, good):
        model = model_at(bad, good)
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(lambda n: said(model, [Message("user", f"q{n}")]), range(8)))
    assert answers == [f"q{n}" for n in range(8)] and counts(bad, good) == [4, 8]


def test_what_cannot_succeed_is_not_asked_of_others():
    with serving(page({"error": {"message": "maximum context length is 9"}}, 400), GOOD) as (a, b):
        model = model_at(a, b)
        with pytest.raises(Problem, match=f"127.0.0.1:{a.port} finds the question with its passages too long"):
            said(model)
        assert said(model) == SAID
        with pytest.raises(Problem):  # it is no fault of the server's, which has its turn again
            said(model)
    assert counts(a, b) == [2, 1]


def test_where_none_answers_that_is_said_of_all(waits):
    ports = [free_port(), free_port()]
    addresses, hosts = (f" {word} ".join(f"{before}127.0.0.1:{port}{after}" for port in ports)
                        for word, before, after in ((",", "http://", "/v1"), ("or", "", "")))  # fmt: skip
    with pytest.raises(Problem) as caught:
        said(ServedModel(addresses, "small"))
    assert str(caught.value) == f"Nothing answers at {hosts}; check the address and that the model server runs."
    assert len(waits) == 2  # five attempts: both servers, and again after each wait
    with pytest.raises(Problem, match="^Nothing answers at the address that is set; check"):
        said(ServedModel(addresses, "small", called="the address that is set"))


def test_where_all_are_busy_the_shortest_wait_that_one_asks_for_is_waited(waits):
    with ExitStack() as stack:
        a = stack.enter_context(ChatServer(page("later", 503, **{"Retry-After": "900"})))
        b = stack.enter_context(ChatServer(page("later", 503, **{"Retry-After": "3"}), GOOD))
        assert said(model_at(a, b)) == SAID
    assert waits == [3.0] and counts(a, b) == [1, 2]


def test_where_all_stay_busy_that_is_said_after_as_many_attempts_as_there_are():
    with serving(*[page("later", 503)] * 3) as found:
        with pytest.raises(Problem, match="is too busy .status 503.; try again later: later"):
            said(model_at(*found))
    assert sum(counts(*found)) == ATTEMPTS - 1 + 3 and min(counts(*found)) == 2


def test_all_that_are_silent_are_asked_once():
    with serving(*[Reply([BEGIN], hold=True)] * 2) as (a, b):
        with pytest.raises(Problem, match="said nothing for 0.3 seconds"):
            said(model_at(a, b, timeout=0.3))
    assert counts(a, b) == [1, 1]


def test_a_server_that_gives_no_probabilities_is_passed_over_for_them_alone():
    refuses = choosy(lambda body: "logprobs" not in body, page({"error": "logprobs are not supported"}, 400), GOOD)
    gives = choosy(lambda body: "logprobs" not in body, scored_stream(("112", [-1.0])), GOOD)
    with serving(refuses, gives) as (a, b):
        model = model_at(a, b)
        assert [each.text for each in model.score_replies([CHAT] * 3, 9)] == ["112"] * 3
        assert [said(model) for _ in range(2)] == [SAID] * 2
    assert len(b.asked) == 4 and "logprobs" not in a.asked[-1].body


def test_what_a_server_does_not_take_is_left_out_for_it_alone():
    strict = choosy(lambda body: "temperature" not in body, page({"error": "temperature is unknown"}, 400), GOOD)
    with serving(strict, GOOD) as (a, b):
        model = model_at(a, b)
        for _ in range(6):
            said(model)
    assert ["temperature" in asked.body for asked in a.asked][:1] == [True]
    assert not any("temperature" in asked.body for asked in a.asked[1:]) and len(a.asked) >= 3
    assert all("temperature" in asked.body for asked in b.asked) and len(b.asked) >= 3


@pytest.mark.parametrize(("seconds", "asked"), [(0.0, [1, 2]), (900.0, [2, 1])], ids=["long", "not long"])
def test_a_server_counts_as_failed_that_was_silent_for_long_when_it_was_stopped(seconds, asked, monkeypatch):
    monkeypatch.setattr(served, "SUSPECT", seconds)
    with ExitStack() as stack:
        silent = stack.enter_context(ChatServer(Reply([BEGIN], hold=True), GOOD))
        good = stack.enter_context(ChatServer(GOOD))
        model, stop = model_at(silent, good), Cancellation()

        def ask() -> None:
            with cancelled_by(stop), pytest.raises(Problem):
                said(model)

        thread = threading.Thread(target=ask)
        thread.start()
        wait_for(lambda: silent.asked)
        stop.set()
        assert ended(thread)
        assert [said(model) for _ in range(2)] == [SAID] * 2
    assert counts(silent, good) == asked


# Servers that come back


def test_a_server_that_comes_back_is_looked_at_and_used_again(clock):
    port = free_port()
    with serving(GOOD) as (good,):
        model = ServedModel(f"http://127.0.0.1:{port}/v1 {good.url}", "small")
        assert said(model) == SAID
        with ChatServer(GOOD, port=port) as back:
            said(model)
            assert counts(back) == [0] and back.looks == []  # its pause is not over
            clock.now += 1.0
            said(model)
            wait_for(lambda: back.looks == ["/v1/models"])
            wait_for(lambda: model._servers.all[0].until is None)
            said(model)
            assert counts(back) == [1]
            said(model), said(model)
            assert counts(back) == [2] and len(good.asked) == 4 and len(back.looks) == 1


def test_the_pause_grows_while_looks_fail_and_is_forgotten_after_a_whole_answer(clock):
    with ExitStack() as stack:
        bad = stack.enter_context(ChatServer(page("oh", 500), GOOD))
        good = stack.enter_context(ChatServer(GOOD))
        model = model_at(bad, good)
        left_out = model._servers.all[0]
        bad.well = False
        said(model)
        for looks, pause in enumerate((1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0), start=1):
            assert left_out.until == clock.now + pause
            clock.now += pause - 0.1
            said(model)
            assert len(bad.looks) == looks - 1
            clock.now += 0.1
            said(model)
            wait_for(lambda n=looks: len(bad.looks) == n and not left_out.looking)
        bad.well = True
        clock.now += 60.0
        said(model)
        wait_for(lambda: left_out.until is None)
        assert left_out.failures == 9
        said(model)
        assert counts(bad) == [2] and left_out.failures == 0


def test_a_server_is_left_out_for_as_long_as_it_asks(clock):
    with serving(page("later", 503, **{"Retry-After": "45"}), GOOD) as (busy, good):
        model = model_at(busy, good)
        said(model)
        clock.now += 44.0
        said(model)
        assert busy.looks == []
        clock.now += 1.0
        said(model)
        wait_for(lambda: busy.looks)


def test_one_that_failed_gets_a_single_request_until_it_has_answered(clock):
    hangs = Reply([event("on ")], hold=True)
    with ExitStack() as stack:
        bad = stack.enter_context(ChatServer(page("oh", 500), hangs, GOOD))
        good = stack.enter_context(ChatServer(GOOD))
        model = model_at(bad, good)
        said(model)
        clock.now += 1.0
        said(model)
        wait_for(lambda: model._servers.all[0].until is None)
        slow = model.reply(CHAT, 9)
        assert next(slow) == "on " and counts(bad) == [2]
        others = [model.reply(CHAT, 9) for _ in range(3)]
        assert [next(reply) for reply in others] == [SAID] * 3 and counts(bad) == [2]
        for reply in (slow, *others):
            reply.close()


def test_the_key_goes_with_looks_too_and_to_no_other_address(clock, monkeypatch):
    looked = []
    monkeypatch.setattr(served, "answers", lambda url, key: looked.append((str(url), key)) or True)
    with serving(page("oh", 500), GOOD) as (bad, good):
        model = model_at(bad, good, key="sk-1234567")
        said(model)
        clock.now += 1.0
        said(model)
        wait_for(lambda: looked)
    assert looked == [(f"{bad.url}/models", "sk-1234567")]
    assert {asked.headers["authorization"] for asked in (*bad.asked, *good.asked)} == {"Bearer sk-1234567"}
