"""A sample of a corpus is of that corpus, from all over it, and the same every time."""

from __future__ import annotations

from kb.catalogue import Catalogue
from kb.catalogue.sampling import sample
from kb.ingest import ingest
from kb.records import DocumentRecord, Source


def corpus(name: str, documents: int) -> Source:
    records = [
        DocumentRecord(f"{n}", f"{name} {n}", "", "en", "CC0", (f"first of {n}", f"second of {n}"))
        for n in range(documents)
    ]
    return Source(name, "", "CC0", "en", "", lambda _: (len(records), iter(records)))


def test_a_sample_is_from_all_over_one_corpus(url, tmp_path):
    catalogue = Catalogue(url)
    for name in ("things", "others"):
        ingest(catalogue, corpus(name, 1500), tmp_path)
    drawn = sample(catalogue, "things", 600)
    assert drawn == sample(catalogue, "things", 600)
    assert len({passage.id for passage in drawn}) == len(drawn) and 600 <= len(drawn) < 2000
    assert {passage.corpus for passage in drawn} == {"things"}
    numbers = sorted(int(passage.title.split()[1]) for passage in drawn)
    assert numbers[0] < 150 and numbers[-1] > 1350 and 600 < numbers[len(numbers) // 2] < 900
    assert len(sample(catalogue, "things", 2000)) == 3000  # all of them
    assert sample(catalogue, "nothing", 5) == []
    catalogue.close()
