"""Corpora in parquet files, in folders and on a stand-in for the Hub."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.problems import Problem
from hub import client as hubclient
from kb.records import DocumentRecord, Section, Skipped
from kb.sources import m2kr, okvqa, parquet, wikipedia_hub
from tests import ROOT
from tests.fakes.hub_server import HubServer
from tests.support.m2kr import PASSAGE, question, write_shards, write_task

ARTICLE = pa.schema({name: pa.string() for name in ("id", "url", "title", "text")})
FIRST = "EVQA_passages/test_passages-00000-of-00001.parquet"


def article(number: int) -> dict[str, str]:
    url = f"https://en.wikipedia.org/wiki/A_{number}"
    return {"id": str(number), "url": url, "title": f"A {number}", "text": f"Lead {number}.\n\nMore  of it."}


def rows(*pairs: tuple[str | None, str | None]) -> list[dict]:
    return [{"language": "en", "passage_id": id, "passage_content": text} for id, text in pairs]


def taken(source, cache: Path) -> list[DocumentRecord | Skipped]:
    total, found = source.read(cache)
    found = list(found)
    assert total is None or len(found) <= total
    return found


def passages_of(found) -> dict[str, str]:
    assert all(len(each.texts) == 1 and not each.sections for each in found)
    return {each.key: each.texts[0] for each in found}


def refused(source, cache: Path) -> str:
    with pytest.raises(Problem) as refusal:
        taken(source, cache)
    sentence = str(refusal.value)
    assert sentence.endswith(".") and "\n" not in sentence
    return sentence


@pytest.fixture
def data(tmp_path):
    return write_task(tmp_path / "data", "EVQA", [question("q", "x", None, ["p0"])])


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A stand-in for the Hub, without data sets yet."""
    for variable in (name for name in os.environ if name.lower().endswith("_proxy")):
        monkeypatch.delenv(variable)
    monkeypatch.setattr(hubclient, "WAITS", ())
    with HubServer() as server:
        monkeypatch.setattr(hubclient.constants, "ENDPOINT", server.url)
        monkeypatch.setattr(hubclient.constants, "HF_HUB_OFFLINE", False)
        yield server


def test_m2kr_passages_keep_their_ids_and_texts(data, tmp_path):
    extra = rows(("WIT_7", "  as it\nis "), ("p0", "the id of another task"))
    write_shards(data / "WIT_passages", "train_passages", extra, pa.schema(PASSAGE), shards=2)
    source = m2kr.source(data, "evqa", "EVQA", "test")
    assert (source.name, source.language, source.licence) == ("evqa", "en", "unknown")
    found = taken(source, tmp_path)
    assert found[0] == DocumentRecord("p0", "", "", "en", "unknown", ("red apple",)) and len(found) == 6
    everything = passages_of(taken(m2kr.source(data, "m2kr", licence="CC0"), tmp_path))
    assert len(everything) == 7 and everything["WIT_7"] == "  as it\nis " and everything["p0"] == "red apple"
    assert list(passages_of(taken(m2kr.source(data, "wit", split="train"), tmp_path))) == ["WIT_7", "p0"]


def test_a_passage_in_several_splits_comes_once_and_one_twice_in_a_split_is_named(tmp_path):
    folder = tmp_path / "OKVQA_passages"
    write_shards(folder, "test_passages", rows(("a", "1"), ("b", "2")), pa.schema(PASSAGE))
    write_shards(folder, "train_passages", rows(("b", "2"), ("c", "3"), ("c", "4"), ("d", "5")), pa.schema(PASSAGE), 2)
    found = taken(m2kr.source(tmp_path, "okvqa"), tmp_path)
    assert [getattr(each, "key", "") for each in found] == ["a", "b", "c", "", "d"]
    assert found[3].where == "OKVQA_passages/train_passages-00001-of-00002.parquet, row 1"
    assert "The id c came before" in found[3].why


def test_nulls_and_empty_passages_are_named_by_row(tmp_path):
    content = rows(("a", "1"), (None, "2"), ("c", None), ("d", " "), ("", "5"), ("f", "nul \0 in it"))
    write_shards(tmp_path / "EVQA_passages", "test_passages", content, pa.schema(PASSAGE))
    found = taken(m2kr.source(tmp_path, "evqa"), tmp_path)
    assert [each.why if isinstance(each, Skipped) else each.texts[0] for each in found] == [
        "1", "It has no passage_id.", "It has no passage_content.", "It has no passage_content.",
        "It has no passage_id.", "nul  in it",
    ]  # fmt: skip
    assert [each.where for each in found if isinstance(each, Skipped)] == [f"{FIRST}, row {n}" for n in (2, 3, 4, 5)]


def test_both_namings_of_columns_numbers_as_ids_and_wrong_columns(tmp_path):
    def source():
        return okvqa.from_hub("google", tmp_path)

    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"kid": [0, 1], "text": pa.array(["a", "b"], pa.large_string())}), path)
    assert passages_of(taken(source(), tmp_path)) == {"0": "a", "1": "b"}
    pq.write_table(pa.table({"id": ["a"], "passage": ["b"]}), path)
    said = refused(source(), tmp_path)
    assert "passage_id and passage_content, nor kid and text; it has id, passage" in said and str(path) in said
    pq.write_table(pa.table({"kid": ["a"], "text": [["b"]]}), path)
    assert "column text" in (said := refused(source(), tmp_path)) and "and not texts" in said
    pq.write_table(pa.table({"kid": [0.5], "text": ["b"]}), path)
    assert "column kid" in refused(source(), tmp_path)
    pq.write_table(pa.table({"kid": ["a"], "text": ["b"], "language": [["en"]]}), path)
    assert taken(source(), tmp_path)[0].language == "en"


def test_missing_damaged_and_foreign_files_are_named(data, tmp_path, monkeypatch):
    source = m2kr.source(data, "evqa", "EVQA")
    path = data / FIRST
    whole = path.read_bytes()
    assert "no folder" in refused(m2kr.source(tmp_path / "none", "evqa"), tmp_path)
    assert "holds no file OVEN_passages/" in refused(m2kr.source(data, "oven", "OVEN"), tmp_path)
    for content in (b"", whole[:50], whole[:-20], b"x" * 500):
        path.write_bytes(content)
        assert f"{path} is not a whole parquet file" in refused(source, tmp_path)
    path.write_bytes(whole[:4] + b"\xff" * 60 + whole[64:])
    assert f"{path} is damaged" in refused(source, tmp_path)
    path.write_bytes(whole)
    monkeypatch.setattr(parquet, "_MOST_BYTES", 10)
    assert "unpacks to more than" in refused(source, tmp_path)
    monkeypatch.undo()
    path.rename(path.with_name("test_passages-00000-of-00002.parquet"))
    assert "test_passages-00001-of-00002.parquet is missing" in refused(source, tmp_path)


def test_links_out_of_the_folder_and_names_that_climb_are_refused(data, tmp_path):
    outside = write_task(tmp_path / "outside", "EVQA", [question("q", "x", None, ["p0"])]) / FIRST
    (data / FIRST).unlink()
    (data / FIRST).symlink_to(outside)
    assert "leads out of the folder" in refused(m2kr.source(data, "evqa"), tmp_path)
    for name in ("../outside/EVQA", "*", "", "/etc", "a/b", ".."):
        with pytest.raises(Problem, match="not the name of a part"):
            m2kr.source(data, "evqa", name or "\n")
        with pytest.raises(Problem, match="not the name of a part"):
            wikipedia_hub.source(name, "wiki", data)


def test_randomly_damaged_files_are_read_or_refused(data, tmp_path):
    path = data / FIRST
    whole, chance = path.read_bytes(), random.Random(5)
    for _ in range(150):
        content = bytearray(whole)
        for _ in range(chance.choice((1, 1, 3))):
            content[chance.randrange(len(content) * 2 // 3)] = chance.randrange(256)
        path.write_bytes(content)
        try:
            taken(m2kr.source(data, "evqa"), tmp_path)
        except Problem as problem:
            assert str(problem).endswith(".")


def test_wikipedia_in_a_folder(tmp_path):
    content = [article(1), article(2) | {"text": None}, article(3) | {"url": "javascript:x"}]
    write_shards(tmp_path / "20231101.de", "train", content, ARTICLE, shards=2)
    write_shards(tmp_path / "20231101.simple", "train", [article(9)], ARTICLE)
    source = wikipedia_hub.source("20231101.de", "wiki-de", tmp_path)
    assert source.language == "de" and source.licence == "CC BY-SA 4.0"
    assert source.read(tmp_path)[0] == 3
    found = taken(source, tmp_path)
    assert found[0] == DocumentRecord(
        "1", "A 1", "https://en.wikipedia.org/wiki/A_1", "de", "CC BY-SA 4.0", (),
        sections=(Section((), "Lead 1.\nMore of it."),),
    )  # fmt: skip
    assert found[1] == Skipped("20231101.de/train-00001-of-00002.parquet, row 1", "It has no text.")
    assert found[2].url == "" and wikipedia_hub.source("20231101.simple", "wiki", tmp_path).language == "en"
    write_shards(tmp_path / "bad", "train", [{"id": "1"}], pa.schema({"id": pa.string(), "text": pa.string()}))
    assert "it has id, text" in refused(wikipedia_hub.source("bad", "wiki", tmp_path), tmp_path)


def test_wikipedia_on_the_hub_is_fetched_file_by_file(hub, tmp_path):
    published, cache = tmp_path / "published", tmp_path / "cache"
    write_shards(published / "20231101.en", "train", [article(n) for n in range(9)], ARTICLE, shards=3)
    write_shards(published / "20231101.fr", "train", [article(n) for n in range(9)], ARTICLE)
    hub.datasets[wikipedia_hub.HUB] = published
    source = wikipedia_hub.source("20231101.en", "wiki")
    total, found = source.read(cache)
    assert total is None and next(found).key == "0"
    assert hub.served("00000-of-00003.parquet") > 0 and hub.served("00001-of-00003.parquet") == 0
    assert [each.key for each in found] == list("12345678")
    fetched = len(hub.requests)
    assert len(taken(source, cache)) == 9 and len(hub.requests) == fetched
    assert hub.served("00000-of-00001.parquet") == 0
    assert "no file that matches" in refused(wikipedia_hub.source("20231101.xx", "wiki"), cache)
    hub.datasets["owner/odd"] = tmp_path / "odd"
    odd = write_shards(tmp_path / "odd" / "c", "train", [article(1)], ARTICLE)[0]
    odd.rename(odd.with_name("train-00000-of-1.parquet"))
    assert "not named as they should be" in refused(wikipedia_hub.source("c", "wiki", "owner/odd"), cache)


def test_passages_on_the_hub(hub, data, tmp_path):
    hub.datasets |= {m2kr.HUB: data, okvqa.HUB: tmp_path / "google"}
    write_shards(tmp_path / "google" / "data", "train", rows(("GS_0", "zero")), pa.schema(PASSAGE))
    cache = tmp_path / "cache"
    source = m2kr.source(m2kr.HUB, "evqa", "EVQA")
    assert source.homepage.endswith(m2kr.HUB) and len(taken(source, cache)) == 6
    assert hub.served("EVQA_data/test-00000-of-00001.parquet") == 0
    assert passages_of(taken(okvqa.from_hub("google"), cache)) == {"GS_0": "zero"}
    assert "owner/none" in refused(m2kr.source("owner/none", "evqa"), cache)
    hub.spoil("EVQA_passages")
    assert "wrong checksum" in refused(m2kr.source(m2kr.HUB, "evqa"), tmp_path / "fresh")


def test_a_large_file_is_read_in_small_memory(tmp_path):
    ids = pa.array([str(n) for n in range(10_000)])
    texts = pa.array([f"{n} " + "word " * 2000 for n in range(10_000)])
    table = pa.table({"passage_id": ids, "passage_content": texts})
    pq.write_table(table, tmp_path / "large.parquet", compression="none", use_dictionary=False)  # one group of rows
    code = (
        "import sys; from pathlib import Path; from kb.sources import okvqa\n"
        "def peak(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "start = peak()\n"
        "print(sum(1 for _ in okvqa.from_hub('c', Path(sys.argv[1])).read(Path())[1]))\n"
        "print(peak() - start)"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=600)
    count, grown = map(int, done.stdout.split())
    assert count == 10_000 and grown < 95_000  # kilobytes; the texts are 100 MB, held at once 127 MB
