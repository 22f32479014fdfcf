"""The page without a browser: its HTML, its heat maps, its handlers, and `/ask` over HTTP.

The service here is a small one of the test's own, over passages written for the test; the real one is driven
through a browser in e2e.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import io
import math
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import gradio.routes
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from starlette.responses import PlainTextResponse

from app.service.results import WHOLE, EvidenceFound, IndexStatus, PartialOwn, PartialText, Result
from app.settings import MAX_TURNS, QUESTIONS_AT_ONCE, load_settings
from app.web import escaping, listeners, notices
from app.web import page as page_module
from app.web.ask import answer_html, events, evidence_html, heat_maps
from app.web.ask.answering import EACH, PageQuestion
from app.web.ask.events import Asker
from app.web.ask.evidence_html import HeatMap
from app.web.ask.layout import TOGETHER
from app.web.error_sentences import sentence_for
from app.web.listeners import Listener, Listeners
from app.web.page import build_page, launch
from app.web.request_files import EXAMPLES, Files, Photo, placed
from app.web.waiting_line import WaitingLine
from common.passage import Evidence
from common.problems import BadRequest, Problem
from common.worker_thread import MOST
from generator.answers import (
    BROKE_OFF,
    DISAGREE,
    SUPPORTED,
    UNCHECKED,
    UNSUPPORTED,
    Answer,
    Candidate,
    Citation,
    Statement,
    Turn,
)
from retriever.images import load_image
from retriever.search.explain import Alignment
from tests import ROOT
from tests.support.at_work import nobody_at_work  # noqa: F401
from tests.support.ports import free_port
from tests.support.waiting import LONG, ended, wait_for

pytestmark = pytest.mark.usefixtures("nobody_at_work")
PAGE = SimpleNamespace(session_hash="one")  # as much of Gradio's request as is looked at
HERON = "The grey heron wades in shallow water. It stands up to 100 cm tall. Herons eat fish and frogs."
QUOTE = "It stands up to 100 cm tall."
HOSTILE = (
    "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'> [go](javascript:alert(1)) **bold** "
    "${window.pwned=1} {{constructor}} `tick` \u202egpj.exe\u2066 \x07 "
    '<a href="javascript:alert(1)">x</a> tall'
)


def passage(rank: int, **changes: object) -> Evidence:
    base = Evidence(
        rank=rank,
        id=f"p{rank}",
        title="Grey heron",
        text=HERON,
        url="https://example.org/heron",
        licence="CC BY-SA 4.0",
        corpus="birds",
        score=0.6,
    )
    return replace(base, **changes)


def result(
    text: str = "It stands up to 100 cm tall. [1]", answered: bool = True, **changes: object
) -> Result:
    start = HERON.index(QUOTE)
    cited = (Citation(1, "p1", QUOTE, start, start + len(QUOTE)),)
    base = Result(
        question="How tall is this heron?",
        answer=Answer(text, cited if answered else (), answered, "" if answered else "none gives a height"),
        passages=(passage(1), passage(2, title="Stork")),
        corpora=("birds",),
        timings={"load": 12.0, "encode": 90.0, "search": 41.0, "answer": 3.0, "total": 146.0},
        indexed=10,
        total=10,
        query=SimpleNamespace(area=(0, 0, 1, 1)),
    )
    return replace(base, **changes)


class Seen(HTMLParser):
    """Tags with their attributes, and the text, as a browser would find them."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def assert_harmless(markup: str) -> None:
    seen = Seen(markup)
    assert not {"script", "iframe", "object", "style", "form"} & {tag for tag, _ in seen.tags}
    for tag, attributes in seen.tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ("href", "src"):
            if attributes.get(name):
                assert attributes[name].startswith(("https://", "http://", "data:image/")), attributes
        if tag == "a":
            assert attributes["target"] == "_blank"
            assert set(attributes["rel"].split()) == {"noopener", "noreferrer", "nofollow"}
    assert "${" not in markup and "{{" not in markup and "`" not in markup
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x07]", markup)


class TestHtml:
    def test_hostile_texts_stay_text_everywhere(self) -> None:
        bad = passage(
            1, title=HOSTILE, text=HOSTILE, url="javascript:alert(1)", licence=HOSTILE, corpus=HOSTILE
        )
        answer = result(f"{HOSTILE} [1]", passages=(bad,))
        answer = replace(
            answer, question=HOSTILE, searched=HOSTILE + "?", answerer=HOSTILE, own=HOSTILE, cached=True,
            answer=replace(
                answer.answer,
                statements=(Statement(HOSTILE, 0, len(HOSTILE), UNSUPPORTED),),
                candidates=(Candidate(1, HOSTILE, 0.5, 0.5),),
            ),
        )  # fmt: skip
        abstained = result(HOSTILE, answered=False, passages=(bad,))
        quote = Citation(1, "p1", HOSTILE[3:40], 3, 40)
        everything = [
            answer_html.final_answer(answer),
            answer_html.final_answer(abstained),
            answer_html.partial_answer(HOSTILE, (bad,)),
            evidence_html.evidence("run", (bad,), HOSTILE, (quote,), 1, True),
            evidence_html.photo_figure(
                "run", "data:image/png;base64,", {1: HeatMap("data:image/png;base64,", "mostly the left")},
                {1: HOSTILE}, 1,
            ),
            notices.error(HOSTILE),
            notices.status_line(IndexStatus("indexing", 1, 2, HOSTILE)),
            notices.status_line(IndexStatus("failed", 0, 0, HOSTILE)),
            answer_html.working(HOSTILE),
            answer_html.partial_answer(HOSTILE, (bad,), HOSTILE, HOSTILE),
            answer_html.unanswered(HOSTILE),
            answer_html.earlier([Turn(HOSTILE, HOSTILE, HOSTILE)]),
        ]
        for markup in everything:
            assert_harmless(markup)
        assert all(part in everything[0] for part in ("cs-unsupported", "cs-candidates", "cs-own", "cs-searched"))
        shown = Seen(everything[3]).text
        assert "<script>window.pwned=1</script>" in shown and "**bold**" in shown and "${window" in shown

    @pytest.mark.parametrize(
        "url",
        ["javascript:alert(1)", " JaVaScRiPt:alert(1)", "data:text/html,x", "//example.org/x", "", "https://",
         "http://[::1", "https://exa mple.org", "java\nscript:alert(1)", "file:///etc/passwd", "/etc/passwd",
         "https:\\\\example.org"],
    )  # fmt: skip
    def test_only_web_addresses_become_links(self, url: str) -> None:
        assert escaping.safe_link(url) is None
        card = evidence_html.evidence("run", (passage(1, url=url),), "tall?", (), 1, False)
        assert not Seen(card).named("a")

    def test_a_web_address_is_linked_without_breaking_out_of_it(self) -> None:
        url = 'https://example.org/a?b=1&c="><script>'
        (link,) = Seen(evidence_html.evidence("run", (passage(1, url=url),), "tall?", (), 1, False)).named("a")
        assert link["href"] == url

    def test_words_of_the_question_and_the_quote_are_marked(self) -> None:
        start = HERON.index(QUOTE)
        stems = escaping.question_stems("How tall is this heron?")
        markup = escaping.marked(HERON, stems, [(start, start + len(QUOTE))])
        assert re.findall("<mark>(.*?)</mark>", markup) == ["heron", "tall", "Herons"]
        assert re.search('<span class="cs-quote">(.*?)</span>', markup).group(1) == (
            "It stands up to 100 cm <mark>tall</mark>."
        )
        assert Seen(markup).text == HERON

    @pytest.mark.parametrize(
        ("one", "other"),
        [("run", "running"), ("run", "runs"), ("fast", "fastest"), ("live", "lives"), ("live", "living"),
         ("city", "cities"), ("tower", "towers"), ("high", "higher"), ("Cheetah", "cheetah's")],
    )  # fmt: skip
    def test_endings_do_not_matter(self, one: str, other: str) -> None:
        assert escaping.stem(one) == escaping.stem(other)

    @pytest.mark.parametrize(
        ("one", "other"), [("tower", "tow"), ("bus", "bu"), ("glass", "glas"), ("lion", "line")]
    )
    def test_other_words_stay_others(self, one: str, other: str) -> None:
        assert escaping.stem(one) != escaping.stem(other)

    def test_quotes_outside_or_over_each_other_cannot_break_the_passage(self) -> None:
        markup = escaping.marked("abc <def> ghi", {"def"}, [(-5, 3), (2, 8), (7, 99), (50, 60), (9, 4)])
        assert Seen(markup).text == "abc <def> ghi"
        assert markup.count("<span") == markup.count("</span>")

    def test_citations_become_buttons_only_for_passages_there_are(self) -> None:
        markup = answer_html.partial_answer("So it is [1, 2] and [2]. See [9] and [x].", result().passages)
        buttons = Seen(markup).named("button")
        assert [button["data-rank"] for button in buttons] == ["1", "2", "2"]
        assert buttons[1]["aria-label"] == "Source 2: Stork"
        assert "[9]" in Seen(markup).text and "[x]" in Seen(markup).text

    def test_cards_say_which_one_is_chosen(self) -> None:
        buttons = Seen(evidence_html.evidence("run", result().passages, "tall?", (), 2, True)).named("button")
        assert [button["aria-pressed"] for button in buttons] == ["false", "true"]

    def test_an_abstention_is_told_calmly_and_with_its_reason(self) -> None:
        markup = answer_html.final_answer(result("", answered=False))
        assert "cs-abstained" in markup and "alert" not in markup
        assert "none gives a height" in Seen(markup).text

    def test_passages_that_disagree_are_told_of(self) -> None:
        text = "The passages disagree: 71 m [1] or 72 m [2]."
        page = answer_html.final_answer(result(answer=Answer(text, (), False, DISAGREE)))
        assert "<h2>The passages disagree</h2>" in page and "Read what each of them says." in page
        assert "closer photo" not in page

    def test_an_answer_that_broke_off_is_told_with_the_reason_and_cannot_be_sent(self) -> None:
        broken = Answer("It is 71 m …", (), False, BROKE_OFF, broken="The model server <b> ended the answer.")
        page = answer_html.final_answer(result(answer=broken), key="k")
        assert "<h2>The answer broke off</h2>" in page and "It is 71 m …" in page and "cs-abstained" in page
        assert "Broke off after " in page and "Answered in" not in page
        assert "The model server &lt;b&gt; ended the answer." in page and "<b>" not in page
        assert "cs-send" not in page and "closer photo" not in page
        assert "cs-send" in answer_html.final_answer(result(), key="k")

    def test_a_closer_photo_is_advised_only_where_nothing_was_found_of_what_was_asked(self) -> None:
        silent = Answer("I can't tell.", (), False, "it does not say when")
        assert "closer photo" in answer_html.final_answer(result(answer=silent))
        page = answer_html.final_answer(result(answer=replace(silent, named=True)))
        assert "closer photo" not in page and "Ask in other words" in page

    def test_a_half_built_index_is_told(self) -> None:
        assert "3,200 of 10,033" in Seen(answer_html.final_answer(result(indexed=3200, total=10033))).text
        assert "passages indexed" not in answer_html.final_answer(result())

    def test_timings_in_one_line(self) -> None:
        line = answer_html.timing_line({"load": 12.0, "encode": 90.0, "search": 0.1, "total": 612.0})
        assert line == "Answered in 0.6 s: photo 12 ms, encoding 90 ms"

    @pytest.mark.parametrize(
        ("text", "unsupported", "marked"),
        [
            ("It is tall [1]. It flies.", ["It flies."], ["It flies."]),
            ("It is tall [1]. It flies [2].", ["It flies [2]."], ["It flies 2."]),
            ("It flies far [1] and high [2][1]. So.", ["It flies far [1] and high [2][1]."],
             ["It flies far 1 and high 21."]),
            ("It flies. [2]\nIt swims [1].", ["It flies.", "It swims [1]."], ["It flies.", "It swims 1."]),
            ("No. It is tall [1]. No.", ["No.", "No."], ["No.", "No."]),
            ("[1] It flies.", ["It flies."], ["It flies."]),
            ("It flies [99]. It is tall [1].", ["It flies [99]."], ["It flies [99]."]),
            ("A <b>tall</b> & \u202eold [1].", ["A <b>tall</b> & \u202eold [1]."], ["A <b>tall</b> & old 1."]),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize(("support", "tag"), [(UNSUPPORTED, "not from the evidence"), (UNCHECKED, "not checked")])
    def test_sentences_that_nothing_supports_are_marked(
        self, text: str, unsupported: list[str], marked: list[str], support: str, tag: str
    ) -> None:
        answer = result(text)
        statements, at = [], 0
        for each in unsupported:
            at = text.index(each, at)
            statements.append(Statement(each, at, at + len(each), support))
            at += len(each)
        markup = answer_html.final_answer(
            replace(answer, answer=replace(answer.answer, statements=tuple(statements)))
        )
        assert_harmless(markup)
        pieces = re.findall(rf'<span class="cs-{support}">(.*?)</span><span class="cs-tag">(.*?)</span>', markup)
        assert [Seen(piece).text for piece, _ in pieces] == marked
        assert {said for _, said in pieces} == {tag}
        # Nothing is lost: without the tags, the answer is what it is without marks of support.
        assert said_in(re.sub(r'<span class="cs-tag">.*?</span>', "", markup)) == said_in(
            answer_html.final_answer(answer)
        )
        buttons = [each["data-rank"] for each in Seen(markup).named("button")]
        assert buttons == [number for number in re.findall(r"\[(\d+)]", text) if number in "12"]

    @pytest.mark.parametrize(
        ("supports", "said"),
        [
            ([SUPPORTED] * 3 + [UNSUPPORTED] * 2, "2 of 5 sentences are not from the evidence."),
            ([UNSUPPORTED, UNCHECKED], "1 of 2 sentences is not from the evidence. 1 of 2 sentences was not checked"),
            ([UNCHECKED], "1 sentence was not checked, being in another language than the evidence"),
            ([UNSUPPORTED], "1 sentence is not from the evidence."),
            ([SUPPORTED] * 2, "All 2 sentences are from the evidence."),
            ([SUPPORTED], "It is from the evidence."),
        ],
    )
    def test_above_the_answer_stands_how_much_of_it_is_from_the_evidence(self, supports: list[str], said: str) -> None:
        answer = result(" ".join("Aa." for _ in supports))
        statements = tuple(Statement("Aa.", 4 * n, 4 * n + 3, each) for n, each in enumerate(supports))
        markup = answer_html.final_answer(replace(answer, answer=replace(answer.answer, statements=statements)))
        assert said in Seen(markup).text and markup.index("cs-support") < markup.index("cs-said")
        assert "cs-support" not in answer_html.final_answer(answer)

    def test_what_each_passage_alone_would_answer_is_a_table(self) -> None:
        candidates = (
            Candidate(2, "100 cm", 0.25, 0.5), Candidate(1, "un<b>known</b>", 0.75, 0.004), Candidate(7, "", 0, 0),
        )  # fmt: skip
        answer = result("100 cm [2]")
        markup = answer_html.final_answer(replace(answer, answer=replace(answer.answer, candidates=candidates)))
        assert_harmless(markup)
        table = markup[markup.index("<table>") : markup.index("</table>")]
        rows = [re.findall("<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")[2:]]
        assert [[Seen(cell).text for cell in row] for row in rows] == [
            ["2", "100 cm", "25%", "50%", "12%"],
            ["1", "un<b>known</b>", "75%", "<1%", "<1%"],
            ["[7]", "", "0%", "0%", "0%"],
        ]
        assert [each["data-rank"] for each in Seen(table).named("button")] == ["2", "1"]
        assert len(Seen(table).named("th")) == 5 and "cs-candidates" not in answer_html.final_answer(answer)

    def test_what_the_model_says_itself_stands_apart(self) -> None:
        own = answer_html.final_answer(result(own="I think [1] 90 cm."))
        said = own[own.index("cs-own") :]
        assert "Without the evidence" in said and "I think [1] 90 cm." in said  # no mark: there is no passage
        assert "cs-own" not in answer_html.final_answer(result())
        assert "…" in answer_html.partial_answer("It stands [1].", result().passages, "How tall?", "")
        assert 'aria-busy="true"' in answer_html.partial_answer("It stands.", (), "How tall?", "I")

    def test_what_was_searched_for_is_told_when_it_is_another_question(self) -> None:
        other = answer_html.final_answer(result(question="How tall is it?", searched="How tall is a heron?"))
        assert "Searched for: How tall is a heron?" in Seen(other).text and "How tall is it?" in Seen(other).text
        for searched in ("", "How tall is this heron?"):
            assert "Searched for" not in answer_html.final_answer(result(searched=searched))

    def test_who_answered_and_when(self) -> None:
        def timing(**changes: object) -> str:
            return re.search('cs-timing">(.*?)</p>', answer_html.final_answer(result(**changes)))[1]

        assert timing() == timing(answerer="extractive") == (
            "Answered in 0.1 s: photo 12 ms, encoding 90 ms, search 41 ms, answer 3 ms"
        )
        assert timing(answerer="small at <here>").endswith("answer 3 ms by small at &lt;here&gt;")
        assert timing(cached=True) == "Known from before; then a" + timing()[1:]
        long = timing(timings={"rewrite": 300.0, "own": 2000.0, "total": 2300.0})
        assert long == "Answered in 2.3 s: follow-up 300 ms, without evidence 2000 ms"

    def test_earlier_questions_are_folded_away(self) -> None:
        assert answer_html.earlier([]) == ""
        turns = [Turn("What is this?", "A heron [1][2].\nGrey.", "Grey heron"), Turn("How tall?", "100 cm [10].")]
        seen = Seen(answer_html.earlier(turns))
        assert "2 earlier questions in this conversation" in seen.text and "heron.\nGrey." in seen.text
        assert "100 cm." in seen.text and "[" not in seen.text and not seen.named("button")
        assert len(seen.named("li")) == 2 and not [each for each in seen.named("details") if "open" in each]
        assert "1 earlier question in" in answer_html.earlier(turns[:1])
        assert ">The last 6 earlier questions in" in answer_html.earlier(turns * (MAX_TURNS // 2))  # all that are kept
        assert ">5 earlier questions in" in answer_html.earlier((turns * MAX_TURNS)[: MAX_TURNS - 1])

    def test_the_part_that_was_asked_about_is_in_the_figure(self) -> None:
        def part(*region: tuple) -> str | None:
            picture = "data:image/png;base64,"
            html = evidence_html.photo_figure("run", picture, {1: HeatMap(picture, "")}, {1: "a"}, 1, *region)
            (figure,) = Seen(html).named("figure")
            return figure["data-part"]

        assert part() == part(WHOLE) == "" and part((0.25, 0, 0.5, 1 / 3)) == "0.2500,0.0000,0.5000,0.3333"

    def test_what_a_heat_map_shows_is_said(self) -> None:
        def captions(*places: str, alone: bool = False) -> str:
            maps = {rank: HeatMap("data:,", place, alone) for rank, place in enumerate(places, 1)}
            figure = evidence_html.photo_figure("run", "data:,", maps, {1: "Lion", 2: "Tiger"}, 2)
            caption = figure[figure.index("<figcaption>") : figure.index('<span class="cs-legend"')]
            assert [each["data-rank"] for each in Seen(figure).named("span") if "hidden" in each] == ["1"]
            return re.sub("<[^>]*>", "", caption)

        said = captions("mostly the middle", "")
        assert "speaks for Lion rather than for the other passages found: mostly the middle." in said
        assert "No part of the photo speaks for Tiger rather than for the other passages found." in said
        assert captions("", "").count("No part of the photo tells the passages found apart.") == 2
        alone = captions("mostly the middle", alone=True)
        assert "Where the photo matched Lion: mostly the middle." in alone and "rather" not in alone

    @pytest.mark.parametrize(("count", "folded"), [(1, 0), (8, 0), (9, 4), (20, 15)])
    def test_many_passages_fold(self, count: int, folded: int) -> None:
        many = [passage(rank) for rank in range(1, count + 1)]
        html = evidence_html.evidence("run", many, "", (), 1, False)
        shown, _, below = html.partition("<details")
        assert shown.count("<article") == count - folded and below.count("<article") == folded
        assert [each["data-rank"] for each in Seen(html).named("article")] == [str(rank + 1) for rank in range(count)]
        if folded:
            assert f"{folded} more passages" in below and " open" not in below.partition(">")[0]
            (details,) = Seen(evidence_html.evidence("run", many, "", (), count, False)).named("details")
            assert "open" in details  # where the one that is cited is in it

    def test_a_question_without_an_answer_is_told(self) -> None:
        seen = Seen(answer_html.unanswered("How tall?"))
        assert "No answer" in seen.text and "How tall?" in seen.text and "ask again" in seen.text
        assert "aria-busy" not in dict(seen.tags[0][1])

    def test_status_line_goes_when_ready(self) -> None:
        assert notices.status_line(IndexStatus("ready", 5, 5, "Ready.")) == ""
        bar = Seen(notices.status_line(IndexStatus("indexing", 5, 10, "Indexing."))).named("div")
        assert [each["aria-valuenow"] for each in bar if each.get("role") == "progressbar"] == ["5"]
        assert "alert" in notices.status_line(IndexStatus("failed", 0, 0, "The disk is full."))


def said_in(markup: str) -> str:
    """The text of the answer itself."""
    return Seen(re.search(r'<p class="cs-said"[^>]*>(.*?)</p>', markup, re.DOTALL)[1]).text


def alpha_of(address: str) -> np.ndarray:
    """The opacities, 0 to 255, of a PNG's data: address."""
    with Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,")))) as picture:
        return np.array(picture.getchannel("A"))


class TestHeat:
    def test_warmest_where_the_share_is_greatest_and_clear_elsewhere(self) -> None:
        shares = np.zeros((5, 7), dtype=np.float32)
        shares[1, 5] = 0.6
        heat = np.asarray(heat_maps.heat_image(shares))
        assert heat.shape[1] / heat.shape[0] == pytest.approx(7 / 5)
        peak = np.unravel_index(heat[..., 3].argmax(), heat.shape[:2])
        scale = heat.shape[0] / 5
        assert (int(peak[0] // scale), int(peak[1] // scale)) == (1, 5)
        assert heat[-1, 0, 3] == 0

    def test_the_colours_of_several_maps_are_on_one_scale(self) -> None:
        peaks = [np.asarray(heat_maps.heat_image(np.diag([0, 0, share]).astype(np.float32)))[..., 3].max()
                 for share in (0.2, 0.6, 1.0)]  # fmt: skip
        assert 10 < peaks[0] < peaks[1] - 20 < peaks[2] - 40

    @pytest.mark.parametrize(
        ("cells", "area", "said"),
        [
            ([(0, 0), (1, 1)], WHOLE, "mostly the upper left"),
            ([(5, 5)], WHOLE, "mostly the lower right"),
            ([(2, 2), (3, 3)], WHOLE, "mostly the middle"),
            ([(0, 0), (0, 3), (0, 5)], WHOLE, "mostly the upper part"),
            ([(0, 5), (2, 5), (5, 4)], WHOLE, "mostly the right side"),
            ([(0, 0), (2, 5), (5, 2), (5, 5), (1, 3)], WHOLE, "over much of it"),
            ([], WHOLE, ""),
            ([(0, 0)], (0.5, 0.5, 1, 1), "mostly the middle"),  # of the whole photo
            ([(5, 0)], (0.7, 0, 1, 1), "mostly the lower right"),
        ],
    )
    def test_where_a_map_lies_in_words(self, cells: list[tuple[int, int]], area: tuple, said: str) -> None:
        shares = np.zeros((6, 6), dtype=np.float32)
        for cell in cells:
            shares[cell] = 0.5
        assert heat_maps.where(shares, area) == said

    @pytest.mark.parametrize("value", [0.0, -0.3, np.nan])
    def test_an_empty_map_is_clear(self, value: float) -> None:
        assert not np.asarray(heat_maps.heat_image(np.full((3, 3), value, dtype=np.float32)))[..., 3].any()

    def test_not_a_grid(self) -> None:
        with pytest.raises(ValueError, match="grid"):
            heat_maps.heat_image(np.zeros((0, 0)))

    @pytest.mark.parametrize(
        ("area", "shape"),
        [
            ((1 / 6, 0.0, 5 / 6, 1.0), (1.5, 1)),
            ((0.0, 0.25, 1.0, 0.75), (1, 2)),
            ((0.1, 0.2, 0.4, 0.9), (1 / 0.3, 1 / 0.7)),
        ],
    )
    def test_a_map_of_part_of_the_photo_lies_over_that_part(self, area: tuple, shape: tuple) -> None:
        shares = np.zeros((16, 16), dtype=np.float32)
        shares[0, :] = shares[:, 0] = shares[-1, :] = shares[:, -1] = 1  # hot up to its edges
        opacity = alpha_of(heat_maps.heat_address(shares, area))
        height, width = opacity.shape
        assert width / height == pytest.approx(shape[0] / shape[1], rel=0.02)
        found = np.argwhere(opacity > 40)
        (top, left), (bottom, right) = found.min(axis=0), found.max(axis=0) + 1
        wanted = (area[0] * width, area[1] * height, area[2] * width, area[3] * height)
        assert (left, top, right, bottom) == pytest.approx(wanted, abs=1.5)
        opacity[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1] = 0
        assert not opacity.any()

    def test_a_map_of_the_whole_photo_is_as_it_was(self) -> None:
        shares = np.arange(12, dtype=np.float32).reshape(3, 4)
        whole = alpha_of(heat_maps.heat_address(shares, (0.0, 0.0, 1.0, 1.0)))
        assert (whole == np.asarray(heat_maps.heat_image(shares))[..., 3]).all()
        assert (whole == alpha_of(heat_maps.heat_address(shares))).all()

    @pytest.mark.parametrize("area", [(0.49951, 0, 0.50049, 1), (0, 0.49951, 1, 0.50049), (0.9999, 0, 1, 1)])
    def test_a_map_of_a_sliver_stays_small(self, area: tuple) -> None:
        opacity = alpha_of(heat_maps.heat_address(np.eye(16, dtype=np.float32), area))
        assert max(opacity.shape) <= heat_maps.LARGEST and opacity.any()

    def test_a_thumbnail_is_the_middle_and_small(self) -> None:
        photo = Image.new("RGB", (3000, 1000), "green")
        photo.paste("red", (1000, 0, 2000, 1000))
        address = heat_maps.thumbnail_address(photo, 88)
        picture = Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))))
        assert picture.size == (88, 88) and {picture.getpixel(at)[0] > 200 for at in ((2, 2), (85, 85))} == {True}
        assert all(len(heat_maps.thumbnail_address(load_image(file), 88)) < 8000 for _, file, _ in EXAMPLES)

    def test_addresses_hold_pictures(self) -> None:
        photo = heat_maps.photo_address(Image.new("RGB", (3000, 1500), "green"))
        picture = Image.open(io.BytesIO(base64.b64decode(photo.removeprefix("data:image/jpeg;base64,"))))
        assert picture.size == (heat_maps.PHOTO_SIDE, heat_maps.PHOTO_SIDE // 2)


class Birds:
    """A service with two passages, for driving the page: answers, abstains, or raises what it is told to."""

    def __init__(self) -> None:
        self.settings = load_settings(corpus="birds")
        self.state = IndexStatus("ready", 2, 2, "Ready.")
        self.raises: Exception | None = None
        self.raises_late: Exception | None = None
        self.asked: list[tuple] = []
        self.how: list[dict] = []
        self.closed = 0
        self.hold: threading.Event | None = None
        self.loads: threading.Event | None = None
        self.gone: set[str] = set()  # passages that have left the index
        self.sentence = ""
        self.answer: Answer | None = None

    def loading(self) -> str:
        return self.sentence

    def corpora(self) -> list:
        return [SimpleNamespace(name="birds", title="Birds", passages=2)]

    def status(self, corpus: str | None = None) -> IndexStatus:
        return self.state

    def aligned(self, passage: Evidence) -> Alignment | None:
        """With sixteen patches of the photo, one of which speaks for the passage."""
        speaks = np.zeros((4, 4), np.float32)
        speaks[int(passage.id[1:]), 2] = 1
        return None if passage.id in self.gone else Alignment(np.zeros(16, np.int32), speaks.ravel())

    def ask(self, image: object, question: str, corpora: object = None, k: int | None = None, **how: object):
        self.asked.append((image, question, corpora, k))
        self.how.append(how)
        if self.raises:
            raise self.raises
        if set(corpora or ()) - {"birds"}:
            raise BadRequest("There is no such collection here.")
        try:
            photo = load_image(image)
        except Problem as problem:
            raise BadRequest(str(problem)) from None
        if len(question) > 2000:
            raise BadRequest("The question is too long; shorten it.")
        answer = result(passages=(passage(1), passage(2, title=HOSTILE, text=HOSTILE, url="javascript:x")))
        answer = replace(answer, question=question, own="Tall." if how.get("own") else None)
        answer = replace(answer, answer=self.answer or answer.answer)
        query = SimpleNamespace(area=(0, 0, 1, 1), grid=(4, 4), patch_rows=slice(0, 16))
        aligned = tuple(self.aligned(each) for each in answer.passages)
        yield EvidenceFound(answer.passages, query, question, None, aligned, photo)
        if self.loads:
            self.loads.wait(LONG)
        try:
            yield PartialText("It stands")
            if self.hold:
                self.hold.wait(LONG)
                yield PartialText("It stands up")
        except GeneratorExit:
            self.closed += 1
            raise
        if self.raises_late:
            raise self.raises_late
        if how.get("own"):
            yield PartialOwn("Tall")
        yield answer


class Everybody(Listeners):
    """As if all who ask by program listened all the time."""

    def of(self, *keys: str) -> Listener:
        return Listener(lambda: True)


def asker_of(birds: Birds) -> Asker:
    return Asker(birds, Everybody())


def asked(photo: str, question: str, number: int | None) -> PageQuestion:
    return PageQuestion(photo, question, number=number, session=PAGE.session_hash)


@pytest.fixture
def birds() -> Birds:
    return Birds()


@pytest.fixture
def photo(tmp_path: Path) -> str:
    Image.new("RGB", (64, 48), "grey").save(tmp_path / "heron.jpg")
    return str(tmp_path / "heron.jpg")


def final(steps: list[tuple]) -> list:
    """What the page shows in the end: of every output the last value that was not skipped."""
    shown: list = ["", "", "", "", "", None]
    for step in steps:
        shown = [old if _skipped(new) else new for old, new in zip(shown, step, strict=True)]
    return shown


def _skipped(value: object) -> bool:
    return isinstance(value, dict) and value.get("__type__") == "update"


def respond(
    birds: Birds, photo: str | None, question: str | None, region: str = "", each: str | None = TOGETHER,
    own: bool = False, turns: list[Turn] | None = None,
) -> list[tuple]:  # fmt: skip
    """All that the page is told of a question, which asks for five passages of the birds."""
    how = (["birds"], 5.0, region, each, own, turns or [], 1, None, PAGE.session_hash)
    return list(asker_of(birds).respond(PageQuestion(photo, question, *how)))


class TestHandlers:
    def test_answer_cards_and_heat_maps(self, birds: Birds, photo: str) -> None:
        steps = respond(birds, photo, "How tall is this heron?")
        assert birds.asked == [(photo, "How tall is this heron?", ["birds"], 5)]
        assert birds.how == [{"turns": [], "region": None, "each": False, "own": False}]
        answer, evidence, figure, problem, *_ = final(steps)
        assert "It stands up to 100 cm tall." in answer and 'data-rank="1"' in answer
        assert 'class="cs-quote"' in evidence and evidence.count("<article") == 2
        assert [layer.get("data-rank") for layer in Seen(figure).named("img")] == [None, "1", "2"]
        assert problem == ""
        for markup in (answer, evidence, figure):
            assert_harmless(markup)
        assert any("It stands</p>" in str(step[0]) for step in steps)  # it streams

    @pytest.mark.parametrize(("reason", "shown"), [(DISAGREE, True), ("the passages do not say", False)])
    def test_what_passages_that_disagree_say_is_shown_in_them(
        self, birds: Birds, photo: str, reason: str, shown: bool
    ) -> None:
        birds.answer = replace(result().answer, answered=False, reason=reason)
        *_, evidence, _, _, _, turns = final(respond(birds, photo, "How tall?"))
        assert ('class="cs-quote"' in evidence) is shown
        assert turns[-1].subject == ("Grey heron" if shown else "")  # what a next question may point back at

    @pytest.mark.parametrize("question", [None, "", "  \n\t "])
    def test_no_question(self, birds: Birds, photo: str, question: str | None) -> None:
        *kept, problem, earlier, turns = final(respond(birds, photo, question))
        assert kept == ["", "", ""] and "Type a question" in problem and not birds.asked
        assert earlier == "" and turns is None

    def test_no_photo(self, birds: Birds) -> None:
        *kept, problem, _, _ = final(respond(birds, None, "What is it?"))
        assert kept == ["", "", ""] and "Add a photo" in problem and not birds.asked

    def test_a_photo_that_is_gone(self, birds: Birds, tmp_path: Path) -> None:
        steps = respond(birds, str(tmp_path / "gone.jpg"), "What is it?")
        assert "add it again" in final(steps)[3] and str(tmp_path) not in final(steps)[3]

    @pytest.mark.parametrize("late", [False, True])
    @pytest.mark.parametrize(
        ("raised", "told"),
        [
            (BadRequest("The index is of another model; make it again."), "The index is of another model"),
            (Problem("The model's server does not answer."), "server does not answer"),
            (RuntimeError("/secret/place"), "Something unforeseen went wrong"),
            (OSError(errno.ENOSPC, "No space left", "/secret/place"), "disk of this machine is full"),
            (MemoryError(), "ran out of memory"),
        ],
    )
    def test_every_failure_is_a_sentence(
        self, birds: Birds, photo: str, raised: Exception, told: str, late: bool
    ) -> None:
        setattr(birds, "raises_late" if late else "raises", raised)
        answer, evidence, figure, problem, _, turns = final(respond(birds, photo, "How tall?"))
        assert told in problem and 'role="alert"' in problem
        assert "secret" not in problem and "Traceback" not in problem
        assert "aria-busy" not in answer and turns is None
        if late:  # what was found stays
            assert "No answer" in answer and "How tall?" in answer
            assert evidence.count("<article") == 2 and "cs-layer" in figure
        else:
            assert "cs-empty" in answer and evidence == figure == ""
        again = not isinstance(raised, BadRequest)  # what is wrong with the question itself stays so
        assert ('class="cs-retry" data-again="#cs-ask"' in problem) is again

    def test_a_conversation_grows_and_is_told(self, birds: Birds, photo: str) -> None:
        turns: list[Turn] = []
        for number in range(MAX_TURNS + 2):
            before = list(turns)
            *_, earlier, turns = final(respond(birds, photo, f"How tall {number}?", turns=turns))
            assert birds.how[-1]["turns"] == before  # and what was handed in is not changed
            assert earlier.count("<li>") == len(before)
            assert turns == [*before, Turn(f"How tall {number}?", "It stands up to 100 cm tall. [1]", "Grey heron")][
                -MAX_TURNS:
            ]
        assert len(turns) == MAX_TURNS and turns[0].question == "How tall 2?"

    def test_a_failure_is_no_part_of_the_conversation(self, birds: Birds, photo: str) -> None:
        said = [Turn("What is this?", "A heron [1].", "Grey heron")]
        birds.raises_late = BadRequest("The model is too busy.")
        *_, earlier, turns = final(respond(birds, photo, "How tall?", turns=said))
        assert turns is None and earlier.count("<li>") == 1
        birds.raises = BadRequest("There is nothing to search yet.")
        steps = respond(birds, photo, "How tall?", turns=said)
        assert _skipped(steps[-1][2])  # the photo of the conversation stays

    def test_how_the_model_is_to_answer(self, birds: Birds, photo: str) -> None:
        steps = respond(birds, photo, "How tall?", each=EACH, own=True)
        assert birds.how[-1]["each"] is True and birds.how[-1]["own"] is True
        streamed = [step[0] for step in steps if "cs-own" in str(step[0])]
        assert len(streamed) == 2 and "aria-busy" in streamed[0] and "aria-busy" not in streamed[1]
        assert "Tall</p>" in streamed[0] and "It stands" in streamed[0] and "Tall.</p>" in streamed[1]
        respond(birds, photo, "How tall?", each=None, own=None)
        assert birds.how[-1]["each"] is False and birds.how[-1]["own"] is False

    @pytest.mark.parametrize(
        ("written", "region"),
        [("", None), ("0.1,0.2,0.5,1", (0.1, 0.2, 0.5, 1.0)), ("1,2", (1.0, 2.0)), ("0.1,0.2,1e999,1", None)],
    )
    def test_the_part_of_the_photo_that_is_asked_about(
        self, birds: Birds, photo: str, written: str, region: tuple | None
    ) -> None:
        _, _, figure, *_ = final(respond(birds, photo, "How tall?", region=written))
        if written.startswith("0.1,0.2,1e"):
            assert birds.how[-1]["region"][2] == float("inf")
        else:
            assert birds.how[-1]["region"] == region
        if region and len(region) == 4:
            assert 'data-part="0.1000,0.2000,0.5000,1.0000"' in figure

    @pytest.mark.parametrize("written", ["nonsense", ",,,", "0,0,1,1;", "<script>", "0 0 1 1"])
    def test_a_part_that_is_nonsense_is_left_to_the_service(self, birds: Birds, photo: str, written: str) -> None:
        birds.raises = BadRequest("The part of the photo must be given as four numbers.")
        steps = respond(birds, photo, "How tall?", region=written)
        (given,) = birds.how[-1]["region"]
        assert given != given and "four numbers" in final(steps)[3]

    def test_closing_what_the_page_is_told_stops_the_service(self, birds: Birds, photo: str) -> None:
        birds.hold = threading.Event()
        steps = asker_of(birds).respond(asked(photo, "How tall?", 1))
        while "It stands" not in str(next(steps)[0]):
            pass
        assert all(_skipped(each) for each in next(steps))  # now and then, so that it can be closed
        steps.close()
        assert not birds.closed  # the model is silent still, and is not waited for
        birds.hold.set()
        wait_for(lambda: birds.closed)

    @pytest.mark.parametrize("how", ["ended", "ended with later ones", "another waits", "another is answered"])
    def test_a_question_that_is_ended_or_followed_by_another_says_nothing_more(
        self, birds: Birds, photo: str, how: str
    ) -> None:
        asker, birds.hold, elsewhere = asker_of(birds), threading.Event(), SimpleNamespace(session_hash="two")
        steps = asker.respond(asked(photo, "How tall?", 3))
        while "It stands" not in str(next(steps)[0]):
            pass
        for number, page in ((2, PAGE), (9, elsewhere)):  # an earlier one, and another page's
            asker.end(number, page)
            assert all(_skipped(each) for each in next(steps))
        asker.wait(photo, " ", 4, PAGE)  # is no question
        assert all(_skipped(each) for each in next(steps))
        if how.startswith("ended"):
            asker.end(3 if how == "ended" else 7, PAGE)
            asker.end(1, PAGE)  # comes late
        elif how == "another waits":
            asker.wait(photo, "How wide?", 4, PAGE)
        else:
            birds.hold.set()
            list(asker.respond(asked(photo, "How wide?", 4)))
        assert list(steps) == []
        birds.hold.set()

    def test_a_question_that_is_ended_before_it_has_its_turn_is_not_asked(self, birds: Birds, photo: str) -> None:
        asker = asker_of(birds)
        asker.end(2, PAGE)
        assert list(asker.respond(asked(photo, "How tall?", 2))) == []
        assert birds.how == []
        assert final(list(asker.respond(asked(photo, "How tall?", 3))))[5]
        # A page that does not number its questions is answered.
        assert final(list(asker_of(birds).respond(asked(photo, "How tall?", None))))[5]

    def test_a_question_that_is_ended_fails_silently(
        self, birds: Birds, photo: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ask, going = birds.ask, threading.Event()

        def failing(*given: object, **how: object):
            yield next(ask(*given, **how))
            going.wait(LONG)
            raise BadRequest("The model is too busy.")

        monkeypatch.setattr(birds, "ask", failing)
        asker = asker_of(birds)
        steps = asker.respond(asked(photo, "How tall?", 1))
        while "article" not in str(next(steps)[1]):
            pass
        asker.end(1, PAGE)
        going.set()
        assert list(steps) == []

    def test_a_model_that_is_being_loaded_is_told_of(self, birds: Birds, photo: str) -> None:
        birds.loads, birds.sentence = threading.Event(), "Loading <Large>, 7.2 GB…"
        steps = asker_of(birds).respond(asked(photo, "How tall?", 1))
        while "Loading" not in str(said := next(steps)[0]):
            pass
        assert "Loading &lt;Large&gt;, 7.2 GB…" in said and "cs-working" in said
        assert _skipped(next(steps)[0])  # once is enough
        birds.sentence = ""
        assert "Reading what was found" in next(steps)[0]
        birds.loads.set()
        assert "It stands" in next(step for step in steps if not _skipped(step[0]))[0]

    def test_so_many_are_worked_on_at_once(self, birds: Birds, photo: str) -> None:
        birds.hold = threading.Event()
        for _ in range(MOST):
            steps = asker_of(birds).respond(asked(photo, "How tall?", 1))
            while "It stands" not in str(next(steps)[0]):
                pass
            steps.close()
        assert "Too many questions" in final(respond(birds, photo, "How tall?"))[3]
        birds.hold.set()
        wait_for(lambda: "Too many questions" not in final(respond(birds, photo, "How tall?"))[3])

    def test_a_question_is_told_of_before_it_has_its_turn(self, birds: Birds, photo: str) -> None:
        answer, problem = asker_of(birds).wait(photo, "How tall?", 1, PAGE)
        assert "Waiting for its turn…" in answer and "aria-busy" in answer and problem == ""
        # Never the same, so that the browser shows it again after a stop.
        assert asker_of(birds).wait(photo, "How tall?", 2, PAGE)[0] != answer
        for lacking in ((None, "How tall?"), (photo, " "), (f"{photo}.gone", "How tall?")):
            answer, problem = asker_of(birds).wait(*lacking, 1, PAGE)
            assert _skipped(answer) and problem == final(respond(birds, *lacking))[3] != ""

    def test_a_passage_that_has_left_the_index_has_no_map(self, birds: Birds, photo: str) -> None:
        birds.gone = {"p1"}
        answer, evidence, figure, problem, *_ = final(respond(birds, photo, "How tall?"))
        assert "It stands up to 100 cm tall." in answer and evidence.count("<article") == 2 and problem == ""
        assert [layer.get("data-rank") for layer in Seen(figure).named("img")] == [None, "2"]

    def test_beginning_anew(self, birds: Birds) -> None:
        asker = asker_of(birds)
        turns, one = asker.begin()
        assert turns == [] and one != asker.begin()[1] != ""

    def test_a_bad_photo_is_refused_when_it_is_given(self, birds: Birds, tmp_path: Path) -> None:
        (tmp_path / "text.jpg").write_text("not a photo")
        *_, value, problem = asker_of(birds).check_photo(str(tmp_path / "text.jpg"))
        assert value is None and 'role="alert"' in problem

    def test_what_browsers_cannot_show_is_shown_as_made(
        self, birds: Birds, tmp_path: Path, photo: str
    ) -> None:
        Image.new("CMYK", (30, 20)).save(tmp_path / "print.tif")
        *_, value, problem = asker_of(birds).check_photo(str(tmp_path / "print.tif"))
        assert value.size == (30, 20) and value.mode == "RGB" and problem == ""
        assert asker_of(birds).check_photo(photo)[2] == gr.skip()

    def test_polling_goes_on_only_while_there_is_something_to_wait_for(self, birds: Birds) -> None:
        for state, active in (("starting", True), ("fetching", True), ("indexing", True), ("ready", False),
                              ("failed", False)):  # fmt: skip
            birds.state = IndexStatus(state, 1, 2, "A sentence.")
            (line, corpora), busy = asker_of(birds).progress([])
            assert busy is active
            assert bool(line) is (state != "ready")
            assert corpora.choices == [("Birds (2 passages)", "birds")] and corpora.value == ["birds"]

    def test_a_corpus_with_nothing_in_it_is_not_offered(self, birds: Birds, monkeypatch: pytest.MonkeyPatch) -> None:
        both = [*birds.corpora(), SimpleNamespace(name="bad", title="bad", passages=0)]
        monkeypatch.setattr(birds, "corpora", lambda: both)
        (_, corpora), _ = asker_of(birds).progress(["bad", "birds"])
        assert corpora.choices == [("Birds (2 passages)", "birds")] and corpora.value == ["birds"]

    def test_unforeseen_problems_are_logged_in_full(self, caplog: pytest.LogCaptureFixture) -> None:
        sentence_for(RuntimeError("the whole story"))
        assert "the whole story" in caplog.text


@dataclass
class Served:
    birds: Birds
    address: str
    client: Client
    page: gr.Blocks


@pytest.fixture(scope="module")
def served():
    birds = Birds()
    page = build_page(birds)
    port = free_port()
    address = launch(page, load_settings(host="127.0.0.1", port=port))
    yield Served(birds, address, Client(address, verbose=False), page)
    page.close(verbose=False)


def handlers(address: str) -> dict[tuple[str, str], list[int]]:
    """The page's event handlers by (id of the component, event), in the order in which the browser calls them."""
    config = httpx.get(f"{address}config").json()
    ids = {each["id"]: each["props"].get("elem_id") for each in config["components"]}
    found: dict[tuple[str, str], list[int]] = {}
    for number, one in enumerate(config["dependencies"]):
        for target, event in one["targets"]:
            found.setdefault((ids.get(target), event), []).append(number)
    return found


def call(address: str, number: int, *data: object, session: str = "x", **headers: str) -> SimpleNamespace:
    """What the page is told by a handler, as the browser asks for it. Of one that goes on, its first word."""
    body = {"data": data, "fn_index": number, "session_hash": session}
    reply = httpx.post(f"{address}gradio_api/run/predict", json=body, headers=headers)
    said = reply.json().get("data") if reply.text.startswith("{") else None
    return SimpleNamespace(status=reply.status_code, text=reply.text, said=said or [])


def asked_over_http(address: str, *data: object, session: str) -> str:
    """All that the page is told of a question, as Gradio's browser side asks it."""
    return queued(address, handlers(address)["cs-ask", "click"][-1], *data, session=session)


def queued(address: str, number: int, *data: object, session: str, **headers: str) -> str:
    """All that the page is told by a handler that waits for its turn."""
    body = {"data": data, "fn_index": number, "session_hash": session, "trigger_id": None}
    reply = httpx.post(f"{address}gradio_api/queue/join", json=body, headers=headers)
    if reply.status_code != 200:
        return reply.text
    told = ""
    with httpx.stream("GET", f"{address}gradio_api/queue/data?session_hash={session}") as events:
        for line in events.iter_lines():
            told += line
            if '"process_completed"' in line:
                return told
    raise AssertionError(told)


class TestEndpoint:
    def test_only_ask_is_offered(self, served: Served) -> None:
        api = served.client.view_api(return_format="dict")
        assert list(api["named_endpoints"]) == ["/ask"] and not api["unnamed_endpoints"]
        names = [each["parameter_name"] for each in api["named_endpoints"]["/ask"]["parameters"]]
        assert names == ["image", "question", "corpora", "passages", "region", "earlier", "each", "own"]

    def test_ask(self, served: Served, photo: str) -> None:
        got = served.client.predict(handle_file(photo), "How tall?", ["birds"], 3, api_name="/ask")
        assert got["answer"] == "It stands up to 100 cm tall. [1]" and got["question"] == "How tall?"
        assert served.birds.asked[-1][1:] == ("How tall?", ["birds"], 3)

    def test_defaults(self, served: Served, photo: str) -> None:
        served.client.predict(image=handle_file(photo), question="How tall?", api_name="/ask")
        assert served.birds.asked[-1][1:] == ("How tall?", None, served.birds.settings.passages)

    def test_asking_on_and_about_a_part(self, served: Served, photo: str) -> None:
        earlier = [{"question": f"{n}?", "answer": "It swims. [1]", "subject": "Heron"} for n in range(MAX_TURNS + 2)]
        served.client.predict(
            image=handle_file(photo), question="How tall?", region=[0, 0.5, 1, 1], earlier=earlier, each=True, own=True,
            api_name="/ask",
        )  # fmt: skip
        how = served.birds.how[-1]
        assert how["turns"] == [Turn(f"{n}?", "It swims. [1]", "Heron") for n in range(2, MAX_TURNS + 2)]
        assert (how["region"], how["each"], how["own"]) == ([0, 0.5, 1, 1], True, True)
        served.client.predict(image=handle_file(photo), question="How tall?", api_name="/ask")
        assert served.birds.how[-1] == {"turns": [], "region": None, "each": False, "own": False}

    @pytest.mark.parametrize(
        "earlier",
        ["x", 5, [1], [None], [{"question": "a"}], {"question": "a", "answer": "b"},
         [{"question": None, "answer": "b"}], [{"question": ["a"], "answer": "b"}],
         [{"question": "a", "answer": "b", "subject": {}}]],
    )  # fmt: skip
    def test_turns_that_are_none(self, served: Served, photo: str, earlier: object) -> None:
        with pytest.raises(AppError, match="The earlier turns must be a list of objects with question and answer."):
            served.client.predict(image=handle_file(photo), question="How tall?", earlier=earlier, api_name="/ask")

    def test_odd_files_that_are_photos(self, served: Served, tmp_path: Path) -> None:
        grey = Image.new("L", (40, 30), 99)
        turned = Image.Exif()
        turned[0x0112] = 6
        Image.new("CMYK", (40, 30)).save(tmp_path / "cmyk.jpg")
        Image.fromarray(np.full((30, 40), 40_000, dtype=np.uint16)).save(tmp_path / "sixteen.png")
        grey.convert("P").save(tmp_path / "palette.png", transparency=0)
        grey.save(tmp_path / "moving.gif", save_all=True, append_images=[Image.new("L", (40, 30))] * 3)
        grey.convert("RGB").save(tmp_path / "turned.jpg", exif=turned)
        for file in sorted(tmp_path.iterdir()):
            got = served.client.predict(handle_file(str(file)), "How tall?", [], 3, api_name="/ask")
            assert got["answer"], file.name

    def test_bad_input_is_a_sentence(self, served: Served, tmp_path: Path, photo: str) -> None:
        (tmp_path / "text.jpg").write_text("not a photo at all")
        (tmp_path / "empty.jpg").write_bytes(b"")
        (tmp_path / "half.jpg").write_bytes(Path(EXAMPLES[0][1]).read_bytes()[:900])
        bomb = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", b"\0\0\x75\x30\0\0\x75\x30\x08\x02\0\0\0")
        (tmp_path / "bomb.png").write_bytes(bomb + png_chunk(b"IDAT", b"x") + png_chunk(b"IEND", b""))
        asks = [
            (handle_file(str(file)), "How tall?")
            for file in sorted(tmp_path.glob("*.*"))
            if file.name != "heron.jpg"
        ]
        asks += [(None, "How tall?"), (handle_file(photo), ""), (handle_file(photo), "x" * 20_000)]
        asks += [({"path": "http://127.0.0.1:1/a.jpg", "meta": {"_type": "gradio.FileData"}}, "How tall?")]
        for image, question in asks:
            with pytest.raises(AppError) as problem:
                served.client.predict(image, question, [], 3, api_name="/ask")
            sentence = str(problem.value)
            assert sentence.endswith(".") and len(sentence) < 250, sentence
            assert "Traceback" not in sentence and "Error" not in sentence and str(tmp_path) not in sentence
        # ... and the next good question is answered.
        assert served.client.predict(handle_file(photo), "How tall?", [], 3, api_name="/ask")["answer"]

    def test_files_of_this_machine_are_not_served(self, served: Served) -> None:
        for path in (ROOT / "app.py", Path("/etc/hostname"), Path(page_module.__file__)):
            assert httpx.get(f"{served.address}gradio_api/file={path}").status_code in (403, 404)

    @pytest.mark.parametrize("start", ["http://", "https://", "%68ttps%3A//"])
    def test_addresses_are_not_fetched_for_anybody(
        self, served: Served, start: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fetched = []

        async def fetch(url: str, request: object) -> PlainTextResponse:
            fetched.append(url)
            return PlainTextResponse("what is there")

        monkeypatch.setattr(gradio.routes, "secure_url_stream_response", fetch)
        for method in ("GET", "HEAD"):
            reply = httpx.request(method, f"{served.address}gradio_api/file={start}example.org/a.txt")
            assert reply.status_code == 403 and not fetched
        example = httpx.get(f"{served.address}gradio_api/file={placed(EXAMPLES[0][1])}")
        assert example.status_code == 200 and example.content == EXAMPLES[0][1].read_bytes()

    def test_a_page_that_is_older_than_its_server_can_ask(self, served: Served, photo: str) -> None:
        served.client.predict(handle_file(photo), "How tall?", api_name="/ask")  # so that the photo is there
        given = {"path": str(served.birds.asked[-1][0]), "meta": {"_type": "gradio.FileData"}}
        polled = handlers(served.address)[None, "tick"][-1]
        reply = call(served.address, polled, ["birds", "gone"], None, session="old")
        assert reply.status == 200 and reply.said[1]["value"] == ["birds"]
        rest = (3, "", TOGETHER, False, None, 1, None)
        told = asked_over_http(served.address, given, "How tall?", ["birds"], *rest, session="older")
        assert "It stands up to 100 cm tall." in told and served.birds.asked[-1][2] == ["birds"]
        told = asked_over_http(served.address, given, "How tall?", ["gone"], *rest, session="oldest")
        assert "There is no such collection here." in told

    @pytest.mark.parametrize("names", [[5], [["birds"]], {"birds": 1}, "birds", ["b" * 201], ["b"] * 1001])
    def test_names_that_are_none(self, served: Served, names: object) -> None:
        reply = call(served.address, handlers(served.address)[None, "tick"][-1], names, None, session="odd")
        assert "cannot be read" in reply.text and reply.status == 500

    def test_sessions_are_forgotten_and_can_go_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(page_module, "SESSIONS", 2)
        page = build_page(Birds())
        port = free_port()
        address = launch(page, load_settings(host="127.0.0.1", port=port))
        try:
            polled = handlers(address)[None, "tick"][-1]
            for session in ("one", "two", "one", "three"):
                assert call(address, polled, ["birds"], None, session=session).status == 200
            assert list(page.app.state_holder.session_data) == ["one", "three"]
            assert call(address, polled, ["birds"], None, session="two").said[1]["value"] == ["birds"]
        finally:
            page.close(verbose=False)

    def test_questions_side_by_side(self, served: Served, photo: str) -> None:
        got: list[str] = []

        def one(number: int) -> None:
            answer = served.client.predict(handle_file(photo), f"How tall {number}?", [], 3, api_name="/ask")
            got.append(answer["question"])

        threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            assert ended(thread)
        assert sorted(got) == [f"How tall {number}?" for number in range(6)]

    def test_who_goes_away_gives_up_the_place(
        self, served: Served, photo: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """By every way of asking by program: in mid-answer, and never having listened at all."""
        served.client.predict(handle_file(photo), "How tall?", api_name="/ask")  # so that the photo is there
        patient: list[str] = []  # the question that is answered, however late this machine listens to it
        of = Listeners.of

        def listener(self: Listeners, *keys: str) -> Listener:
            one = of(self, *keys)
            one._last = math.inf if patient else one._last
            return one

        monkeypatch.setattr(Listeners, "of", listener)
        monkeypatch.setattr(listeners, "PAUSE", 0.2)
        monkeypatch.setattr(listeners, "PATIENCE", 0.2)
        api = f"{served.address}gradio_api"
        data = [{"path": str(served.birds.asked[-1][0])}, "How tall?", [], 3, None, None, False, False]
        ask = next(n for n, each in enumerate(served.page.config["dependencies"]) if each["api_name"] == "ask")

        def by_call(**more: str) -> str:
            reply = httpx.post(f"{api}/call/ask", json={"data": data, **more})
            return f"{api}/call/ask/{reply.json()['event_id']}"

        def by_queue() -> str:
            body = {"data": data, "fn_index": ask, "session_hash": "goes"}
            httpx.post(f"{api}/queue/join", json=body).raise_for_status()
            return f"{api}/queue/data?session_hash=goes"

        for way, listens in (
            (by_call, True), (by_call, False), (lambda: by_call(session_hash="went"), True), (by_queue, True),
            (by_queue, False),
        ):  # fmt: skip
            served.birds.hold, before = threading.Event(), len(served.birds.asked)
            for _ in range(QUESTIONS_AT_ONCE + 1):
                stream = way()
                if listens:
                    with httpx.stream("GET", stream):  # which is there once the server has begun it
                        until = time.monotonic() + 30
                        while len(served.birds.asked) == before and time.monotonic() < until:
                            time.sleep(0.02)
            held, served.birds.hold = served.birds.hold, None
            # They are silent still, and yet the next one has its turn.
            patient.append("How tall?")
            answer = served.client.submit(handle_file(photo), "How tall?", [], 3, api_name="/ask").result(LONG)
            patient.clear()
            assert answer["answer"] == "It stands up to 100 cm tall. [1]"
            held.set()

    def test_who_does_not_listen_holds_no_place(
        self, served: Served, photo: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listeners, "PATIENCE", 1000.0)
        served.client.predict(handle_file(photo), "How tall?", api_name="/ask")  # so that the photo is there
        data = [{"path": str(served.birds.asked[-1][0])}, "How wide?", [], 3, None, None, False, False]
        served.birds.hold, before = threading.Event(), len(served.birds.asked)
        streams = []
        for _ in range(QUESTIONS_AT_ONCE + 1):
            reply = httpx.post(f"{served.address}gradio_api/call/ask", json={"data": data})
            streams.append(f"{served.address}gradio_api/call/ask/{reply.json()['event_id']}")
        job = served.client.submit(handle_file(photo), "How tall?", [], 3, api_name="/ask")
        wait_for(lambda: len(served.birds.asked) > before)
        served.birds.hold.set()
        assert job.result(LONG)["question"] == "How tall?"
        assert [each[1] for each in served.birds.asked[before:]] == ["How tall?"]
        served.birds.hold = None
        for stream in streams:  # who listens in the end is answered
            assert '"question": "How wide?"' in httpx.get(stream).text.replace("\\", "")

    def test_so_many_may_not_listen_yet(
        self, birds: Birds, photo: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(events, "QUESTIONS_UNHEARD", 0)
        with pytest.raises(gr.Error, match="Too many questions"):
            awaited(Asker(birds, Listeners()).ask(photo, "How tall?", [], 3, page=PAGE))

    @pytest.mark.parametrize(
        ("path", "body", "status", "said"),
        [
            ("call/none", {"data": []}, 404, "There is no endpoint called none here; /ask is the one."),
            ("call/v2/none", {}, 404, "There is no endpoint called none here; /ask is the one."),
            ("call/v2/none/", {"question": "?"}, 404, "There is no endpoint called none here; /ask is the one."),
            ("run/none", {"data": []}, 404, "There is no endpoint called none here; /ask is the one."),
            ("api/none", {"data": []}, 404, "There is no endpoint called none here; /ask is the one."),
            ("call/v2/ask", {}, 422, "No value provided for required argument: image."),
            ("call/v2/ask", {"picture": 1}, 422, "Parameter `picture` is not a valid key-word argument."),
        ],
    )  # fmt: skip
    def test_what_is_asked_wrongly_is_told_in_a_sentence(
        self, served: Served, path: str, body: dict, status: int, said: str
    ) -> None:
        reply = httpx.post(f"{served.address}gradio_api/{path}", json=body)
        assert (reply.status_code, reply.text) == (status, said)

    def test_so_many_may_wait(self, served: Served, photo: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(events, "QUESTIONS_WAITING", 1)
        asker = asker_of(served.birds)
        served.birds.hold = threading.Event()

        async def many() -> list[str]:
            given = (photo, "How tall?", [], 3, None, None, False, False, PAGE)
            asks = [asyncio.create_task(asker.ask(*given)) for _ in range(QUESTIONS_AT_ONCE + 2)]
            done, rest = await asyncio.wait(asks, return_when=asyncio.FIRST_COMPLETED)
            served.birds.hold.set()
            with pytest.raises(gr.Error, match="Too many questions are being worked on; ask again in a minute."):
                await done.pop()
            return [(await each)["answer"] for each in rest]

        assert awaited(many()) == ["It stands up to 100 cm tall. [1]"] * (QUESTIONS_AT_ONCE + 1)
        served.birds.hold = None

    def test_the_page_says_how_many_are_before_a_question(self, served: Served, photo: str) -> None:
        asker = asker_of(served.birds)
        served.birds.hold = threading.Event()

        async def told() -> list[str]:
            ways = [
                asker.respond_in_turn(
                    photo, "How tall?", [], 5, "", TOGETHER, False, [], 1, None, SimpleNamespace(session_hash=str(n))
                )
                for n in range(QUESTIONS_AT_ONCE + 2)
            ]
            for way in ways[:QUESTIONS_AT_ONCE]:
                while "It stands" not in str((await anext(way))[0]):
                    pass
            said = [(await anext(way))[0] for way in ways[QUESTIONS_AT_ONCE:]]
            said.append((await anext(ways[-1]))[0])  # nothing new
            await ways[0].aclose()
            while _skipped(line := (await anext(ways[-1]))[0]):
                pass
            said.append(line)
            served.birds.hold.set()
            async for step in ways[QUESTIONS_AT_ONCE]:
                said.append(step[0])
            for way in ways:
                await way.aclose()
            return said

        first, second, nothing, moved, *rest = awaited(told())
        assert "one question is before it" in first and "2 questions are before it" in second
        assert _skipped(nothing) and "one question is before it" in moved
        assert "100 cm tall" in rest[-1]
        served.birds.hold = None

    def test_a_page_that_cannot_wait_is_told_so(self, served: Served, photo: str) -> None:
        asker = asker_of(served.birds)
        asker._line = WaitingLine(0, 0)

        async def told() -> tuple:
            given = (photo, "How tall?", [], 5, "", TOGETHER, False, [], 1, None, PAGE)
            return [step async for step in asker.respond_in_turn(*given)]

        ((answer, *_, problem, _, _, _),) = awaited(told())
        assert "cs-empty" in answer and "Too many questions" in problem and 'role="alert"' in problem

    def test_an_answer_that_takes_too_long_is_ended(
        self, birds: Birds, photo: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(events, "LONGEST_ANSWER", -1.0)
        birds.hold = threading.Event()
        assert "took too long" in final(respond(birds, photo, "How tall?"))[3]
        asking = asker_of(birds).ask(photo, "How tall?", [], 3, None, None, False, False, PAGE)
        with pytest.raises(gr.Error, match="took too long"):
            awaited(asking)
        birds.hold.set()

    @pytest.mark.parametrize("corpora", [[["x"]], "x", {"a": 1}, [None], 5])
    def test_corpora_that_are_none(self, birds: Birds, photo: str, corpora: object) -> None:
        with pytest.raises(gr.Error, match="The corpora must be a list of names."):
            awaited(asker_of(birds).ask(photo, "How tall?", corpora, 3, None, None, False, False, PAGE))

    @pytest.mark.parametrize("count", ["5", [5], 0, 51, 2.5, True, float("nan"), float("inf")])
    def test_a_number_of_passages_that_is_none(self, birds: Birds, photo: str, count: object) -> None:
        with pytest.raises(gr.Error, match="number of passages"):
            awaited(asker_of(birds).ask(photo, "How tall?", [], count, None, None, False, False, PAGE))

    def test_the_page_names_no_other_machine(self, served: Served) -> None:
        markup = httpx.get(served.address).text
        loaded = re.findall(r"""<(?:script|link|img|iframe)[^>]*?(?:src|href)=["']([^"']+)""", markup)
        assert loaded and not [address for address in loaded if "//" in address]


def awaited(coroutine: Coroutine) -> object:
    """What a coroutine returns or raises. In a thread: what drives the browser leaves its loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def test_what_gradio_makes_of_a_component_fetches_nothing_either() -> None:
    """After an update, `gr.skip()` too, Gradio goes on with a new instance that has the arguments of the first."""
    for component in (Photo(type="filepath"), Files(file_count="multiple")):
        again = type(component)(**component.constructor_args)
        with pytest.raises(gr.Error, match="addresses are not fetched"):
            awaited(again.async_move_resource_to_block_cache("http://127.0.0.1:1/a.jpg"))
    example = awaited(Photo().async_move_resource_to_block_cache("http://127.0.0.1:1/file=/x/lion.jpg"))
    assert Path(example).read_bytes() == EXAMPLES[1][1].read_bytes()


def png_chunk(name: bytes, data: bytes) -> bytes:
    import zlib

    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


def test_the_page_loads_no_model_library() -> None:
    heavy = "{'torch', 'transformers', 'faiss', 'sqlalchemy'}"
    code = f"import sys, app.web.page, app.service.starting_service; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=LONG)
    assert ran.stdout.strip() == "[]", ran.stdout + ran.stderr


def test_a_taken_port_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = subprocess.run(
            [sys.executable, "app.py", "--port", port, "--data-dir", str(tmp_path)],
            cwd=ROOT, capture_output=True, text=True, timeout=5 * LONG,
        )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr.startswith("error: ") and port in ran.stderr and "Traceback" not in ran.stderr
