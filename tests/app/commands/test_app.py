"""`python -m app ask`, called as a function with a small encoder and once as a command with the real one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from app.commands import app as command
from app.service import ask as service
from app.service import assembly, fixed_corpora
from app.service.results import Reranked
from common.passage import Evidence
from common.problems import Problem
from generator.answers import Answer, Citation
from kb.catalogue import Catalogue
from kb.ingest import ingest
from kb.records import DocumentRecord
from kb.sources.kinds import fixed_collection
from kb.sources.registry import KINDS
from kb.sources.rows import make_source
from retriever.encoders.base import Query
from retriever.index import LateInteractionIndex
from tests import ROOT
from tests.fakes import small_encoder
from tests.fakes.chat_server import ChatServer, stream
from tests.fakes.small_encoder import ARTICLES, COLOURS, SmallEncoder, source
from tests.support.page import result

pytestmark = pytest.mark.usefixtures("plain_surroundings")


@pytest.fixture
def photo(tmp_path) -> str:
    Image.new("RGB", (30, 20), COLOURS["red"]).save(tmp_path / "photo.png")
    return "photo.png"


@pytest.fixture
def small(monkeypatch):
    """The real service, but for the encoder and the corpus."""
    encoder = SmallEncoder()
    monkeypatch.setenv("CITESIGHT_CORPUS", "things")
    monkeypatch.setitem(KINDS, "things", fixed_collection(source()))
    monkeypatch.setattr(assembly, "load_encoder", lambda profile, cache_dir, progress: encoder)
    monkeypatch.setattr(assembly, "load_sentence_encoder", lambda cache_dir: small_encoder)
    return encoder


def test_the_first_question_fetches_and_indexes_with_progress(small, photo, capsys):
    assert command.main(["ask", photo, "How heavy is it?"]) == 0
    said = capsys.readouterr()
    assert "Cherry" in said.out and "8 grams" in said.out
    assert "https://example.org/Cherry" in said.out and "CC0" in said.out and "about a cherry" in said.out
    assert "Quoted:" in said.out and "total" in said.out and "Only" not in said.out
    assert "Fetching" in said.err and "Indexing" in said.err and "4/4" in said.err
    assert Path("data/catalogue.sqlite").exists() and len(small.encoded) == 4


def test_the_second_question_answers_at_once(small, photo, capsys):
    assert command.main(["ask", photo, "How heavy is it?"]) == 0
    capsys.readouterr()
    assert command.main(["ask", photo, "What is it?"]) == 0
    said = capsys.readouterr()
    assert "Cherry [1]" in said.out and said.err == "" and len(small.encoded) == 4


def test_json_is_all_there_is_on_standard_output(small, photo, capsys):
    assert command.main(["ask", photo, "How heavy is it?", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["answered"] is True and "8 grams" in said["answer"]
    assert said["passages"][0]["title"] == "Cherry" and 0 < said["passages"][0]["score"] <= 1
    citation = said["citations"][0]
    quoted = said["passages"][citation["number"] - 1]["text"][citation["start"] : citation["end"]]
    assert quoted == citation["quote"] and quoted in ARTICLES["Cherry"]
    assert said["timings"]["total"] >= said["timings"]["encode"]


def test_an_interrupted_first_run_goes_on_and_asks_for_nothing_twice(small, photo, capsys, monkeypatch):
    encode = small.encode_passages

    def interrupt(*_given):
        raise KeyboardInterrupt

    small.encode_passages = interrupt
    assert command.main(["ask", photo, "How heavy is it?"]) == 2
    assert "error: Stopped" in capsys.readouterr().err
    small.encode_passages = encode
    monkeypatch.setitem(KINDS, "things", fixed_collection(source(articles={})))  # would be noticed if it were read
    assert command.main(["ask", photo, "How heavy is it?"]) == 0
    assert "Fetching" not in capsys.readouterr().err


# --- problems: exit code 2 and one sentence


def problem(capsys, *arguments: str) -> str:
    assert command.main(list(arguments)) == 2
    said = capsys.readouterr()
    last = said.err.strip().splitlines()[-1]
    assert (
        said.out == "" and "Traceback" not in said.err and last.startswith("error: ") and last.endswith(".")
    )
    return last


def test_bad_photos_and_questions_are_told_before_anything_is_built(small, photo, capsys):
    Path("text.jpg").write_text("no photo")
    assert "no file 'none.jpg'" in problem(capsys, "ask", "none.jpg", "What?")
    assert "not a photo" in problem(capsys, "ask", "text.jpg", "What?")
    assert "Type a question" in problem(capsys, "ask", photo, " ")
    assert "2,000" in problem(capsys, "ask", photo, "a" * 3000)
    assert not Path("data").exists()


def test_bad_settings(photo, capsys, monkeypatch):
    assert "setting profile" in problem(capsys, "ask", photo, "What?", "--profile", "a\nb")
    Path("file").touch()
    assert "data folder" in problem(capsys, "ask", photo, "What?", "--data-dir", "file/data")
    assert problem(capsys, "ask", photo, "What?", "--database-url", "nonsense")
    assert "no profile 'huge'" in problem(capsys, "ask", photo, "What?", "--profile", "huge")
    monkeypatch.setenv("CITESIGHT_PASSAGES", "many")
    assert "CITESIGHT_PASSAGES" in problem(capsys, "ask", photo, "What?")


def test_the_collection_that_is_asked(small, photo, capsys):
    Path("data").mkdir()
    catalogue = Catalogue("sqlite:///data/catalogue.sqlite")
    ruby = DocumentRecord("r", "Ruby", "", "en", "CC0", ("A ruby is a red gem. It weighs about 3 grams.",))
    ingest(catalogue, make_source("gems", "", "CC0", "en", "", lambda cache: (1, iter([ruby]))), Path())
    catalogue.close()
    assert command.main(["ask", photo, "How heavy is it?", "--corpus", "gems", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["corpora"] == ["gems"] and {passage["title"] for passage in told["passages"]} == {"Ruby"}
    said = problem(capsys, "ask", photo, "What?", "--corpus", "stones")
    assert "There is no corpus called 'stones'; choose one of gems, things" in said
    assert "setting corpus" in problem(capsys, "ask", photo, "What?", "--corpus", "a/b")


def test_a_model_answers(small, photo, capsys, monkeypatch):
    monkeypatch.setenv("CITESIGHT_SERVED_KEY", "sk-secret")
    with ChatServer(stream("It weighs about 8 grams", " [1]. It sings.")) as server:
        model = ["--model", "small", "--served-url", server.url]
        assert command.main(["ask", photo, "How heavy is it?", *model]) == 0
        said = capsys.readouterr()
        assert "8 grams [1]. It sings." in said.out and "Not from the evidence: It sings." in said.out
        assert "Not from the evidence: It weighs" not in said.out and "weighs about 8 grams." in said.out
        assert server.asked[0].headers["authorization"] == "Bearer sk-secret"
        assert command.main(["ask", photo, "How heavy is it?", "--json", *model]) == 0
        told = capsys.readouterr()
        assert json.loads(told.out)["answerer"].startswith("small at 127.0.0.1:")
    assert "sk-secret" not in "".join([*said, *told])
    assert "Nothing answers at 127.0.0.1" in problem(capsys, "ask", photo, "How heavy is it?", *model)


def test_it_says_what_an_answer_waits_for(small, photo, capsys, monkeypatch):
    waited = iter(["", "Loading the model.", "Loading the model.", "Nearly there.", ""])
    told = []

    def loading(self) -> str:
        told.append(next(waited, ""))
        return told[-1]

    def answer(*_):
        while len(told) < 6:
            time.sleep(0.01)
        yield Answer("A cherry.", (), True)

    monkeypatch.setattr(command, "PAUSE", 0.01)
    monkeypatch.setattr(service.AnswerService, "loading", loading)
    monkeypatch.setattr("generator.extractive.answerer.ExtractiveAnswerer.answer", answer)
    assert command.main(["ask", photo, "What is it?"]) == 0
    said = capsys.readouterr()
    assert said.err.endswith("Loading the model.\nNearly there.\n") and said.err.count("Loading the model.") == 1
    assert said.out.startswith("A cherry.")


def test_a_model_that_cannot_be_used(small, photo, capsys):
    assert "CITESIGHT_MODEL" in problem(capsys, "ask", photo, "What?", "--served-url", "http://localhost:1/v1")
    said = problem(capsys, "ask", photo, "What?", "--model", "small", "--served-url", "localhost")
    assert "http://localhost:8000/v1" in said


def test_a_failed_fetch(small, photo, capsys, monkeypatch):
    def fetch(*_args, **_named):
        raise Problem("The corpus could not be fetched; check the network.")

    monkeypatch.setattr(fixed_corpora, "ingest", fetch)
    assert "check the network" in problem(capsys, "ask", photo, "What?")


def test_something_unforeseen(small, photo, capsys):
    small.encode_queries = lambda queries: 1 / 0
    assert "ZeroDivisionError" in problem(capsys, "ask", photo, "What?")


def test_a_failed_update_still_answers_from_what_is_there(small, photo, capsys, monkeypatch):
    assert command.main(["ask", photo, "What is it?"]) == 0
    monkeypatch.setitem(KINDS, "things", fixed_collection(source(articles={**ARTICLES, "Frog": "A green animal."})))
    monkeypatch.setattr(fixed_corpora, "_is_whole", lambda catalogue, corpus: False)

    def add(self, ids, vectors):
        raise OSError("no space left")

    monkeypatch.setattr(LateInteractionIndex, "add", add)
    capsys.readouterr()
    assert command.main(["ask", photo, "What is it?"]) == 0
    said = capsys.readouterr()
    assert "warning: " in said.err and "no space left" in said.err and "Traceback" not in said.err
    assert "Cherry" in said.out and "Only 4 of 5 passages" in said.out


def test_usage_is_told_for_a_wrong_command_line(capsys):
    for arguments in ([], ["ask"], ["ask", "photo.png"], ["dance"]):
        with pytest.raises(SystemExit) as caught:
            command.main(arguments)
        assert caught.value.code == 2 and "usage: python -m app" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        command.main(["ask", "--help"])
    assert caught.value.code == 0 and "--data-dir" in capsys.readouterr().out


def test_a_passage_cannot_steer_the_terminal(small):
    passage = Evidence(
        rank=1,
        id="a",
        title="T\x1b[2J\u202eitle",
        text="x\x1b]0;owned\x07y",
        url="https://example.org/\x1b[31m",
        licence="CC0",
        corpus="things",
        score=0.5,
    )
    answer = Answer("said\x1b[5m\nmore", (Citation(1, "a", "x\x1b]0;owned\x07y", 0, 12),), True)
    [query] = SmallEncoder().encode_queries([Query("what")])
    text = command.readable(
        service.Result("what", answer, (passage,), ("things",), {"total": 1.0}, 1, 1, query)
    )
    assert "\x1b" not in text and "\x07" not in text and "\u202e" not in text
    assert "said" in text and "\nmore" in text and "[2J" in text


def test_a_reader_that_has_enough_is_no_problem(tmp_path):
    code = (
        "import sys; from app.commands import app as command\n"
        "def ask(args):\n"
        "    for _ in range(100000): print('line')\n"
        "    return 0\n"
        "command._ask = ask\n"
        "sys.exit(command.main(['ask', 'p', 'q']))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True
    ) as child:
        assert child.stdout.readline() == "line\n"
        child.stdout.close()
        assert child.stderr.read() == ""
    assert child.returncode == 0


def test_what_broke_off_and_what_stands_as_it_was_found_is_said_in_the_terminal():
    answer = Answer("The tower is", (), False, broken="The server went away.")
    failed = Reranked("m (pointwise)", "m was not done after 20 seconds; the passages stand.", failed=True)
    text = command.readable(replace(result(), answer=answer, reranked=failed))
    assert "The answer broke off; this is as far as it came. The server went away." in text
    assert "m was not done after 20 seconds" in text and "Put in order by" not in text
    done = replace(failed, failed=False)
    assert "Put in order by m (pointwise)." in command.readable(replace(result(), reranked=done))


def test_what_was_not_searched_is_said_in_the_terminal():
    text = command.readable(replace(result(), unsearched=0.25))
    assert "25% of the passages could not be searched" in text
    assert "could not be searched" not in command.readable(result())
