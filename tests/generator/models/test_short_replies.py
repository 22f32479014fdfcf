"""Short replies, and how probable a yes is: of tiny checkpoints by their logits, of servers by what they tell."""

from __future__ import annotations

import json
import math

import pytest
import torch
from PIL import Image

from common.cancellation import Cancellation, cancelled_by
from common.problems import Problem
from generator.models import loading, served
from generator.models.chat import Message, Short
from generator.models.local import LocalModel
from generator.models.served import ServedModel
from generator.models.yes_or_no import first_tokens, first_word, said
from tests.fakes.chat_server import BEGIN, END, ChatServer, Reply, choosy, delta, page, sent, stream
from tests.fakes.tiny_models import build

CHAT = [Message("system", "Be short."), Message("user", "Is it a fox?")]
USAGE = {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 1, "total_tokens": 12}}


# --- yes or no


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Yes.", "yes"), (" **no**, it", "no"), ("YES", "yes"), ("Nothing", ""), ("yesterday", ""), ("", ""), ("1", "")],
)
def test_the_word_that_a_reply_begins_with(text, expected):
    assert said(text) == expected


@pytest.mark.parametrize(
    ("text", "instead", "whole", "expected"),
    [
        ("Yes", [("Yes", 0.6), ("No", 0.2)], 0.6, 0.75),
        ("Yes", [("Yes", 0.4), (" yes", 0.2), ("▁No", 0.2), ("Maybe", 0.2)], None, 0.75),
        ("Yes", [("Yes", 0.9), ("Y", 0.05)], 0.9, 0.9),
        ("No", [("No", 0.9), ("N", 0.05)], 0.9, 0.1),
        ("yes", [("y", 0.9)], 0.8, 0.8), ("no", [], 0.8, 0.2), ("perhaps", [], 0.8, None), ("yes", [], None, None),
    ],
)  # fmt: skip
def test_the_probability_of_a_yes_by_hand(text, instead, whole, expected):
    found = first_word(text, [(token, math.log(share)) for token, share in instead], whole)
    assert found == (None if expected is None else pytest.approx(expected))


def test_tokens_that_begin_both_words_say_nothing():
    spelled = {"yes": [1, 2], "no": [3], " yes": [9, 1], " no": [9, 3], "Yes": [4], "No": [5], " Yes": [9], " No": [9]}
    assert first_tokens(lambda text: spelled.get(text, [])) == ([1, 4], [3, 5])
    assert first_tokens(lambda text: [7]) == ([], [])


# --- in this process


@pytest.fixture(scope="module", params=["qwen2_5_vl", "instructblip"])
def tiny(request, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loading, "cpu_dtype", lambda: torch.float32)
        model = LocalModel(build(request.param, tmp_path_factory.mktemp(request.param)), request.param)
        model.load()
        yield model


def test_a_yes_is_as_probable_as_the_models_own_logits_say(tiny):
    chats = [[CHAT[0], Message("user", text, Image.new("RGB", (40, 30), colour))] for text, colour in
             (("Is it a fox?", "red"), ("Is it a long bridge that was built of stone?", "blue"), ("Why?", "green"),
              ("Who?", "grey"), ("Is it?", "white"))]  # fmt: skip
    found = tiny.short_replies(chats, 4, yes=True)
    loaded = tiny._loaded
    yes, no = first_tokens(lambda text: loaded.texts.tokenizer.encode(text, add_special_tokens=False))
    expected = []
    for chat in chats:
        inputs = loaded.inputs.prepare([chat], 4)
        made = loaded.checkpoint.model.generate(
            **inputs, max_new_tokens=1, output_logits=True, return_dict_in_generate=True
        )
        shares = torch.softmax(made.logits[0][0], -1)
        expected.append(float(shares[yes].sum() / (shares[yes].sum() + shares[no].sum())))
    assert [each.yes for each in found] == pytest.approx(expected, abs=1e-4)
    assert max(expected) - min(expected) > 1e-3
    scored = tiny.score_replies(chats, 4)
    assert [each.text for each in found] == [each.text for each in scored]
    assert all(0 < each.tokens < 1_000 for each in found)
    assert [each.yes for each in tiny.short_replies(chats[:1], 4)] == [None]


def test_it_stops_when_nobody_waits(tiny):
    stop = Cancellation()
    stop.set()
    with cancelled_by(stop), pytest.raises(Problem):
        tiny.short_replies([CHAT] * 9, 4)


# --- behind a server


def token(text: str, instead: dict[str, float] | None = None, probability: float = 0.5, finish=None) -> dict:
    told = {"token": text, "logprob": math.log(probability)}
    if instead is not None:
        told["top_logprobs"] = [{"token": each, "logprob": math.log(share)} for each, share in instead.items()]
    event = delta(finish, content=text)
    event["choices"][0]["logprobs"] = {"content": [told]}
    return event


def asked_of(*replies, yes: bool = True, count: int = 1) -> tuple[list[Short], list[dict]]:
    with ChatServer(*replies) as server:
        found = ServedModel(server.url, "small").short_replies([CHAT] * count, 4, yes)
    return found, [each.body for each in server.asked]


def test_a_server_tells_what_the_first_word_could_have_been():
    tokens = [token("\n", {"\n": 1.0}), token("Yes", {"Yes": 0.6, "No": 0.3}), token(".", {"No": 1.0}, finish="stop")]
    [found], [body] = asked_of(sent(*tokens, USAGE))
    assert (found.text, found.tokens) == ("Yes.", 12) and found.yes == pytest.approx(2 / 3)
    assert body["logprobs"] is True and body["top_logprobs"] == 5 and body["stream_options"] == {"include_usage": True}
    assert body["chat_template_kwargs"] == {"enable_thinking": False} and body["max_tokens"] == 4


def test_without_yes_no_probability_is_asked_for():
    [found], [body] = asked_of(sent(token("2 > 1", None, finish="stop")), yes=False)
    assert found == Short("2 > 1", None, None) and not {"logprobs", "top_logprobs"} & set(body)


@pytest.mark.parametrize(
    ("refused", "left", "expected"),
    [
        ("Unknown parameter: 'top_logprobs'", {"logprobs"}, 0.3),
        ("logprobs is not supported by this model", set(), None),
        ("stream_options: extra inputs are not permitted", {"logprobs", "top_logprobs"}, 0.3),
    ],
)
def test_what_a_server_refuses_is_left_out(refused, left, expected):
    name = refused.split()[2].strip("'") if "Unknown" in refused else refused.split()[0].strip(":")
    good = sent(token("no", None, 0.7, "stop"))
    if not left:
        good = stream("no")
    found, bodies = asked_of(choosy(lambda body: name not in body, page({"error": refused}, 400), good))
    assert found[0].text == "no" and found[0].yes == (None if expected is None else pytest.approx(expected))
    assert {"logprobs", "top_logprobs"} & set(bodies[-1]) == left and len(bodies) == 2


def test_a_reply_that_is_not_streamed_tells_as_much():
    tops = [{"token": " Yes", "logprob": math.log(0.8)}, {"token": " no", "logprob": math.log(0.2)}]
    told = {"content": [{"token": " Yes", "logprob": -0.1, "top_logprobs": tops}]}
    choice = {"message": {"role": "assistant", "content": " Yes"}, "finish_reason": "stop", "logprobs": told}
    whole = {"object": "chat.completion", "usage": {"total_tokens": 30}, "choices": [choice]}
    [found], _ = asked_of(page(whole))
    assert (found.text, found.tokens) == ("Yes", 30) and found.yes == pytest.approx(0.8)


@pytest.mark.parametrize(
    "top", [None, "x", [None], [{"token": "yes"}], [{"token": "yes", "logprob": "high"}], [{"logprob": math.nan}], {}]
)
def test_probabilities_that_are_none_leave_the_word(top):
    event = delta("stop", content="yes")
    event["choices"][0]["logprobs"] = {"content": [{"token": "yes", "logprob": None, "top_logprobs": top}]}
    [found], _ = asked_of(Reply([BEGIN, f"data: {json.dumps(event)}\n\n".encode(), END]))
    assert found.text == "yes" and found.yes is None


def test_after_a_thought_only_the_word_counts():
    pieces = [token("<think>", {"yes": 0.9, "no": 0.1}), token("hm</think>"), token("no", {"no": 0.9}, finish="stop")]
    [found], _ = asked_of(sent(*pieces))
    assert found.text == "no" and found.yes is None
    [found], _ = asked_of(stream(""))
    assert found == Short("", None, 9)


def test_several_are_asked_at_once_and_a_problem_ends_all(monkeypatch):
    monkeypatch.setattr(served.Cancellation, "wait", lambda stop, seconds: False)
    found, bodies = asked_of(stream("no"), count=9)
    assert len(found) == len(bodies) == 9
    with pytest.raises(Problem, match="has failed"):
        asked_of(page({"error": "x"}, 500), count=3)
    with pytest.raises(Problem, match="more than 0.2 seconds"), ChatServer(
        Reply([BEGIN, b": nothing\n\n" * 3, *[b'data: {"choices":[{"delta":{"content":"y"}}]}\n\n'] * 400], pause=0.02)
    ) as server:
        ServedModel(server.url, "small", timeout=0.2).short_replies([CHAT], 4)


