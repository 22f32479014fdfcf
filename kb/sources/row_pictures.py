"""The pictures that a row of a file names: columns `image` and `images`, and `caption`, which is that of the first.

A name is an address of the web or a file in the folder. `images` of JSON may hold objects with `file` and, where they
are there, caption, licence, author and url. What is wrong with one is told when it is read, and the row is taken all
the same. Knows nothing of the rest of a row.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from common.problems import Problem
from common.text import shown
from kb.records import GivenPicture, clean_text
from kb.sources.picture_files import reader

_MOST = 100
_MOST_URL = 2000  # characters
_SAID = {"caption": 2000, "licence": 64, "author": 500, "url": _MOST_URL}
_WEB = re.compile(r'https?://[^\s<>"]+', re.IGNORECASE)


def web_address(url: str) -> str:
    """`url` where it is one of the web, else ""."""
    url = url.strip()
    return url if len(url) <= _MOST_URL and url.isprintable() and _WEB.fullmatch(url) else ""


def pictures_in(row: Mapping[str, object], folder: Path | None) -> tuple[GivenPicture, ...]:
    """Those that a row names, each once; files are read from `folder`, None: from nowhere."""
    several = row.get("images")
    # In a cell they stand with spaces between.
    named = several.split() if isinstance(several, str) else several or []
    if not isinstance(named, list):
        named = [_refused(named, "Its images are not a list of names.")]
    if row.get("image"):
        named = [{"file": row["image"], "caption": row.get("caption")}, *named]
    found: dict[str, GivenPicture] = {}
    for each in named:
        try:
            picture = each if isinstance(each, GivenPicture) else _picture(each, folder)
        except Problem as problem:
            picture = _refused(each, str(problem))
        if picture is None or picture.name in found:
            continue
        if len(found) == _MOST:
            found[picture.name] = _refused(each, f"Of its images the first {_MOST} are taken.")
            break
        found[picture.name] = picture
    return tuple(found.values())


def _picture(said: object, folder: Path | None) -> GivenPicture | None:
    if not isinstance(said, dict):
        said = {"file": said}
    told = {name: said.get(name) or "" for name in ("file", *_SAID)}
    if not all(isinstance(value, str) for value in told.values()):
        raise Problem("What is said of it is not text.")
    name = told.pop("file").strip()
    if not name:
        return None
    address = web_address(name)
    if not (address or _inside(name)):
        raise Problem("It is neither an address of the web nor a file in the folder.")
    for what, most in _SAID.items():
        told[what] = clean_text(told[what])
        if len(told[what]) > most:
            raise Problem(f"Its {what} has more than {most:,} characters.")
    told["url"] = web_address(told["url"]) or address
    return GivenPicture(name, **told, read=None if address or folder is None else reader(folder, name))


def _refused(said: object, why: str) -> GivenPicture:
    """What a row names, which cannot be read for that reason."""
    name = said.get("file", said) if isinstance(said, dict) else said

    def read() -> bytes:
        raise Problem(why)

    return GivenPicture(shown(name if isinstance(name, str) else repr(name)), read=read)


def _inside(name: str) -> bool:
    plain = name.isprintable() and not re.search(r"[\\:]", name) and not name.startswith(("/", "~"))
    return plain and len(name) <= _MOST_URL and ".." not in name.split("/")
