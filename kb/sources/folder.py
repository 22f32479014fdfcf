"""Documents in a folder and the folders below it: text, Markdown, web pages, PDFs, Word and EPUB, a file each, with the
pictures that they refer to, and those that have a document's name. Of a folder that holds nothing but pictures each is
a document, called as its file.

Links are not followed, so nothing outside the folder is read; hidden files are left alone, and those with other endings
passed over and counted.
Knows nothing of the database, nor of what is in the files (kb/sources/file_text.py).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from posixpath import basename, dirname, join, normpath
from urllib.parse import unquote, urlsplit

from common.photo_formats import ENDINGS
from common.problems import Problem, unreadable
from common.text import shown
from kb.records import (
    UNKNOWN_LANGUAGE,
    UNKNOWN_LICENCE,
    DocumentRecord,
    GivenPicture,
    Item,
    Note,
    Section,
    Skipped,
    Source,
)
from kb.sources.file_bytes import content
from kb.sources.file_text import SECONDS, Parsed, Parser, parse
from kb.sources.kinds import FLAG, LANGUAGE, LICENCE, NAMED, Field, SourceKind
from kb.sources.outline import Shown
from kb.sources.pdf.pictures import SCAN, PdfPictures
from kb.sources.pdf.pictures import SECONDS as PICTURE_SECONDS
from kb.sources.picture_files import reader
from kb.sources.row_pictures import web_address
from kb.sources.rows import key_like, made_by, make_source, safe_key

FILES = {
    ".txt": "txt", ".md": "md", ".markdown": "md", ".html": "html", ".htm": "html", ".xhtml": "html", ".pdf": "pdf",
    ".docx": "docx", ".epub": "epub",
}  # fmt: skip
MOST_BYTES = dict.fromkeys(("txt", "md", "html"), 16 << 20) | dict.fromkeys(("pdf", "docx", "epub"), 128 << 20)
PAGES = Field(
    "pages", "Pages of PDFs as pictures", "",
    "Each page of a PDF is a passage with its picture, for questions about tables, figures and scans.",
    value=FLAG,
)  # fmt: skip
_MOST_FILES = 1_000_000
_MOST_DEEP = 64
_PREVIEW_SECONDS = 10.0  # for a document
_PREVIEWED_FILES = 2_000  # looked at for a preview
_TOLD_ENDINGS = 8  # of files that are passed over
_TOLD_PICTURES = 5  # that are passed over
_NUMBERED = re.compile(r"(.+?)(?:[-_ ]([0-9]{1,4})| \(([0-9]{1,4})\))", re.DOTALL)  # more pictures of a name


@dataclass(frozen=True)
class _File:
    """place: its path below the folder, with slashes. fault: what is wrong with it, or "". pictures: the files of those
    that have its name."""

    place: str
    fault: str = ""
    pictures: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """What reads it; "" for a picture, and for a folder that cannot be read."""
        return FILES.get(_ending(self.place), "")


def source(
    folder: Path,
    corpus: str,
    *,
    title: str = "",
    licence: str = UNKNOWN_LICENCE,
    language: str = UNKNOWN_LANGUAGE,
    pages: bool = False,
) -> Source:
    """The corpus of the documents in `folder`, in the order of their paths; a document's key is its path made safe. The
    documents of files that are deleted leave the catalogue. pages: each page of a PDF is a passage, with its picture.

    Reading it raises Problem when the folder cannot be read.
    """

    def read(_cache_dir: Path):
        passed: Counter[str] = Counter()
        found = list(islice(_files(folder, passed), _MOST_FILES + 1))
        if len(found) > _MOST_FILES:
            raise Problem(f"{shown(folder)} holds more than {_MOST_FILES:,} files; divide it.")
        files = _illustrated(found)
        loose = {file.place for file in found if not file.kind and not file.fault}
        loose -= {place for file in files for place in file.pictures}
        return len(files), _documents(folder, files, licence, language, SECONDS, passed, pages, loose)

    nothing = f"{shown(folder)} holds no file of the kinds {', '.join(FILES)}, and no picture."
    return replace(make_source(corpus, title, licence, language, "", read), whole=True, nothing=nothing)


def preview(folder: Path, count: int, pages: bool = False) -> list[Item]:
    """The first `count` of what `source` gives, found without looking through the whole folder.

    A document gets ten seconds. Raises Problem when the folder cannot be read.
    """
    files = _illustrated(list(_first(_files(folder), count)))
    with closing(_documents(folder, files, UNKNOWN_LICENCE, UNKNOWN_LANGUAGE, _PREVIEW_SECONDS, pages=pages)) as found:
        return list(islice(found, count))


def look(folder: Path) -> str:
    """A hash that changes with what `source` reads: of the names, sizes and times of the files.

    Raises Problem when the folder cannot be read."""
    seen = hashlib.sha256()
    for file in _files(folder):
        told = (file.place, file.fault)
        try:
            about = os.lstat(folder / file.place)
            told += (about.st_size, about.st_mtime_ns, about.st_ino)
        except OSError:  # it is gone again
            pass
        seen.update(repr(told).encode("utf-8", "surrogatepass"))
    return seen.hexdigest()


def _documents(
    folder: Path,
    files: Iterable[_File],
    licence: str,
    language: str,
    seconds: float,
    passed: Counter[str] | None = None,
    pages: bool = False,
    loose: Iterable[str] = (),
) -> Iterator[Item]:
    loose = set(loose)  # pictures that are no document's, as far as is known
    with closing(Parser(seconds)) as parser, closing(PdfPictures(min(seconds, PICTURE_SECONDS))) as inside:
        for file in files:
            where = shown(file.place, 400)
            name = os.path.splitext(os.path.basename(file.place))[0]
            named = shown(name.replace("_", " ").strip())
            try:
                if file.fault:
                    raise Problem(file.fault)
                found: tuple[GivenPicture, ...] = ()
                if not file.kind:
                    parsed = Parsed(named, (Section((), named),))
                elif file.kind == "pdf":
                    parsed, found = _pdf(folder, file, named, parser, inside, pages)
                else:
                    data = content(folder / file.place, MOST_BYTES[file.kind])
                    parsed = parse(file.kind, data) if file.kind == "txt" else parser.parse(file.kind, data)
            except Problem as problem:
                # What was there of it, or below it, stays.
                below = file.kind or _ending(file.place) in ENDINGS
                yield Skipped(where, str(problem), safe_key(file.place) if below else key_like(file.place) + "/")
                continue
            pictures = (*found, *_pictures(folder, file, parsed.pictures))
            loose.difference_update(each.name for each in pictures)
            yield DocumentRecord(
                key=safe_key(file.place),
                title=parsed.title or named,
                url="",
                language=language,
                licence=licence,
                texts=(),
                sections=parsed.sections,
                pictures=pictures,
            )
            for said in parsed.notes:
                yield Note(where, said)
    if loose:
        yield Note(shown(folder), _no_documents(loose), whole=True)
    if passed:
        yield Note(shown(folder), _passed_over(passed), whole=True)


def _pdf(
    folder: Path, file: _File, named: str, parser: Parser, inside: PdfPictures, pages: bool
) -> tuple[Parsed, tuple[GivenPicture, ...]]:
    """What a PDF says, and its pictures, or its pages as pictures. Raises Problem."""
    load = partial(content, folder / file.place, MOST_BYTES[file.kind])
    try:
        parsed = parser.parse(file.kind, load())
    except Problem as problem:
        if not pages:
            raise
        # A scan has pages all the same.
        why = "It is a scan; have its text recognised, where they matter." if str(problem) == SCAN else f"{problem}"
        parsed = Parsed("", (), (f"Its pages are taken as pictures, without their words. {why}",))
    try:
        if pages:
            sections, pictures, said = inside.as_pages(file.place, load, parsed.sections, parsed.title or named)
        else:
            sections, pictures, said = inside.with_figures(file.place, load, parsed.sections)
    except Problem as problem:
        if not parsed.sections:
            raise
        sections, pictures, said = parsed.sections, (), f"Its pages cannot be drawn. {problem}"
    return replace(parsed, sections=sections, notes=(*parsed.notes, *([said] if said else []))), pictures


def _pictures(folder: Path, file: _File, referred: Iterable[Shown]) -> tuple[GivenPicture, ...]:
    """Those that a document refers to, in their order, and those that have its name."""
    found = []
    for each in referred:
        address = web_address(each.name)
        name = each.name if address else _place(folder, dirname(file.place), unquote(urlsplit(each.name).path))
        found.append(GivenPicture(name, each.caption, url=address, read=None if address else reader(folder, name)))
    return (*found, *(GivenPicture(place, read=reader(folder, place)) for place in file.pictures))


def _place(folder: Path, below: str, said: str) -> str:
    """Where the picture lies that a document in the folder `below` refers to: there, or beside the document, as files
    lie that were uploaded. What leads out of the folder is refused where it is read."""
    name = normpath(join(below, said))
    beside = join(below, basename(said))
    inside = not name.startswith(("/", ".."))
    missing = not inside or not os.path.lexists(folder / name)
    return beside if missing and os.path.isfile(folder / beside) else name


def _first(files: Iterator[_File], count: int) -> Iterator[_File]:
    """The files as far as so many documents and the pictures between them go."""
    documents = 0
    for file in islice(files, _PREVIEWED_FILES):
        documents += bool(file.kind or file.fault)
        if documents > count:
            return
        yield file


def _illustrated(found: Sequence[_File]) -> list[_File]:
    """The documents among the files, with the pictures that have their names, perhaps with a number; the pictures,
    where there is nothing else."""
    documents = [file for file in found if file.kind or file.fault]
    names = {os.path.splitext(file.place)[0] for file in documents}
    numbered: dict[str, list[tuple[int, str]]] = {}
    for file in found:
        if not file.kind and not file.fault:
            name, number = os.path.splitext(file.place)[0], 0
            if name not in names and (match := _NUMBERED.fullmatch(name)):
                name, number = match[1], int(match[2] or match[3])
            numbered.setdefault(name, []).append((number, file.place))
    pictures = {name: [place for _, place in sorted(those)] for name, those in numbered.items()}
    if not documents:
        return [replace(file, pictures=(file.place,)) for file in found]
    beside = (pictures.get(os.path.splitext(file.place)[0], ()) for file in documents)
    return [replace(file, pictures=tuple(those)) for file, those in zip(documents, beside, strict=True)]


def _ending(place: str) -> str:
    return os.path.splitext(place)[1].lower()


def _no_documents(loose: set[str]) -> str:
    some = ", ".join(shown(place, 60) for place in sorted(loose)[:_TOLD_PICTURES])
    some += ", …" * (len(loose) > _TOLD_PICTURES)
    told = f"{len(loose):,} pictures are" if len(loose) > 1 else "1 picture is"
    return (
        f"{told} passed over, since no document refers to them or has their name ({some}). For vase.txt call them "
        "vase.jpg, vase-2.jpg and so on, in the same folder and with the same capital letters."
    )


def _passed_over(passed: Counter[str]) -> str:
    most = [f"{number:,} {ending or 'without one'}" for ending, number in passed.most_common(_TOLD_ENDINGS)]
    most += ["others"] * (len(passed) > _TOLD_ENDINGS)
    return (
        f"Files with other endings are passed over ({', '.join(most)}); taken are {', '.join(FILES)}. Save what is to "
        "be read as one of them."
    )


def _files(folder: Path, passed: Counter[str] | None = None) -> Iterator[_File]:
    """Documents, pictures and what is wrong, in order, found as they are asked for; endings of files that are passed
    over are counted."""
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise Problem(f"{shown(folder)} {what}; give the path of a folder with documents.")
    todo: list[tuple[str, int | None, str]] = [("", 0, "")]  # place, depth of a folder, fault
    while todo:
        place, depth, fault = todo.pop()
        if depth is None or fault:
            yield _File(place, fault)
            continue
        try:
            with os.scandir(folder / place) as entries:
                found = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name, reverse=True)
        except OSError as problem:
            if not place:
                raise unreadable(folder, problem) from None
            yield _File(place, f"The folder cannot be read ({problem.strerror or problem}).")
            continue
        for entry in found:
            below = f"{place}/{entry.name}" if place else entry.name
            ending = _ending(entry.name)
            wanted = ending in FILES
            if entry.is_dir(follow_symlinks=False):
                fault = f"It lies more than {_MOST_DEEP} folders deep." if depth == _MOST_DEEP else ""
                todo.append((below, depth + 1, fault))
            elif entry.is_symlink() and (wanted or _leads_to_folder(entry)):
                fault = "It is a link, and links are not followed; put what it leads to into the folder."
                todo.append((below, None, fault))
            elif entry.is_file(follow_symlinks=False):
                if wanted or ending in ENDINGS:
                    todo.append((below, None, ""))
                elif passed is not None:
                    passed[shown(ending, 20)] += 1


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # it leads in a circle
        return False


KIND = SourceKind(
    "folder",
    "A folder on the machine that runs this page",
    (
        Field(
            "what", "Folder", "DIR",
            "Its path there. Texts, Markdown, web pages, PDFs, Word, EPUB and pictures below it are read.",
            value="path", required=True, where=True,
        ),
        NAMED, LICENCE, LANGUAGE, PAGES,
    ),
    made_by(source, PAGES.name),
    in_words="the folder",
    cut=True,
    preview=lambda values, count: preview(Path(values["what"]), count, bool(values[PAGES.name])),
)  # fmt: skip
