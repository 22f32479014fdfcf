"""Proxies of the environment: never for this machine, and a sentence where one cannot be used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import pytest

from common.problems import Problem
from common.proxies import no_proxies, spare_loopback, told_of_proxies

NOBODY = "http://127.0.0.1:9"  # a proxy that does not answer


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *words) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    """Of a server on this machine."""
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in ("no_proxy", "NO_PROXY"):  # so that both are as before in the end
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def test_this_machine_is_asked_without_a_proxy_and_others_with_it(environment, address):
    environment.setenv("HTTP_PROXY", NOBODY)
    environment.setenv("NO_PROXY", "intranet.example, 10.0.0.1")
    with pytest.raises(httpx.HTTPError):
        httpx.get(address)
    spare_loopback("photos.example")
    assert httpx.get(address).status_code == 204
    told = "intranet.example,10.0.0.1,localhost,127.0.0.1,::1,photos.example"
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == told
    with pytest.raises(httpx.ConnectError):
        httpx.get("http://192.0.2.1")  # through the proxy, which is not there: else it would be waited for


def test_nothing_is_set_where_no_proxy_is(environment):
    spare_loopback()
    assert "NO_PROXY" not in os.environ and "no_proxy" not in os.environ


@pytest.mark.parametrize("proxy", [NOBODY, "socks5://127.0.0.1:9", "socks://127.0.0.1:9", "nonsense"])
def test_what_cannot_be_used_fails_nothing_that_needs_none(environment, address, proxy):
    environment.setenv("all_proxy", proxy)
    environment.setenv("NO_PROXY", "intranet.example")
    before = dict(os.environ)
    with no_proxies():
        assert httpx.get(address).status_code == 204
    assert dict(os.environ) == before


def test_a_proxy_that_cannot_be_used_is_told(environment):
    environment.setenv("ALL_PROXY", "socks://someone:secret@127.0.0.1:9")
    with pytest.raises(Problem) as caught, told_of_proxies():
        httpx.Client()
    sentence = str(caught.value)
    assert "httpx[socks]" in sentence and "secret" not in sentence and "\n" not in sentence and sentence.endswith(".")
