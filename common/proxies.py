"""Proxies that the environment names: nothing that this machine asks itself goes through one.

Libraries read the variables themselves and take their word for any address. Knows nothing of who is asked for what.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from common.problems import Problem
from common.text import shown

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def spare_loopback(*names: str) -> None:
    """Have no library use a proxy for this machine, nor for these names of it; for all else as it is set."""
    if not any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in os.environ):
        return  # one variable alone would hide what the system has set
    spared = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    told = [each.strip() for each in spared.split(",") if each.strip()]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(dict.fromkeys([*told, *_LOOPBACK, *names]))


@contextmanager
def no_proxies() -> Iterator[None]:
    """In here no proxy is used by what reads the environment; one that no library can use fails nothing either."""
    kept = {name: os.environ.pop(name) for name in list(os.environ) if name.lower().endswith("_proxy")}
    os.environ["no_proxy"] = "*"  # else some systems have settings of their own
    try:
        yield
    finally:
        del os.environ["no_proxy"]
        os.environ.update(kept)


@contextmanager
def told_of_proxies() -> Iterator[None]:
    """In here, where a client is made, a proxy that cannot be used is a Problem."""
    try:
        yield
    except (ImportError, ValueError) as trouble:
        raise Problem(
            f"The proxy that the environment names cannot be used: {shown(trouble, 200).rstrip('.')}. SOCKS needs "
            "pip install 'httpx[socks]'; an address of a proxy begins with http://, https://, socks5:// or socks5h://."
        ) from None
