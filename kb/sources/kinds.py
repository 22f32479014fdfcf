"""What a kind of source says of itself: its name, what it asks for, and how a Source comes of the answers.

The command line, the page and the service know the kinds by this alone. Knows none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from kb.records import Item, Source

FLAG = "flag"  # the value of a field that is ticked or not
TICKED = "yes"  # what stands for it in values where it is
Values = Mapping[str, str]  # by the names of fields and settings; "" for what is not given
Previewed = list[Item]


@dataclass(frozen=True)
class Field:
    """Something that a kind asks for: a box on the page; on the command line the option `--name`, or what stands behind
    the kind, where the name is "what".

    form: how it is written on the command line. value: "path" is of a file or folder that must be there, "place" a
    folder, else a data set on the Hub, "flag" what is ticked or not. where: whether it says where the documents are; a
    corpus comes from one place.
    """

    name: str
    label: str
    form: str
    help: str = ""
    value: Literal["text", "path", "place", "flag"] = "text"
    required: bool = False
    on_page: bool = True
    where: bool = False
    example: str = ""  # stands in the empty box, in place of the help
    missing: str = ""  # what to do first, where it is required

    @property
    def option(self) -> str:
        """What it is called on the command line, where its name is not "what"."""
        return f"--{self.name.replace('_', '-')}"


CORPUS = Field(
    "corpus", "Name of the corpus", "NAME", "what the corpus is called", example="my-notes",
    missing="Give the corpus a name",
)  # fmt: skip
LICENCE = Field("licence", "Licence", "TEXT", "of documents that name none", example="unknown")
LANGUAGE = Field("language", "Language", "CODE", "of documents that name none", example="en")
FETCH_IMAGES = Field(
    "fetch_images", "Fetch pictures", "",
    "Pictures on the web that documents name are fetched, one a second from a host; else only their names are kept.",
    value=FLAG,
)  # fmt: skip
COMMON = (CORPUS, LICENCE, LANGUAGE)  # asked for by many kinds, in this order
NAMED = replace(CORPUS, required=True)


@dataclass(frozen=True)
class SourceKind:
    """A kind of source. A module of kb/sources that has one, called KIND, is all that it takes.

    label: on the page; kinds of one label are one choice there, told apart by what the file's name ends in (`endings`;
    a kind without them takes the rest). settings: those of app/settings.py that `make` is given too. in_words: stands
    before what it reads, where a corpus says where it is from. cut: whether its documents have sections, to be cut into
    passages. preview: the first of its documents, where they come at once. fixed: the one Source there is of it.
    """

    name: str
    label: str
    fields: tuple[Field, ...]
    make: Callable[[Values], Source]
    in_words: str = ""
    cut: bool = False
    preview: Callable[[Values, int], Previewed] | None = None
    endings: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    fixed: Source | None = None

    @property
    def usage(self) -> str:
        """What stands behind its name on the command line."""
        forms = []
        for field in self.fields:
            option = field.form if field.name == "what" else f"{field.option} {field.form}".rstrip()
            if field.required or field.name == "what":
                forms.append(option)
            elif field.name not in {common.name for common in COMMON}:
                forms.append(f"[{option}]")
        return " ".join(forms)


def fixed_collection(source: Source, label: str = "", cut: bool = False) -> SourceKind:
    """The kind of a source that asks for nothing and whose corpus has its name."""
    return SourceKind(source.name, label or source.title, (), lambda values: source, cut=cut, fixed=source)


def first_documents(make: Callable[[Values], Source]) -> Callable[[Values, int], Previewed]:
    """The preview of a source that gives its first documents at once and keeps no files."""
    return lambda values, count: list(islice(make(values).read(Path())[1], count))
