"""What requests have in common stands first and is the same to the byte, so that a server that keeps the beginnings of
prompts computes it once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from os.path import commonprefix

import pytest
from PIL import Image

from common.passage import Evidence
from generator.answers import Turn
from generator.models.in_context import InContextAnswerer, own_answer
from generator.models.per_passage import PerPassageAnswerer
from generator.models.prompts import RULES, SHORT_RULES
from generator.models.served import ServedModel
from generator.models.server_requests import data_url
from generator.reranking.listwise import Listwise
from generator.reranking.pointwise import Pointwise
from generator.reranking.prompts import HELPS_RULES, ORDER_RULES
from tests.fakes.chat_server import Asked, ChatServer, choosy, page, scored_stream, stream

MANY = [
    Evidence(f"p{n}", f"Animal {n}", f"Animal {n} runs at {n}0 km/h. It is a cat.", "https://example.org", score=0.9)
    for n in range(1, 16)
]
PASSAGES = MANY[:5]
FIRST, SECOND, THIRD = "How fast is it?", "Where does it live?", "What does it eat?"
TURNS = [Turn(FIRST, "It runs at 10 km/h [1]."), Turn(SECOND, "It lives in Norland [2].")]


def photo(colour: str = "red") -> Image.Image:
    """Decoded anew each time, and large enough to be made smaller."""
    return Image.linear_gradient("L").resize((1500, 900)).convert("RGB").point(lambda value: value // len(colour))


def asked_by(*work, reply=None) -> list[Asked]:
    """The requests that a server gets, in their order."""
    reply = reply or choosy(lambda body: "logprobs" not in body, scored_stream(("yes", [-0.1])), stream("It is a cat."))
    with ChatServer(reply) as server:
        model = ServedModel(server.url, "small")
        for each in work:
            each(model)
    return server.asked


def answered(question: str, turns: Sequence[Turn] = (), passages=PASSAGES):
    return lambda model: list(InContextAnswerer(model).answer(question, photo(), passages, turns))


def each_passage(model) -> None:
    list(PerPassageAnswerer(model).answer(FIRST, photo(), PASSAGES))


def common(asked: Sequence[Asked]) -> str:
    return commonprefix([each.text for each in asked])


def beginning(rules: str) -> str:
    """The request as far as the photo."""
    picture = {"type": "image_url", "image_url": {"url": data_url(photo())}}
    system = {"role": "system", "content": rules}
    body = json.dumps({"model": "small", "messages": [system, {"role": "user", "content": [picture]}]})
    return body.removesuffix("]}]}")


def test_the_photo_is_the_same_bytes_however_often_it_is_opened():
    assert data_url(photo()) == data_url(photo()) != data_url(photo("a longer name"))


def test_two_questions_about_a_photo_differ_behind_their_passages():
    asked = asked_by(answered(FIRST), answered(SECOND))
    shared = common(asked)
    assert shared.startswith(beginning(RULES)) and shared.endswith("</passage 2>\\n\\nQuestion: ")
    assert all(json.dumps(each.text)[1:-1] in shared for each in PASSAGES)


def test_questions_with_other_passages_have_rules_and_photo_in_common():
    asked = asked_by(answered(FIRST), answered(SECOND, passages=PASSAGES[::-1]))
    assert common(asked).startswith(beginning(RULES) + ', {"type": "text", "text": "<passage 1>\\nAnimal ')


@pytest.mark.parametrize(
    ("ask", "rules"),
    [
        (each_passage, SHORT_RULES),
        (lambda model: Pointwise(model).order(FIRST, photo(), PASSAGES), HELPS_RULES),
        (lambda model: Listwise(model).order(FIRST, photo(), MANY), ORDER_RULES),
    ],
    ids=["per passage", "pointwise", "listwise"],
)
def test_requests_about_each_passage_differ_behind_the_photo(ask, rules):
    asked = asked_by(ask)
    assert len(asked) >= 2 and common(asked).startswith(beginning(rules))
    assert len({each.text for each in asked}) == len(asked)


def test_the_same_passage_stands_before_another_question():
    asked = asked_by(
        *(lambda model, q=q: Pointwise(model).order(q, photo(), PASSAGES[:1]) for q in (FIRST, SECOND))
    )
    assert common(asked).endswith("</passage 1>\\n\\nQuestion: ")


def test_next_questions_begin_as_those_before():
    first, second, third = asked_by(answered(FIRST), answered(SECOND, TURNS[:1]), answered(THIRD, TURNS))
    assert common([first, second, third]).startswith(beginning(RULES))
    told = json.dumps({"role": "assistant", "content": "It runs at 10 km/h."})
    assert f'"text": "{FIRST}"}}]}}, {told}' in common([second, third])


def test_where_a_server_takes_no_rules_the_photo_stands_first_whatever_is_asked():
    refuses = choosy(
        lambda body: body["messages"][0]["role"] != "system",
        page({"error": "System role not supported"}, 400),
        stream("It is a cat."),
    )
    asked = asked_by(
        answered(FIRST), answered(SECOND), lambda model: list(own_answer(model, FIRST, photo())), reply=refuses
    )
    picture = {"type": "image_url", "image_url": {"url": data_url(photo())}}
    assert len(asked) == 4 and json.dumps(picture) in common(asked[1:])
