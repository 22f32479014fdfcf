"""The whole program on the whole corpus, by its commands, as a newcomer runs them. Slow: it indexes all of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.everything import EXAMPLES
from kb.catalogue import Catalogue
from retriever.evaluation.measures import measures
from tests import ROOT

pytestmark = pytest.mark.slow
QUESTIONS = ROOT / "tests" / "data" / "questions.json"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory, wheel_cache) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "cache").symlink_to(wheel_cache)
    command("retriever", "index", data_dir=folder)
    return folder


def command(module: str, *arguments: str, data_dir: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments, "--data-dir", str(data_dir)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3600,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_catalogue_holds_every_article_once(data_dir):
    (corpus,) = json.loads(command("kb", "stats", "--json", data_dir=data_dir))["corpora"]
    assert corpus["documents"] == corpus["passages"] == 10_033
    found = json.loads(command("kb", "search-text", "big cat with a mane", "--json", data_dir=data_dir))
    assert "Lion" in [hit["title"] for hit in found]


@pytest.mark.parametrize(
    ("photo", "question", "title"),
    [
        ("cheetah1.jpg", "How fast can this animal run?", "Cheetah"),
        ("lion.jpg", "Where does this animal live?", "Lion"),
    ],
)
def test_a_photo_of_an_animal_is_answered_from_its_article(data_dir, photo, question, title):
    said = json.loads(command("app", "ask", str(EXAMPLES / photo), question, "--json", data_dir=data_dir))
    assert said["indexed"] == said["total"] == 10_033
    assert said["passages"][0]["title"] == title and said["answered"]
    assert title in said["answer"] and said["citations"][0]["quote"] in said["passages"][0]["text"]


def test_search_gives_ranked_passages(data_dir):
    asked = ["search", "--image", str(EXAMPLES / "lion.jpg"), "--question", "What is this?", "-k", "3", "--json"]
    found = json.loads(command("retriever", *asked, data_dir=data_dir))
    assert len(found) == 3 and set(found[0]) == {"id", "title", "score", "seen", "text", "url"}
    scores = [hit["score"] + hit["seen"] for hit in found]
    assert found[0]["title"] == "Lion" and scores == sorted(scores, reverse=True)


def test_text_questions_are_found_no_worse_than_by_minilm_sentences(data_dir, sentences):
    ours = json.loads(command("retriever", "eval-questions", str(QUESTIONS), "--json", data_dir=data_dir))
    catalogue = Catalogue(f"sqlite:///{data_dir / 'catalogue.sqlite'}")
    passages = [p for page in catalogue.stream("wikipedia-vital") for p in page]
    catalogue.close()
    asked = [q for q in json.loads(QUESTIONS.read_text()) if q["title"]]
    articles = sentences.embed_sentences([f"{p.title}. {p.text}" for p in passages])
    nearness = sentences.embed_sentences([q["question"] for q in asked]) @ articles.T
    row = {p.title: i for i, p in enumerate(passages)}
    wanted = [row[q["title"]] for q in asked]
    plain = measures([int((near > near[i]).sum()) + 1 for near, i in zip(nearness, wanted, strict=True)])
    assert ours["questions"] == len(asked)
    assert ours["mrr"] >= plain["mrr"] and ours["recall@1"] >= plain["recall@1"], (ours, plain)
    assert np.isfinite(plain["mrr"]) and plain["mrr"] > 0.5


def test_three_hundred_questions_of_fifty_users_take_so_much_memory(data_dir):
    figures = json.loads(command("retriever", "bench", "--load", "300", "--users", "50", "--json", data_dir=data_dir))
    assert (figures["questions"], figures["users"]) == (300, 50)
    assert figures["memory_after_gb"] <= 1.3
