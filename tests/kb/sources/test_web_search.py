"""Searches that are not Google's: a SearXNG of one's own, and a file of results. The pages are fetched as ever."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from common.problems import Problem
from kb.records import DocumentRecord, Skipped
from kb.sources.registry import Asked, source_for
from kb.sources.search_results import read_results
from kb.sources.searxng_search import MOST_PAGES, provider
from kb.sources.web_search import Found, Provider, read
from tests.fakes.web_server import Reply, WebServer
from tests.kb.sources.test_google_search import TEXT, here, no_secret_is_told, one_reader, page, reader, waits  # noqa: F401

JSON = {"Content-Type": "application/json"}


class SearXNG:
    """A web server with SearXNG's search, three results a page, and the pages that it finds."""

    def __init__(self) -> None:
        self.web = WebServer()
        self.found: dict[str, list[str]] = {}  # paths, by question
        self.answers: list[Reply] = []
        self.searches: list[dict[str, str]] = []
        self.web.pages["/search"] = self._answer

    def _answer(self, asked):
        query = {name: values[0] for name, values in parse_qs(urlsplit(asked.path).query).items()}
        self.searches.append(query)
        if self.answers:
            return self.answers.pop(0)
        first = 3 * (int(query["pageno"]) - 1)
        results = [
            {"url": self.web.url + path, "title": f"Result {path}", "content": None, "engine": "x", "score": 1.0}
            for path in self.found.get(query["q"], [])[first : first + 3]
        ]
        return answer(results)

    def pages_asked(self) -> list[str]:
        return [path for path in self.web.paths() if not path.startswith("/search")]


def answer(results, **more) -> Reply:
    said = {"query": "q", "number_of_results": 0, "results": results, "unresponsive_engines": [], **more}
    return Reply(json.dumps(said).encode(), headers=JSON)


@pytest.fixture
def searxng():
    made = SearXNG()
    with made.web:
        yield made


def problem_of(searxng, *answers):
    searxng.answers = list(answers)
    with pytest.raises(Problem) as caught:
        provider(searxng.web.url).search("what is it?")
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
    return str(caught.value)


class TestSearXNG:
    def test_pages_of_results_are_asked_for_until_there_are_enough(self, searxng) -> None:
        searxng.found["what is it & why?"] = [f"/{number}" for number in range(8)]
        found = provider(searxng.web.url + "/", 5).search("what is it & why?")
        assert found == [Found(f"{searxng.web.url}/{n}", f"Result /{n}", "", n + 1) for n in range(5)]
        assert searxng.searches == [
            {"q": "what is it & why?", "format": "json", "pageno": str(number)} for number in (1, 2)
        ]

    def test_it_ends_where_nothing_new_comes(self, searxng) -> None:
        searxng.found["a?"] = ["/a"]
        assert len(provider(searxng.web.url).search("a?")) == 1 and len(searxng.searches) == 2
        again = [{"url": "http://a.test/", "title": "A", "content": "It is."}]
        searxng.answers = [answer(again)] * 2
        assert len(provider(searxng.web.url).search("b?")) == 1 and len(searxng.searches) == 4
        searxng.found["c?"] = [f"/{number}" for number in range(90)]
        assert len(provider(searxng.web.url, 50).search("c?")) == 3 * MOST_PAGES

    def test_a_further_page_without_an_answer_takes_nothing_away(self, searxng, waits) -> None:  # noqa: F811
        first = answer([{"url": "http://a.test/", "title": "A", "content": "It is."}])
        searxng.answers = [first, answer([], unresponsive_engines=[["one", "timeout"]])]
        assert len(provider(searxng.web.url).search("a?")) == 1 and waits == []

    def test_an_address_below_another(self, searxng) -> None:
        searxng.web.pages["/find/search"] = answer([])
        assert provider(searxng.web.url + "/find/").search("a?") == []

    @pytest.mark.parametrize(
        ("said", "words"),
        [
            (Reply(b"Forbidden", 403), "add json to the formats under search"),
            (Reply(b"<html>Log in"), "something else (status 200)"),
            (Reply(b"gone", 404), "something else (status 404)"),
            (answer("x"), "something else"),
            (answer([{"url": 3}]), "something else"),
            (answer(None), "something else"),
            (Reply(b"[" * 100_000, headers=JSON), "something else"),
            (Reply(b"[" * 3_000_000, headers=JSON), "is larger than 2 MB"),
        ],
    )
    def test_what_a_person_has_to_set_right(self, searxng, waits, said, words) -> None:  # noqa: F811
        assert words in problem_of(searxng, said) and waits == []

    def test_trouble_that_passes_is_waited_for(self, searxng, waits) -> None:  # noqa: F811
        searxng.found["x"] = ["/a"]
        silent = answer([], unresponsive_engines=[["one", "timeout"]])
        searxng.answers = [Reply(b"slow down", 429), silent, Reply(b"oh", 502)]
        assert len(provider(searxng.web.url).search("x")) == 1
        assert waits[0] == 60.0 and len(waits) == 3 and max(waits[1:]) <= 4
        assert "no answer from the searches that it asks" in problem_of(searxng, *[silent] * 4)
        assert "allows no more searches" in problem_of(searxng, *[Reply(b"slow down", 429)] * 4)

    def test_a_run_keeps_what_it_found(self, searxng, tmp_path) -> None:
        searxng.found = {"a?": ["/fox"], "b?": []}
        searxng.web.pages["/fox"] = page("fox")

        def run():
            return list(read(["a?", "b?"], provider(searxng.web.url), tmp_path, here, 0.0))

        fox, nothing = run()
        assert isinstance(fox, DocumentRecord) and fox.sections[0].text == TEXT.format("fox")
        assert fox.description.startswith("SearXNG result 1, fetched 20") and fox.topic == "a?"
        assert nothing == Skipped("b?", "SearXNG finds nothing for this question.")
        asked = len(searxng.web.asked)
        assert run() == [fox, nothing] and len(searxng.web.asked) == asked
        assert {file.parent.name for file in (tmp_path / "searxng-search").rglob("*.json")} == {"searches", "pages"}

    def test_robots_and_inner_networks_are_respected(self, searxng, tmp_path) -> None:
        searxng.found = {"a?": ["/fox"]}
        searxng.web.pages |= {"/fox": page("fox"), "/robots.txt": Reply(b"User-agent: *\nDisallow: /fox")}
        (refused,) = read(["a?"], provider(searxng.web.url), tmp_path, here, 0.0)
        assert "robots.txt" in refused.why and searxng.pages_asked() == []
        (inner,) = read(["a?"], provider(searxng.web.url), tmp_path / "other", delay=0.0)
        assert "not a public web server" in inner.why

    @pytest.mark.parametrize(
        "address",
        ["nowhere", "ftp://a.test", "http://", "http://u:p@a.test", "http://a.test?q=1", "http://a.test:99999",
         "http://a%00b", "http://[", "http://a.test/#x"],
    )  # fmt: skip
    def test_addresses_that_cannot_be(self, address, tmp_path) -> None:
        (tmp_path / "q.txt").write_text("What is a fox?\n")
        asked = Asked("searxng-search", {"questions": str(tmp_path / "q.txt")})
        with pytest.raises(Problem, match="CITESIGHT_SEARXNG_URL.* must look like http://localhost:8080"):
            source_for(asked, {"searxng_url": address})
        with pytest.raises(Problem, match="set CITESIGHT_SEARXNG_URL"):
            source_for(asked)
        assert source_for(asked, {"searxng_url": "http://localhost:8080"}).name == "searxng-search"


class TestResultsInAFile:
    def test_its_pages_become_documents(self, tmp_path) -> None:
        with WebServer() as web:
            web.pages |= {"/fox": page("fox"), "/wolf": page("wolf")}
            rows = [
                {"query": "a?", "url": web.url + "/fox", "title": "Fox", "snippet": "It is", "engine": "any"},
                {"query": "b?", "url": web.url + "/wolf"},
                {"query": "a?", "url": web.url + "/none"},
            ]
            (tmp_path / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            (tmp_path / "list.json").write_text(json.dumps(rows))
            found = read_results(tmp_path / "lines.jsonl")
            assert found == read_results(tmp_path / "list.json")
            assert list(found) == ["a?", "b?"] and [one.rank for one in found["a?"]] == [1, 2]
            from_file = Provider("Search", "search-results", found.__getitem__, None)
            fox, none, wolf = read(list(found), from_file, tmp_path, here, 0.0)
            assert (fox.title, fox.topic, fox.description[:24]) == ("Fox", "a?", "Search result 1, fetched")
            assert isinstance(none, Skipped) and wolf.topic == "b?"
            # The pages are kept; the results are read from their file each time, which may have changed.
            assert [each.name for each in (tmp_path / "search-results").iterdir()] == ["pages"]
            asked = len(web.asked)
            assert list(read(["b?"], from_file, tmp_path, here, 0.0)) == [wolf] and len(web.asked) == asked

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "holds no results"), ("[]", "holds no results"), ("fox\n", "no result in line 1 of"),
            ('{"query": "a?"}', "no result in line 1 of"), ('[{"url": "http://a.test"}]', "no result in entry 1 of"),
            ('{"query": 3, "url": "http://a.test"}', "no result in line 1"), ('{"query": ', "Line 1 of .* JSON"),
            ('{"query": "a?", "url": "http://a.test", "title": 3}', "title or a snippet .* is not a text"),
        ],
    )  # fmt: skip
    def test_files_that_hold_none(self, tmp_path, text, words) -> None:
        (tmp_path / "results").write_text(text)
        with pytest.raises(Problem, match=words) as caught:
            source_for(Asked("search-results", {"what": str(tmp_path / "results")}))
        assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
