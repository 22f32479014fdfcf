"""What a dump is packed with, what it gives twice, and what of it is left out and told."""

from __future__ import annotations

import bz2
import gzip
from collections import Counter

import pytest

from benchmarks.wikipedia_dump import dump_head, dump_page
from common.problems import Problem
from kb.catalogue import Catalogue
from kb.chunking import Cutting
from kb.ingest import ingest
from kb.records import DocumentRecord, Note
from kb.sources.dump_counts import ROWS, Seen, add, template, told
from kb.sources.wikipedia_dump import read_dump, source

END = "</mediawiki>\n"


def written(tmp_path, data: str | bytes, name: str = "made-up.xml"):
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def dump(*texts: str) -> str:
    return dump_head() + "".join(dump_page(n, f"Mill {n}", text) for n, text in enumerate(texts, 1)) + END


def test_a_gzipped_file_that_is_cut_off_or_damaged(tmp_path):
    data = gzip.compress((dump("A mill.", "A mill.") + "x" * 600_000).encode(), 0)
    cut = list(read_dump(written(tmp_path, data[:-300_000], "a.xml.gz"), 1))
    assert [item.key for item in cut[:2]] == ["1", "2"] and "cut off" in cut[2].why
    spoilt = list(read_dump(written(tmp_path, data[:-8] + bytes(8), "a.xml.gz"), 1))
    assert len(spoilt) == 3 and "damaged" in spoilt[2].why


@pytest.mark.parametrize(
    ("head", "packer"),
    [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"PK\x03\x04", "zip"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd")],
)
def test_other_packers_are_named_with_what_is_taken(tmp_path, head, packer):
    path = written(tmp_path, head + bytes(1000), "enwiki.xml.7z")
    with pytest.raises(Problem, match=rf"packed with {packer}.*\.xml\.bz2 or \.xml\.gz"):
        source(path, "mills")


HEAD = dump_head().encode()


@pytest.mark.parametrize(
    "data",
    [bz2.compress(HEAD)[:-100], bz2.compress(HEAD)[:20], gzip.compress(HEAD)[:-100], gzip.compress(HEAD)[:12],
     HEAD[:-100], HEAD[:80]],
    ids=["bz2", "bz2 begun", "gz", "gz begun", "xml", "xml begun"],  # gzip writes the time down
)  # fmt: skip
def test_a_file_cut_off_before_its_first_page_is_told_as_such(tmp_path, data):
    with pytest.raises(Problem, match="is cut short.*fetch it again"):
        source(written(tmp_path, data), "mills")


def test_a_page_that_comes_twice_is_noted_and_the_run_goes_on(tmp_path):
    titles = (1, "old"), (2, "new"), (1, "old"), (3, "last")
    pages = [dump_page(number, title, f"The {title} mill.") for number, title in titles]
    path = written(tmp_path, dump_head() + "".join(pages) + END)
    catalogue = Catalogue(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    try:
        cutting = Cutting(lambda texts: [len(text.split()) for text in texts], lambda text: [text])
        report = ingest(catalogue, source(path, "mills"), tmp_path, cutting=cutting)
        assert (report.added, report.skipped) == (3, 1)
        [skip] = catalogue.runs("mills", 1)[0]["skips"]
        assert skip["where"] == "made-up.xml, page 'old'" and "came before" in skip["why"]
    finally:
        catalogue.close()


def test_numbers_of_pages_that_were_seen():
    seen = Seen()
    numbers = [7, 8, 0, 70_000_000, 10**19, 9]
    assert all(seen.add(number) for number in numbers) and not any(seen.add(number) for number in numbers)


@pytest.mark.parametrize("processes", [1, 2])
def test_what_is_left_out_is_told_at_the_end(tmp_path, processes):
    table = "{|\n! A !! B\n" + "|-\n| 1 || 2\n" * 502 + "|}\n"
    path = written(tmp_path, dump("A mill. It lies {{far|1|2}} off.", f"A mill.\n{table}", "#REDIRECT [[Mill 1]]"))
    items = list(read_dump(path, processes))
    assert [isinstance(item, DocumentRecord) for item in items] == [True, True, False, False, False]
    assert [item.where for item in items[2:]] == ["made-up.xml"] * 3
    said = [item.said for item in items[2:] if isinstance(item, Note)]
    assert "1 redirect " in said[0] and "1 sentence," in said[1] and "{{far}} 1." in said[1] and "2 rows" in said[2]
    assert items[0].sections[0].text == "A mill."


def test_few_names_of_templates_are_kept():
    counts = Counter({ROWS: 1})
    for number in range(40):
        add(counts, Counter({template(f"{number} {n}"): 1 for n in range(1000)}))
    assert len(counts) < 21_000 and counts[ROWS] == 1
    assert "40,000 sentences" in next(told(counts))
