"""The browser that the end-to-end tests drive: where it is, how it is started, and contexts that know nothing of one
another. One browser serves the whole session."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

# The first is the others without their windows, and takes a tenth less of the processor.
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in _NAMES if (found := shutil.which(name))), None)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync "
    "--use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
).split()
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium here; apt-get install chromium-headless-shell"
)
_SPARE = 4  # contexts; each takes as much memory as a window
_spare: list[tuple[dict, object]] = []  # contexts that nobody has at the moment, with their options; the latest last


@contextmanager
def context_of(browser, address: str, **options: object) -> Iterator:
    """A context in which nothing is kept of any visit to the address, no cookies and no storage.

    What it has fetched from there and compiled is: to open the page takes half as long then."""
    from playwright.sync_api import Error

    place = next((n for n, (theirs, _) in enumerate(_spare) if theirs == options), None)
    if place is None:
        context = browser.new_context(**options)
        context.new_page()  # stays, since what is compiled goes with the last page
    else:
        _, context = _spare.pop(place)
    try:
        yield context
    except BaseException:
        context.close()
        raise
    try:
        _forget(context, address)
        _spare.append((options, context))
        if len(_spare) > _SPARE:
            _spare.pop(0)[1].close()
    except Error:  # a page that does not want to be left
        context.close()


def _forget(context, address: str) -> None:
    stays, *pages = context.pages
    for page in pages:
        page.unroute_all(behavior="ignoreErrors")
        page.goto("about:blank")  # whatever is kept when a page is left is kept by now
        page.close()
    context.set_offline(False)
    context.clear_cookies()
    session = context.new_cdp_session(stays)
    session.send("Storage.clearDataForOrigin", {"origin": address.rstrip("/"), "storageTypes": "all"})
    session.detach()
