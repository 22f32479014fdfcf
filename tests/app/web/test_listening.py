"""Where the page listens, and what is said where it cannot."""

from __future__ import annotations

import errno
import os
import re
import socket

import httpx
import pytest
from gradio import networking

from app.service.starting_service import StartingService
from app.settings import load_settings
from app.web import listening
from app.web.listening import check_listening
from app.web.page import build_page, launch
from common.problems import Problem
from tests.support.ports import free_port


def refused(host: str, port: int) -> str:
    with pytest.raises(Problem) as caught:
        check_listening(host, port)
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


def ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_another_program_has_the_port():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for host in ("127.0.0.1", "localhost", "0.0.0.0"):
            assert re.match(rf"Port {port} on .* is taken by another program", refused(host, port))
    check_listening("127.0.0.1", port)


def test_what_is_no_address_of_this_machine():
    assert "192.0.2.1 is no address of this machine" in refused("192.0.2.1", free_port())


def test_a_name_that_nobody_has(monkeypatch):
    assert "No machine is known by the name 'a..b'" in refused("a..b", 7860)

    def unknown(*_where, **_how):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(listening.socket, "getaddrinfo", unknown)
    assert "No machine is known by the name 'photos.example'" in refused("photos.example", 7860)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EACCES, "Port 80 may not be used by this user"),
        (errno.EAFNOSUPPORT, "::1 is no address of this machine"),
        (errno.EMFILE, f"cannot listen on ::1, port 80 ({os.strerror(errno.EMFILE)})"),
    ],
)
def test_other_causes(monkeypatch, number, said):
    def fails(*_where):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(listening.socket, "socket", fails)
    assert said in refused("::1", 80)


@pytest.mark.skipif(not ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("host", ["::1", "[::1]", "::"])
def test_the_page_is_served_on_ipv6(tmp_path, plain_surroundings, host):
    port = free_port("127.0.0.1")
    settings = load_settings(host=host, port=port, data_dir=tmp_path)
    assert settings.may_manage is (host != "::")
    page = build_page(StartingService(settings))
    try:
        assert launch(page, settings) == f"http://[{settings.host}]:{port}/"
        with httpx.Client(trust_env=False) as client:
            assert client.get(f"http://[::1]:{port}/").status_code == 200
    finally:
        page.close(verbose=False)


def test_a_machine_too_busy_for_gradios_look_at_the_page_serves_it(tmp_path, plain_surroundings, monkeypatch):
    monkeypatch.setattr(networking, "url_ok", lambda url: False)  # as where that takes more than three seconds
    settings = load_settings(port=free_port(), data_dir=tmp_path)
    page = build_page(StartingService(settings))
    try:
        assert launch(page, settings) == f"http://127.0.0.1:{settings.port}/"
    finally:
        page.close(verbose=False)


def test_what_gradio_cannot_do_is_told_with_its_cause(tmp_path, plain_surroundings, monkeypatch):
    settings = load_settings(port=free_port(), data_dir=tmp_path)
    page = build_page(StartingService(settings))

    def fails(**_how):
        raise PermissionError(errno.EACCES, "Permission denied", "/tmp/gradio")

    monkeypatch.setattr(page, "launch", fails)
    with pytest.raises(Problem, match="cannot be served on 127.0.0.1, port .*Permission denied: '/tmp/gradio'"):
        launch(page, settings)
