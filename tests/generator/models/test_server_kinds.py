"""What servers of many kinds really send, asked through the served model as the service does."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from common.cancellation import Cancellation
from common.passage import Evidence
from common.problems import Problem
from generator.answers import BROKE_OFF
from generator.models.in_context import InContextAnswerer, own_answer
from generator.models.per_passage import PerPassageAnswerer
from generator.models.served import ATTEMPTS, ServedModel
from tests.fakes.chat_server import ChatServer, Reply, choosy, delta, page, scored_stream, sent, stream

CHEETAH = Evidence("c", "Cheetah", "The cheetah runs at 112 km/h. It is a cat.", "https://example.org/c", score=0.9)
LAKE = Evidence("l", "Lake Orla", "Lake Orla is a lake.", "https://example.org/l", score=0.8)
SAID = "It runs at 112 km/h [1]."
PHOTO = Image.new("RGB", (4, 4))
KEY = "sk-Zq8vW3xLm5Tt"


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(Cancellation, "wait", lambda stop, seconds: False)


def ask(*replies, model=None, **options):
    """The answer of a server and what it was asked."""
    with ChatServer(*replies) as server:
        model = model or ServedModel(server.url, "small", **options)
        *_, answer = InContextAnswerer(model).answer("How fast is it?", PHOTO, [CHEETAH])
    return answer, server


def problem_of(*replies, **options) -> tuple[str, ChatServer]:
    with ChatServer(*replies) as server, pytest.raises(Problem) as caught:
        list(InContextAnswerer(ServedModel(server.url, "small", **options)).answer("How fast?", PHOTO, [CHEETAH]))
    problem = str(caught.value)
    assert problem.endswith(".") and "\n" not in problem and len(problem) < 500 and KEY not in problem
    return problem, server


# Replies of every form


THINKS = delta(reasoning_content="The photo shows a big cat and the passages say")
END = delta("stop")
LOGS = {"content": [{"token": token, "logprob": -0.5} for token in ("<think>", "40?", "</think>", "112", " km/h")]}


@pytest.mark.parametrize(
    "reply",
    [
        stream(SAID),
        sent(delta(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]),
             delta(content=[{"type": "text", "text": SAID}]), END),
        sent(delta(content=["It runs ", {"type": "output_text", "text": "at 112 km/h [1]."}]), END),
        page({"choices": [{"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}]}),
        page({"choices": [{"message": {"content": [{"type": "text", "text": SAID}]}, "finish_reason": "stop"}]}),
        page({"choices": [{"message": {"content": SAID, "reasoning": "hm"}, "finish_reason": "eos"}]}),
        page([{"choices": [{"message": {"content": f"<think>hm</think>{SAID}"}, "finish_reason": "stop"}]}]),
        Reply(stream(SAID).chunks, headers={"Content-Type": "application/json"}),
        Reply(page({"choices": [{"message": {"content": SAID}, "finish_reason": "stop"}]}).chunks),
        sent(delta(content="<|channel|>analysis<|message|>The user asks"),
             delta(content=f"<|end|><|start|>assistant<|channel|>final<|message|>{SAID}"), END),
        sent(THINKS, delta(reasoning="and"), delta(thinking="so"), delta(content=SAID), END),
        sent({"type": "ping"}, {"choices": [], "prompt_filter_results": []}, delta(content=SAID), END, {"usage": {}}),
        Reply([b'data: {"choices": [{"delta": {"content": "It runs at 112 km/h [1]."}, "finish_reason": "stop"}]}']),
    ],
    ids=["plain", "Mistral's parts", "texts among parts", "no stream", "no stream, parts", "no stream, thought",
         "no stream, in a list", "a stream called JSON", "JSON called a stream", "harmony", "thought", "other events",
         "no end of line"],
)  # fmt: skip
def test_an_answer_is_read_in_whatever_form_it_comes(reply):
    answer, server = ask(reply)
    assert answer.text == SAID and answer.answered and not answer.broken and len(server.asked) == 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (sent(THINKS, delta("length")), "its length thinking; give it more room with CITESIGHT_THINKING_TOKENS"),
        (stream("<think>The photo shows", finish="length"), "used up its length thinking"),
        (sent(delta(content=""), delta("length")), "used up its length before it said anything"),
        (page({"choices": [{"message": {"content": None, "reasoning_content": "hm"}, "finish_reason": "length"}]}),
         "used up its length thinking"),
        (page({"choices": [{"message": {"content": ""}, "finish_reason": "length"}],
               "usage": {"completion_tokens_details": {"reasoning_tokens": 77}}}), "used up its length thinking"),
        (sent(THINKS, END), "thought and said nothing"),
        (stream(""), "answered with nothing"),
        (stream(" … "), "answered with nothing"),
        (stream("**[1]**"), "answered with nothing"),
        (stream("—"), "answered with nothing"),
    ],
)  # fmt: skip
def test_nothing_said_is_no_answer(reply, words):
    problem, server = problem_of(reply)
    assert words in problem and len(server.asked) == 1


def test_a_refusal_is_told_in_the_model_s_words():
    words = "I'm sorry, I can't help with identifying people."
    for reply in (
        sent(delta(refusal=words[:9]), delta(refusal=words[9:]), END),
        sent(delta(content=[{"type": "refusal", "refusal": words}]), END),
        page({"choices": [{"message": {"content": None, "refusal": words}, "finish_reason": "stop"}]}),
    ):
        problem, _ = problem_of(reply)
        assert problem.endswith(f"refuses to answer: {words}")


FORMS = [
    {"error": {"code": "server_error", "message": "Provider gone"},
     "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]},
    {"object": "error", "message": "Provider gone", "type": "InternalServerError", "param": None, "code": 500},
    {"error": {"message": "Provider gone", "code": 500}},
    {"error": "Provider gone", "error_type": "generation"},
    {"type": "error", "error": {"type": "overloaded_error", "message": "Provider gone"}},
    {"choices": [{"index": 0, "delta": {}, "error": {"code": 502, "message": "Provider gone"}}]},
    {"detail": "Provider gone"},
    'event: error\ndata: {"message": "Provider gone"}',
    "event: error\ndata: Provider gone",
    'error: {"code": 500, "message": "Provider gone", "type": "server_error"}',
    'data: [{"error": {"code": 503, "message": "Provider gone", "status": "UNAVAILABLE"}}]',
]  # fmt: skip


@pytest.mark.parametrize("form", FORMS, ids=range(len(FORMS)))
def test_an_error_in_the_middle_breaks_the_answer_off_in_the_server_s_words(form):
    answer, server = ask(sent(delta(content="It runs at 112 km/h [1]. It is a "), form))
    assert answer.text == "It runs at 112 km/h [1]. It is a …"
    assert not answer.answered and not answer.speaks and not answer.named and answer.reason == BROKE_OFF
    assert answer.broken.endswith("ended the answer with an error; ask again: Provider gone.")
    assert len(server.asked) == 1
    problem, _ = problem_of(sent(form))
    assert problem.endswith("Provider gone.")


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (sent(delta(content="It runs at "), delta("error")), "ended the answer with an error; ask again."),
        (sent(delta(content="It runs at "), delta("abort")), "ended the answer with an error; ask again."),
        (sent(delta(content="It runs at "), delta("content_filter")), "cut the answer off; ask in other words."),
        (sent(delta(content="It runs at "), delta("SAFETY")), "cut the answer off; ask in other words."),
        (sent(delta(content="It runs at "), delta("stop", refusal="No.")), "refuses to answer: No."),
        (Reply([b'data: {"choices": [{"delta": {"content": "It runs at "}}]}\n\n']), "ended in the middle; ask again."),
        (sent(delta(content="It runs at "), "data: {"), "not JSON; ask again."),
    ],
)
def test_whatever_breaks_an_answer_off_leaves_what_came(reply, words):
    answer, _ = ask(reply)
    assert answer.text == "It runs at …" and not answer.answered and answer.broken.endswith(words)


def test_what_a_model_says_itself_breaks_off_with_the_same_words():
    with ChatServer(sent(delta(content="It runs at "), FORMS[1])) as server:
        said = []
        with pytest.raises(Problem, match="Provider gone"):
            said += own_answer(ServedModel(server.url, "small"), "How fast?", None)  # what came is told before
    assert "".join(said) == "It runs at"


def test_words_of_an_error_are_bounded_and_plain_and_hold_no_key():
    hostile = f"<script>\u202e{'x' * 3000}</script>\n[a](http://evil.example)"
    for words in ("at http://10.0.0.7:80/v1?a", "at 10.0.0.7:80"):
        assert problem_of(page({"detail": words}, 400))[0].endswith("(status 400): at (address left out).")
    for words in (hostile, f"key {KEY}", {"a": 1}, ["b"], 7):
        answer, _ = ask(sent(delta(content="It runs "), {"error": {"message": words}}), key=KEY)
        assert len(answer.broken) < 400 and "\n" not in answer.broken and "\u202e" not in answer.broken
        assert KEY not in answer.broken and answer.text == "It runs …"


def test_long_thinking_is_life_and_not_silence():
    """Thoughts come for longer than the silence that is borne, many at a time."""
    with ChatServer(sent(*[THINKS] * 30, delta(content=SAID), END)) as server:
        model = ServedModel(server.url, "small", timeout=9.0)
        ticks = iter(range(1000))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("generator.models.served.monotonic", lambda: 0.18 * next(ticks))
            assert "".join(model.reply([], 9)) == SAID


def test_thoughts_do_not_count_among_what_may_be_said():
    thought = "<think>" + "and so on " * 2_000 + "</think>"
    answer, _ = ask(stream(*(thought[i : i + 500] for i in range(0, len(thought), 500)), SAID))
    assert answer.text == SAID and answer.answered


# Answers from each passage alone


def each(*replies, passages=(CHEETAH, LAKE)):
    with ChatServer(*replies) as server:
        *_, answer = PerPassageAnswerer(ServedModel(server.url, "small")).answer("How fast?", PHOTO, passages)
    return answer, server


def logs(token: str, value: float, **said) -> dict:
    event = delta(**said)
    event["choices"][0]["logprobs"] = {"content": [{"token": token, "logprob": value}]}
    return event


def of_the_cheetah(reply: Reply, other: Reply):
    return lambda body: reply if "Cheetah" in json.dumps(body["messages"]) else other


@pytest.mark.parametrize(
    "thinks",
    [
        sent(logs("hm", -0.001, reasoning_content="hm"), delta("length")),
        sent(logs("<think>", -0.001, content="<think>"), logs("hm", -0.001, content="hm"), delta("length")),
        scored_stream(("…", [-0.001])),
    ],
)
def test_a_thought_does_not_win_with_its_probability(thinks):
    answer, _ = each(of_the_cheetah(scored_stream(("112 km/h", [-2.0])), thinks))
    assert answer.text == "112 km/h [1]" and [c.text for c in answer.candidates] == ["112 km/h", ""]


def test_only_thoughts_for_every_passage_are_no_answer():
    with pytest.raises(Problem, match="used up its length thinking"):
        each(sent(logs("hm", -0.001, reasoning_content="hm"), delta("length")))


@pytest.mark.parametrize(
    "reply",
    [
        sent(logs("hm", -3.0, reasoning_content="hm"), logs("112", -0.5, content="112"),
             logs(" km/h", -0.5, content=" km/h"), END),
        sent(*(logs(t["token"], t["logprob"], content=t["token"]) for t in LOGS["content"]), END),
        page({"choices": [{"message": {"content": "<think>40?</think>112 km/h"}, "logprobs": LOGS,
                           "finish_reason": "stop"}]}),
        page({"choices": [{"message": {"content": "112 km/h", "reasoning_content": "40?"}, "logprobs": LOGS,
                           "finish_reason": "stop"}]}),
    ],
    ids=["beside", "among the text", "whole", "whole, beside"],
)  # fmt: skip
def test_a_probability_is_that_of_what_is_said_alone(reply):
    with ChatServer(reply) as server:
        [scored] = ServedModel(server.url, "small").score_replies([[]], 9)
    assert (scored.text, scored.log_probability, scored.thought) == ("112 km/h", -1.0, True)


# What servers refuse


def refusal(message: str, status: int = 400, **more) -> Reply:
    return page({"error": {"message": message, "type": "invalid_request_error", **more}}, status)


NO_LENGTH = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
NO_SYSTEM = {"object": "error", "message": "Prompting with images is incompatible with system messages.", "code": 400}


def lacks(*names):
    return lambda body: not set(names) & body.keys()


def has_no_system(body) -> bool:
    return all(message["role"] != "system" for message in body["messages"])


@pytest.mark.parametrize(
    ("accepts", "refused", "asked"),
    [
        (lacks("max_tokens", "temperature"), refusal(NO_LENGTH), 2),
        (lacks("temperature"), refusal("Unsupported value: 'temperature' does not support 0 with this model."), 2),
        (lacks("temperature"), page({"detail": [{"type": "extra_forbidden", "loc": ["body", "temperature"],
                                                 "msg": "Extra inputs are not permitted"}]}, 422), 2),
        (has_no_system, page(NO_SYSTEM, 400), 2),
        (has_no_system, page({"error": {"code": 500, "message": "Jinja: System role not supported"}}, 500), 2),
        (has_no_system, page([{"error": {"message": "Developer instruction is not enabled for gemma-3"}}], 400), 2),
        (has_no_system, refusal("Unsupported value: 'messages[0].role' does not support 'system' with this model."), 2),
        (lambda body: not body["stream"], refusal("Your organization must be verified to stream this model.",
                                                  param="stream"), 2),
        (lacks("max_tokens", "max_completion_tokens"),
         refusal("Neither max_tokens nor max_completion_tokens is supported"), 3),
    ],
    ids=["length", "temperature", "temperature, in a list", "system", "system, by the template", "system, Gemma's",
         "system, by name", "stream", "length of any name"],
)  # fmt: skip
def test_what_a_server_refuses_is_left_out_and_stays_so(accepts, refused, asked):
    with ChatServer(choosy(accepts, refused, stream(SAID))) as server:
        model = ServedModel(server.url, "small")
        for _ in range(2):
            *_, answer = InContextAnswerer(model).answer("How fast is it?", PHOTO, [CHEETAH])
            assert answer.text == SAID
    assert len(server.asked) == asked + 1  # the second question is asked once
    assert all("Use only what the passages say" in json.dumps(each.body["messages"]) for each in server.asked)


def test_the_new_name_of_the_length_says_the_same():
    _, server = ask(choosy(lacks("max_tokens"), refusal(NO_LENGTH), stream(SAID)), thinking=2000)
    assert [each.body.get("max_tokens") for each in server.asked] == [2512, None]
    assert server.asked[1].body["max_completion_tokens"] == 2512


def test_a_short_answer_is_asked_for_without_thought_as_far_as_the_server_allows():
    short = scored_stream(("112 km/h", [-1.0]))
    _, server = each(short)
    assert server.asked[0].body["chat_template_kwargs"] == {"enable_thinking": False}
    assert server.asked[0].body["reasoning_effort"] == "none"

    def strict(body):
        if body.get("reasoning_effort") == "none":
            return refusal("'reasoning_effort' does not support 'none'. Supported values: 'low', 'medium' and 'high'.")
        if body.get("reasoning_effort") == "minimal":
            return refusal("'reasoning_effort' does not support 'minimal'. Supported values: 'low' and 'high'.")
        if "chat_template_kwargs" in body:
            return refusal("Unrecognized request argument supplied: chat_template_kwargs")
        return short

    answer, server = each(strict, passages=[CHEETAH])
    assert answer.text == "112 km/h [1]" and server.asked[-1].body["reasoning_effort"] == "low"
    answer, server = each(choosy(lacks("reasoning_effort"), refusal("Unknown name: reasoning_effort"), short))
    assert answer.text == "112 km/h [1]"
    _, server = ask(stream(SAID))
    assert lacks("reasoning_effort", "chat_template_kwargs", "logprobs")(server.asked[0].body)


def test_where_probabilities_are_refused_that_is_said_and_not_asked_again():
    with ChatServer(choosy(lacks("logprobs"), refusal("logprobs are not supported"), stream("112"))) as server:
        model = ServedModel(server.url, "small")
        for _ in range(2):
            with pytest.raises(Problem, match="gives no probabilities of its tokens; ask for one answer from all"):
                list(PerPassageAnswerer(model).answer("How fast?", PHOTO, [CHEETAH]))
    assert len(server.asked) == 1


def test_a_server_that_refuses_everything_is_not_asked_for_ever():
    problem, server = problem_of(refusal(f"{NO_LENGTH} temperature 'stream' system role"))
    assert "refuses the request (status 400): Unsupported parameter" in problem and len(server.asked) <= 4


# What servers say of errors


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "It is so"}}, "It is so"),
        ({"error": "It is so"}, "It is so"),
        ({"error": {"type": "x", "error": {"msg": "It is so"}}}, "It is so"),
        ({"object": "error", "message": "It is so"}, "It is so"),
        ({"message": {"detail": [{"loc": ["body", "seed"], "msg": "It is so"}]}}, "seed: It is so"),
        ({"detail": "It is so"}, "It is so"),
        ({"detail": [{"loc": ["body", "a"], "msg": "It is so"}, {"loc": ["b"], "msg": "too"}]}, "a: It is so; b: too"),
        ([{"error": {"code": 400, "message": "It is so", "status": "INVALID_ARGUMENT"}}], "It is so"),
        ({"error": {"message": "Provider returned error", "metadata": {"raw": '{"error": {"message": "It is so"}}'}}},
         "Provider returned error: It is so"),
        ({"errors": [{"message": "It is so"}]}, "It is so"),
        ("It is so\n", "It is so"),
    ],
)  # fmt: skip
def test_the_server_s_reason_is_told_from_every_form_of_error(body, words):
    problem, server = problem_of(page(body, 400))
    assert problem.endswith(f"refuses the request (status 400): {words}.") and len(server.asked) == 1
    assert problem_of(page(body, 404))[0].endswith(f"(status 404); check both: {words}.")
    assert problem_of(page(body, 403), key=KEY)[0].endswith(f"(status 403); check the key: {words}.")
    problem, server = problem_of(page(body, 503))
    assert problem.endswith(f"is too busy (status 503); try again later: {words}.") and len(server.asked) == ATTEMPTS


@pytest.mark.parametrize(
    ("status", "message", "words"),
    [
        (400, "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens", "too long"),
        (400, "'max_tokens' is too large: 512. This model's maximum context length is 4096 tokens", "too long"),
        (500, "the request exceeds the available context size, try increasing it", "too long"),
        (413, "Request Entity Too Large", "too long"),
        (429, "You exceeded your current quota, please check your plan and billing details.", "quota is used up"),
        (402, "Insufficient Balance", "quota is used up"),
        (500, "image input is not supported - hint: you may need to provide the mmproj", "takes no images"),
        (404, "No endpoints found that support image input", "takes no images"),
        (400, "small is not a multimodal model", "takes no images"),
        (400, "Invalid content type. image_url is only supported by certain models.", "takes no images"),
        (422, "messages[1]: unknown variant `image_url`, expected `text`", "takes no images"),
        (404, 'model "small" not found, try pulling it first', "has no such model"),
        (404, "The model `small-2.5` does not exist.", "has no such model"),
        (500, "unknown model: small", "has no such model"),
        (400, "Unable to process input image.", "refuses the request (status 400): Unable to process input image."),
        (501, "Not Implemented", None),
    ],
)
def test_what_cannot_succeed_is_asked_once_and_explained(status, message, words):
    problem, server = problem_of(page({"error": {"message": message}}, status))
    if words is None:
        return
    assert words in problem and message.rstrip(".")[:150] in problem and len(server.asked) == 1


def test_a_quota_that_comes_back_is_waited_for():
    message = "You exceeded your current quota, please check your plan. Please retry in 12.3s."
    answer, server = ask(page({"error": {"message": message}}, 429, **{"Retry-After": "12"}), stream(SAID))
    assert answer.text == SAID and len(server.asked) == 2


@pytest.mark.parametrize("body", [{"error": {"message": "no such model", "code": 404}}, {"detail": "no such model"}])
def test_an_error_that_comes_as_success_is_one(body):
    problem, server = problem_of(page(body))
    assert "has no such model; check its name: no such model." in problem and len(server.asked) == 1


def test_bodies_without_end_and_without_bottom():
    problem_of(page("[" * 100_000, 400))
    problem_of(page("[" * 100_000))
    deep = json.loads('{"error": ' * 50 + '"x"' + "}" * 50)
    problem_of(page(deep, 400))
    problem, _ = problem_of(Reply([b'{"choices": "' + b"x" * 65536], headers={"Content-Type": "application/json"},
                                  repeat=True))  # fmt: skip
    assert "too long" in problem
