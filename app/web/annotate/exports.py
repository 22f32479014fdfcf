"""What owners download of a project, sent as it is made. Knows nothing of who asks for it, nor of how."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from starlette.responses import Response, StreamingResponse

from app.service.annotating import Annotating
from kb.annotations.exporting import FORMATS, export_lines
from kb.annotations.zip_export import export_zip

EXPORTS = ("zip", *FORMATS)
_ENDINGS = {"jsonl": "jsonl", "qrels": "qrels", "runs": "txt"}


def exported(desk: Annotating, project: str, kind: str) -> Response:
    """Of the kinds in EXPORTS. Raises Problem where it cannot even begin, as where there is no such project."""
    if kind == "zip":
        parts = export_zip(desk.database, project, desk.photos)
        return _file(f"{project}.zip", chain([next(parts)], parts), "application/zip")
    lines = export_lines(desk.database, project, kind)
    first = next(lines, None)  # now, so that a problem is still a sentence

    def text() -> Iterator[str]:
        if first is not None:
            yield f"{first}\n"
        for line in lines:
            yield f"{line}\n"

    return _file(f"{project}.{_ENDINGS[kind]}", text(), "text/plain; charset=utf-8")


def _file(name: str, parts: Iterator[str] | Iterator[bytes], kind: str) -> Response:
    named = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(parts, media_type=kind, headers=named)
