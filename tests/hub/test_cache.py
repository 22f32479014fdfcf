"""Fetching from the Hub, against a small local server that answers as the Hub does."""

from __future__ import annotations

import contextlib
import email.utils
import errno
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest

from common.problems import Problem
from hub import cache as hubcache
from hub import client as hubclient
from hub.cache import fetch_dataset, fetch_model_files, fetch_vision_language
from retriever.encoders.checkpoints import FLMR_FILES
from tests import ROOT
from tests.fakes.hub_server import HubServer
from tests.support.waiting import LONG, wait_for

MODEL, DATA = "owner/PreFLMR_tiny", "owner/M2KR"
WEIGHTS = 3 << 20
TOKEN = "hf_secretsecretsecret"


def fetch_model(repo: str, cache: Path, progress: hubcache.Progress = lambda done, total: None) -> Path:
    return hubcache.fetch_model(repo, cache, FLMR_FILES, progress)


def write(folder: Path, name: str, content: bytes | str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture(scope="session")
def weights() -> bytes:
    return os.urandom(WEIGHTS)


@pytest.fixture
def checkpoint(tmp_path, weights) -> Path:
    """A repository in the published layout, with files beside that are never wanted."""
    folder = tmp_path / "published"
    write(folder, "config.json", '{"architectures": ["FLMRModelForRetrieval"]}')
    write(folder, "preprocessor_config.json", "{}")
    write(folder, "model.safetensors", weights)
    write(folder, "mapping_base/config.json", '{"model_type": "bert"}')
    for part in ("query_tokenizer", "context_tokenizer"):
        write(folder, f"{part}/vocab.txt", "\n".join(map(str, range(9000))))
        write(folder, f"{part}/tokenizer_config.json", '{"do_lower_case": true}')
    for unwanted in ("pytorch_model.bin", "modeling_flmr.py", "query_tokenizer/code.py", "README.md", ".gitattributes",
                     "checkpoint-5/model.safetensors", "training_args.bin"):  # fmt: skip
        write(folder, unwanted, "never wanted")
    return folder


@pytest.fixture
def dataset(tmp_path) -> Path:
    folder = tmp_path / "tables"
    for task in ("EVQA", "OVEN"):
        for split in ("train", "test"):
            write(folder, f"{task}_data/{split}-00000-of-00001.parquet", os.urandom(50_000))
            write(folder, f"{task}_passages/{split}_passages-00000-of-00001.parquet", os.urandom(70_000))
    write(folder, "README.md", "# M2KR")
    return folder


@pytest.fixture
def server(checkpoint, dataset):
    with HubServer({MODEL: checkpoint}, datasets={DATA: dataset}) as running:
        yield running


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """What would have been waited; nothing is."""
    waited: list[float] = []
    monkeypatch.setattr(hubclient, "_sleep", waited.append)
    return waited


@pytest.fixture(autouse=True)
def surroundings(request, monkeypatch, tmp_path, waits):
    """No token, no proxy; the address is the server's where a test has one."""
    for name in [name for name in os.environ if name.startswith("HF_") or name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(hubclient.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(hubclient.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(hubclient.constants, "HF_HUB_DOWNLOAD_TIMEOUT", LONG)  # of a server on this busy machine
    if "server" in request.fixturenames:
        monkeypatch.setattr(hubclient.constants, "ENDPOINT", request.getfixturevalue("server").url)
    huggingface_hub.close_session()
    yield
    huggingface_hub.close_session()


def tree(folder: Path) -> dict[str, bytes]:
    """What a folder holds, but for the fetcher's own files."""
    files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    return {name: content for name, content in files.items() if not name.startswith(".fetch/")}


def wanted(checkpoint: Path) -> dict[str, bytes]:
    """What of the published checkpoint is to be fetched."""
    names = {"config.json", "preprocessor_config.json", "model.safetensors", "mapping_base/config.json"}
    names |= {f"{a}_tokenizer/{b}" for a in ("query", "context") for b in ("vocab.txt", "tokenizer_config.json")}
    return {name: content for name, content in tree(checkpoint).items() if name in names}


def parts(cache: Path) -> list[Path]:
    return sorted(cache.glob("hub/*/.fetch/partial/*"))


def sizes_of_parts(cache: Path) -> list[int]:
    """How much of each unfinished file is there. One that is finished between the listing and the look has gone."""
    sizes = []
    for part in parts(cache):
        with contextlib.suppress(FileNotFoundError):
            sizes.append(part.stat().st_size)
    return sizes


def leave_part(cache: Path, weights: bytes, came: bytes) -> None:
    """What a fetch that was broken off leaves."""
    file = hubclient.File("model.safetensors", len(weights), hashlib.sha256(weights).hexdigest())
    part = hubcache._partial(cache / "hub" / "models--owner--PreFLMR_tiny", file)
    write(part.parent, part.name, came)


def sentence(problem: pytest.ExceptionInfo) -> str:
    """What is said; it is one sentence, in one line, that does not give the token away."""
    said = str(problem.value)
    assert said.endswith(".") and "\n" not in said and ". " not in said and len(said) < 400, said
    assert TOKEN not in said and (said[0].isupper() or said.startswith(("127.0.0.1", "'"))), said
    return said


def fetch_elsewhere(url: str, cache: Path, more: str = "", **environment: str) -> subprocess.Popen:
    """The same in a process of its own, as a person has it: only the environment says where the Hub is."""
    program = (
        "import sys; from pathlib import Path; from hub.cache import fetch_model, Problem, Layout\n"
        f"{more}\n"
        f"try: print(fetch_model({MODEL!r}, Path(sys.argv[1]), {FLMR_FILES!r}))\n"
        "except Problem as problem: print('problem:', problem)"
    )
    keep = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    return subprocess.Popen(
        [sys.executable, "-c", program, str(cache)], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=keep | {"HF_ENDPOINT": url, "HF_HOME": str(cache / "home"), "OMP_NUM_THREADS": "1",
                    "HF_HUB_DOWNLOAD_TIMEOUT": f"{LONG:.0f}", **environment},
    )  # fmt: skip


# What is fetched


def test_a_checkpoint_is_fetched_with_just_the_files_it_needs(server, checkpoint, tmp_path, capfd):
    folder = fetch_model(MODEL, tmp_path / "data" / "cache")
    assert folder == tmp_path / "data" / "cache" / "hub" / "models--owner--PreFLMR_tiny"
    assert tree(folder) == wanted(checkpoint)
    assert server.served() == sum(map(len, wanted(checkpoint).values()))
    assert parts(tmp_path / "data" / "cache") == []
    assert capfd.readouterr() == ("", "")


def test_a_complete_checkpoint_needs_no_network(server, tmp_path, monkeypatch):
    folder = fetch_model(MODEL, tmp_path)
    before = len(server.requests)
    assert fetch_model(MODEL, tmp_path) == folder
    monkeypatch.setattr(hubclient.constants, "HF_HUB_OFFLINE", True)
    assert fetch_model(MODEL, tmp_path) == folder
    assert len(server.requests) == before


def test_files_put_there_by_hand_are_taken_as_they_are_when_complete(server, checkpoint, tmp_path):
    for name, content in wanted(checkpoint).items():
        write(tmp_path / "hub" / "models--owner--PreFLMR_tiny", name, content)
    fetch_model(MODEL, tmp_path)
    assert server.requests == []


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "query_tokenizer/vocab.txt"])
def test_without_one_of_its_parts_a_checkpoint_is_not_complete_and_only_that_is_fetched(
    server, checkpoint, tmp_path, name
):
    folder = fetch_model(MODEL, tmp_path)
    (folder / name).unlink()
    before = server.served()
    fetch_model(MODEL, tmp_path)
    assert tree(folder) == wanted(checkpoint)
    assert server.served() - before == len(wanted(checkpoint)[name])


def test_a_file_cut_short_after_it_was_fetched_is_fetched_again(server, checkpoint, tmp_path):
    folder = fetch_model(MODEL, tmp_path)
    with (folder / "model.safetensors").open("rb+") as file:
        file.truncate(1000)
    fetch_model(MODEL, tmp_path)
    assert tree(folder) == wanted(checkpoint)


def test_shards_and_their_index_are_a_checkpoint_only_together(server, checkpoint, tmp_path, weights):
    (checkpoint / "model.safetensors").unlink()
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for name, content in zip(names, (weights[:70_000], weights[70_000:150_000]), strict=True):
        write(checkpoint, name, content)
    write(checkpoint, "model.safetensors.index.json", json.dumps({"weight_map": {"a": names[0], "b": names[1]}}))
    folder = fetch_model(MODEL, tmp_path)
    assert {*names, "model.safetensors.index.json"} <= set(tree(folder))
    before = len(server.requests)
    fetch_model(MODEL, tmp_path)
    assert len(server.requests) == before
    (folder / ".fetch" / "record.json").unlink()  # complete is what is whole, recorded or not
    (folder / names[1]).unlink()
    fetch_model(MODEL, tmp_path)
    assert (folder / names[1]).read_bytes() == weights[70_000:150_000]


def test_progress_counts_bytes_up_to_all_of_them(server, checkpoint, tmp_path):
    told: list[tuple[int, int]] = []
    fetch_model(MODEL, tmp_path, lambda done, total: told.append((done, total)))
    whole = sum(map(len, wanted(checkpoint).values()))
    assert {total for _, total in told} == {whole}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[0][0] == 0 and told[-1][0] == whole
    assert len({done for done, _ in told}) > 20


def test_a_progress_that_raises_ends_the_fetch_and_the_next_goes_on_from_there(server, checkpoint, tmp_path):
    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_model(MODEL, tmp_path, stop)
    [part] = parts(tmp_path)
    came = part.stat().st_size
    assert came > WEIGHTS // 3
    told: list[int] = []
    folder = fetch_model(MODEL, tmp_path, lambda done, total: told.append(done))
    assert tree(folder) == wanted(checkpoint)
    assert told[0] == sum(map(len, wanted(checkpoint).values())) - WEIGHTS + came
    assert server.asked("model.safetensors")[-1].headers["range"] == f"bytes={came}-"
    assert server.asked("model.safetensors")[-1].sent == WEIGHTS - came


def test_a_listing_of_several_pages_is_read_to_the_end_and_on_the_same_server(checkpoint, tmp_path, monkeypatch):
    with HubServer({MODEL: checkpoint}, page_size=4) as server:
        monkeypatch.setattr(hubclient.constants, "ENDPOINT", server.url.replace("127.0.0.1", "localhost"))
        assert tree(fetch_model(MODEL, tmp_path)) == wanted(checkpoint)
        pages = server.asked("/tree/")
        assert len(pages) > 3 and {page.headers["host"].split(":")[0] for page in pages} == {"localhost"}


def test_a_repository_that_changed_between_two_halves_is_fetched_as_it_is_now(server, checkpoint, tmp_path, weights):
    server.drop("model.safetensors", after=100_000)
    with pytest.raises(Problem):
        fetch_model(MODEL, tmp_path)
    server.well()
    folder = tmp_path / "hub" / "models--owner--PreFLMR_tiny"
    config = (checkpoint / "config.json").read_text()
    assert (folder / "config.json").read_text() == config
    write(checkpoint, "config.json", config.replace("FLMR", "NEWS"))
    write(checkpoint, "model.safetensors", weights[::-1])
    server.answer("/config.json", 404)
    with pytest.raises(Problem):
        fetch_model(MODEL, tmp_path)
    assert not (folder / "config.json").exists()  # the old one does not stay among new ones
    server.well()
    fetch_model(MODEL, tmp_path)
    assert tree(folder) == wanted(checkpoint)
    assert parts(tmp_path) == []


# Vision-language checkpoints

VISION = "owner/Tiny-VL"
VISION_FILES = {
    "config.json", "generation_config.json", "preprocessor_config.json", "video_preprocessor_config.json",
    "processor_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json",
    "added_tokens.json", "merges.txt", "tokenizer.model", "chat_template.json", "chat_template.jinja",
    "qformer_tokenizer/vocab.txt", "qformer_tokenizer/tokenizer.json", "model.safetensors.index.json",
    "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
}  # fmt: skip


@pytest.fixture
def vision(tmp_path, server) -> Path:
    """A vision-language repository on the server, with files beside that are never wanted."""
    folder = tmp_path / "vision"
    for name in VISION_FILES:
        write(folder, name, os.urandom(5000) if name.endswith(".safetensors") else "{}")
    shards = {name: name for name in VISION_FILES if name.endswith(".safetensors")}
    write(folder, "model.safetensors.index.json", json.dumps({"weight_map": shards}))
    for unwanted in ("pytorch_model.bin", "pytorch_model.bin.index.json", "modeling_vl.py", "README.md",
                     "onnx/model.onnx", "consolidated.safetensors", "adapter/model.safetensors",
                     "trainer_state.json", "qformer_tokenizer/a.py",
                     "model.gguf", "assets/photo.png", "training_args.bin"):  # fmt: skip
        write(folder, unwanted, "never wanted")
    server.models[VISION] = folder
    return folder


def test_a_vision_language_checkpoint_is_fetched_with_just_the_files_it_needs(server, vision, tmp_path):
    told: list[tuple[int, int]] = []
    folder = fetch_vision_language(VISION, tmp_path, lambda done, total: told.append((done, total)))
    expected = {name: content for name, content in tree(vision).items() if name in VISION_FILES}
    assert len(expected) == len(VISION_FILES) and tree(folder) == expected
    assert told[-1] == (server.served(), server.served()) == (sum(map(len, expected.values())),) * 2
    before = len(server.requests)
    assert fetch_vision_language(VISION, tmp_path) == folder and len(server.requests) == before


@pytest.mark.parametrize("name", ["preprocessor_config.json", "tokenizer.json", "model-00002-of-00002.safetensors"])
def test_a_vision_language_checkpoint_that_lost_a_file_is_completed(server, vision, tmp_path, name):
    folder = fetch_vision_language(VISION, tmp_path)
    (folder / name).unlink()
    before = server.served()
    fetch_vision_language(VISION, tmp_path)
    assert server.served() - before == len((vision / name).read_bytes()) and (folder / name).is_file()


def test_sentencepiece_alone_is_a_tokenizer(server, vision, tmp_path):
    for name in ("tokenizer.json", "vocab.json"):
        (vision / name).unlink()
    assert (fetch_vision_language(VISION, tmp_path) / "tokenizer.model").is_file()


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (("config.json",), "no config.json"),
        (("preprocessor_config.json", "processor_config.json"), "no preprocessor_config.json or processor_config.json"),
        (("tokenizer.json", "tokenizer.model", "vocab.json"), "a vision-language checkpoint: it has no tokenizer.json"),
        (("model.safetensors.index.json",), "only as pytorch_model.bin, a pickle"),
        (("model-00001-of-00002.safetensors",), "not complete on the Hub"),
    ],
)
def test_what_is_no_vision_language_checkpoint_is_said(server, vision, tmp_path, lost, said):
    for name in lost:
        (vision / name).unlink()
    with pytest.raises(Problem) as problem:
        fetch_vision_language(VISION, tmp_path)
    assert said in sentence(problem)


def test_a_retrieval_checkpoint_is_not_taken_for_a_vision_language_one(server, tmp_path):
    with pytest.raises(Problem) as problem:
        fetch_vision_language(MODEL, tmp_path)
    assert "not a vision-language checkpoint" in sentence(problem) and server.served(".safetensors") == 0


# Data sets


def test_a_data_set_is_fetched_by_patterns_and_is_then_there_without_the_network(server, dataset, tmp_path):
    told: list[tuple[int, int]] = []
    patterns = ["EVQA_data/test-*.parquet", "EVQA_passages/test_*.parquet"]
    folder = fetch_dataset(DATA, patterns, tmp_path, lambda done, total: told.append((done, total)))
    assert folder == tmp_path / "hub" / "datasets--owner--M2KR"
    names = {"EVQA_data/test-00000-of-00001.parquet", "EVQA_passages/test_passages-00000-of-00001.parquet"}
    assert tree(folder) == {name: content for name, content in tree(dataset).items() if name in names}
    assert told[-1] == (120_000, 120_000)
    before = len(server.requests)
    assert fetch_dataset(DATA, patterns[::-1], tmp_path) == folder
    assert len(server.requests) == before


def test_another_set_of_patterns_fetches_only_what_is_not_there(server, dataset, tmp_path):
    folder = fetch_dataset(DATA, ["EVQA_data/*"], tmp_path)
    assert server.served() == 100_000
    fetch_dataset(DATA, ["EVQA_data/", "OVEN_data/test*"], tmp_path)
    assert server.served() == 150_000
    fetch_dataset(DATA, ["OVEN_data/"], tmp_path)
    assert server.served() == 200_000
    requests = len(server.requests)
    fetch_dataset(DATA, ["EVQA_data/*"], tmp_path)
    fetch_dataset(DATA, ["OVEN_data/test*", "EVQA_data/"], tmp_path)
    assert len(server.requests) == requests
    (folder / "EVQA_data/test-00000-of-00001.parquet").unlink()
    fetch_dataset(DATA, ["EVQA_data/*"], tmp_path)
    assert server.served() == 250_000
    assert tree(folder) == {name: content for name, content in tree(dataset).items() if "_data/" in name}


def test_files_of_a_model_are_fetched_without_its_weights(server, checkpoint, tmp_path):
    names = ["config.json", "context_tokenizer/vocab.txt"]
    folder = fetch_model_files(MODEL, names, tmp_path)
    assert tree(folder) == {name: (checkpoint / name).read_bytes() for name in names}
    assert fetch_model(MODEL, tmp_path) == folder  # which brings the rest
    before = len(server.requests)
    assert fetch_model_files(MODEL, ["preprocessor_config.json"], tmp_path) == folder  # which came with it
    assert len(server.requests) == before
    with pytest.raises(Problem, match="no file that matches 'tokenizer.json'"):
        fetch_model_files(MODEL, ["tokenizer.json"], tmp_path)


def test_a_spoilt_record_costs_a_look_at_the_listing_but_no_file(server, tmp_path):
    folder = fetch_dataset(DATA, ["*_data/*"], tmp_path)
    before, requests = server.served(), len(server.requests)
    for record in (b"", b"{", b"[]", b'{"files %2A_data/%2A": 3}', b"\xff\xfe", b"[" * 100_000):
        (folder / ".fetch" / "record.json").write_bytes(record)
        fetch_dataset(DATA, ["*_data/*"], tmp_path)
        assert len(server.requests) > requests
        requests = len(server.requests)
    assert server.served() == before


def test_patterns_that_match_nothing_are_told_what_there_is(server, tmp_path):
    with pytest.raises(Problem) as problem:
        fetch_dataset(DATA, ["EVQR_data/*", "nothing/*"], tmp_path)
    assert sentence(problem) == (
        "The data set owner/M2KR has no file that matches 'EVQR_data/*' or 'nothing/*'; it has EVQA_data/, "
        "EVQA_passages/, OVEN_data/, OVEN_passages/, README.md."
    )


def test_a_data_set_is_not_looked_for_among_the_models(server, tmp_path):
    with pytest.raises(Problem, match="has no data set owner/PreFLMR_tiny"):
        fetch_dataset(MODEL, ["*"], tmp_path)
    with pytest.raises(Problem, match="has no model owner/M2KR"):
        fetch_model(DATA, tmp_path)


# Broken connections


def test_a_dropped_connection_is_taken_up_where_it_broke(server, checkpoint, tmp_path, waits):
    server.drop("model.safetensors", after=1_000_000, times=2)
    assert tree(fetch_model(MODEL, tmp_path)) == wanted(checkpoint)
    assert waits == [1.0, 2.0]
    assert server.served("model.safetensors") == WEIGHTS
    assert [asked.headers.get("range") for asked in server.asked("model.safetensors") if asked.cdn] == [
        None, "bytes=1000000-", "bytes=2000000-"
    ]  # fmt: skip


def test_a_connection_that_keeps_breaking_ends_in_a_sentence_and_loses_nothing(server, checkpoint, tmp_path, waits):
    server.drop("model.safetensors", after=100_000)
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "broke off while the file model.safetensors of the model owner/PreFLMR_tiny was fetched" in sentence(problem)
    assert "go on from there" in sentence(problem)
    assert waits == list(hubclient.WAITS)
    tries = len(hubclient.WAITS) + 1
    assert sizes_of_parts(tmp_path) == [tries * 100_000]
    assert not (tmp_path / "hub/models--owner--PreFLMR_tiny/model.safetensors").exists()
    server.well()
    before = server.served("model.safetensors")
    assert tree(fetch_model(MODEL, tmp_path)) == wanted(checkpoint)
    assert server.served("model.safetensors") - before == WEIGHTS - tries * 100_000


def test_a_connection_that_breaks_often_but_brings_much_is_not_given_up(
    server, checkpoint, tmp_path, waits, monkeypatch
):
    monkeypatch.setattr(hubclient, "_GOOD_STRETCH", 100_000)
    server.drop("model.safetensors", after=150_000)
    assert tree(fetch_model(MODEL, tmp_path)) == wanted(checkpoint)
    assert set(waits) == {1.0} and len(waits) == WEIGHTS // 150_000


def test_half_a_file_is_not_counted_for_another_with_the_same_content(server, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(hubclient, "WAITS", ())
    server.drop("context_tokenizer/vocab.txt", after=1000)
    with pytest.raises(Problem):
        fetch_model(MODEL, tmp_path)
    server.well()
    there = sum(map(len, tree(tmp_path / "hub" / "models--owner--PreFLMR_tiny").values())) + 1000
    told: list[tuple[int, int]] = []
    assert tree(fetch_model(MODEL, tmp_path, lambda *now: told.append(now))) == wanted(checkpoint)
    assert told[0][0] == there and told[-1][0] == told[-1][1]
    assert told == sorted(told)


def test_a_listing_that_breaks_off_is_asked_for_again(server, tmp_path, waits):
    server.drop("/tree/", after=50, times=1)
    fetch_model(MODEL, tmp_path)
    assert waits == [1.0]


def test_a_server_that_ignores_ranges_is_read_from_the_start(server, checkpoint, tmp_path):
    server.ranges = False
    server.drop("model.safetensors", after=1_000_000, times=1)
    told: list[int] = []
    assert tree(fetch_model(MODEL, tmp_path, lambda done, total: told.append(done))) == wanted(checkpoint)
    assert server.served("model.safetensors") == WEIGHTS + 1_000_000
    assert told[-1] == sum(map(len, wanted(checkpoint).values()))


def test_an_answer_without_a_length_that_ends_early_is_taken_up_too(server, checkpoint, tmp_path, waits):
    server.measured = False
    server.drop("model.safetensors", after=1_000_000, times=1)
    assert tree(fetch_model(MODEL, tmp_path)) == wanted(checkpoint)
    assert waits == [1.0] and server.served("model.safetensors") == WEIGHTS


def test_an_answer_that_does_not_end_is_cut_where_the_file_should(server, tmp_path):
    server.measured = False
    server.instead("model.safetensors", b"x" * (20 << 20))
    with pytest.raises(Problem, match="wrong size"):
        fetch_model(MODEL, tmp_path)
    assert parts(tmp_path) == []
    assert server.asked("model.safetensors")[-1].sent < 20 << 20


def test_files_that_come_compressed_are_kept_as_they_are(server, checkpoint, tmp_path):
    server.packed = True
    assert tree(fetch_model(MODEL, tmp_path)) == wanted(checkpoint)
    assert {asked.headers["accept-encoding"] for asked in server.requests} == {"identity"}


def test_a_range_that_begins_elsewhere_is_not_put_behind_what_is_there(server, checkpoint, tmp_path, waits):
    server.drop("model.safetensors", after=1_000_000, times=1)
    server.skew = 5
    with pytest.raises(Problem, match="wrong size"):
        fetch_model(MODEL, tmp_path)
    assert waits == [1.0] and parts(tmp_path) == []


def test_a_server_that_falls_silent_is_not_waited_for_for_ever(server, tmp_path, monkeypatch, waits):
    monkeypatch.setattr(hubclient, "WAITS", (1.0,))
    server.hold("model.safetensors", after=50_000, times=None)

    def tell(done: int, total: int) -> None:
        if done >= total - WEIGHTS:  # what is asked for from now on is the file that is held
            monkeypatch.setattr(hubclient.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)

    with pytest.raises(Problem, match="timed out"):
        fetch_model(MODEL, tmp_path, tell)
    assert waits == [1.0]
    # Each of the two tries brought so much, unless this machine was silent for as long before it brought anything.
    assert sizes_of_parts(tmp_path) in ([100_000], [50_000], [0])


def test_a_killed_process_leaves_what_came_and_the_next_goes_on_from_there(server, checkpoint, tmp_path):
    server.hold("model.safetensors", after=2_000_100)
    process = fetch_elsewhere(server.url, tmp_path)
    wait_for(lambda: 2_000_100 in sizes_of_parts(tmp_path))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    folder = fetch_model(MODEL, tmp_path)
    assert tree(folder) == wanted(checkpoint)
    assert [asked.sent for asked in server.asked("model.safetensors") if asked.cdn][-1] == WEIGHTS - 2_000_100
    assert sum(asked.status == 200 for asked in server.asked("vocab.txt")) == 2  # nor are finished files fetched again


def test_two_processes_at_once_fetch_everything_once_and_both_have_it(server, checkpoint, tmp_path):
    server.hold("model.safetensors", after=100)
    processes = [fetch_elsewhere(server.url, tmp_path) for _ in range(2)]
    wait_for(lambda: len(server.asked("/tree/")) == 2)
    wait_for(lambda: 100 in sizes_of_parts(tmp_path))
    server.release()
    folder = tmp_path / "hub" / "models--owner--PreFLMR_tiny"
    for process in processes:
        out, err = process.communicate(timeout=LONG)
        assert (out, err) == (f"{folder}\n", "")  # and nothing of huggingface_hub's own is on the terminal
    assert tree(folder) == wanted(checkpoint)
    assert server.served() == sum(map(len, wanted(checkpoint).values()))


def test_who_waits_for_another_fetch_is_told_how_far_that_is_and_has_nothing_left_to_do(
    server, checkpoint, tmp_path, monkeypatch
):
    server.hold("model.safetensors", after=100)
    checked: list[Path] = []
    digest = hubcache._digest
    monkeypatch.setattr(hubcache, "_digest", lambda path, file: checked.append(path) or digest(path, file))
    first = threading.Thread(target=fetch_model, args=(MODEL, tmp_path))
    first.start()
    wait_for(lambda: 100 in sizes_of_parts(tmp_path))
    told: list[int] = []

    def tell(done: int, total: int) -> None:
        told.append(done - (total - WEIGHTS))
        server.release()

    fetch_model(MODEL, tmp_path, tell)
    first.join()
    assert len(checked) == len(wanted(checkpoint))
    assert told[0] == 100 and server.served("model.safetensors") == WEIGHTS


# Damage


@pytest.mark.parametrize("name", ["model.safetensors", "query_tokenizer/vocab.txt"])
def test_a_file_with_other_bytes_is_thrown_away_and_fetched_anew(server, checkpoint, tmp_path, name):
    server.spoil(name, times=1)
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert f"The file {name} of the model" in sentence(problem) and "wrong checksum" in sentence(problem)
    assert not (tmp_path / "hub/models--owner--PreFLMR_tiny" / name).exists() and parts(tmp_path) == []
    assert tree(fetch_model(MODEL, tmp_path)) == wanted(checkpoint)


@pytest.mark.parametrize("body", [b"<html>Please log in</html>", b"x" * (WEIGHTS + 1), b""])
def test_an_answer_of_another_size_is_never_taken_for_the_file(server, tmp_path, body):
    server.instead("model.safetensors", body)
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "wrong size" in sentence(problem)
    assert parts(tmp_path) == [] and "model.safetensors" not in tree(tmp_path / "hub/models--owner--PreFLMR_tiny")


@pytest.mark.parametrize("measured", [True, False])
def test_a_page_to_log_in_at_does_not_cost_what_came_before(server, checkpoint, tmp_path, weights, measured):
    leave_part(tmp_path, weights, weights[:1_000_000])
    server.measured = measured
    server.instead("model.safetensors", b"<html>Please log in</html>")
    with pytest.raises(Problem, match="wrong size"):
        fetch_model(MODEL, tmp_path)
    server.well()
    assert tree(fetch_model(MODEL, tmp_path)) == wanted(checkpoint)
    assert server.asked("model.safetensors")[-1].headers["range"] == "bytes=1000000-"


def test_half_a_file_that_was_spoilt_on_disk_is_found_out(server, checkpoint, tmp_path, weights):
    leave_part(tmp_path, weights, b"\0" * 1000)
    with pytest.raises(Problem, match="wrong checksum"):
        fetch_model(MODEL, tmp_path)
    assert tree(fetch_model(MODEL, tmp_path)) == wanted(checkpoint)


@pytest.mark.parametrize("extra", [0, 1])
def test_a_whole_file_not_yet_named_is_not_fetched_again_and_a_longer_one_is(server, tmp_path, weights, extra):
    leave_part(tmp_path, weights, weights + b"+" * extra)
    folder = fetch_model(MODEL, tmp_path)
    assert (folder / "model.safetensors").read_bytes() == weights
    assert server.served("model.safetensors") == WEIGHTS * extra


def test_a_server_whose_file_is_shorter_than_its_listing_says_is_not_asked_for_the_rest_for_ever(
    server, tmp_path, weights
):
    leave_part(tmp_path, weights, weights[:1000])
    server.answer("model.safetensors", 416)
    with pytest.raises(Problem, match="wrong size"):
        fetch_model(MODEL, tmp_path)
    assert parts(tmp_path) == []


@pytest.mark.parametrize(
    ("page", "body"),
    [
        ("/revision/", b"<html>Please log in to this network</html>"),
        ("/revision/", b"[]"),
        ("/revision/", b'{"sha": "../../etc"}'),
        ("/revision/", b'{"sha": 7}'),
        ("/revision/", b"[" * 100_000),
        ("/revision/", b"\xff\xff"),
        ("/tree/", b'{"error": "no"}'),
        ("/tree/", b'[{"type": "file", "path": "config.json"}]'),
        ("/tree/", b'[{"type": "file", "path": "config.json", "size": -1, "oid": "%s"}]' % (b"0" * 40)),
        ("/tree/", b'[{"type": "file", "path": "config.json", "size": 1, "oid": "../../../x"}]'),
        ("/tree/", b'[{"type": "file", "path": "config.json", "size": 1, "oid": null}]'),
        ("/tree/", b'[{"type": "file", "path": "config.json", "size": 1%s, "oid": "%s"}]' % (b"0" * 400, b"0" * 40)),
        ("/tree/", b'[{"type": "file", "path": 5, "size": 1, "oid": "%s"}]' % (b"0" * 40)),
        ("/tree/", b'[{"type": "file", "path": "config.json", "lfs": "none"}]'),
        ("/tree/", b"[5]"),
    ],
)  # fmt: skip
def test_a_server_that_is_not_the_hub_is_named_as_that(server, tmp_path, page, body):
    server.instead(page, body)
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "does not answer as the Hub does" in sentence(problem)


def test_an_endless_answer_is_cut(server, tmp_path, monkeypatch):
    monkeypatch.setattr(hubclient, "JSON_BYTES", 1000)
    with pytest.raises(Problem, match="does not answer as the Hub does"):
        fetch_model(MODEL, tmp_path)


@pytest.mark.parametrize(
    "name",
    ["../climbed/config.json", "/etc/config.json", "a\\b/config.json", "c:/config.json", "a//config.json", "\ud800",
     "./config.json", "a/\0", ""],
)  # fmt: skip
def test_a_file_name_that_leads_out_of_the_folder_is_refused(server, checkpoint, tmp_path, name):
    listing = [
        {"type": "file", "path": path, "size": 2, "oid": hashlib.sha1(b"blob 2\0{}").hexdigest()}
        for path in ("config.json", "model.safetensors", "query_tokenizer/vocab.txt", name)
    ]
    server.instead("/tree/", json.dumps(listing).encode())
    with pytest.raises(Problem) as problem:
        fetch_dataset(DATA, ["*"], tmp_path)
    assert "cannot be kept here" in sentence(problem) and parts(tmp_path) == []


def test_the_fetchers_own_files_cannot_be_had_from_a_repository(server, dataset, tmp_path):
    write(dataset, ".fetch/record.json", "{}")
    with pytest.raises(Problem, match="cannot be kept here"):
        fetch_dataset(DATA, ["*"], tmp_path)
    fetch_dataset(DATA, ["EVQA*"], tmp_path)


# Refusals


def test_a_repository_only_with_pickles_is_refused(server, checkpoint, tmp_path):
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "only as pytorch_model.bin, a pickle" in sentence(problem)
    for pickle in ("pytorch_model.bin", "training_args.bin"):
        (checkpoint / pickle).unlink()
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "has no weights (model.safetensors)" in sentence(problem)
    assert server.served() == 0


@pytest.mark.parametrize("name", ["config.json", "query_tokenizer/vocab.txt"])
def test_a_repository_that_is_no_checkpoint_is_refused_before_anything_is_fetched(server, checkpoint, tmp_path, name):
    (checkpoint / name).unlink()
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert f"has no {name}" in sentence(problem) and server.served() == 0


@pytest.mark.parametrize(
    ("index", "lacking"),
    [
        ('{"weight_map": {"a": "model-00001-of-00002.safetensors"}}', "model-00001-of-00002.safetensors"),
        ('{"weight_map": {"a": "../../secret.safetensors"}}', "readable model.safetensors.index.json"),
        ('{"weight_map": {"a": 5}}', "readable model.safetensors.index.json"),
        ('{"weight_map": []}', "readable model.safetensors.index.json"),
        ("[]", "readable model.safetensors.index.json"),
        ("{", "readable model.safetensors.index.json"),
    ],
)
def test_an_index_without_its_shards_is_no_checkpoint(server, checkpoint, tmp_path, index, lacking):
    (checkpoint / "model.safetensors").unlink()
    write(checkpoint, "model.safetensors.index.json", index)
    for _ in range(2):
        with pytest.raises(Problem) as problem:
            fetch_model(MODEL, tmp_path)
        assert f"not complete on the Hub: it has no {lacking};" in sentence(problem)


@pytest.mark.parametrize(
    "name",
    ["", "PreFLMR", "a/b/c", "a b/c", "../x", "a/..", "a--b/c", "-a/b", "a/b.", "https://huggingface.co/a/b", "a/b\n",
     "é/b", "a/" + "b" * 97],
)  # fmt: skip
def test_a_name_that_no_repository_can_have_is_refused_at_once(server, tmp_path, name):
    for fetch in (lambda: fetch_model(name, tmp_path), lambda: fetch_dataset(name, ["*"], tmp_path)):
        with pytest.raises(Problem) as problem:
            fetch()
        assert "is written owner/name" in sentence(problem)
    assert server.requests == []


def test_a_repository_that_does_not_exist_is_named(server, tmp_path, monkeypatch):
    with pytest.raises(Problem) as problem:  # the Hub tells a stranger 401 for it
        fetch_model("owner/nothing", tmp_path)
    assert "no model owner/nothing that can be read without a token; check the name" in sentence(problem)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(Problem) as problem:
        fetch_model("owner/nothing", tmp_path)
    assert "There is no model owner/nothing on 127.0.0.1" in sentence(problem)


def test_a_private_repository_is_read_with_the_right_token_only(server, checkpoint, tmp_path, monkeypatch):
    server.private[MODEL] = TOKEN
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "set HF_TOKEN" in sentence(problem)
    server.answer("/api/", 401, {"X-Error-Message": "Invalid credentials in Authorization header"}, times=1)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "does not accept the token in HF_TOKEN" in sentence(problem)
    assert tree(fetch_model(MODEL, tmp_path)) == wanted(checkpoint)


def test_the_token_goes_to_the_hub_and_to_nobody_else(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fetch_model(MODEL, tmp_path)
    assert any(asked.cdn for asked in server.requests)
    for asked in server.requests:
        assert asked.headers.get("authorization") == (None if asked.cdn else f"Bearer {TOKEN}")


@pytest.mark.parametrize("token", ["hf_secret\x07secret", "hf_sécret", "hf_secret secret"])
def test_a_token_that_cannot_be_one_is_refused_without_being_shown(server, tmp_path, monkeypatch, token):
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "The token in HF_TOKEN has characters" in sentence(problem) and "cret" not in str(problem.value)
    assert server.requests == []


def test_a_token_that_cannot_be_had_is_no_fault_of_the_folder(server, tmp_path, monkeypatch):
    def refuse() -> str:
        raise PermissionError(errno.EACCES, TOKEN)

    monkeypatch.setattr(hubclient, "get_token", refuse)
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "cannot be had (PermissionError)" in sentence(problem)


def test_a_gated_repository_says_where_to_accept_its_conditions(server, tmp_path, monkeypatch):
    server.gated |= {MODEL, DATA}
    for token in (None, TOKEN):
        if token:
            monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(Problem) as problem:
            fetch_model(MODEL, tmp_path)
        assert f"accept them on {server.url}/{MODEL} and set HF_TOKEN" in sentence(problem)
    with pytest.raises(Problem) as problem:
        fetch_dataset(DATA, ["README.md"], tmp_path)
    assert f"accept them on {server.url}/datasets/{DATA} and" in sentence(problem)


@pytest.mark.parametrize(
    ("status", "page", "said"),
    [
        (403, "/api/", "refuses the model owner/PreFLMR_tiny (status 403)"),
        (403, "config.json", "refuses the file config.json of the model owner/PreFLMR_tiny (status 403)"),
        (404, "config.json", "lists the file config.json of the model owner/PreFLMR_tiny but does not have it"),
        (410, "/tree/", "refuses the model owner/PreFLMR_tiny (status 410)"),
        (304, "/tree/", "refuses the model owner/PreFLMR_tiny (status 304)"),
    ],
)
def test_a_refusal_is_said_at_once(server, tmp_path, waits, status, page, said):
    server.answer(page, status)
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert said in sentence(problem) and waits == []


# Servers that are busy or in trouble


@pytest.mark.parametrize("page", ["/revision/", "/tree/", "config.json", "model.safetensors"])
@pytest.mark.parametrize("status", [500, 503, 408])
def test_trouble_of_the_server_passes_or_is_named(server, checkpoint, tmp_path, waits, page, status):
    server.answer(page, status, times=2)
    assert tree(fetch_model(MODEL, tmp_path)) == wanted(checkpoint)
    assert waits == [1.0, 2.0]
    server.answer(page, status)
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path / "other")
    assert f"(status {status})" in sentence(problem)
    assert waits == [1.0, 2.0, *hubclient.WAITS]


def test_a_server_that_asks_for_patience_gets_it(server, checkpoint, tmp_path, monkeypatch, waits):
    server.answer("config.json", 429, {"Retry-After": "7"}, times=2)
    server.answer("model.safetensors", 429, {"RateLimit": '"resolvers";r=0;t=11'}, times=1)
    server.answer("/tree/", 429, {"Retry-After": "0"}, times=1)
    monkeypatch.setattr(hubclient, "time", SimpleNamespace(time=lambda: 1_800_000_000.0))
    later = email.utils.formatdate(1_800_000_020, usegmt=True)
    server.answer("/revision/", 503, {"Retry-After": later}, times=1)
    assert tree(fetch_model(MODEL, tmp_path)) == wanted(checkpoint)
    assert waits == [20.0, 1.0, 7.0, 7.0, 11.0]


@pytest.mark.parametrize("said", ["", "soon", "-5", "1e9", "²"])
def test_a_busy_server_that_does_not_say_how_long_is_asked_again_after_short_waits(server, tmp_path, waits, said):
    server.answer("/tree/", 429, {"Retry-After": said.encode("utf-8").decode("latin-1")} if said else {})
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "is asked for too much at once" in sentence(problem)
    assert waits == list(hubclient.WAITS)


def test_patience_has_an_end(server, tmp_path, waits):
    server.answer("/tree/", 429, {"Retry-After": "25"})
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "try again in 25 seconds" in sentence(problem) and waits == [25.0, 25.0]
    waits.clear()
    server.well()
    server.answer("/tree/", 429, {"Retry-After": "3600"})
    with pytest.raises(Problem, match="try again in 3600 seconds"):
        fetch_model(MODEL, tmp_path)
    assert waits == []
    server.well()
    server.answer("/tree/", 429, {"Retry-After": "0"})
    with pytest.raises(Problem):
        fetch_model(MODEL, tmp_path)
    assert sum(waits) <= hubclient.PATIENCE


# No way to the server


def test_a_server_that_is_not_there_is_named_at_once(tmp_path, monkeypatch, waits):
    with socket.socket() as taken:  # bound, so that nobody else listens there
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(hubclient.constants, "ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(Problem) as problem:
            fetch_model(MODEL, tmp_path)
    said = sentence(problem)
    assert said.startswith("The model owner/PreFLMR_tiny cannot be fetched because 127.0.0.1:")
    assert "refused" in said and "put its files into a folder by hand" in said and waits == []


def test_a_server_whose_name_is_not_known_is_named_at_once(tmp_path, monkeypatch, waits):
    monkeypatch.setattr(hubclient.constants, "ENDPOINT", "https://user:password@hub.invalid")
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "hub.invalid does not answer" in sentence(problem) and "password" not in sentence(problem) and waits == []


def test_a_network_that_goes_away_on_the_way_is_tried_for_again(server, tmp_path, monkeypatch, waits):
    def kinds(kind: type) -> list[type]:
        return [kind, *(deeper for below in kind.__subclasses__() for deeper in kinds(below))]

    [no_connection] = [kind for kind in kinds(hubclient.HTTPError) if kind.__name__ == "ConnectError"]
    real = huggingface_hub.get_session()

    def stream(method, url, **more):
        if "/resolve/" in url:
            raise no_connection("[Errno -3] Temporary failure in name resolution")
        return real.stream(method, url, **more)

    monkeypatch.setattr(hubclient, "get_session", lambda: SimpleNamespace(stream=stream))
    with pytest.raises(Problem, match="does not answer .*name resolution"):
        fetch_model(MODEL, tmp_path)
    assert waits == list(hubclient.WAITS)


def test_what_the_client_says_is_shown_without_the_token(server, tmp_path, monkeypatch):
    def stream(*_, **__):
        raise hubclient.HTTPError(f"Illegal header value b'Bearer {TOKEN}'\nand more")

    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(hubclient, "get_session", lambda: SimpleNamespace(stream=stream))
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "Illegal header value" in sentence(problem)


@pytest.mark.parametrize("address", ["huggingface.co", "ftp://host", "http://", "http://[bad", "http://host:port", ""])
def test_an_address_that_is_none_is_refused(tmp_path, monkeypatch, address):
    monkeypatch.setattr(hubclient.constants, "ENDPOINT", address)
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert sentence(problem).startswith("HF_ENDPOINT is not the address")


def test_a_proxy_that_cannot_be_used_is_named(server, tmp_path, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "strange://proxy")
    huggingface_hub.close_session()
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "settings of the network" in sentence(problem)


def test_offline_with_nothing_there_is_a_sentence(server, tmp_path, monkeypatch):
    monkeypatch.setattr(hubclient.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert sentence(problem).startswith("HF_HUB_OFFLINE is set and the model owner/PreFLMR_tiny was not")
    assert server.requests == []


def test_the_environment_of_a_process_says_where_the_hub_is_and_whether_to_ask_it(server, checkpoint, tmp_path):
    server.private[MODEL] = TOKEN
    for environment, starts in [
        ({"HF_HUB_OFFLINE": "1"}, "problem: HF_HUB_OFFLINE is set"),
        ({"HF_TOKEN": TOKEN}, str(tmp_path / "hub")),
        ({"HF_HUB_OFFLINE": "1"}, str(tmp_path / "hub")),
    ]:
        out, err = fetch_elsewhere(server.url, tmp_path, **environment).communicate(timeout=LONG)
        assert out.startswith(starts) and err == "", (out, err)
    assert tree(tmp_path / "hub" / "models--owner--PreFLMR_tiny") == wanted(checkpoint)


# The disk


def test_too_little_space_is_said_before_anything_is_fetched(server, checkpoint, tmp_path, monkeypatch):
    whole = sum(map(len, wanted(checkpoint).values()))
    monkeypatch.setattr(hubcache.shutil, "disk_usage", lambda folder: SimpleNamespace(free=whole - 1))
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert "needs 3.2 MB more, but the disk of" in sentence(problem) and server.served() == 0
    monkeypatch.setattr(hubcache.shutil, "disk_usage", lambda folder: SimpleNamespace(free=whole))
    fetch_model(MODEL, tmp_path)


def test_what_is_there_already_needs_no_space(server, tmp_path, monkeypatch):
    server.drop("model.safetensors", after=WEIGHTS - 1000, times=1)
    monkeypatch.setattr(hubclient, "WAITS", ())
    with pytest.raises(Problem):
        fetch_model(MODEL, tmp_path)
    monkeypatch.setattr(hubcache.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    fetch_model(MODEL, tmp_path)


def test_a_disk_that_takes_no_more_is_a_sentence_and_the_fetch_goes_on_when_there_is_room(
    server, checkpoint, tmp_path, waits
):
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignore = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, before[1]))  # a write beyond fails with EFBIG
        with pytest.raises(Problem) as problem:
            fetch_model(MODEL, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignore)
    assert "cannot be used (File too large)" in sentence(problem) and waits == []
    [part] = parts(tmp_path)
    came = part.stat().st_size
    assert came > 1_000_000
    assert tree(fetch_model(MODEL, tmp_path)) == wanted(checkpoint)
    assert server.asked("model.safetensors")[-1].sent == WEIGHTS - came


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_as_that(server, tmp_path, monkeypatch, code):
    def full(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(hubcache.os, "fsync", full)
    with pytest.raises(Problem) as problem:
        fetch_model(MODEL, tmp_path)
    assert sentence(problem).startswith("The disk is full: nothing more fits under")


def test_a_folder_that_cannot_be_used_is_named(server, tmp_path):
    write(tmp_path, "cache", "a file where a folder should be")
    for fetch in (fetch_model, lambda repo, cache: fetch_dataset(DATA, ["*"], cache)):
        with pytest.raises(Problem) as problem:
            fetch(MODEL, tmp_path / "cache")
        assert "cannot be used" in sentence(problem)


# The server itself, judged by the Hub's own client


def test_the_server_answers_as_the_hub_does_for_the_hubs_own_client(server, checkpoint, dataset, tmp_path):
    server.private["owner/private"] = TOKEN
    server.models["owner/private"] = checkpoint
    server.models["owner/gated"] = checkpoint
    server.gated.add("owner/gated")
    program = f"""
import sys, warnings
from pathlib import Path
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import GatedRepoError, RemoteEntryNotFoundError, RepositoryNotFoundError
from huggingface_hub.errors import RevisionNotFoundError
api = HfApi()
about = api.model_info({MODEL!r}, files_metadata=True)
weights = next(file for file in about.siblings if file.rfilename == "model.safetensors")
assert weights.size == weights.lfs.size == {WEIGHTS}
assert "query_tokenizer" in [entry.path for entry in api.list_repo_tree({MODEL!r})]
snapshot = Path(snapshot_download({MODEL!r}, cache_dir=sys.argv[1] + "/a"))
for file in Path(sys.argv[2]).rglob("*"):
    if file.is_file():
        assert (snapshot / file.relative_to(sys.argv[2])).read_bytes() == file.read_bytes(), file
table = hf_hub_download({DATA!r}, "README.md", repo_type="dataset", cache_dir=sys.argv[1] + "/b")
assert Path(table).read_text() == "# M2KR"
for name, revision, file, kind in [
    ({MODEL!r}, None, "none.json", RemoteEntryNotFoundError),
    ("owner/none", None, "config.json", RepositoryNotFoundError),
    ({MODEL!r}, "none", "config.json", RevisionNotFoundError), ("owner/gated", None, "config.json", GatedRepoError),
    ("owner/private", None, "config.json", RepositoryNotFoundError),
]:
    try: hf_hub_download(name, file, revision=revision, cache_dir=sys.argv[1] + "/c")
    except kind as problem: assert type(problem) is kind, problem
    else: raise SystemExit(f"{{name}} {{file}} was there")
hf_hub_download("owner/private", "config.json", cache_dir=sys.argv[1] + "/c", token={TOKEN!r})
print("as the Hub does")
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "out"), str(checkpoint)], text=True, capture_output=True,
        env=environment | {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "home"),
                           "HF_HUB_DOWNLOAD_TIMEOUT": f"{LONG:.0f}", "HF_HUB_ETAG_TIMEOUT": f"{LONG:.0f}"},
        timeout=LONG,
    )  # fmt: skip
    assert done.stdout == "as the Hub does\n", done.stderr
