"""What is believed of what proxies say, and what a proxy, or a stranger, that lies gets by it."""

from __future__ import annotations

import logging

import httpx
import pytest
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from app.settings import Settings, load_settings
from app.web.clients import client_of, is_here
from app.web.page import build_page, launch
from app.web.proxies import Proxies
from common.problems import Problem
from tests.app.web.test_request_files import Reader
from tests.support.page import awaited
from tests.support.ports import free_port

PROXY, OTHER = "10.0.0.9", "10.0.0.10"


def seen(trusted: str, by: str, **headers: str) -> dict[str, object]:
    """A request as it is after what stands before everything else; headers with _ for -."""

    async def told(scope: Scope, receive: Receive, send: Send) -> None:
        said = {name.decode(): value.decode() for name, value in scope["headers"] if b"forwarded" in name}
        client = scope["client"][0]
        await JSONResponse({"client": client, "scheme": scope["scheme"], **said})(scope, receive, send)

    async def ask() -> dict[str, object]:
        app = Proxies(told, load_settings(trusted_proxies=trusted).proxies)
        transport = httpx.ASGITransport(app, client=(by, 5))
        named = [(name.replace("_", "-"), value) for name, value in headers.items()]
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as asking:
            return (await asking.get("/", headers=named)).json()

    return awaited(ask())


@pytest.mark.parametrize(
    ("trusted", "by", "hops", "client"),
    [
        ("", PROXY, "1.2.3.4", PROXY),  # nobody is believed where nobody is set
        (OTHER, PROXY, "1.2.3.4", PROXY),
        (PROXY, PROXY, "1.2.3.4", "1.2.3.4"),
        (PROXY, PROXY, "9.9.9.9, 1.2.3.4", "1.2.3.4"),  # what a stranger wrote before it
        (PROXY, PROXY, "9.9.9.9,10.0.0.9, 1.2.3.4", "1.2.3.4"),
        (f"{PROXY} {OTHER}", PROXY, f"9.9.9.9, 1.2.3.4, {OTHER}", "1.2.3.4"),
        ("10.0.0.0/8", PROXY, f"{OTHER}", OTHER),  # who asks is within the network himself
        (PROXY, PROXY, "1.2.3.4, who knows", PROXY),  # a proxy that names nobody
        (PROXY, PROXY, "", PROXY),
        (PROXY, PROXY, "1.2.3.4:55", "1.2.3.4"),
        (PROXY, PROXY, "[2001:db8::1]:55", "2001:db8::1"),
        (PROXY, PROXY, "2001:db8::1", "2001:db8::1"),
        (PROXY, f"::ffff:{PROXY}", "::ffff:1.2.3.4", "1.2.3.4"),  # as an IPv6 socket has it
    ],
)
def test_whom_a_request_is_for(trusted: str, by: str, hops: str, client: str) -> None:
    assert seen(trusted, by, x_forwarded_for=hops)["client"] == client


def test_by_which_scheme_and_name() -> None:
    told = {"x_forwarded_proto": "https", "x_forwarded_host": "photos.example", "x_forwarded_for": "1.2.3.4"}
    assert seen("", PROXY, **told, forwarded="for=1.2.3.4") == {"client": PROXY, "scheme": "http"}
    believed = seen(PROXY, PROXY, **told, x_forwarded_prefix="/evil", forwarded="for=5.6.7.8;proto=http")
    assert believed == {
        "client": "1.2.3.4", "scheme": "https", "x-forwarded-proto": "https", "x-forwarded-host": "photos.example",
    }  # fmt: skip
    listed = seen(PROXY, PROXY, x_forwarded_proto="https, http", x_forwarded_host="evil.example, photos.example")
    assert (listed["scheme"], listed["x-forwarded-host"]) == ("http", "photos.example")
    assert seen(PROXY, PROXY, x_forwarded_proto="gopher") == {"client": PROXY, "scheme": "http"}


def test_on_a_space_its_own_proxies_are_believed() -> None:
    space = Settings(SPACE_HOST="me-citesight.hf.space")
    inside = ("10.16.3.80", "172.20.0.1", "192.168.1.1", "100.64.0.1", "fd00::1")

    def believed(settings: Settings, by: str) -> bool:
        scope = {"type": "http", "client": (by, 5), "headers": [(b"x-forwarded-for", b"6.6.6.6, 1.2.3.4")]}
        return client_of(Proxies(None, settings.proxies)._seen(scope)) == "1.2.3.4"

    assert all(believed(space, by) for by in inside)
    assert not any(believed(space, by) for by in ("127.0.0.1", "8.8.8.8", "2001:db8::1"))
    assert not believed(Settings(SPACE_HOST="me-citesight.hf.space", trusted_proxies="10.0.0.1"), "10.16.3.80")
    assert not any(believed(Settings(), by) for by in inside)


def test_the_setting_says_what_is_wrong_with_it() -> None:
    for wrong in ("nginx", "10.0.0.1/8", "10.0.0.300", "10.0.0.1, 10.0.0.2"):
        with pytest.raises(Problem, match="CITESIGHT_TRUSTED_PROXIES"):
            load_settings(trusted_proxies=wrong)


def test_who_has_a_network_of_ipv6_is_one_client() -> None:
    def client(host: str) -> str:
        return client_of({"client": (host, 5)})

    assert client("2001:db8::1") == client("2001:db8::ffff:1:2:3") == "2001:db8::/64"
    assert client("2001:db8:0:1::1") != client("2001:db8::1")
    assert (client("1.2.3.4"), client("::ffff:1.2.3.4"), client_of({"client": None})) == ("1.2.3.4", "1.2.3.4", "")
    assert is_here({"client": ("::1", 5)}) and not is_here({"client": ("10.0.0.1", 5)})


@pytest.fixture(scope="module", params=["", "127.0.0.1"], ids=["not trusted", "trusted"])
def served(request: pytest.FixtureRequest):
    settings = load_settings(allowed_hosts="photos.example", trusted_proxies=request.param, port=free_port())
    service = Reader()
    service.settings = settings
    page = build_page(service)
    yield launch(page, settings).rstrip("/"), bool(request.param)
    page.close(verbose=False)


def test_gradio_and_the_server_see_what_is_believed_alone(served, caplog: pytest.LogCaptureFixture) -> None:
    """uvicorn would believe every proxy of this machine, and Gradio everybody."""
    address, trusted = served
    told = {"Host": "photos.example", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "photos.example"}
    with caplog.at_level(logging.WARNING, "app.web.proxies"):
        roots = {httpx.get(f"{address}/config", headers=told).json()["root"] for _ in range(2)}
    assert roots == {"https://photos.example" if trusted else "http://photos.example"}
    assert caplog.text.count("CITESIGHT_TRUSTED_PROXIES") == (0 if trusted else 1)
    # A name that it may not be asked by it may not be told by a trusted proxy either.
    lied = httpx.get(f"{address}/config", headers=told | {"X-Forwarded-Host": "photos.example, evil.example"})
    assert lied.status_code == (403 if trusted else 200) and "evil" not in lied.text
