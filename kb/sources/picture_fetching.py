"""Pictures on the web that documents name, fetched where that was asked for: politely (kb/sources/web_pages.py), so
many in a run, and never twice.

What was fetched is kept as the program's own JPEG, and why something cannot be had, where that does not pass:

    fetched-pictures/<hash of the address>.jpg or .json

To have everything anew, delete the folder. Knows nothing of who names the pictures.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from PIL import Image

from common.images import load_image
from common.problems import Problem
from common.whole_files import write_whole
from kb.pictures import SIDE
from kb.records import DocumentRecord, GivenPicture, Item
from kb.sources.http_get import NAME, NoPage
from kb.sources.public_addresses import Address, is_public
from kb.sources.row_pictures import web_address
from kb.sources.web_pages import DELAY, LONGEST_WAIT, Fetcher, Wanted

FOLDER = "fetched-pictures"
MOST = 10_000  # of a run
ATTEMPTS = 3  # where a server asks to be asked again later
_BYTES = 20_000_000
_QUALITY = 92
WANTED = Wanted(
    ("image/", "application/octet-stream", "binary/octet-stream"),
    _BYTES,
    "is no picture",
    f"{NAME} (fetches pictures that documents name, when asked to; obeys robots.txt)",
)

Reach = Callable[[Address, int], bool]


class PictureFetcher:
    """Reads pictures by their addresses. Close it."""

    def __init__(self, cache_dir: Path, may_reach: Reach = is_public, delay: float = DELAY) -> None:
        self._folder = cache_dir / FOLDER
        self._fetcher = Fetcher(may_reach, delay, wanted=WANTED)
        self._fetched = 0

    def close(self) -> None:
        """Give up what is being fetched."""
        self._fetcher.close()

    def read(self, url: str) -> bytes:
        """The picture at an address as JPEG. Raises Problem."""
        kept = self._folder / f"{hashlib.sha256(url.encode()).hexdigest()}.jpg"
        try:
            return kept.read_bytes()
        except OSError:  # it was not fetched yet
            pass
        self._raise_known(kept, url)
        data = self._fetch(kept, url)
        try:
            picture = load_image(data)
        except Problem as problem:
            raise self._refused(kept, url, str(problem)) from None
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=_QUALITY)
        _keep(kept, file.getvalue())
        return file.getvalue()

    def _fetch(self, kept: Path, url: str) -> bytes:
        if self._fetched == MOST:
            raise Problem(f"{MOST:,} pictures were fetched in this run; ingest again to go on from there.")
        self._fetched += 1
        for _ in range(ATTEMPTS):
            page = self._fetcher.fetch(url)
            if not isinstance(page, NoPage):
                return page.data
            if not 0 < page.wait <= LONGEST_WAIT:
                break
        if page.passing:
            raise Problem(f"It {page.why}; ingest again to try again.")
        raise self._refused(kept, url, f"It {page.why}.")

    def _refused(self, kept: Path, url: str, why: str) -> Problem:
        """What to raise for what cannot be had, which is written down."""
        _keep(kept.with_suffix(".json"), json.dumps({"url": url, "why": why}).encode())
        return Problem(why)

    def _raise_known(self, kept: Path, url: str) -> None:
        try:
            said = json.loads(kept.with_suffix(".json").read_bytes())
        except (OSError, ValueError):
            return
        if isinstance(said, dict) and said.get("url") == url:
            raise Problem(str(said.get("why")))


def with_fetched(given: Iterable[Item], fetcher: PictureFetcher) -> Iterator[Item]:
    """What a source gives; pictures whose names are addresses of the web are read from there."""

    def fetched(picture: GivenPicture) -> GivenPicture:
        address = web_address(picture.name) if picture.read is None else ""
        return replace(picture, read=partial(fetcher.read, address)) if address else picture

    with closing(fetcher):
        for each in given:
            if isinstance(each, DocumentRecord) and each.pictures:
                each = replace(each, pictures=tuple(map(fetched, each.pictures)))
            yield each


def _keep(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as problem:
        raise Problem(f"What was fetched cannot be kept in {path.parent}: {problem.strerror or problem}.") from None
