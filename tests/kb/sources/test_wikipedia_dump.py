"""Reading dumps made here: what documents come, in what order, by one process or several, and from damaged files."""

from __future__ import annotations

import bz2
import gzip
import os
import random
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from contextlib import suppress

import psutil
import pytest

from benchmarks.wikipedia_dump import dump_head, dump_page, made_up_article, measure, multistream
from common.problems import Problem
from kb.records import DocumentRecord, GivenPicture, Section, Skipped
from kb.sources import dump_pages, wikipedia_dump
from kb.sources.wikipedia_dump import read_dump, source
from tests import ROOT
from tests.support.waiting import LONG

END = "</mediawiki>\n"


def pages(count: int, size: int = 1) -> list[str]:
    return [dump_page(n, f"Mill {n}", made_up_article(n, size)) for n in range(1, count + 1)]


def written(tmp_path, data: bytes | str, name: str = "made-up.xml"):
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def keys(items) -> list[str]:
    return [item.key if isinstance(item, DocumentRecord) else "skipped" for item in items]


@pytest.fixture(autouse=True)
def others(monkeypatch):
    """The processes that other tests have begun, a browser for one, are left alone."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    monkeypatch.setitem(globals(), "_BEFORE", before)


_BEFORE: set[int] = set()


def children() -> list[psutil.Process]:
    begun = [child for child in psutil.Process().children(recursive=True) if child.pid not in _BEFORE]
    return [child for child in begun if "resource_tracker" not in " ".join(child.cmdline())]


def test_a_page_becomes_a_document(tmp_path):
    text = "[[File:A.jpg|x]]'''Öl & Mühle''' steht.\n== Lage ==\nAm [[Fluss]].\n== Weblinks ==\n* weg"
    head = dump_head("de", "https://de.wikipedia.org/wiki/Wikipedia:Hauptseite")
    path = written(tmp_path, head + dump_page(12345, "Öl & Mühle?", text) + END)
    made = source(path, "dewiki")
    assert (made.name, made.title, made.language, made.licence) == ("dewiki", "Wikipedia (de)", "de", "CC BY-SA 4.0")
    assert made.homepage == "https://de.wikipedia.org/wiki/Wikipedia:Hauptseite"
    total, documents = made.read(tmp_path)
    assert total is None
    assert list(documents) == [
        DocumentRecord(
            key="12345",
            title="Öl & Mühle?",
            url="https://de.wikipedia.org/wiki/%C3%96l_%26_M%C3%BChle%3F",
            language="de",
            licence="CC BY-SA 4.0",
            texts=(),
            sections=(Section((), "Öl & Mühle steht.", (0,)), Section(("Lage",), "Am Fluss.")),
            pictures=(GivenPicture("A.jpg"),),
        )
    ]


def test_other_pages_are_no_documents(tmp_path):
    body = (
        dump_page(1, "Talk:Mill", "Text", space=1)
        + dump_page(2, "Mühle", "#REDIRECT [[Mill]]", more='    <redirect title="Mill" />\n')
        + dump_page(3, "Old", "#WEITERLEITUNG [[Mill]]")
        + dump_page(4, "Mill (disambiguation)", "'''Mill''':\n* a\n{{disambiguation}}")
        + dump_page(5, "Mill", "It grinds.")
        + dump_page(6, "Nothing", "{{stub}}")
    )
    documents = list(read_dump(written(tmp_path, dump_head() + body + END), 1))
    assert keys(documents) == ["5", "skipped", "skipped"]
    assert "page 'Nothing'" in documents[1].where and "no text" in documents[1].why
    assert documents[2].where == "made-up.xml" and "2 redirects" in documents[2].said and "1 list " in documents[2].said


def test_every_form_of_the_file_gives_the_same(tmp_path):
    listed = pages(60)
    xml = (dump_head() + "".join(listed) + END).encode()
    half = len(xml) // 2
    forms = {
        "a.xml": xml,
        "b.xml.bz2": bz2.compress(xml),
        "b.xml.gz": gzip.compress(xml[:half]) + gzip.compress(xml[half:]) + bytes(100),
        "c.xml.bz2": bz2.compress(xml[:half]) + bz2.compress(xml[half:]),  # streams that do not begin with pages
        "d.xml.bz2": multistream(listed, dump_head(), 7),
    }
    read = {name: list(read_dump(written(tmp_path, data, name), 1)) for name, data in forms.items()}
    assert keys(read["a.xml"]) == [str(n) for n in range(1, 61)]
    assert all(items == read["a.xml"] for items in read.values())
    assert [dump_pages.in_streams(tmp_path / name) for name in forms] == [False, False, False, False, True]


def test_several_processes_give_the_same_in_the_same_order(tmp_path, monkeypatch):
    monkeypatch.setattr(wikipedia_dump, "BATCH_BYTES", 5000)
    listed = pages(80)
    listed[20] = listed[20].replace("</title>", "</titel>")
    packed = written(tmp_path, multistream(listed, dump_head(), 6), "d.xml.bz2")
    plain = written(tmp_path, dump_head() + "".join(listed) + END)
    for path in (packed, plain):
        alone = list(read_dump(path, 1))
        assert len(alone) == 80 and keys(alone).count("skipped") == 1
        assert list(read_dump(path, 2)) == alone
    assert not children()


def test_two_units_for_each_process_are_on_their_way(tmp_path):
    path = written(tmp_path, multistream(pages(60), dump_head(), 2), "d.xml.bz2")
    taken = []

    def counted():
        with path.open("rb") as file:
            for unit in wikipedia_dump._units(path, file):
                taken.append(unit.at)
                yield unit

    results = wikipedia_dump._read_by_many(counted(), wikipedia_dump.read_site(path), 2)
    next(results)
    next(results)
    assert len(taken) <= 6
    results.close()


def test_closing_the_iterator_ends_the_processes(tmp_path):
    path = written(tmp_path, multistream(pages(200), dump_head(), 2), "d.xml.bz2")
    documents = read_dump(path, 2)
    assert next(documents).key == "1"
    assert children()
    documents.close()
    assert not children()


def test_a_process_that_is_killed_is_told_of(tmp_path):
    path = written(tmp_path, multistream(pages(200, 3), dump_head(), 2), "d.xml.bz2")
    documents = read_dump(path, 2)
    next(documents)
    children()[0].send_signal(signal.SIGKILL)
    with pytest.raises(Problem, match="ended from outside"):
        list(documents)
    assert not children()


def test_a_process_that_stands_still_is_ended(tmp_path, monkeypatch):
    path = written(tmp_path, multistream(pages(200), dump_head(), 2), "d.xml.bz2")
    monkeypatch.setattr(wikipedia_dump, "PATIENCE", 1.0)
    documents = wikipedia_dump._read(path, wikipedia_dump.read_site(path), 2)
    stop = threading.Event()

    def hold():
        while not stop.is_set():
            with suppress(psutil.Error):  # one has just ended
                for child in children():
                    child.suspend()
            time.sleep(0.02)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        with pytest.raises(Problem, match="stood still"):
            list(documents)
    finally:
        stop.set()
        holder.join()
    assert not children()


def test_the_processes_end_with_their_parent(tmp_path):
    """A parent killed outright leaves nobody behind."""
    path = written(tmp_path, multistream(pages(300), dump_head(), 2), "d.xml.bz2")
    script = written(
        tmp_path,
        "import sys, time\nfrom pathlib import Path\nfrom kb.sources.wikipedia_dump import read_dump\n"
        "if __name__ == '__main__':\n    d = read_dump(Path(sys.argv[1]), 2)\n    next(d)\n"
        "    print('ready', flush=True)\n    time.sleep(600)\n",
        "parent.py",
    )
    parent = psutil.Popen(
        [sys.executable, str(script), str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert parent.stdout.readline() == b"ready\n"
    left = parent.children(recursive=True)
    assert left
    parent.kill()
    parent.wait()
    gone, alive = psutil.wait_procs(left, timeout=LONG)
    assert not [p for p in alive if p.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("form", ["stream", "whole", "plain"])
def test_a_file_cut_off(tmp_path, form):
    listed = pages(30, 4)
    if form == "stream":
        data = multistream(listed, dump_head(), 10)
        data = data[: data.rindex(b"BZh") - 2000]
    else:
        data = (dump_head() + "".join(listed) + END).encode()
        data = data[: data.rindex(b"<page>") + 700] if form == "plain" else bz2.compress(data, 1)
        data = data if form == "plain" else data[: len(data) * 2 // 3]
    items = list(read_dump(written(tmp_path, data, "cut.xml" + (".bz2" if form != "plain" else "")), 1))
    documents = [item.key for item in items if isinstance(item, DocumentRecord)]
    assert documents == [str(n) for n in range(1, len(documents) + 1)]
    assert len(documents) == {"stream": 20, "plain": 29}.get(form, len(documents)) and len(documents) >= 10
    assert all(isinstance(item, Skipped) for item in items[len(documents) :])
    assert items[-1].where.startswith("cut.xml") and "byte " in items[-1].where and "cut off" in items[-1].why
    assert len(items) - len(documents) == (2 if form == "plain" else 1)


def test_a_file_that_ends_between_two_streams(tmp_path):
    data = multistream(pages(20), dump_head(), 10)
    items = list(read_dump(written(tmp_path, data[: data.rindex(b"BZh")], "d.xml.bz2"), 1))
    assert len(items) == 21 and "cut off" in items[-1].why


@pytest.mark.parametrize("in_streams", [True, False])
def test_a_cut_in_a_block_is_told_of_by_several_processes_too(tmp_path, in_streams):
    listed = pages(30, 12)
    xml = (dump_head() + "".join(listed) + END).encode()
    data = multistream(listed, dump_head(), 10) if in_streams else bz2.compress(xml, 1)
    path = written(tmp_path, data[: data.rindex(b"BZh") - 2000 if in_streams else len(data) * 2 // 3], "cut.xml.bz2")
    alone = list(read_dump(path, 1))
    assert isinstance(alone[0], DocumentRecord) and "cut off" in alone[-1].why
    assert list(read_dump(path, 2)) == alone


@pytest.mark.parametrize("stream", [1, 2])
def test_a_damaged_stream_costs_only_itself(tmp_path, stream):
    data = bytearray(multistream(pages(30), dump_head(), 10))
    starts = [match.start() for match in dump_pages.STREAM.finditer(data)]
    data[starts[stream] + 60 : starts[stream] + 70] = bytes(10)
    items = list(read_dump(written(tmp_path, bytes(data), "d.xml.bz2"), 1))
    lost = range(10 * stream - 9, 10 * stream + 1)
    assert [key for key in keys(items) if key != "skipped"] == [str(n) for n in range(1, 31) if n not in lost]
    skipped = next(item for item in items if isinstance(item, Skipped))
    assert skipped.where == f"d.xml.bz2, byte {starts[stream]}" and "damaged" in skipped.why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda page: page.replace(b"</title>", b"</titel>"), "not well-formed"),
        (lambda page: page.replace(b"Mill", b"Mi\xff\xfell"), "not well-formed"),
        (lambda page: page.replace(b"Mill", b"Mi\0ll"), "not well-formed"),
        (lambda page: page.replace(b"preserve", b"pre\xffserve"), "not well-formed"),
        (lambda page: page.replace(b"</page>", b""), "no end"),
        (lambda page: page.replace(b"<page>", b"<page>&boom;"), "not well-formed"),
        (lambda page: page.replace(b"<page>", b'<page><!DOCTYPE a [<!ENTITY b "c">]>'), "not well-formed"),
        (lambda page: page.replace(b"<id>2</id>", b"<id>x y</id>"), "no number"),
        (lambda page: page.replace(b"<title>Mill 2</title>", b""), "no title"),
    ],
)
def test_a_bad_page_costs_only_itself(tmp_path, change, why):
    first, second, third = (page.encode() for page in pages(3))
    path = written(tmp_path, dump_head().encode() + first + change(second) + third + END.encode())
    items = list(read_dump(path, 1))
    assert keys(items) == ["1", "skipped", "3"]
    assert why in items[1].why and items[1].where.startswith("made-up.xml, byte ")


def test_a_page_of_which_nothing_is_left_is_told_why(tmp_path):
    texts = {1: "It has {{far off|1|2}} of them.", 2: "{{far off|1|2}}"}
    path = written(tmp_path, dump_head() + "".join(dump_page(n, f"Mill {n}", texts[n]) for n in texts) + END)
    first, second = (item.why for item in read_dump(path, 1) if isinstance(item, Skipped))
    assert "left out" in first and "{{far off}}" in first and "no text beside" in second


def test_pages_that_are_too_long(tmp_path):
    long = dump_page(2, "Long", os.urandom(1_200_000).hex())
    longer = dump_page(3, "Longer", os.urandom(5_000_000).hex())
    data = (dump_head() + pages(1)[0] + long + longer + dump_page(4, "Last", "Text.") + END).encode()
    for name, content in (("p.xml", data), ("p.xml.bz2", bz2.compress(data, 1))):
        items = list(read_dump(written(tmp_path, content, name), 1))
        assert keys(items) == ["1", "skipped", "skipped", "4"]
        assert "'Long'" in items[1].where and "2 million characters" in items[1].why
        assert "'Longer'" in items[2].where and "8 MB" in items[2].why


@pytest.mark.parametrize("form", ["plain", "packed", "stream"])
def test_a_line_of_200_mb_costs_only_itself_and_no_memory(tmp_path, form):
    """In a page's text between two others; in no form is the page held whole."""
    first, last = dump_page(1, "First", "Text."), dump_page(3, "Last", "Text.")
    before, after = dump_page(2, "Long", "#").split("#")
    line = b"x" * 1_000_000  # packs fast, unlike what says the same in many letters
    path = tmp_path / "long.xml"
    with path.open("wb") as file:
        if form == "plain":
            file.write((dump_head() + first + before).encode())
            for _ in range(200):
                file.write(line)
            file.write((after + last + END).encode())
        else:
            packer = bz2.BZ2Compressor(1)
            starts = bz2.compress(dump_head().encode()) if form == "stream" else packer.compress(dump_head().encode())
            file.write(starts + packer.compress((first + before).encode()))
            for _ in range(200):
                file.write(packer.compress(line))
            file.write(packer.compress((after + last + END).encode()) + packer.flush())
    tracemalloc.start()
    items = list(read_dump(path, 1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert keys(items) == ["1", "skipped", "3"]
    assert "'Long'" in items[1].where and "8 MB" in items[1].why
    assert peak < 64 << 20


@pytest.mark.parametrize("form", ["plain", "packed", "stream"])
def test_a_dump_is_never_held_whole(tmp_path, form):
    text = f"A mill. {random.Random(1).randbytes(50_000).hex()}"  # neither packed nor read slowly
    listed = [dump_page(number, f"Mill {number}", text) for number in range(1, 151)]
    xml = (dump_head() + "".join(listed) + END).encode()
    data = xml
    if form != "plain":
        data = bz2.compress(xml, 1) if form == "packed" else multistream(listed, dump_head(), 10)
    path = written(tmp_path, data, form)
    tracemalloc.start()
    assert sum(1 for _ in read_dump(path, 1)) == 150
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(xml) / 2


def test_a_stream_that_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(wikipedia_dump, "MAX_STREAM", 3 << 20)
    bomb = bz2.compress(bytes(50 << 20))
    parts = [dump_head(), pages(1)[0], None, dump_page(2, "Last", "Text."), END]
    data = b"".join(bomb if part is None else bz2.compress(part.encode()) for part in parts)
    items = list(read_dump(written(tmp_path, data, "d.xml.bz2"), 1))
    assert keys(items) == ["1", "skipped", "2"]
    assert "more than 3 MB" in items[1].why


def test_a_page_that_the_reader_fails_on(tmp_path, monkeypatch):
    real = wikipedia_dump.read_article

    def fails(text, *rest):
        if "Bang" in text:
            raise RecursionError
        return real(text, *rest)

    monkeypatch.setattr(wikipedia_dump, "read_article", fails)
    body = dump_page(1, "A", "Text.") + dump_page(2, "B", "Bang.") + dump_page(3, "C", "Text.")
    items = list(read_dump(written(tmp_path, dump_head() + body + END), 1))
    assert keys(items) == ["1", "skipped", "3"] and "RecursionError" in items[1].why


BOMB = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no dump"),
        (b"BZ", "no dump"),
        (b"BZh9 not packed at all", "no dump"),
        (os.urandom(5000), "no dump"),
        (b"<html><body>Not found</body></html>", "no dump"),
        (b"x" * 3_000_000, "no dump"),
        (bz2.compress(bytes(100 << 20)), "no dump"),
        (dump_head().replace("<base>", "<basis>").encode(), "well-formed"),
        (dump_head(base="javascript:alert(1)").encode(), "address"),
        ((BOMB + dump_head().replace("Wikipedia<", "&b;<")).encode(), "well-formed"),
    ],
)
def test_files_that_are_no_dumps(tmp_path, data, why):
    with pytest.raises(Problem, match=why):
        read_dump(written(tmp_path, data))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(Problem, match="cannot be opened"):
        source(tmp_path / "none.xml.bz2", "none")
    with pytest.raises(Problem, match="cannot be opened"):
        read_dump(tmp_path)


def test_the_speed_is_measured():
    speed = measure(5)
    assert speed.megabytes > 0.1 and speed.megabytes_per_second > 0
    assert min(speed.unpacking, speed.wikitext) > 0 and speed.xml >= 0
    assert str(speed).startswith(f"{speed.megabytes_per_second:.1f} MB of wikitext a second on one core")
