"""How fast Wikipedia dumps are read: made-up articles with an article's usual markup, and the time each step takes.

`print(measure())`, or `python -m benchmarks.wikipedia_dump`. Every word of the articles is ours. Knows nothing of the
catalogue.
"""

from __future__ import annotations

import bz2
import random
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from kb.records import DocumentRecord
from kb.sources import wikipedia_dump, wikitext

_WORDS = (
    "the of and in a to was is by with from on as at its for river valley town station bridge built north between "
    "century people stone early during which first water under region several named market later known school "
    "church railway company year many after part large small old new council opened closed line mill road forest"
).split()


def made_up_article(number: int, kilobytes: int = 30) -> str:
    """The wikitext of an article of about this size: infobox, sections, links, references, tables, files, lists."""
    draw = _Draw(number)
    parts = [draw.beginning()]
    size = len(parts[0])
    while size < kilobytes * 1000:
        part = draw.part()
        parts.append(part)
        size += len(part) + 2
    return "\n\n".join([*parts, *draw.end()])


class _Draw:
    """Pieces of an article, drawn one after another from the numbers that follow its own."""

    def __init__(self, number: int) -> None:
        self._rng = random.Random(number)

    def beginning(self) -> str:
        """Templates, an infobox and the first paragraph."""
        rng, words = self._rng, self._words
        title = words(2).title()
        return (
            f"{{{{Short description|{words(4)}}}}}\n{{{{Use dmy dates|date=May 2024}}}}\n"
            f"{{{{Infobox settlement\n| name = {title}\n"
            f"| image = {title}.jpg\n| caption = {words(6)}\n| population = {{{{formatnum:{rng.randrange(10**6)}}}}}\n"
            f"| established = {{{{start date|18{rng.randrange(10, 99)}|5|12}}}}\n| leader = [[{words(2).title()}]]\n"
            f"| coordinates = {{{{coord|{rng.randrange(80)}|12|N|{rng.randrange(80)}|3|E|display=inline,title}}}}\n"
            + "".join(f"| blank{n} = {words(2)}{self._reference()}\n" for n in range(18))
            + f"}}}}\n'''{title}''' is a {words(3)} in [[{words(1).title()}]]. {self._paragraph()}"
        )

    def part(self) -> str:
        """A heading, a paragraph, or what stands between them."""
        words, kind = self._words, self._rng.random()
        if kind < 0.15:
            return f"== {words(2).title()} ==\n{{{{Main|{words(2).title()}}}}}"
        if kind < 0.25:
            return f"=== {words(2).title()} ==="
        if kind < 0.31:
            caption = f"{words(8)} [[{words(2)}]]{self._reference()}"
            return f"[[File:{words(2)} {self._rng.randrange(999)}.jpg|thumb|left|upright=1.2|{caption}]]"
        if kind < 0.35:
            return self._table()
        if kind < 0.42:
            return "\n".join(f"* [[{words(2)}]], {words(6)}{self._reference()}" for _ in range(6))
        if kind < 0.44:
            return f"<!-- {words(12)} -->\n<gallery>\n{words(1)}.jpg|{words(4)}\n</gallery>"
        return self._paragraph()

    def end(self) -> list[str]:
        """What every article ends with."""
        words = self._words
        return [
            "== See also ==\n" + "\n".join(f"* [[{words(2).title()}]]" for _ in range(5)),
            "== References ==\n{{Reflist|30em}}\n\n== External links ==\n* [https://example.org/ Official site]",
            "{{Authority control}}\n" + "\n".join(f"[[Category:{words(3).capitalize()}]]" for _ in range(6)),
        ]

    def _words(self, count: int) -> str:
        return " ".join(self._rng.choices(_WORDS, k=count))

    def _reference(self) -> str:
        rng, words = self._rng, self._words
        if rng.random() < 0.35:
            return f'<ref name="r{rng.randrange(30)}" />'
        url = f"https://example.org/{rng.randrange(10**6)}"
        return (
            f'<ref name="r{rng.randrange(30)}">{{{{cite web |url={url} |title={words(7).title()}'
            f" |last={words(1).title()} |first={words(1).title()}"
            f" |date=12 May 20{rng.randrange(10, 25)} |access-date=3 June 2025"
            f" |website=[[{words(2).title()}]] |publisher={words(3)}}}}}</ref>"
        )

    def _sentence(self) -> str:
        rng, words, parts = self._rng, self._words, []
        for _ in range(rng.randrange(2, 4)):
            parts.append(words(rng.randrange(3, 8)))
            chance = rng.random()
            if chance < 0.30:
                parts.append(f"[[{words(2).capitalize()}]]")
            elif chance < 0.55:
                parts.append(f"[[{words(2).capitalize()}|{words(2)}]]")
            elif chance < 0.60:
                parts.append(f"{{{{convert|{rng.randrange(2, 90)}|km|mi|abbr=on}}}}")
            elif chance < 0.64:
                parts.append(f"''{words(2)}''")
            elif chance < 0.66:
                parts.append(f"{{{{lang|fr|{words(2)}}}}}&nbsp;&ndash; {words(1)}")
        said = " ".join(parts).capitalize()
        return said + "." + "".join(self._reference() for _ in range(rng.choice((0, 0, 1, 1, 2))))

    def _paragraph(self) -> str:
        return " ".join(self._sentence() for _ in range(self._rng.randrange(3, 7)))

    def _table(self) -> str:
        rng, words = self._rng, self._words
        rows = "".join(
            f"|-\n| [[{words(2)}]] || {rng.randrange(999)} || {{{{dts|20{rng.randrange(10, 25)}}}}} ||"
            f' style="text-align:center" | {words(3)}{self._reference()}\n'
            for _ in range(12)
        )
        return f'{{| class="wikitable sortable"\n|+ {words(4)}\n! Name !! Number !! Date !! Notes\n{rows}|}}'


def dump_head(language: str = "en", base: str = "https://en.wikipedia.org/wiki/Main_Page") -> str:
    """What a dump begins with."""
    return (
        f'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="{language}">\n'
        f"  <siteinfo>\n    <sitename>Wikipedia</sitename>\n    <dbname>{language}wiki</dbname>\n"
        f"    <base>{base}</base>\n    <namespaces>\n"
        '      <namespace key="6" case="first-letter">File</namespace>\n'
        '      <namespace key="14" case="first-letter">Category</namespace>\n'
        "    </namespaces>\n  </siteinfo>\n"
    )


def dump_page(number: int, title: str, text: str, space: int = 0, more: str = "") -> str:
    """A page as a dump writes it; `more` stands before its revision."""
    return (
        f"  <page>\n    <title>{escape(title, False)}</title>\n    <ns>{space}</ns>\n    <id>{number}</id>\n{more}"
        f"    <revision>\n      <id>{number + 10**6}</id>\n      <contributor><id>7</id></contributor>\n"
        f'      <text bytes="{len(text)}" xml:space="preserve">{escape(text, False)}</text>\n'
        "    </revision>\n  </page>\n"
    )


def multistream(pages: Iterable[str], head: str, in_a_stream: int = 100) -> bytes:
    """A multistream dump: its head, so many pages, and its end, each a bz2 stream."""
    listed = list(pages)
    groups = ["".join(listed[at : at + in_a_stream]) for at in range(0, len(listed), in_a_stream)]
    return b"".join(bz2.compress(part.encode()) for part in [head, *groups, "</mediawiki>\n"])


@dataclass(frozen=True)
class Speed:
    """How fast a dump was read on one core; str() is a sentence for people.

    megabytes: of wikitext in UTF-8, 10**6 bytes each. megabytes_per_second: of processor time, all steps. The others
    are the seconds of processor time of each: unpacking bz2, finding and parsing pages, turning wikitext into prose.
    """

    megabytes: float
    megabytes_per_second: float
    unpacking: float
    xml: float
    wikitext: float

    def __str__(self) -> str:
        return (
            f"{self.megabytes_per_second:.1f} MB of wikitext a second on one core ({self.megabytes:.1f} MB: unpacking "
            f"{self.unpacking:.2f} s, XML {self.xml:.2f} s, wikitext {self.wikitext:.2f} s)"
        )


def measure(articles: int = 200) -> Speed:
    """Reads a made-up dump of so many articles, 30 kB each, in this process and a temporary folder, in some seconds.

    Processor time is counted, so that other programs matter little. Raises RuntimeError if the dump is not read whole.
    """
    texts = [made_up_article(number) for number in range(articles)]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    pages = [dump_page(number, f"Article {number}", text) for number, text in enumerate(texts, 1)]
    data = multistream(pages, dump_head())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made-up.xml.bz2"
        path.write_bytes(data)
        begun = time.process_time()
        count = sum(isinstance(item, DocumentRecord) for item in wikipedia_dump.read_dump(path, processes=1))
        whole = time.process_time() - begun
    if count != articles:
        raise RuntimeError(f"only {count} of {articles} articles were read")
    begun = time.process_time()
    bz2.decompress(data)
    unpacked = time.process_time()
    for text in texts:
        wikitext.is_disambiguation(text, "en")
        wikitext.read_article(text)
    unpacking, reading = unpacked - begun, time.process_time() - unpacked
    return Speed(megabytes, megabytes / whole, unpacking, max(0.0, whole - unpacking - reading), reading)


if __name__ == "__main__":
    print(measure())
