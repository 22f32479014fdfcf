"""What the page shows of an answer and its evidence: harmless whatever is in it."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from app.limits import MAX_TURNS
from app.service.results import WHOLE, IndexStatus, Reranked
from app.web import escaping, notices
from app.web.ask import answer_html, evidence_html
from app.web.ask.evidence_html import HeatMap, PictureHeat
from common.passage import Picture
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
from retriever.reading.photo_text import Line, PhotoText
from retriever.reading.rapid import MISSING
from tests.support.at_work import nobody_at_work  # noqa: F401
from tests.support.page import HERON, HOSTILE, QUOTE, Seen, assert_harmless, passage, result

pytestmark = pytest.mark.usefixtures("nobody_at_work")


def said_in(markup: str) -> str:
    """The text of the answer itself."""
    return Seen(re.search(r'<p class="cs-said"[^>]*>(.*?)</p>', markup, re.DOTALL)[1]).text


class TestHtml:
    @pytest.mark.parametrize(("licence", "said"), [("unknown", "licence unknown"), ("CC0", "CC0")])
    def test_a_licence_that_is_not_known_is_said_to_be_so(self, licence: str, said: str) -> None:
        markup = evidence_html.evidence("run", (passage(1, licence=licence),), "How tall?", (), None, True, {})
        assert f"<span>{said}</span>" in markup

    def test_pictures_stand_beside_their_passage_with_who_made_them(self) -> None:
        picture = Picture("h.png", "A heron", "CC0", "Ada", content_hash="0" * 64, width=1600, height=800)
        bare = replace(picture, caption="", author="", licence="", content_hash="1" * 64)
        markup = evidence_html.evidence("run", (passage(1, pictures=(picture, bare)),), "How tall?", (), 1, True, {})
        first, second = re.findall(r"<figure>.*?</figure>", markup)
        assert f'href="pictures/{"0" * 64}.jpg"' in first and f'src="pictures/{"0" * 64}.small.jpg"' in first
        assert 'alt="A heron" width="320" height="160" loading="lazy"' in first
        assert "A heron · Ada · CC0</figcaption>" in first
        assert "picture like the photo" not in markup
        compared = evidence_html.evidence("run", (passage(1, pictures=(bare,), alike=0.874),), "?", (), 1, True, {})
        assert "picture like the photo, 0.87</span>" in compared
        assert 'alt="Picture of Grey heron"' in second and "figcaption" not in second

    def test_where_a_picture_is_like_the_photo_is_drawn_on_it_and_said(self) -> None:
        pictures = tuple(Picture("h.png", content_hash=each * 64, width=9, height=9) for each in "01")
        heat = {1: PictureHeat(1, "data:image/png;base64,AA", "mostly the left side")}
        markup = evidence_html.evidence("run", (passage(1, pictures=pictures),), "?", (), 1, True, heat)
        first, second = re.findall(r"<figure>.*?</figure>", markup)
        assert "cs-heat" not in first
        assert '<img class="cs-heat" src="data:image/png;base64,AA" alt="">' in second
        assert "What in it is like your photo: mostly the left side.</span>" in second

    @pytest.mark.parametrize(
        ("rank", "was", "said"),
        [(3, 7, "3rd, was 7th"), (1, 2, "1st, was 2nd"), (11, 12, "11th, was 12th"), (22, 101, "22nd, was 101st"),
         (13, 111, "13th, was 111th"), (4, 4, ""), (4, None, "")],
    )  # fmt: skip
    def test_a_passage_that_was_moved_says_where_it_stood(self, rank: int, was: int | None, said: str) -> None:
        one = passage(rank, was=was)
        assert evidence_html.moved(one) == said
        markup = evidence_html.evidence("run", (one,), "How tall?", (), 1, False, {}, Reranked("small <b>", tokens=3))
        assert (f'<span class="cs-about">{said}</span>' in markup) == bool(said)
        moves = "1 of these moved" if said else "none of these moved"
        assert f"Put in order by small &lt;b&gt;; {moves}.</p>" in markup
        plain = evidence_html.evidence("run", (passage(1),), "How tall?", (), 1, False, {})
        assert "was" not in Seen(plain).text.split() and "Put in order" not in plain

    @pytest.mark.parametrize(("share", "said"), [(0.254, "25% of"), (0.001, "Less than 1% of"), (0.0, "")])
    def test_what_was_not_searched_is_said_with_the_passages(self, share: float, said: str) -> None:
        markup = evidence_html.evidence("run", (passage(1),), "?", (), 1, False, {}, unsearched=share)
        assert (f"{said} the passages could not be searched" in markup) == bool(said)
        assert ("could not be searched" in markup) == bool(said)

    def test_of_two_profiles_the_card_says_which_found_it(self) -> None:
        markup = evidence_html.evidence("run", (passage(1, by="<ret>"),), "How tall?", (), 1, False, {})
        assert '<span class="cs-about">found by &lt;ret&gt;</span>' in markup
        assert "found by" not in evidence_html.evidence("run", (passage(1),), "How tall?", (), 1, False, {})

    def test_what_a_reranker_could_not_do_is_said_with_the_passages(self) -> None:
        told = Reranked("small", "small was not done <i>.")
        markup = evidence_html.evidence("run", (passage(1, was=1),), "How tall?", (), 1, True, {}, told)
        assert '<p class="cs-hint" dir="auto">small was not done &lt;i&gt;.</p>' in markup
        moved = evidence_html.evidence("run", (passage(1, was=2),), "How tall?", (), 1, True, {}, told)
        assert "by small; 1 of these moved. small was not done" in moved

    def test_hostile_texts_stay_text_everywhere(self) -> None:
        pictures = (Picture(HOSTILE, HOSTILE, HOSTILE, HOSTILE, "javascript:alert(1)", "0" * 64, 10, 10),)
        bad = passage(1, title=HOSTILE, text=HOSTILE, url="javascript:alert(1)", licence=HOSTILE, corpus=HOSTILE)
        bad = replace(bad, pictures=pictures)
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
            evidence_html.evidence("run", (bad,), HOSTILE, (quote,), 1, True, {}),
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
        card = evidence_html.evidence("run", (passage(1, url=url),), "tall?", (), 1, False, {})
        assert not Seen(card).named("a")

    def test_a_web_address_is_linked_without_breaking_out_of_it(self) -> None:
        url = 'https://example.org/a?b=1&c="><script>'
        (link,) = Seen(evidence_html.evidence("run", (passage(1, url=url),), "tall?", (), 1, False, {})).named("a")
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
        buttons = Seen(evidence_html.evidence("run", result().passages, "tall?", (), 2, True, {})).named("button")
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
        assert "closer photo" in answer_html.final_answer(result(answer=silent, photo="f"))
        assert "closer photo" not in answer_html.final_answer(result(answer=silent))  # that was asked without one
        page = answer_html.final_answer(result(answer=replace(silent, named=True), photo="f"))
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
            shown = answer_html.final_answer(result(**{"photo": "0f", **changes}))
            return re.search('cs-timing">(.*?)</p>', shown)[1]

        assert timing() == timing(answerer="extractive") == (
            "Answered in 0.1 s: photo 12 ms, encoding 90 ms, search 41 ms, answer 3 ms"
        )
        assert timing(photo="") == "Answered in 0.1 s: encoding 90 ms, search 41 ms, answer 3 ms"
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
        html = evidence_html.evidence("run", many, "", (), 1, False, {})
        shown, _, below = html.partition("<details")
        assert shown.count("<article") == count - folded and below.count("<article") == folded
        assert [each["data-rank"] for each in Seen(html).named("article")] == [str(rank + 1) for rank in range(count)]
        if folded:
            assert f"{folded} more passages" in below and " open" not in below.partition(">")[0]
            (details,) = Seen(evidence_html.evidence("run", many, "", (), count, False, {})).named("details")
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


def test_why_a_photo_was_not_read_and_that_there_is_more_are_told():
    assert "pip install -r requirements-ocr.txt" in answer_html.final_answer(result(unread=MISSING))
    page = PhotoText((Line(HOSTILE, (0, 0, 1, 1), 0.1, 0.9),), cut=True)
    told = answer_html.final_answer(replace(result(), text=page))
    assert "There is more text in the photo" in told
    assert_harmless(told)
