"""The text of files: plain text, Markdown, web pages, PDFs, documents of Word's and books in EPUB as a title and
sections.

Documents are untrusted, and a small one can keep a parser busy for days or fill the memory. `Parser` therefore has a
second process do the work (kb/sources/bounded_process.py), which is given the bytes alone. Knows nothing of folders or
records.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

from common.problems import Problem
from kb.records import Section, clean_text
from kb.sources.bounded_process import BoundedProcess, serve
from kb.sources.encodings import Encoding, decoded, guess_told
from kb.sources.exponents import with_exponents
from kb.sources.html_text import fragment_blocks, html_text
from kb.sources.outline import Blocks, Shown, outlined, sections
from kb.sources.tables import Cell, Grid, grid_of

SECONDS = 120.0  # for a document
MEMORY = 4 << 30  # bytes of addresses
MOST_CHARACTERS = 5_000_000  # of a document's text

_BETWEEN_RULES = re.compile(r"\A---[ \t]*\n(.*?\n)?(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TOML = re.compile(r"\A\+\+\+[ \t]*\n((?:(?!\+\+\+).*\n)*)\+\+\+[ \t]*(?:\n|\Z)")
_TOML_TITLE = re.compile(r"^title[ \t]*=[ \t]*(\"[^\"\n]*\"|'[^'\n]*')", re.MULTILINE)
_TOML_KEY = re.compile(r"[\w.\"'-]+[ \t]*=[ \t]*\S", re.MULTILINE)
_FOOTNOTE = re.compile(r"\[\^[^\]\s]{1,40}\]:?")  # a mark of one, and what begins it
_YAML_KEY = re.compile(r"""(["']?)[\w.-]+\1[ \t]*:(?:[ \t].*)?""")
_YAML_MORE = re.compile(r"#.*|[ \t].*|-[ \t].*|[\])}].*|")  # a comment, or more of a key's value
_RAISED_TAG = re.compile(r"</?su[pb]\b[^<>]*>", re.IGNORECASE)
_STRUCK_TAG = re.compile(r"<(/?)(?:del|s|strike)\b", re.IGNORECASE)
_BREAK_TAG = re.compile(r"<br\b", re.IGNORECASE)


@dataclass(frozen=True)
class Parsed:
    """What a document says. title: "" where it names none. notes: what is to be known of how it was read,
    and of what was left out, as sentences."""

    title: str
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = ()
    pictures: tuple[Shown, ...] = ()  # those that the sections have by their numbers


class Parser:
    """Parses in a process of its own, so that no document holds up the next. Close it."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.process = BoundedProcess(__name__, seconds)

    def parse(self, kind: str, data: bytes) -> Parsed:
        """See parse(). Raises Problem, also when it takes too long or too much memory."""
        try:
            said = self.process.ask({"kind": kind, "seconds": str(self.process.seconds)}, data)
        except TimeoutError:
            raise Problem(f"Reading it took longer than {self.process.seconds:g} seconds.") from None
        except ChildProcessError:
            raise Problem("What reads it broke down over it; it is damaged or made to do that.") from None
        if "fault" in said:
            raise Problem(said["fault"])
        sections = tuple(_section(*each) for each in said["sections"])
        return Parsed(said["title"], sections, tuple(said["notes"]), tuple(Shown(*each) for each in said["pictures"]))

    def close(self) -> None:
        """End the process, if there is one."""
        self.process.close()


def parse(kind: str, data: bytes, seconds: float = SECONDS) -> Parsed:
    """The document of the kind "txt", "md", "html", "docx", "epub" or "pdf" that `data` holds. Of a PDF that takes
    longer the first pages come. Raises Problem."""
    if kind == "pdf":
        parsed = _pdf(data, seconds)
    else:
        parsed = {"txt": _plain, "md": _markdown, "html": _web_page, "docx": _docx, "epub": _epub}[kind](data)
    size, kept = 0, []
    for section in parsed.sections:
        size += len(section.text)
        if size > MOST_CHARACTERS:
            notes = (*parsed.notes, f"What follows its first {MOST_CHARACTERS:,} characters is left out.")
            parsed = replace(parsed, sections=tuple(kept), notes=notes)
            break
        kept.append(section)
    if not kept:
        raise Problem("It has no text." if size == 0 else f"It has more than {MOST_CHARACTERS:,} characters.")
    return parsed


def _plain(data: bytes) -> Parsed:
    text, encoding = decoded(data)
    return Parsed("", sections((0, block) for block in _blocks(text)), _notes(encoding))


def _markdown(data: bytes) -> Parsed:
    from markdown_it import MarkdownIt

    text, encoding = decoded(data)
    text, title = text.replace("\r\n", "\n").replace("\r", "\n"), ""
    if front := _BETWEEN_RULES.match(text):
        text, said = text[front.end() :], front[1] or ""
        if _is_front_matter(said):
            named = re.search(r"^title:[ \t]*(.+)$", said, re.MULTILINE)
            title = clean_text(named[1]).strip("\"'") if named else ""
        else:  # text; with the rule below it, it would be a heading
            text = f"{said}\n{text}"
    elif (front := _TOML.match(text)) and _TOML_KEY.match(front[1].lstrip()):
        text, named = text[front.end() :], _TOML_TITLE.search(front[1])
        title = clean_text(named[1][1:-1]) if named else ""
    blocks: list[tuple[int, str | Grid | Shown]] = []
    level, rows = 0, None
    for token in MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text):
        if token.type == "heading_open":
            level = int(token.tag[1])
        elif token.type == "table_open":
            rows = []
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "table_close":
            if grid := grid_of("", rows, data=True):
                blocks.append((0, grid))
            else:
                blocks += ((0, " | ".join(cell.text for cell in row)) for row in rows)
            rows = None
        elif token.type == "html_block":
            blocks += ((0, said) for said in fragment_blocks(token.content))
        elif token.type in ("fence", "code_block"):
            blocks.append((0, token.content))
        elif token.type == "inline":
            children = _unstruck(token.children or [])
            for child, end in zip(children, _ends(_parts(children)), strict=True):
                if child.type == "image":
                    blocks.append((end, Shown(str(child.attrs["src"]), clean_text(_inline(child.children or [])))))
            said = _inline(children)
            if rows is None:
                blocks.append((level, said))
            else:
                rows[-1].append(Cell(clean_text(said), head=len(rows) == 1))
            level = 0
    return _parsed(title, blocks, encoding)


def _ends(parts: Iterable[str]) -> Iterator[int]:
    """How many characters there are up to the end of each part, with each run of white space made one space."""
    size, apart = 0, False
    for part in parts:
        apart = apart or part[:1].isspace()
        if bare := " ".join(part.split()):
            size += len(bare) + (apart and size > 0)
            apart = part[-1].isspace()
        yield size


def _section(path: list[str], text: str, pictures: list[int], places: list[int]) -> Section:
    return Section(tuple(path), text, tuple(pictures), places=tuple(places))


def _inline(tokens: list) -> str:
    """What a line's tokens say, without their markup."""
    said = "".join(_parts(tokens))
    return _RAISED_TAG.sub("", with_exponents(said)) if any(map(_raises, tokens)) else said


def _parts(tokens: list) -> list[str]:
    """What each of a line's tokens says; a picture what is said of it."""
    return [
        _FOOTNOTE.sub("", token.content)
        if token.type == "text"
        else _inline(token.children or [])
        if token.type == "image"
        else token.content
        if token.type == "code_inline" or _raises(token)
        else " " * (token.type.endswith("break") or _breaks(token))
        for token in tokens
    ]


def _is_front_matter(said: str) -> bool:
    """Whether lines are YAML's keys and values, as far as front matter goes, or none; and no text between two rules."""
    lines = [line for line in said.split("\n") if line.strip() and not line.startswith("#")]
    keys = [bool(_YAML_KEY.fullmatch(line)) for line in lines]
    if not said.strip():
        return True
    return any(keys[:1]) and all(key or _YAML_MORE.fullmatch(line) for key, line in zip(keys, lines, strict=True))


def _parsed(title: str, blocks: Blocks, encoding: Encoding | None = None) -> Parsed:
    found = outlined(title, blocks)
    notes = (*(_notes(encoding) if encoding else ()), *([found.note] if found.note else ()))
    return Parsed(found.title, found.sections, notes, found.pictures)


def _unstruck(tokens: list) -> list:
    """Without what is struck out, where that ends."""
    edges = [_struck_edge(token) for token in tokens]
    if sum(edges):
        return tokens
    within = accumulate(edges)
    return [token for token, edge, depth in zip(tokens, edges, within, strict=True) if not edge and not depth]


def _struck_edge(token) -> int:
    """1 where what is struck out begins, -1 where it ends."""
    if token.type in ("s_open", "s_close"):
        return 1 if token.type == "s_open" else -1
    tag = _STRUCK_TAG.match(token.content) if token.type == "html_inline" else None
    return 0 if tag is None else -1 if tag[1] else 1


def _raises(token) -> bool:
    return token.type == "html_inline" and _RAISED_TAG.match(token.content) is not None


def _breaks(token) -> bool:
    return token.type == "html_inline" and _BREAK_TAG.match(token.content) is not None


def _web_page(data: bytes) -> Parsed:
    found = html_text(data, everything=True)
    if found is None:
        raise Problem("It is not a web page.")
    parsed = _parsed(found.title, found.blocks, found.encoding)
    return replace(parsed, notes=(*parsed.notes, found.left_out)) if found.left_out else parsed


def _docx(data: bytes) -> Parsed:
    from kb.sources.zipped_text import docx_text

    return _parsed(*docx_text(data))


def _epub(data: bytes) -> Parsed:
    from kb.sources.zipped_text import epub_text

    return _parsed(*epub_text(data))


def _pdf(data: bytes, seconds: float) -> Parsed:
    from kb.sources.pdf.text import pdf_text

    found = pdf_text(data, MOST_CHARACTERS, seconds * 3 / 4)  # the rest is for the page that is begun last
    return Parsed(found.title, found.sections, found.left_out)


def _blocks(text: str) -> list[str]:
    """Paragraphs: what stands between empty lines; where there are none, every line is one."""
    text = text.strip().replace("\r\n", "\n").replace("\r", "\n")
    blocks = re.split(r"\n[ \t]*\n", text)
    return blocks if len(blocks) > 1 else text.split("\n")


def _notes(encoding: Encoding) -> tuple[str, ...]:
    return (told,) if (told := guess_told(encoding)) else ()


def _answer(about: dict[str, str], data: bytes) -> dict[str, object]:
    try:
        parsed = parse(about["kind"], data, float(about["seconds"]))
        sections = [[section.path, section.text, section.pictures, section.places] for section in parsed.sections]
        pictures = [[picture.name, picture.caption] for picture in parsed.pictures]
        return {"title": parsed.title, "sections": sections, "notes": parsed.notes, "pictures": pictures}
    except Problem as problem:
        return {"fault": str(problem)}
    except ImportError:
        return {"fault": "The library that reads it is missing; install what requirements.txt names."}
    except MemoryError:
        return {"fault": "Reading it takes too much memory."}
    except Exception as problem:  # a parser broke over it; the next document is not to suffer
        return {"fault": f"It is damaged ({type(problem).__name__})."}


if __name__ == "__main__":
    serve(_answer, MEMORY)
