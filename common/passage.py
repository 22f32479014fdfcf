"""A passage, from the catalogue to the page: what all who keep, find, answer from or show one mean by it.

Knows nothing of how it is kept, cut or found.
"""

from __future__ import annotations

from dataclasses import dataclass

# The last of a passage's section titles where it is rows: of a table, whose own title may follow after a colon, or of
# the box of an article.
TABLE, FACTS = "Table", "Facts"


@dataclass(frozen=True)
class Picture:
    """A picture that stands beside a text. `content_hash`: the SHA-256 of its file, by which it is kept; "" where only
    its name is known, with `width` and `height`, in pixels, 0.

    name: what its source calls it, a file or an address. url: where it can be seen, "" where that is not known."""

    name: str
    caption: str = ""
    licence: str = ""
    author: str = ""
    url: str = ""
    content_hash: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Passage:
    """A piece of text that can be found; `id` is `<corpus>:<key of the document>#<position>`, for good."""

    id: str
    title: str
    text: str
    url: str = ""
    licence: str = ""
    corpus: str = ""
    document_id: str = ""
    language: str = ""
    position: int = 0
    section: str = ""  # the titles of the sections it lies in, outermost first, between › signs
    description: str = ""  # a few words on what its document is about; empty where the corpus has none
    content_hash: str = ""  # of what it says: it changes when an index has to learn it anew
    tokens: int | None = None  # of its text, where it was cut by them
    pictures: tuple[Picture, ...] = ()  # those that are kept

    @property
    def tabular(self) -> bool:
        """Whether it is rows, a line each, and no sentences."""
        return says_rows(self.section.rpartition(" › ")[2])

    @property
    def heading(self) -> str:
        """The title and the section: what a passage is headed with."""
        return f"{self.title} › {self.section}" if self.section else self.title


def says_rows(title: str) -> bool:
    """Whether what is headed so is a table."""
    return title in (TABLE, FACTS) or title.startswith(f"{TABLE}: ")


@dataclass(frozen=True)
class Evidence(Passage):
    """A passage that was found for a question; a list of them has the best first.

    rank: from 1; Citation.number is the rank of the passage it cites. score: the mean cosine similarity of the query's
    vectors, 0..1. seen: what the photo's own classes add to it for the order, 0 where they say nothing of its title.
    shown: whether the photo may show what it is about; None where that is not known or the question is about no photo.
    alike: the cosine similarity of the photo to the likest of its pictures; None where they are not compared.
    was: the rank that it was found at, where a reranker put the passages in order after that; None where none did.
    by: the profile that placed it higher, whose score it has, where two are asked together; "" where one is.
    """

    rank: int = 0
    score: float = 0.0
    seen: float = 0.0
    shown: bool | None = None
    alike: float | None = None
    was: int | None = None
    by: str = ""
