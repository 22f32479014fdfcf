"""Whether a corpus that is asked for may have its name: one comes from one place, and is not taken for another's.

Knows the catalogue's runs and the sources; knows nothing of threads or of pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common.problems import BadRequest, Unreachable
from common.text import shown
from kb.catalogue import Catalogue
from kb.sources.registry import Asked, from_request, same_place


def last_run(catalogue: Catalogue, corpus: str) -> dict[str, Any] | None:
    """The last run of a corpus, as Catalogue.runs tells of it."""
    return next(iter(catalogue.runs(corpus, 1)), None)


def check_known(catalogue: Catalogue, corpus: str) -> None:
    """Raises BadRequest where there is no such corpus."""
    known = [each.name for each in catalogue.corpora()]
    if corpus not in known:
        raise BadRequest(f"There is no corpus called {shown(corpus)!r}; there is: {', '.join(known) or 'none'}.")


def check_place(catalogue: Catalogue, corpus: str, asked: Asked) -> None:
    """Raises BadRequest where there is a corpus of that name which was not read from the place that is asked for."""
    last = last_run(catalogue, corpus)
    # One that holds nothing may be what is left of a path that was mistyped.
    if catalogue.holds(corpus) and not same_place(asked, corpus, "" if last is None else last["request"]):
        raise _taken(corpus)


def check_upload(catalogue: Catalogue, corpus: str, uploads: Path) -> bool:
    """Whether files uploaded for a corpus would be its first. Raises BadRequest where it came from elsewhere."""
    last = last_run(catalogue, corpus)
    uploaded = last is not None and is_uploaded(last["request"], corpus, uploads)
    if not uploaded and catalogue.holds(corpus):
        raise _taken(corpus)
    return not uploaded


def is_uploaded(request: str, corpus: str, uploads: Path) -> bool:
    """Whether a run was asked for the files uploaded for a corpus, or for the one table among them."""
    what = from_request(request).values.get("what") if request else None
    folder = uploads.absolute() / corpus
    return what is not None and folder in (Path(what), Path(what).parent)


def _taken(corpus: str) -> BadRequest:
    return BadRequest(f"There is a corpus called {corpus} already, from elsewhere; choose another name.")


def checked_corpora(
    corpora: Sequence[str] | None,
    usual: str,
    catalogue: Catalogue,
    searchable: Callable[[Sequence[str]], bool] = lambda names: False,
) -> list[str]:
    """The names of the corpora that are asked of, each once; None means the usual one. searchable: whether they are
    known to be there while the catalogue cannot be reached. Raises BadRequest."""
    if corpora is None:
        return [usual]
    names = list(dict.fromkeys([corpora] if isinstance(corpora, str) else corpora))
    if not names:
        raise BadRequest("No collection is chosen to search in; choose at least one.")
    try:
        known = {usual, *(info.name for info in catalogue.corpora())}
    except Unreachable:
        if not searchable(names):
            raise
        return names
    for name in names:
        if name not in known:
            said = ", ".join(sorted(known))
            raise BadRequest(f"There is no collection called {str(name)[:80]!r}; there is: {said}.")
    return names
