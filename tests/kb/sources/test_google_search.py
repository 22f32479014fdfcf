"""The pages that a search finds: questions, the search's answers and refusals, and runs that go on another day."""

from __future__ import annotations

import itertools
import json
import logging
import subprocess
import sys
import threading
import traceback
from contextlib import nullcontext
from functools import partial
from urllib.parse import parse_qs, urlsplit

import pytest

from common.problems import Problem
from kb.records import DocumentRecord, Section, Skipped
from kb.sources import web_search
from kb.sources.google_search import provider, search
from kb.sources.questions import read_questions
from kb.sources.web_page_text import Reader
from kb.sources.web_pages import Fetcher
from kb.sources.web_search import RESULTS, Found, QuotaReached, read, searched_pages
from tests import ROOT
from tests.fakes.web_server import Reply, WebServer, to
from tests.support.waiting import LONG, ended

KEY = "AIzaSyZq8vW3xLm5TtRr0pYb2"
ENGINE = "0123456789abcdef0"
TEXT = "The {} is an animal of the northern woods that is seldom seen by day, and often heard by night."
FOOD = "Its food is mice and berries in summer, and whatever is left by others in winter. " * 2
JSON = {"Content-Type": "application/json; charset=UTF-8"}


def error(status, reason="", message="", details=(), grpc=""):
    """A refusal in the form that Google's interfaces have."""
    body = {"code": status, "message": message, "errors": [{"message": message, "domain": "global", "reason": reason}]}
    body |= {"status": grpc, "details": list(details)}
    return Reply(json.dumps({"error": body}).encode(), status, JSON)


def info(reason, **metadata):
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "metadata": metadata}


DAY = error(
    429, "rateLimitExceeded", "Quota exceeded for quota metric 'Queries' and limit 'Queries per day'",
    [info("RATE_LIMIT_EXCEEDED", quota_limit="DefaultPerDayPerProject", quota_unit="1/d/{project}")],
    "RESOURCE_EXHAUSTED",
)  # fmt: skip
PER_MINUTE = error(
    429, "rateLimitExceeded", "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute'",
    [info("RATE_LIMIT_EXCEEDED", quota_limit="DefaultPerMinutePerProject", quota_unit="1/min/{project}")],
    "RESOURCE_EXHAUSTED",
)  # fmt: skip


def page(name, title=None):
    title = title or name.title()
    return Reply(
        f"<html lang=en><head><title>{title}</title></head><body><main><h1>{title}</h1>"
        f"<p>{TEXT.format(name)}</p><h2>Food</h2><p>{FOOD}</p></main></body></html>".encode()
    )


class Google:
    """A web server with the search and the pages that it finds; `answers` are given before the ordinary ones."""

    def __init__(self) -> None:
        self.web = WebServer()
        self.found: dict[str, list[str]] = {}  # paths, by question
        self.answers: list[Reply] = []
        self.quota = 1_000
        self.searches: list[dict[str, str]] = []
        self.web.pages["/customsearch/v1"] = self._answer

    def _answer(self, asked):
        assert asked.headers["x-goog-api-key"] == KEY and KEY not in asked.path
        query = {name: values[0] for name, values in parse_qs(urlsplit(asked.path).query).items()}
        self.searches.append(query)
        if self.answers:
            return self.answers.pop(0)
        if self.quota == 0:
            return DAY
        self.quota -= 1
        items = [
            {"kind": "customsearch#result", "title": f"Result {path}", "link": self.web.url + path, "snippet": "It is"}
            for path in self.found.get(query["q"], [])
        ]
        said = {"kind": "customsearch#search", "searchInformation": {"totalResults": str(len(items))}}
        if items:
            said["items"] = items
        return Reply(json.dumps(said).encode(), headers=JSON)

    @property
    def base(self) -> str:
        return self.web.url + "/customsearch/v1"

    def pages_asked(self) -> list[str]:
        return [path for path in self.web.paths() if not path.startswith("/customsearch")]


@pytest.fixture
def google():
    made = Google()
    with made.web:
        yield made


@pytest.fixture(scope="module")
def reader():
    with Reader() as made:
        yield made


@pytest.fixture(autouse=True)
def one_reader(reader, monkeypatch):
    """All tests share the process that reads pages; starting it takes a second."""
    monkeypatch.setattr(web_search, "Reader", lambda: nullcontext(reader))


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """The waits between attempts, which are not waited for."""
    found: list[float] = []
    monkeypatch.setattr(web_search, "sleep", found.append)
    return found


@pytest.fixture(autouse=True)
def no_secret_is_told(caplog, capfd, tmp_path):
    caplog.set_level(logging.DEBUG)
    yield
    out, err = capfd.readouterr()
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    for secret in (KEY, ENGINE):
        assert secret not in caplog.text + out + err and secret.encode() not in files


def here(address, port):
    return address.is_loopback


def run(google, questions, folder, results=RESULTS):
    """What a run gives, and the QuotaReached at its end or None."""
    given = []
    try:
        for each in read(questions, provider(KEY, ENGINE, results, google.base), folder, here, 0.0):
            given.append(each)
    except QuotaReached as problem:
        return given, problem
    return given, None


def problem_of(google, *answers):
    google.answers = list(answers)
    with pytest.raises(Problem) as caught:
        search("what is it?", KEY, ENGINE, base=google.base)
    said = str(caught.value)
    assert said.endswith(".") and "\n" not in said and len(said) < 300
    shown = "".join(traceback.format_exception(caught.value))
    assert KEY not in shown and ENGINE not in shown
    return caught.value


# Questions

@pytest.mark.parametrize(
    "text",
    [
        "What is a fox?\n\n  How old\tdo they get? \r\nWhat is a fox?\n",
        "\ufeffWhat is a fox?\nHow old do they get?",
        '["What is a fox?", {"question": "How old do they get?", "id": 3}]',
        '\n{"question": "What is a fox?"}\n\n{"question": "How old do they get?", "answers": ["x"]}\n',
        '{"question": "What\u2028is a fox?"}\r\n{"question": "How old do they get?"}',
    ],
)
def test_questions_are_read(tmp_path, text):
    file = tmp_path / "questions"
    file.write_text(text, encoding="utf-8")
    assert read_questions(file) == ["What is a fox?", "How old do they get?"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "holds no question"),
        (b" \n\n", "holds no question"),
        (b"[]", "holds no question"),
        (b"caf\xe9?", "not text in UTF-8"),
        ("größer über Äpfel, älter?".encode() + b"\xe9?", "UTF-8 but for byte 31"),
        (b'["a", ', "begins like JSON and cannot be read"),
        (b"[" * 100_000, "begins like JSON and cannot be read"),
        (b'{"question": "a"}\n{"question": ', "Line 2 of"),
        (b'["a", 3]', "no question in entry 2 of"),
        (b'[{"question": ["a"]}]', "no question in entry 1 of"),
        (b'\n{"text": "a"}', "no question in line 2 of"),
        (b"fine?\n" + b"x" * 2000, "line 2 of .* more than 1000 characters"),
        (b"x?\n" * 4_000_000, "larger than 10 MB"),
    ],
)
def test_files_that_hold_no_questions(tmp_path, data, words):
    file = tmp_path / "questions"
    file.write_bytes(data)
    with pytest.raises(Problem, match=words) as caught:
        read_questions(file)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_questions_that_are_not_there(tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(Problem, match="cannot be read: "):
            read_questions(path)


# The search

def test_a_search(google):
    google.found["what is it & why?"] = ["/a", "/b"]
    assert search("what is it & why?", KEY, ENGINE, 7, google.base) == [
        Found(google.web.url + "/a", "Result /a", "It is", 1),
        Found(google.web.url + "/b", "Result /b", "It is", 2),
    ]
    assert google.searches == [{"q": "what is it & why?", "cx": ENGINE, "num": "7"}]
    assert search("what else?", KEY, ENGINE, base=google.base) == []
    for results in (0, 11):
        with pytest.raises(ValueError):
            search("x", KEY, ENGINE, results, google.base)


def test_strange_results_do_no_harm(google):
    items = [
        {"link": "http://a.test/" + "x" * 5000, "title": "long"},
        {"link": "http://b.test/", "title": "T\u0000wo\ud800  words" + "y" * 900},
        {"link": "http://b.test/", "title": "again"},
        {"title": "nowhere"},
    ] * 20
    said = {"kind": "customsearch#search", "items": items}
    google.answers = [Reply(json.dumps(said).encode(), headers=JSON)]
    (found,) = search("x", KEY, ENGINE, base=google.base)
    assert (found.url, found.rank, found.snippet) == ("http://b.test/", 2, "")
    assert found.title.startswith("Two words") and len(found.title) == 500


@pytest.mark.parametrize(
    "answer",
    [
        DAY,
        error(403, "dailyLimitExceeded", "Daily Limit Exceeded. The quota will be reset at midnight Pacific Time."),
        error(403, "quotaExceeded"),
        error(403, "rateLimitExceeded", "Rate Limit Exceeded"),
        error(403, details=[info("RATE_LIMIT_EXCEEDED")]),
        Reply(b"too many", 429),
    ],
)
def test_the_quota_of_a_day(google, waits, answer):
    problem = problem_of(google, answer)
    assert isinstance(problem, QuotaReached) and "goes on tomorrow with the same command" in str(problem)
    assert len(google.searches) == 1 and waits == []


def test_the_quota_of_a_minute_is_waited_for(google, waits):
    google.found["x"] = ["/a"]
    google.answers = [PER_MINUTE, PER_MINUTE]
    assert len(search("x", KEY, ENGINE, base=google.base)) == 1
    assert waits == [60.0, 60.0]
    assert "allows no more searches for now" in str(problem_of(google, *[PER_MINUTE] * 4))


def test_trouble_that_passes(google, waits):
    google.found["x"] = ["/a"]
    google.answers = [Reply(b"oh", 503), Reply(raw=[]), error(500, "backendError")]
    assert len(search("x", KEY, ENGINE, base=google.base)) == 1
    assert len(waits) == 3 and all(0.5 * 2**n <= wait <= 2**n for n, wait in enumerate(waits))


def test_trouble_that_does_not_pass(google, waits, monkeypatch):
    problem = problem_of(google, *[Reply(status=503)] * 9)
    assert "has trouble (status 503)" in str(problem) and "goes on from here" in str(problem)
    assert len(google.searches) == 4 and len(waits) == 3 and not isinstance(problem, QuotaReached)
    assert "broke off" in str(problem_of(google, *[Reply(raw=[])] * 4))
    with pytest.raises(Problem, match="at 127.0.0.1 cannot be connected to; run the same command again"):
        search("x", KEY, ENGINE, base="http://127.0.0.1:9/")
    google.answers = [Reply(hold=LONG)] * 4
    with pytest.raises(Problem, match="takes more than 0.2 seconds"):
        search("x", KEY, ENGINE, base=google.base, limit_seconds=0.2)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (error(400, "badRequest", "API key not valid. Please pass a valid API key.", [info("API_KEY_INVALID")]),
         "check the key"),
        (error(400, "badRequest", "Request contains an invalid argument.", grpc="INVALID_ARGUMENT"),
         "id of the search engine"),
        (error(404, "notFound", "Requested entity was not found."), "id of the search engine"),
        (error(403, "forbidden", "This project does not have the access to Custom Search JSON API."),
         "project has the Custom Search API"),
        (error(403, "accessNotConfigured", KEY), "project has the Custom Search API"),
        (Reply(b"<html>Forbidden", 403), "project has the Custom Search API"),
        (Reply(b"<html>Log in to the hotel's network"), "something else"),
        (Reply(b'{"kind": "customsearch#search", "items": [{"link": 3}]}', headers=JSON), "something else"),
        (Reply(b'{"kind": "customsearch#search", "items": 3}', headers=JSON), "something else"),
        (Reply(b'{"kind": "customsearch#search", "items": ["x"]}', headers=JSON), "something else"),
        (Reply(b"[" * 100_000, headers=JSON), "something else"),
        (Reply(b'{"items": []}', headers=JSON), "something else"),
        (Reply(b"[" * 3_000_000, headers=JSON), "is larger than 2 MB"),
        (to("http://127.0.0.1:9/"), "status 302"),
        (Reply(status=410), "no longer offers this search"),
        (Reply(b'{"error": {"errors": 5}}', 418, JSON), "status 418"),
    ],
)  # fmt: skip
def test_what_a_person_has_to_set_right(google, waits, answer, words):
    problem = problem_of(google, answer)
    assert words in str(problem) and not isinstance(problem, QuotaReached)
    assert len(google.searches) == 1 and waits == []


@pytest.mark.parametrize("bad", ["", "two words", "key\n", "schlüssel", "k" * 300])
def test_a_key_or_an_engine_that_cannot_be_one(google, bad):
    for key, engine, named in ((bad, ENGINE, "The key"), (KEY, bad, "The engine id")):
        with pytest.raises(Problem, match=named) as caught:
            search("x", key, engine, base=google.base)
        assert not bad or bad not in str(caught.value)
    assert google.searches == []


# Runs

def test_documents_of_a_run(google, tmp_path):
    google.found = {"What is a fox?": ["/fox", "/moved"], "What is a wolf?": []}
    google.web.pages |= {"/fox": page("fox", "Foxes & friends"), "/moved": to("/wolf"), "/wolf": page("wolf")}
    (fox, wolf, nothing), quota = run(google, ["What is a fox?", "What is a wolf?"], tmp_path)
    assert quota is None
    assert isinstance(fox, DocumentRecord) and fox.topic == "What is a fox?"
    assert fox.description.startswith("Google result 1, fetched 20") and fox.description.endswith("Z")
    assert (fox.url, fox.title, fox.language, fox.licence) == (
        google.web.url + "/fox", "Foxes & friends", "en", "unknown"
    )  # fmt: skip
    assert fox.texts == () and fox.sections == (
        Section((), TEXT.format("fox")),
        Section(("Food",), FOOD.strip()),
    )
    assert wolf.url == google.web.url + "/wolf" and wolf.description.startswith("Google result 2, ")
    assert fox.key != wolf.key and fox.key.isalnum()
    assert nothing == Skipped("What is a wolf?", "Google finds nothing for this question.")


def test_reading_again_asks_nobody(google, tmp_path):
    google.found = {"a?": ["/a", "/gone", "/pdf", "/short"], "b?": ["/b"]}
    google.web.pages |= {
        "/a": page("a"), "/b": page("b"), "/pdf": Reply(b"%PDF", headers={"Content-Type": "application/pdf"}),
        "/short": Reply(b"<html><body><p>Accept all cookies.</p></body></html>"),
    }  # fmt: skip
    first, _ = run(google, ["a?", "b?"], tmp_path)
    assert [type(each) for each in first] == [DocumentRecord, Skipped, Skipped, Skipped, DocumentRecord]
    assert [each.why for each in first if isinstance(each, Skipped)] == [
        "The page cannot be had (status 404).",
        "The page is neither a web page nor plain text.",
        "The page has no text, or too little to be of use.",
    ]
    asked = len(google.web.asked)
    again, _ = run(google, ["a?", "b?"], tmp_path)
    assert again == first and len(google.web.asked) == asked
    # Another engine or another number of results is another search; the pages are the same.
    pages = google.pages_asked()
    assert [each for each in run(google, ["a?", "b?"], tmp_path, results=5)[0]] == first
    assert len(google.searches) == 4 and google.pages_asked() == pages


def test_a_page_comes_once_however_often_it_is_found(google, tmp_path):
    google.found = {"a?": ["/fox", "/old", "/fox#part", "/none"], "b?": ["/old", "/fox", "/wolf", "/none"]}
    google.web.pages |= {"/fox": page("fox"), "/old": to("/fox", 301), "/wolf": page("wolf")}
    given, _ = run(google, ["a?", "b?"], tmp_path)
    assert [(each.title, each.topic) for each in given if isinstance(each, DocumentRecord)] == [
        ("Fox", "a?"), ("Wolf", "b?")
    ]  # fmt: skip
    assert [each.where for each in given if isinstance(each, Skipped)] == [google.web.url + "/none"]
    assert google.pages_asked().count("/none") == 1


def test_a_run_goes_on_the_next_day(google, tmp_path):
    questions = [f"{number}?" for number in range(5)]
    for number, question in enumerate(questions):
        google.found[question] = [f"/{number}"]
        google.web.pages[f"/{number}"] = page(f"animal{number}")
    google.quota = 2
    first, quota = run(google, questions, tmp_path)
    assert [each.topic for each in first] == ["0?", "1?"]
    assert "3 of 5 questions are left" in str(quota) and "goes on tomorrow with the same command" in str(quota)
    assert len(google.searches) == 3  # once the quota is reached, nothing more is searched
    # What was kept is given again, also behind a question that is left.
    assert run(google, ["new?", *questions], tmp_path)[0] == first
    google.quota = 10
    second, quota = run(google, questions, tmp_path)
    assert quota is None and second[:2] == first
    assert [each.topic for each in second] == questions
    assert [search["q"] for search in google.searches] == ["0?", "1?", "2?", "new?", "2?", "3?", "4?"]
    assert sorted(google.pages_asked()) == [f"/{number}" for number in range(5)]


def test_what_may_pass_is_tried_again_by_the_next_run(google, tmp_path):
    google.found = {"a?": ["/a", "/b"], "b?": ["/b"]}
    google.web.pages |= {"/a": page("a"), "/b": Reply(status=503)}
    first, _ = run(google, ["a?", "b?"], tmp_path)
    assert first[1] == Skipped(google.web.url + "/b", "The page cannot be had (status 503).")
    assert len(first) == 2 and google.pages_asked().count("/b") == 1
    google.web.pages["/b"] = page("b")
    second, _ = run(google, ["a?", "b?"], tmp_path)
    assert second[0] == first[0] and second[1].title == "B" and google.pages_asked().count("/b") == 2


def test_damaged_files_of_the_cache_are_made_anew(google, tmp_path):
    google.found = {"a?": ["/a"]}
    google.web.pages["/a"] = page("a")
    (first,), _ = run(google, ["a?"], tmp_path)
    files = sorted((tmp_path / "google-search").rglob("*.json"))
    assert [file.parent.name for file in files] == ["pages", "searches"]
    whole = [json.loads(file.read_text()) for file in files]
    assert whole[0]["found"] == google.web.url + "/a" and whole[1]["question"] == "a?"
    for damage in (b"", b"{", b"null", b"[]", b'{"found": 3}', b'{"question": "a?", "found": [{}]}', b"[" * 50_000):
        for file in files:
            file.write_bytes(damage)
        (again,), _ = run(google, ["a?"], tmp_path)
        assert (again.key, again.sections) == (first.key, first.sections)
        assert sorted((tmp_path / "google-search").rglob("*")) == sorted([*files, *{file.parent for file in files}])


def test_a_cache_that_cannot_be_written(google, tmp_path):
    (tmp_path / "google-search").write_text("in the way")
    with pytest.raises(Problem, match="cannot be kept in"):
        run(google, ["a?"], tmp_path)


def test_pages_in_the_network_of_this_machine_are_not_read(google, tmp_path):
    google.found = {"a?": ["/a"]}
    google.web.pages["/a"] = page("a")
    given = list(read(["a?"], provider(KEY, ENGINE, base=google.base), tmp_path))
    assert [type(each) for each in given] == [Skipped] and "not a public web server" in given[0].why
    assert google.pages_asked() == []


def test_pages_of_different_hosts_are_fetched_side_by_side_and_come_by_rank(google, tmp_path, monkeypatch):
    with WebServer() as slow:
        asked = threading.Event()
        slow.pages["/"] = lambda _: asked.wait(LONG) and page("slow")  # answered once the other was asked
        google.web.pages["/quick"] = lambda _: asked.set() or page("quick")
        monkeypatch.setattr(web_search, "Fetcher", partial(Fetcher, seconds=9 * LONG))
        # One host under two names.
        links = [slow.url.replace("127.0.0.1", "localhost") + "/", google.web.url + "/quick"]
        said = {"kind": "customsearch#search", "items": [{"link": link} for link in links]}
        google.answers = [Reply(json.dumps(said).encode(), headers=JSON)]
        given, _ = run(google, ["a?"], tmp_path)
        assert [each.title for each in given] == ["Slow", "Quick"]


def test_leaving_early_waits_for_nothing(google, tmp_path, monkeypatch):
    monkeypatch.setattr(web_search, "Fetcher", partial(Fetcher, seconds=9 * LONG))
    google.found = {"a?": ["/a", "/b"]}
    google.web.pages |= {"/a": page("a"), "/b": Reply(itertools.repeat(b"x"), pause=0.05)}
    given = read(["a?"], provider(KEY, ENGINE, base=google.base), tmp_path, here, 0.0)
    assert next(given).title == "A"
    leaving = threading.Thread(target=given.close)
    leaving.start()
    assert ended(leaving)


def test_the_source_keeps_what_was_stored_unchanged(google, tmp_path, monkeypatch):
    google.found = {"a?": ["/a"], "b?": ["/b"]}
    google.web.pages |= {"/a": page("a"), "/b": page("b")}
    monkeypatch.setattr(web_search, "read", lambda *given: iter(run(google, given[0], given[2])[0]))
    made = searched_pages(["a?", "b?"], provider(KEY, ENGINE))
    assert (made.name, made.licence) == ("google-search", "unknown") and KEY not in repr(made)
    total, records = made.read(tmp_path)
    first = {each.key: each.content_hash for each in records}
    assert total is None and len(first) == 2
    assert {each.key: each.content_hash for each in made.read(tmp_path)[1]} == first


def test_importing_the_source_needs_no_trafilatura():
    code = "import sys, kb.sources.google_search; sys.exit('trafilatura' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
