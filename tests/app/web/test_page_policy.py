"""What browsers may do on a page: which scripts run there."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator

import httpx
import pytest

from app.settings import load_settings
from app.web.page import build_page, launch
from app.web.page_policy import of_page
from tests.app.web.test_request_files import Reader
from tests.support.ports import free_port


def hashed(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def scripts(policy: str) -> list[str]:
    [said] = re.findall(r"script-src ([^;]*)", policy)
    return said.split()


def test_the_scripts_of_a_page_are_named_by_what_they_are() -> None:
    body = b"""<script>one("<b>")</script><SCRIPT type='module' src="./a.js">no</SCRIPT>
        <script data-a="x > y">two</script><script>one("<b>")</script>"""
    said = scripts(of_page(body, (), "own"))
    assert said == ["'self'", "'unsafe-eval'", hashed("own"), hashed('one("<b>")'), hashed("two")]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    service = Reader()
    service.settings = load_settings(space_host="me-citesight.hf.space", host="127.0.0.1", port=free_port())
    page = build_page(service)
    yield launch(page, service.settings)
    page.close(verbose=False)


def test_every_answer_has_a_policy(address: str) -> None:
    page = httpx.get(address, headers={"Accept-Encoding": "identity"})
    policy = page.headers["content-security-policy"]
    inline = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script", page.text, re.DOTALL)
    assert len(inline) > 2 and {hashed(each) for each in inline} < set(scripts(policy))
    assert "frame-ancestors https://huggingface.co https://*.hf.space" in policy
    assert "'unsafe-inline'" not in " ".join(scripts(policy)) and "http" not in " ".join(scripts(policy))
    for path in ("config", "healthz", "annotation/do/me", f"answers/{'0' * 32}/answer.html", "theme.css", "x"):
        said = httpx.get(f"{address}{path}").headers
        assert said["content-security-policy"].startswith("default-src "), path
        if not said["content-type"].startswith("text/html"):
            assert said["content-security-policy"].startswith("default-src 'none'; "), path
    reference = httpx.get(f"{address}docs")
    inline = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script", reference.text, re.DOTALL)
    assert {hashed(each) for each in inline} <= set(scripts(reference.headers["content-security-policy"]))
    squeezed = httpx.get(address, headers={"Accept-Encoding": "gzip"})
    assert squeezed.headers["content-encoding"] == "gzip" and "sha256-" in squeezed.headers["content-security-policy"]
