"""A model that answers, in a real browser: what it says streams in, and is held against the evidence."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

from app.limits import QUESTIONS_AT_ONCE
from app.web.languages import say
from app.web.request_files import EXAMPLES
from tests import ARTEFACTS
from tests.fakes.chat_server import Reply, stream
from tests.support.browser import needs_chromium
from tests.support.e2e import (
    CHEETAH,
    HOSTILE,
    LION,
    Visit,
    contrast,
    draw,
    dropped,
    in_view,
    opened,
    region,
    selecting,
)
from tests.support.modelled import Modelled
from tests.support.waiting import LONG

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium


def test_a_models_answer_streams_and_shows_what_is_not_from_the_evidence(talking: Visit, modelled: Modelled) -> None:
    page = talking.page
    page.evaluate(
        """() => {
            window.seen = [];
            new MutationObserver(() => {
                const said = document.querySelector(".cs-panel[aria-busy] .cs-said");
                if (said && said.textContent !== window.seen.at(-1)) window.seen.push(said.textContent);
            }).observe(document.querySelector("#cs-answer"), { childList: true, subtree: true });
        }"""
    )
    pieces = re.findall(r"\S+\s*", "The cheetah can run at 104 km/h [1]. It sleeps in trees at noon [1].")
    modelled.model.said[EXAMPLES[0][2]] = stream(*pieces, pause=0.25)  # slow enough for this machine to show some
    page.locator(".cs-try").first.click()
    said = talking.answered()
    assert "104 km/h" in said and said.endswith("not from the evidence")
    streamed = page.evaluate("window.seen")
    assert len(streamed) > 3 and all(b.startswith(a) for a, b in zip(streamed, streamed[1:], strict=False))
    assert "It sleeps in trees at noon" in page.locator(".cs-unsupported").inner_text()
    assert page.locator(".cs-tag").count() == 1
    assert "104 km/h" in "".join(page.locator(".cs-passage .cs-quote").all_inner_texts())
    assert "by small at 127.0.0.1" in page.locator(".cs-timing").inner_text()
    assert page.locator(".cs-own, .cs-candidates").count() == 0
    page.locator(".cs-unsupported .cs-cite").click()
    assert talking.pressed() == [page.locator(".cs-cite").first.get_attribute("data-rank")]
    # Asked again, it is known.
    asked = len(modelled.server.asked)
    page.get_by_role("button", name="New conversation").click()
    page.locator(".cs-empty").wait_for()
    talking.ask(EXAMPLES[0][2])
    talking.answered()
    assert page.locator(".cs-timing").inner_text().startswith("Known from before")
    assert len(modelled.server.asked) == asked


def test_each_passage_alone_and_without_any(talking: Visit) -> None:
    page = talking.page
    page.locator("#cs-where button").first.click()
    page.get_by_label(say("notice.each")).check()
    page.get_by_label("without the evidence").check()
    talking.give_photo(CHEETAH)
    page.locator("#cs-photo img").wait_for()
    talking.ask("How fast can this cat run?")
    page.locator(".cs-candidates").wait_for()
    assert talking.answered().startswith("104 km/h")
    rows = [row.locator("td").all_inner_texts() for row in page.locator(".cs-candidates tbody tr").all()]
    assert len(rows) == 5 and rows[0][1] == "104 km/h" and {row[1] for row in rows[2:]} == {"unknown"}
    assert rows[0][3] == "67%" and all(re.fullmatch(r"<?\d+%", row[2]) for row in rows)
    assert page.locator(".cs-own p").inner_text() == "I would say 90 km/h or so."
    page.locator(".cs-candidates .cs-cite").nth(1).click()
    assert talking.pressed() == [rows[1][0]]


@pytest.mark.parametrize("word", [pytest.param("quickly", marks=pytest.mark.slow), "slowly", "silently"])
def test_stopping_ends_the_models_work(talking: Visit, modelled: Modelled, word: str) -> None:
    page = talking.page
    silent = word == "silently"
    chunks = stream("It is ", *["very "] * 1500).chunks  # more than a minute of it
    pause = 0.05 if word == "quickly" else 0.3
    modelled.model.said[word] = Reply(chunks[:1], hold=True) if silent else Reply(chunks, pause=pause)
    modelled.server.closed.clear()
    asked = len(modelled.server.asked)
    talking.give_photo(CHEETAH)
    page.locator("#cs-photo img").wait_for()
    assert not page.get_by_role("button", name="Stop").is_visible()
    talking.ask(f"How {word} does this cat walk?")
    page.get_by_role("button", name="Stop").wait_for()
    if silent:
        page.locator(".cs-card").first.wait_for()
        talking.until(lambda: len(modelled.server.asked) > asked)
        page.wait_for_timeout(500)  # in which it says its first word
    else:
        page.locator(".cs-panel[aria-busy] .cs-said", has_text="It is").wait_for()
    assert not page.get_by_role("button", name="Ask", exact=True).is_visible()
    page.get_by_role("button", name="Stop").click()
    told = "Stopped. Ask again" if silent else "Stopped before the end; what is here is not the whole answer."
    page.locator(".cs-note", has_text=told).wait_for()
    page.get_by_role("button", name="Ask", exact=True).wait_for()
    page.get_by_role("button", name="Stop").wait_for(state="hidden")
    assert modelled.server.closed.wait(LONG)
    assert silent or page.locator(".cs-said").inner_text().startswith("It is")
    # What was stopped is no part of the conversation, and the next question, at once, is answered.
    talking.ask("How fast can this animal run?")
    page.locator(".cs-said", has_text="104 km/h").wait_for()
    talking.answered()
    assert page.locator(".cs-earlier").count() == 0


def ask_slowly(talking: Visit, modelled: Modelled, question: str) -> None:
    """Ask about the cheetah what takes the model long to say, until it has begun; where it lives it says at once."""
    modelled.model.said["slowly"] = stream("It is ", *["very "] * 1500, pause=0.1)
    modelled.model.said["live"] = stream("It lives in Africa.")
    modelled.server.closed.clear()
    talking.give_photo(CHEETAH)
    talking.page.locator("#cs-photo img").wait_for()
    talking.ask(question)
    talking.page.locator(".cs-panel[aria-busy] .cs-said", has_text="It is").wait_for()


@pytest.mark.parametrize(
    "change",
    [
        "another",
        pytest.param("removed", marks=pytest.mark.slow),
        "example",
        pytest.param("removed while words are on their way", marks=pytest.mark.slow),
    ],
)
def test_another_photo_ends_the_answer_about_the_last_one(talking: Visit, modelled: Modelled, change: str) -> None:
    page = talking.page
    ask_slowly(talking, modelled, f"How slowly does this cat walk, {change}?")
    page.locator(".cs-figure").wait_for()
    if "on their way" in change:
        talking.tell_late("/run/predict")
    if change == "example":
        page.locator(".cs-try").nth(1).click()
    else:
        talking.remove_photo()
        if change == "another":
            talking.give_photo(LION)
            page.locator("#cs-photo img").wait_for()
        page.locator(".cs-empty").wait_for()
    assert modelled.server.closed.wait(LONG)
    if change != "example":
        # Longer than the answer would have taken to say something more.
        page.wait_for_timeout(1_500)
        page.locator(".cs-empty").wait_for()
        assert page.locator(".cs-figure, .cs-panel[aria-busy], .cs-earlier").count() == 0
        if change != "another":
            talking.give_photo(LION)
            page.locator("#cs-photo img").wait_for()
        talking.ask(EXAMPLES[1][2])
    page.locator(".cs-said", has_text="It lives in Africa").wait_for()
    talking.answered()
    assert page.locator(".cs-earlier").count() == 0
    shown = page.locator(".cs-photo").evaluate("photo => [photo.naturalWidth, photo.naturalHeight]")
    with Image.open(LION) as lion:
        assert shown[0] / shown[1] == pytest.approx(lion.width / lion.height, rel=0.01)


def test_another_question_ends_the_answer_to_the_last_one(talking: Visit, modelled: Modelled) -> None:
    page = talking.page
    ask_slowly(talking, modelled, "How slowly does this cat walk, now?")
    page.get_by_label("Question").fill("Where does this animal live, now?")
    page.keyboard.press("Enter")
    assert modelled.server.closed.wait(LONG)
    page.locator(".cs-said", has_text="It lives in Africa").wait_for()
    talking.answered()
    assert page.locator(".cs-earlier, .cs-note:not(.cs-support)").count() == 0


def test_stop_takes_back_what_waits_for_a_photo_too(talking: Visit, modelled: Modelled) -> None:
    page = talking.page
    ask_slowly(talking, modelled, "How slowly does this cat walk, dropped?")
    page.locator(".cs-figure").wait_for()
    talking.tell_late("/upload")
    dropped(page, ".cs-figure", LION)
    page.locator("#cs-photo .uploading").wait_for(state="attached")
    page.get_by_label("Question").fill(EXAMPLES[1][2])
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop").click()
    page.locator(".cs-empty").wait_for()  # the photo is there
    page.wait_for_function("!window.beginning()")
    page.wait_for_timeout(1_500)  # longer than it takes to ask
    assert page.locator(".cs-panel[aria-busy], .cs-said").count() == 0


@pytest.mark.slow
def test_a_question_that_has_to_wait_is_told_of(browser, talking: Visit, modelled: Modelled) -> None:
    page = talking.page
    modelled.model.said["silently"] = Reply(stream("It").chunks[:1], hold=True)
    with ExitStack() as stack:
        others = [stack.enter_context(opened(browser, modelled.address)) for _ in range(QUESTIONS_AT_ONCE)]
        for number, each in enumerate(others):
            each.give_photo(CHEETAH)
            each.page.locator("#cs-photo img").wait_for()
            each.ask(f"How silently does {number} walk?")
            each.page.locator(".cs-card").first.wait_for()
        talking.ask("How fast can this animal run?")
        assert "Add a photo first" in talking.problem()  # at once, though there is no place to answer in
        talking.give_photo(CHEETAH)
        page.locator("#cs-photo img").wait_for()
        talking.ask("How fast can this animal run?")
        waiting = page.locator(".cs-working", has_text="Waiting for its turn")
        waiting.wait_for()
        page.get_by_role("button", name="Stop").click()
        page.locator(".cs-note", has_text="Stopped. Ask again").wait_for()
        talking.ask("How fast can this animal run?")
        waiting.wait_for()
        others.pop().page.get_by_role("button", name="Stop").click()
        page.locator(".cs-said", has_text="104 km/h").wait_for()
        assert page.locator("#cs-problem [role=alert]").count() == 0
        for each in others:
            each.page.get_by_role("button", name="Stop").click()
            each.page.locator(".cs-note").wait_for()
    # When no more may wait, nothing does.
    page.route("**/queue/join*", lambda route: route.fulfill(status=503, json={"detail": "Queue is full."}))
    talking.ask("How fast can it be?")
    page.get_by_role("alert").get_by_text("Too many questions are waiting").wait_for()
    talking.until(lambda: in_view(page.locator(".cs-error:focus")))
    page.locator(".cs-note", has_text="broken off before its first word").wait_for()
    page.unroute_all()
    page.get_by_role("button", name="Retry").click()
    assert "104 km/h" in talking.answered()
    talking.forgiven.append("503")


@pytest.mark.parametrize("talking", [{}, {"viewport": {"width": 390, "height": 844}}], indirect=True)
def test_a_model_that_fails_leaves_the_evidence(talking: Visit, modelled: Modelled) -> None:
    page = talking.page
    modelled.model.said["heavy"] = Reply(status=404)
    talking.give_photo(CHEETAH)
    page.locator("#cs-photo img").wait_for()
    talking.ask(f"How heavy is this cat, seen {page.viewport_size['width']} wide?")  # asked before, it were known
    page.locator(".cs-error:focus", has_text="no such model").wait_for()
    talking.until(lambda: in_view(page.locator(".cs-error:focus")))  # on a phone too, where the answer is gone to
    assert page.locator(".cs-panel h2").inner_text() == "No answer"
    assert page.locator(".cs-card").count() == 5 and talking.maps_shown() == ["1"]
    assert page.get_by_role("button", name="Ask", exact=True).is_visible()
    # Trying again, when it may go better.
    modelled.model.said["heavy"] = stream("It weighs 30 kg.")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Retry"
    page.keyboard.press("Enter")
    assert "30 kg" in talking.answered() and page.locator("#cs-left [role=alert]").count() == 0


def test_a_hostile_model_does_nothing(talking: Visit, modelled: Modelled) -> None:
    page = talking.page
    modelled.model.said["hostile"] = stream(*re.findall(r"\S+\s*", f"{HOSTILE} [1] </p></section><h1>Gone</h1>"))
    talking.give_photo(CHEETAH)
    page.locator("#cs-photo img").wait_for()
    talking.ask("How hostile is this cat?")
    said = talking.answered()
    assert "The cheetah runs fast." in said and "${window.pwned=1}" in said and "\u202e" not in said
    panel = page.locator("#cs-answer")
    assert panel.locator("script, img, svg, a:not([download]), h1").count() == 0
    assert panel.locator("section").count() == 1
    page.locator(".cs-said").hover()
    talking.ask("How fast is it?")  # told again as an earlier question
    page.locator(".cs-earlier summary").click()
    page.locator(".cs-said", has_text="104 km/h").wait_for()
    assert page.locator(".cs-earlier :is(script, img, svg, a, h1)").count() == 0
    assert page.evaluate("window.pwned") is None


@pytest.mark.parametrize(
    ("talking", "name"),
    [
        ({"color_scheme": "dark", "viewport": {"width": 390, "height": 844}}, "conversation-phone-dark"),
        pytest.param({"color_scheme": "light"}, "conversation", marks=pytest.mark.slow),
    ],
    indirect=["talking"],
)
def test_looks_of_a_conversation(talking: Visit, both: Path, name: str) -> None:
    page = talking.page
    ARTEFACTS.mkdir(exist_ok=True)
    talking.give_photo(both)
    page.locator("#cs-photo img").wait_for()
    page.locator("#cs-where button").first.click()
    page.get_by_label("without the evidence").check()
    selecting(page).scroll_into_view_if_needed()
    selecting(page).click()
    draw(page, "#cs-photo img", 0.05, 0.1, 0.45, 0.9)
    assert region(page)
    page.screenshot(path=ARTEFACTS / f"{name}-part.png")
    talking.ask("How fast can this animal run?")
    talking.answered()
    page.get_by_label(say("notice.each")).check()
    talking.ask("How fast can it run?")
    page.locator(".cs-candidates").wait_for()
    page.locator(".cs-earlier summary").click()
    page.wait_for_timeout(600)
    page.screenshot(path=ARTEFACTS / f"{name}.png")
    page.screenshot(path=ARTEFACTS / f"{name}-whole.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    for selector in (".cs-asked", ".cs-searched", ".cs-own p", ".cs-candidates th", ".cs-candidates td",
                     ".cs-earlier summary", ".cs-earlier li span", ".cs-select:visible", "#cs-new"):  # fmt: skip
        assert contrast(page.locator(selector).first) >= 4.5, selector


def test_escape_leaves_what_is_open_and_then_stops_the_answer(talking: Visit, modelled: Modelled) -> None:
    page = talking.page
    modelled.model.said["escape"] = stream("It can ", *["run and "] * 900, pause=0.1)
    talking.give_photo(CHEETAH)
    page.locator("#cs-photo img").wait_for()
    page.get_by_label("Question").fill("How does it escape?")
    page.keyboard.press("Enter")
    page.locator(".cs-panel[aria-busy] .cs-said", has_text="It can").wait_for()
    selecting(page).focus()
    page.keyboard.press("Enter")
    page.locator(".cs-hole:focus").wait_for()
    page.keyboard.press("Escape")
    page.locator(".cs-hole").wait_for(state="detached")
    assert page.locator(".cs-panel[aria-busy]").count() == 1
    assert page.evaluate("document.activeElement.className") == "cs-select"
    page.keyboard.press("Escape")
    page.locator(".cs-note", has_text="Stopped before the end").wait_for()
    page.get_by_role("button", name="Ask", exact=True).wait_for()
    page.get_by_role("button", name="Change photo").click()
    page.keyboard.press("Escape")
    assert page.locator(".cs-figure").is_visible()
