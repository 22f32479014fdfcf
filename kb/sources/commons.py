"""The pictures of Wikipedia's articles, as Wikimedia Commons has them: where each file is, who made it and under which
licence, asked of its API (`imageinfo` with `extmetadata`), some files at a time.

What it says is kept and not asked again, in a file for each name: fetched-pictures/commons/<hash of the name>.json. It
is untrusted: bounded, and taken without its markup. Knows nothing of dumps.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import quote

import httpx
from lxml import etree, html

from common.problems import Problem
from common.whole_files import write_whole
from kb.records import DocumentRecord, GivenPicture, Item, clean_text
from kb.sources.http_get import Limit, Refused, asked_to_wait, get
from kb.sources.picture_fetching import ATTEMPTS, FOLDER, WANTED, PictureFetcher, Reach
from kb.sources.public_addresses import is_public
from kb.sources.row_pictures import web_address
from kb.sources.web_pages import DELAY, LONGEST_WAIT

API = "https://commons.wikimedia.org/w/api.php"
WIDTH = 1280  # pixels that pictures are fetched in: one of the sizes that it has ready
MOST_ASKED = 10_000  # times in a run
_AT_ONCE = 50  # files asked for together, the most that it takes,
_MOST_ADDRESS = 4_000  # and characters of their names in the address
_DOCUMENTS = 50  # looked at together
_FAILURES = 3  # in a row, after which a run asks no more
_SECONDS = 20.0
_MAX_REPLY = 4_000_000  # bytes
_MOST_MARKUP, _MOST_AUTHOR, _MOST_LICENCE = 10_000, 200, 64  # characters
_UNSEEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)

About = dict[str, str]  # image, url, author, licence of a file; empty where there is no such picture


class Commons:
    """Asks for files by their names, without the namespace. May be asked for as many as one likes; not for threads."""

    def __init__(self, cache_dir: Path, may_reach: Reach = is_public, delay: float = DELAY) -> None:
        self._folder = cache_dir / FOLDER / "commons"
        self._may_reach, self._delay = may_reach, delay
        self._free_at = 0.0
        self._asked = self._failed = 0
        self._trouble = ""

    def about(self, names: Sequence[str]) -> dict[str, About | str]:
        """What is known of each file, or why it cannot be asked for, as a sentence."""
        found: dict[str, About | str] = {}
        unknown = []
        for name in dict.fromkeys(names):
            kept = self._kept(name)
            if kept is None:
                unknown.append(name)
            else:
                found[name] = kept
        for some in _together(unknown):
            try:
                said = self._ask(some)
            except Problem as problem:
                found |= dict.fromkeys(some, str(problem))
                continue
            for name in some:
                found[name] = said.get(name, {})
                self._keep(name, found[name])
        return found

    def _ask(self, names: Sequence[str]) -> dict[str, About]:
        """Raises Problem."""
        if self._failed == _FAILURES:
            raise Problem(self._trouble)
        if self._asked == MOST_ASKED:
            raise Problem(f"Commons was asked {MOST_ASKED:,} times in this run; ingest again to go on from there.")
        self._asked += 1
        try:
            found = _read(self._reply(names), names)
        except Refused as refused:
            self._failed += 1
            self._trouble = f"Commons {refused.no_page.why}; ingest again later to go on from there."
            raise Problem(self._trouble) from None
        self._failed = 0
        return found

    def _reply(self, names: Sequence[str]) -> bytes:
        """Raises Refused. No robots.txt is asked for: it speaks of pages, and this is what programs are to ask."""
        url = httpx.URL(_address(names))
        for attempt in range(1, ATTEMPTS + 1):
            sleep(max(0.0, self._free_at - monotonic()))
            try:
                reply = get(
                    url,
                    Limit(_SECONDS),
                    self._may_reach,
                    accept="application/json",
                    headers={"User-Agent": WANTED.agent},
                    max_bytes=_MAX_REPLY,
                )
            finally:
                self._free_at = monotonic() + self._delay
            wait = asked_to_wait(reply.headers)  # also where it answers, and is too busy for more
            if reply.status == 200 and not wait:
                return reply.data
            if attempt == ATTEMPTS or not 0 < wait <= LONGEST_WAIT:
                break
            self._free_at = monotonic() + wait
        raise Refused(f"cannot be asked (status {reply.status})", passing=True)

    def _file(self, name: str) -> Path:
        return self._folder / f"{hashlib.sha256(name.encode()).hexdigest()}.json"

    def _kept(self, name: str) -> About | None:
        try:
            said = json.loads(self._file(name).read_bytes())
            return _checked(said["about"]) if said["name"] == name else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def _keep(self, name: str, about: About) -> None:
        path = self._file(name)
        try:
            write_whole(path, json.dumps({"name": name, "about": about}).encode())
        except OSError as problem:
            raise Problem(f"What was fetched cannot be kept in {path.parent}: {problem.strerror or problem}.") from None


def from_commons(given: Iterator[Item], commons: Commons, fetcher: PictureFetcher) -> Iterator[Item]:
    """What a source gives, with its pictures, which it knows by name, as Commons has them."""
    with closing(given), closing(fetcher):
        while some := list(islice(given, _DOCUMENTS)):
            names = [picture.name for each in some if isinstance(each, DocumentRecord) for picture in each.pictures]
            about = commons.about(names)
            for each in some:
                if isinstance(each, DocumentRecord) and each.pictures:
                    pictures = tuple(_with(picture, about[picture.name], fetcher) for picture in each.pictures)
                    each = replace(each, pictures=pictures)
                yield each


def _with(picture: GivenPicture, about: About | str, fetcher: PictureFetcher) -> GivenPicture:
    if not about or isinstance(about, str):
        return replace(picture, read=_raising(about or "Commons has no such picture."))
    told = {name: about[name] for name in ("url", "author", "licence")}
    return replace(picture, **told, read=partial(fetcher.read, about["image"]))


def _raising(why: str) -> Callable[[], bytes]:
    def read() -> bytes:
        raise Problem(why)

    return read


def _together(names: Sequence[str]) -> Iterator[list[str]]:
    """The names that are asked for together."""
    some: list[str] = []
    for name in names:
        if some and (len(some) == _AT_ONCE or sum(len(quote(each)) for each in (*some, name)) > _MOST_ADDRESS):
            yield some
            some = []
        some.append(name)
    if some:
        yield some


def _address(names: Iterable[str]) -> str:
    asked = {
        "action": "query",
        "format": "json",
        "formatversion": "2",
        "redirects": "1",
        "maxlag": "5",
        "prop": "imageinfo",
        "iiprop": "url|mime|extmetadata",
        "iiurlwidth": str(WIDTH),
        "iiextmetadatafilter": "LicenseShortName|Artist",
        # A name with these would be several, or another: no file has them.
        "titles": "|".join("File:" + re.sub(r"[|#<>\[\]{}]", " ", name) for name in names),
    }
    return f"{API}?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in asked.items())


def _read(data: bytes, names: Sequence[str]) -> dict[str, About]:
    """What a reply says of the files of these names. Raises Refused for what is no such reply."""
    try:
        query = json.loads(data)["query"]
        leads = {
            each["from"]: each["to"] for part in ("normalized", "redirects") for each in query.get(part, ())
        }
        pages = {page["title"]: page for page in query["pages"]}
        found = {}
        for name in names:
            title = f"File:{name}"
            for _ in range(3):  # written in another way, then led elsewhere
                title = leads.get(title, title)
            found[name] = _about(pages[title]) if title in pages else {}
        return found
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        raise Refused("does not answer as it should", passing=True) from None


def _about(page: dict[str, Any]) -> About:
    if not page.get("imageinfo"):
        return {}
    info = page["imageinfo"][0]
    said = info.get("extmetadata") or {}
    if not str(info.get("mime", "")).startswith("image/"):
        return {}
    return _checked(
        {
            "image": info.get("thumburl") or info.get("url") or "",
            "url": info.get("descriptionurl") or "",
            "author": _plain(said.get("Artist", {}).get("value", ""))[:_MOST_AUTHOR],
            "licence": _plain(said.get("LicenseShortName", {}).get("value", ""))[:_MOST_LICENCE],
        }
    )


def _checked(said: dict[str, Any]) -> About:
    """The same, as it may be shown; empty where it leads nowhere."""
    about = {name: clean_text(str(said.get(name) or "")) for name in ("image", "url", "author", "licence")}
    about["url"] = web_address(about["url"])
    return about if web_address(about["image"]) else {}


def _plain(markup: object) -> str:
    """The words that somebody sees of a piece of HTML."""
    said = str(markup)
    if len(said) > _MOST_MARKUP:
        said = said[:_MOST_MARKUP]
        whole, opened, rest = said.rpartition("<")
        said = whole if opened and ">" not in rest else said  # not half a tag
    if "<" not in said and "&" not in said:
        return clean_text(said)
    try:
        tree = html.fragment_fromstring(said, create_parent="div")
    except (etree.LxmlError, ValueError):
        return ""
    etree.strip_elements(tree, "style", "script", etree.Comment, with_tail=False)
    for hidden in tree.xpath(".//*[@style]"):
        if _UNSEEN.search(hidden.get("style")) and hidden.getparent() is not None:
            hidden.drop_tree()
    return clean_text("".join(tree.itertext()))
