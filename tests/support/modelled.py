"""A model for the running app to ask, as far as the browser's tests go."""

from __future__ import annotations

import re
from dataclasses import dataclass

from generator.models.prompts import OWN_RULES, REWRITING_RULES, RULES, SHORT_RULES
from tests.fakes.chat_server import ChatServer, Reply, scored_stream, stream

KEY = "sk-secret-0123456789"


class Model:
    """A model behind a server, as far as these tests ask it: it reads which of the prompts it got.

    `said`: what it says to a question with a word; else that a cheetah runs, and where it sleeps."""

    def __init__(self) -> None:
        self.said: dict[str, Reply] = {}

    def __call__(self, body: dict) -> Reply:
        rules, content = body["messages"][0]["content"], body["messages"][-1]["content"]
        text = content if isinstance(content, str) else content[-1]["text"]
        question = text.splitlines()[-1]
        if rules == REWRITING_RULES:
            return stream("How fast can the cheetah run?" if "fast" in question else "Where does the cheetah sleep?")
        if rules == OWN_RULES:
            return stream("I would say ", "90 km/h <b>or so</b> [1].", pause=0.05)
        if rules == SHORT_RULES:
            speed = re.search(r"run at (\d+ km/h)", text)
            return scored_stream((speed[1] if speed else "unknown", [-0.3, -0.1]))
        assert rules == RULES
        for word, reply in self.said.items():
            if word in question:
                return reply
        lines = text.splitlines()
        number = lines[lines.index("Cheetah") - 1].removeprefix("<passage ").rstrip(">")
        said = f"The cheetah can run at 104 km/h [{number}]. It sleeps in trees at noon [{number}]."
        return stream(*re.findall(r"\S+\s*", said), pause=0.02)


@dataclass
class Modelled:
    """The running app with a model that answers."""

    address: str
    server: ChatServer
    model: Model
