"""A browser as the Annotate tab's script asks from it, without the script."""

from __future__ import annotations

import json

from starlette.testclient import TestClient


class Browser:
    def __init__(self, client: TestClient) -> None:
        self.client = client

    def _post(self, name: str, told: dict):
        headers = {"content-type": "application/json"}
        return self.client.post(f"/annotation/do/{name}", content=json.dumps(told), headers=headers)

    def ask(self, name: str, /, **told: object):
        reply = self._post(name, told)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def refused(self, name: str, status: int, words: str, /, **told: object) -> str:
        reply = self._post(name, told)
        sentence = reply.json()["problem"]
        assert (reply.status_code, sentence[-1]) == (status, ".") and words in sentence, reply.text
        return sentence

    def named(self, name: str) -> Browser:
        self.ask("enter", name=name)
        return self


def in_it(browser: Browser, project: str = "cats") -> dict:
    return browser.ask("next", project=project)["item"]
