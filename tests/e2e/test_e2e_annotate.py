"""Annotation in a real browser: a project made, filled and judged by keys, two people at once, a lost connection,
invitations, and the pages for those who see them otherwise."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path

import pytest

from tests import ARTEFACTS
from tests.support.annotate import HOSTILE, begin, cards, made, make, person, root, saved, unfold
from tests.support.annotations import photo_bytes
from tests.support.axe import LOOKS, serious, too_small
from tests.support.browser import needs_chromium
from tests.support.e2e import CHEETAH, LION
from tests.support.modelled import Modelled

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium


def test_a_project_from_its_making_to_its_settled_end_by_two_people_at_once(browser, site: str) -> None:
    with person(browser, site, "ann") as ann, person(browser, site, "bob") as bob:
        page = ann.page
        make(page, "animals", 2, [("How fast can this animal run?", CHEETAH), ("How heavy is a tiger?", "")])
        begin(page, "animals")
        bob.page.reload()
        begin(bob.page, "animals")
        more = len(cards(page)) - 3  # passages, beside the first two and the answer
        assert more > 0
        for key in ("1", "2", *"3" * more, "1"):
            page.keyboard.press(key)
        passages = ["answers it", "right subject but does not say", *["wrong subject"] * more]
        assert cards(page) == [*passages, "right"]
        page.get_by_role("button", name="Next item").wait_for()
        page.keyboard.press("u")  # the last, an answer
        page.locator(".ca-card", has_text="Answer 1 of 1").locator("[aria-pressed=true]").wait_for(state="detached")
        page.keyboard.press("2")
        page.keyboard.press("ArrowUp")  # from the button for the next item to the last, and on
        page.keyboard.press("ArrowUp")
        page.keyboard.press("c")
        page.keyboard.type(f"{HOSTILE} 12")  # digits judge nothing while a text is typed
        page.keyboard.press("Escape")
        page.keyboard.press("m")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Enter")
        marked = page.locator(".ca-current mark").inner_text()
        assert len(marked.split()) == 2
        page.keyboard.press("m")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("3")  # keeps the words, and judges
        page.locator(".ca-card mark:not(.ca-choosing)").wait_for()
        marked = page.locator(".ca-card mark").inner_text()
        assert len(marked.split()) == 1
        page.screenshot(path=ARTEFACTS / "annotate.png", full_page=True)
        saved(page)
        page.keyboard.press("g")  # all are judged: the next item
        page.locator("h2", has_text="How heavy is a tiger?").wait_for()
        page.get_by_role("button", name="What I judged").click()
        page.locator(".ca-back li button", has_text="How fast").first.click()
        page.locator("h2", has_text="How fast can this animal run?").wait_for()
        assert page.locator(".ca-card mark").inner_text() == marked
        assert cards(page) == [*passages, "partly"]
        # Bob has the same item, in an order of his own, and nothing of what Ann said.
        assert bob.page.locator("h2.ca-question").inner_text() == "How fast can this animal run?"
        assert cards(bob.page) == [""] * (more + 3) and bob.page.locator(".ca-card mark").count() == 0
        for key in ("4", "4", *"4" * more, "3"):
            bob.page.keyboard.press(key)
        saved(bob.page)
        page.get_by_role("button", name="Projects", exact=True).click()
        page.get_by_role("button", name="Open animals").click()
        page.get_by_text("Where people differ").wait_for()
        dispute = page.locator(".ca-dispute", has_text="partly").first
        assert dispute.get_by_role("row").count() == 3
        dispute.get_by_role("button", name="wrong", exact=True).click()
        dispute.get_by_text("Settled: wrong.").wait_for()
        # Found again after a reload, with what it rests on, and settled anew.
        page.reload()
        page.get_by_text("What was settled").click()
        page.locator("summary", has_text="How fast can this animal run? · wrong · by ann").click()
        settled = page.locator("details .ca-dispute", has_text="partly")
        assert settled.get_by_role("button", name="wrong", exact=True).get_attribute("aria-pressed") == "true"
        assert settled.locator(".ca-citations li").count() > 0
        assert settled.locator(".ca-enlarge img").evaluate("image => image.decode().then(() => image.width)") > 120
        page.screenshot(path=ARTEFACTS / "annotate-settled.png", full_page=True)
        settled.get_by_role("button", name="partly", exact=True).click()
        settled.get_by_text("Settled: partly.").wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="jsonl, without photographs").click()
        lines = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
        assert len(lines) == 3 and HOSTILE in json.dumps(lines)


def test_a_lost_connection_says_so_and_loses_nothing(browser, site: str) -> None:
    with person(browser, site, "ann") as ann:
        page = ann.page
        make(page, "lost", 1, [("How fast can this animal run?", CHEETAH)])
        begin(page, "lost")
        page.context.set_offline(True)
        page.keyboard.press("1")
        page.keyboard.press("2")
        page.locator(".ca-unsaved", has_text="2 changes not saved yet, kept in this browser").wait_for()
        assert cards(page)[:2] == ["answers it", "right subject but does not say"]
        page.context.set_offline(False)
        saved(page)
        # What never reached the server is sent when the page is opened again.
        page.route("**/annotation/do/judge", lambda route: route.abort())
        page.keyboard.press("3")
        page.locator(".ca-unsaved", has_text="1 change not saved yet").wait_for()
        page.unroute("**/annotation/do/judge")
        page.reload()
        saved(page)
        page.locator(".ca-card.ca-current").wait_for()
        assert cards(page)[:3] == ["answers it", "right subject but does not say", "wrong subject"]
        page.keyboard.press("u")
        page.locator(".ca-card").nth(2).locator("[aria-pressed=true]").wait_for(state="detached")
        assert cards(page)[:3] == ["answers it", "right subject but does not say", ""]
        # One that the server cannot take is told, and does not stay in the way of the others.
        page.evaluate("window.citesight.server.say('judge', {project: 'lost', item: 1e9, candidate: 1, grade: 'x'})")
        page.get_by_text("Not saved: The project lost has no item").wait_for()
        page.keyboard.press("4")
        saved(page)


def test_an_item_put_aside_and_the_photo_looked_at(browser, site: str) -> None:
    with person(browser, site, "ann") as ann:
        page = ann.page
        make(page, "aside", 1, [("Where does this animal live?", LION), ("What is a bridge?", "")], passages=1)
        begin(page, "aside")
        layer = page.locator(".ca-layer")
        page.locator(".ca-layer img").evaluate("image => image.decode()")
        page.keyboard.press("+")
        assert "scale(1.5)" in layer.get_attribute("style")
        page.keyboard.press("0")
        assert "scale(1)" in layer.get_attribute("style")
        page.get_by_role("button", name="Mark the part that matters").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("Shift+ArrowLeft")
        assert "25 to 71 percent across" in page.locator(".ca-frame").get_attribute("aria-label")
        saved(page)
        page.keyboard.press("s")
        page.keyboard.press("Escape")
        page.keyboard.press("s")
        page.keyboard.type("the lion is not to be seen")
        page.keyboard.press("Enter")
        page.locator("h2", has_text="What is a bridge?").wait_for()
        # Until the next item has come, keys judge nothing of the one that is on the screen.
        held: list = []
        page.route("**/annotation/do/next", lambda route: held.append(route))
        page.get_by_role("button", name="One at a time").click()
        page.keyboard.press("g")
        assert page.locator(".ca-card:visible").count() == 1
        page.keyboard.press("1")
        saved(page)
        page.evaluate("document.activeElement.blur()")
        for _ in cards(page)[1:]:
            page.keyboard.press("2")
        saved(page)
        page.keyboard.press("g")
        page.locator(".ca-view[aria-busy=true]").wait_for()
        before, judged = cards(page), sum("do/judge" in each for each in ann.requests)
        page.keyboard.press("4")
        assert cards(page) == before and sum("do/judge" in each for each in ann.requests) == judged
        for each in held:
            each.continue_()
        page.unroute("**/annotation/do/next")
        page.get_by_text("Nothing is left for you here").wait_for()
        page.get_by_role("button", name="What I judged").click()
        page.locator(".ca-back li button", has_text="What is a bridge?").first.click()
        page.get_by_role("button", name="Previous").wait_for()
        page.get_by_role("button", name="All in a list").click()
        for _ in cards(page):
            page.keyboard.press("1")
        page.keyboard.press("g")
        page.get_by_text("Nothing is left for you here").wait_for()
        page.get_by_role("button", name="What I judged").click()
        page.locator(".ca-back li button", has_text="put aside: the lion is not to be seen").click()
        page.get_by_text("Put aside: the lion is not to be seen").wait_for()
        assert "25 to 71 percent" in page.locator(".ca-frame").get_attribute("aria-label")


def test_an_answer_is_sent_from_the_ask_page(browser, site: str) -> None:
    with person(browser, site, "ann") as ann:
        page = ann.page
        page.get_by_role("button", name="Projects", exact=True).click()
        unfold(page, "New project")
        root(page).get_by_label("Name", exact=True).fill("sent")
        page.get_by_role("button", name="Make the project").click()
        page.get_by_text("0 of 0 items finished").wait_for()
        page.get_by_role("tab", name="Ask").click()
        page.locator(".cs-try").first.click()
        said = ann.answered()
        page.get_by_role("button", name="Send to annotation").click()
        page.get_by_label("Project").select_option("sent")
        page.get_by_role("button", name="Send", exact=True).click()
        page.locator(".cs-sending", has_text="It is in sent now.").wait_for()
        page.get_by_role("button", name="Open Annotate").click()
        page.locator(".ca-card.ca-current").wait_for()  # the item itself
        judged = page.locator(".ca-card", has_text="Answer 1 of 1")
        assert said.split()[0] in judged.inner_text()
        page.locator(".ca-layer img").wait_for()
        # What it cites is judged by keys too, which say it to who hears the page.
        judged.focus()
        number = judged.locator(".ca-citations li").count()
        pressed = judged.locator(".ca-citations [aria-pressed=true]")
        for _ in range(number):
            page.keyboard.press("n")
        assert pressed.all_inner_texts() == ["not supported"] * number
        assert judged.evaluate("card => card === document.activeElement")
        heard = page.locator("#cs-announce")
        assert heard.inner_text() == f"Source {number}: not supported. All sources are judged."
        page.keyboard.press("v")
        first = judged.get_by_role("group", name=re.compile(f"^Source 1 of {number}: .+, not supported$"))
        assert first.evaluate("group => group === document.activeElement")
        page.keyboard.press("n")  # once more: taken back
        assert pressed.count() == number - 1 and heard.inner_text() == "Source 1: not judged."
        page.keyboard.press("y")
        saved(page)
        page.reload()
        judged.wait_for()
        assert pressed.all_inner_texts() == ["supported", *["not supported"] * (number - 1)]
        page.keyboard.press("?")
        page.get_by_text("the source of an answer supports it, or does not").wait_for()


def test_items_come_from_files_and_leave_as_a_zip(browser, site: str, tmp_path: Path) -> None:
    photos = []
    for number in range(27):
        photos.append(tmp_path / f"{number}.png")
        photos[-1].write_bytes(photo_bytes())
    listed = [{"question": f"What is {each.stem}?", "id": each.stem, "photo": f"in/{each.name}"} for each in photos]
    listed += [{"question": "Another?", "id": "0"}, {"question": "Lost?", "photo": "none.png"}, {"question": None}]
    broken = '\n{"question": "größer, älter, über Öl'.encode() + b'\xe9"}\n'
    (tmp_path / "items.jsonl").write_bytes("\n".join(map(json.dumps, listed)).encode() + broken)
    (tmp_path / "more.csv").write_text("question;references\nWhere is it?;here|there\n")
    with person(browser, site, "ann") as ann:
        page = ann.page
        made(page, "filed")
        unfold(page, "Add items")
        sent = []
        page.on("request", lambda request: sent.append(request.url) if "/upload" in request.url else None)
        page.route("**/annotation/do/add-file", lambda route: route.abort(), times=1)
        page.get_by_label("A JSONL or CSV file").set_input_files(tmp_path / "items.jsonl")
        page.get_by_label("The photographs that it names").set_input_files(photos)
        page.get_by_role("button", name="Add the items of the file").click()
        page.get_by_text("The program cannot be reached.").wait_for()
        page.get_by_role("button", name="Add the items of the file").click()
        root(page).get_by_text("27 new items, 0 there already; 4 lines could not be taken.", exact=True).wait_for()
        assert len(sent) == 2 * (2 + 1)  # photographs go up together, 25 at most
        wrong = page.locator(".ca-wrong").inner_text()
        for words in ("line 28: The id 0 belongs to another", "'none.png' was not given", "no question", "not UTF-8"):
            assert words in wrong
        page.get_by_label("A JSONL or CSV file").set_input_files(tmp_path / "more.csv")
        page.get_by_role("button", name="Add the items of the file").click()
        root(page).get_by_text("1 new item, 0 there already.", exact=True).wait_for()
        root(page).get_by_text("28 items finished").wait_for()
        with page.expect_download() as download:
            page.get_by_role("link", name="everything (zip)").click()
        names = zipfile.ZipFile(download.value.path()).namelist()
        assert names[0] == "filed.jsonl" and len(names) == 2 and names[1].startswith("filed.jsonl.photos/")


@pytest.mark.parametrize("context", LOOKS)
def test_axe_finds_nothing_serious_in_annotation(browser, site: str, context: dict, request) -> None:
    found = []
    case = request.node.callspec.id

    def look(page, state: str) -> None:
        page.screenshot(path=ARTEFACTS / f"annotate-{state}-{case}.png", full_page=True)
        found.extend(f"{state}: {each}" for each in serious(page) + too_small(page))
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1], f"{state} is wider than the screen"

    with person(browser, site, "ann", **context) as ann:
        page = ann.page
        make(page, f"seen-{case}", 2, [("Where does this animal live?", LION)], passages=2)
        begin(page, f"seen-{case}")
        page.get_by_role("button", name="Keys", exact=True).click()
        page.get_by_text("Keys judge").wait_for()
        look(page, "judging")
        page.get_by_role("button", name="Projects", exact=True).click()
        page.get_by_role("button", name=f"Open seen-{case}").click()
        page.get_by_text("What comes out").wait_for()
        page.get_by_role("button", name="Delete the project").click()
        look(page, "project")
        page.get_by_role("link", name="Where does this animal live?").click()
        page.get_by_label("Known grade of passage 1").wait_for()
        look(page, "item")
        page.get_by_role("button", name="All projects").click()
        unfold(page, "New project")
        page.get_by_text("Grades of passages").click()
        root(page).get_by_label("Name", exact=True).fill("a b")
        page.get_by_role("button", name="Make the project").click()
        page.locator(".ca-wrong-field").wait_for()
        look(page, "making")
        page.get_by_role("button", name="People", exact=True).click()
        page.get_by_role("button", name="Invite").wait_for()
        look(page, "people")
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_invitations_and_passwords(browser, modelled: Modelled) -> None:
    with person(browser, modelled.address, "ann") as ann:
        page = ann.page
        page.get_by_role("button", name="People", exact=True).click()
        assert root(page).get_by_label("Name").input_value() == "ann"
        page.get_by_role("button", name="Invite").click()
        page.get_by_role("heading", name="Open this link now and choose your password").wait_for()
        assert page.locator("#ca-root .cs-error").count() == 0
        link = page.locator(".ca-link").inner_text()
        page.get_by_role("link", name="Choose my password").click()
        page.get_by_text("Welcome, ann").wait_for()
        page.get_by_label("A password of your own").fill("correct horse battery")
        page.get_by_role("button", name="Begin").click()
        page.get_by_text("ann, owner").wait_for()
        assert "invitation" not in page.url
        page.get_by_role("button", name="Sign out").click()
        page.get_by_text("Sign in to annotate").wait_for()
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill("wrong horse battery")
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.locator("#ca-root .cs-error").wait_for()
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.get_by_text("ann, owner").wait_for()
        page.goto("about:blank")
        page.goto(link)  # used up
        page.locator("#ca-root .cs-error", has_text="invit").wait_for()
        page.get_by_role("button", name="Go on").click()
        page.get_by_text("ann, owner").wait_for()
