"""A conversation outlives its page: a reload, a connection that is lost, a server that ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import ARTEFACTS
from tests.fakes.chat_server import stream
from tests.support.browser import context_of, needs_chromium
from tests.support.e2e import CHEETAH, LION, TOWER, Visit, killed, opened
from tests.support.modelled import Modelled

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium


def shown(visit: Visit) -> dict[str, object]:
    """What of a conversation is on the page."""
    page = visit.page
    return {
        "question": page.get_by_label("Question").input_value(),
        "answer": page.locator(".cs-said").inner_text(),
        "earlier": page.locator(".cs-earlier li").count(),
        "cards": page.locator(".cs-card").count(),
        "maps": page.locator(".cs-layer").count(),
        "photo": page.locator(".cs-photo").get_attribute("src")[:200],
    }


def reloaded(visit: Visit) -> None:
    with visit.page.expect_response("**/run/predict"):
        visit.page.reload()


def test_a_reload_keeps_everything_and_the_conversation_goes_on(ready: Visit, browser, address: str) -> None:
    ready.give_photo(CHEETAH)
    ready.ask("How fast can this animal run?")
    ready.answered()
    ready.ask("Where does it live?")
    ready.page.locator(".cs-earlier").wait_for()
    ready.answered()
    before, place = shown(ready), ready.page.url
    assert before["earlier"] == 1 and before["cards"] and before["maps"]
    reloaded(ready)
    ready.page.locator(".cs-said").wait_for()
    ready.until(lambda: shown(ready) == before and ready.page.url == place)
    ready.ask("What is this?")
    ready.page.locator(".cs-earlier li").nth(1).wait_for(state="attached")
    assert "Cheetah" in ready.answered()
    # Only who knows the address sees it.
    with opened(browser, address) as other:
        assert other.page.locator(".cs-said").count() == 0 and other.page.url != place


@pytest.mark.parametrize("late", ["/upload", pytest.param("/run/predict", marks=pytest.mark.slow)])
def test_what_is_asked_before_the_photo_is_there_is_asked_when_it_is(ready: Visit, late: str, tmp_path: Path) -> None:
    page = ready.page
    (tmp_path / "none.jpg").write_text("no photo")
    ready.tell_late(late)
    ready.give_photo(CHEETAH)
    page.get_by_label("Question").fill("How fast can this animal run?")
    page.keyboard.press("Enter")
    assert "104 km/h" in ready.answered()
    assert page.locator("#cs-problem [role=alert]").count() == 0
    before = shown(ready)
    reloaded(ready)
    page.locator(".cs-said").wait_for()
    ready.until(lambda: shown(ready) == before)
    # A new conversation knows nothing of the old one, however soon it is spoken in.
    ready.tell_late(late)
    page.get_by_role("button", name="New conversation").click()
    ready.ask("Where does this animal live?")
    page.locator(".cs-asked", has_text="Where").wait_for()
    ready.answered()
    reloaded(ready)
    page.locator(".cs-asked", has_text="Where").wait_for()
    assert page.locator(".cs-earlier").count() == 0
    # A photo that is none is not asked about.
    ready.tell_late(late)
    ready.remove_photo()
    page.locator("#cs-photo img").wait_for(state="detached")
    page.wait_for_function("!window.beginning()")
    ready.give_photo(tmp_path / "none.jpg")
    ready.ask("How fast can this animal run?")
    page.locator("#cs-unfit [role=alert]").wait_for()
    page.wait_for_timeout(1_500)  # longer than it takes to ask
    assert page.locator("#cs-problem [role=alert]").count() == 0 and page.locator(".cs-said").count() == 0


def test_a_photo_that_is_changed_while_it_is_looked_at(ready: Visit, tmp_path: Path) -> None:
    (tmp_path / "none.jpg").write_text("no photo")
    ready.tell_late("/run/predict")
    ready.give_photo(LION)
    ready.page.locator("#cs-photo img").wait_for()
    ready.page.get_by_role("button", name="Remove Image").click()
    ready.page.locator("#cs-photo img").wait_for(state="detached")
    ready.page.get_by_text("Drop a photo here").wait_for()  # with another field for files
    ready.give_photo(tmp_path / "none.jpg")
    ready.page.locator("#cs-unfit [role=alert]").wait_for()
    ready.page.wait_for_function("!window.beginning()")
    assert ready.page.locator("#cs-photo img").count() == 0


def test_what_was_begun_anew_stays_so(ready: Visit) -> None:
    ready.give_photo(LION)
    ready.ask("Where does this animal live?")
    ready.answered()
    place = ready.page.url
    ready.page.get_by_role("button", name="New conversation").click()
    ready.page.locator(".cs-empty").wait_for()
    ready.page.wait_for_function("place => location.href !== place", arg=place)
    reloaded(ready)
    ready.page.locator("#cs-photo img").first.wait_for()
    assert ready.page.locator(".cs-said").count() == 0
    # A photo that is given instead has no answers of the other.
    ready.ask("Where does this animal live?")
    ready.answered()
    ready.page.get_by_role("button", name="Change photo").click()
    answered = ready.page.url
    ready.give_photo(TOWER)
    ready.page.locator(".cs-empty").wait_for()  # the answer was about the other photo
    assert ready.page.locator(".cs-card").count() == 0
    ready.page.wait_for_function("place => location.href !== place", arg=answered)
    reloaded(ready)
    ready.page.locator("#cs-photo img").first.wait_for()
    assert ready.page.locator(".cs-said").count() == 0
    # What was before is a step back.
    ready.page.goto(answered)
    ready.page.locator(".cs-said").wait_for()


def test_a_lost_connection_loses_nothing(ready: Visit) -> None:
    """Gradio loads the page anew when the connection is there again."""
    ready.give_photo(CHEETAH)
    ready.ask("How fast can this animal run?")
    ready.answered()
    before = shown(ready)
    ready.page.evaluate("window.before = true")
    ready.page.context.set_offline(True)
    ready.page.get_by_label("Question").fill("Where does it live?")
    ready.page.get_by_role("button", name="Ask", exact=True).click()
    ready.page.get_by_text("cannot be reached").wait_for()
    ready.page.get_by_text("press again then").wait_for()  # nothing is asked again by itself
    ready.page.context.set_offline(False)
    ready.page.wait_for_function("window.before === undefined")
    ready.page.locator(".cs-said").wait_for()
    ready.until(lambda: shown(ready) == {**before, "question": "Where does it live?"})
    ready.complaints.clear()  # of the connection that was lost
    ready.page.get_by_role("button", name="Ask", exact=True).click()
    ready.page.locator(".cs-earlier").wait_for()


def test_a_reload_in_mid_answer_offers_to_ask_again(talking: Visit, modelled: Modelled) -> None:
    modelled.model.said["slowly"] = stream("It can run ", "at 104 km/h [1]. ", *["It sleeps. "] * 600, pause=0.2)
    talking.give_photo(CHEETAH)
    talking.ask("How slowly does this animal run?")
    talking.page.locator(".cs-said", has_text="It can run at 104").wait_for()
    reloaded(talking)
    talking.complaints.clear()  # of the stream that the reload ended
    talking.page.get_by_text("The answer was broken off; what is here is not all of it.").wait_for()
    assert "It can run" in talking.page.locator(".cs-said").inner_text()
    talking.until(lambda: talking.page.locator(".cs-panel[aria-busy]").count() == 0)
    talking.page.locator(".cs-card").first.wait_for()
    modelled.model.said["slowly"] = stream("It can run at 104 km/h [1].")
    talking.page.get_by_role("button", name="Retry").click()
    talking.page.get_by_text("broken off").wait_for(state="detached")
    assert "It can run at 104 km/h" in talking.answered()


@pytest.mark.slow
def test_a_server_that_ends_in_mid_answer_and_one_that_is_started_again(browser, modelled: Modelled) -> None:
    address = modelled.address
    modelled.model.said["long"] = stream("It can run ", "at 104 km/h [1]. ", *["It sleeps. "] * 600, pause=0.2)
    with context_of(browser, address) as here, context_of(browser, address) as there:
        broken, whole = Visit(here.new_page()), Visit(there.new_page())
        for seen in (broken, whole):
            seen.open(address)
            seen.index_ready()
        whole.page.locator(".cs-try").first.click()
        whole.answered()
        whole.ask("Where does it live?")
        whole.page.locator(".cs-earlier").wait_for()
        said = whole.answered()
        whole.page.evaluate("window.before = true")
        broken.give_photo(CHEETAH)
        broken.page.locator("#cs-photo img").wait_for()
        broken.ask("How long does this animal run?")
        broken.page.locator(".cs-said", has_text="It can run at 104").wait_for()
        with killed(address):
            is_broken_off(broken)
            whole.ask("How heavy is it?")
            whole.page.get_by_text("cannot be reached").wait_for()
            broken.page.close()
        page = whole.page
        page.wait_for_function("window.before === undefined")
        page.get_by_role("alert").get_by_text("add the photo again").wait_for()
        assert whole.answered() == said
        whole.until(lambda: page.locator(".cs-earlier, .cs-photo, .cs-evidence").count() == 3)
        whole.until(lambda: page.get_by_label("Question").input_value() == "How heavy is it?")
        page.reload()
        assert whole.answered() == said


def is_broken_off(visit: Visit) -> None:
    page = visit.page
    page.locator(".cs-note", has_text="The answer was broken off; what is here is not all of it.").wait_for()
    assert "It can run at 104" in page.locator(".cs-said").inner_text()
    ask = page.get_by_role("button", name="Ask", exact=True)
    visit.until(lambda: ask.is_visible() and ask.is_enabled() and not page.locator("[aria-busy=true]").count())
    page.screenshot(path=str(ARTEFACTS / "server-gone.png"))
