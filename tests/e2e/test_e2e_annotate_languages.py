"""The Annotate tab in other languages, one of them written from the right: two people judge, differ and settle, a
project is looked at and compared, and nothing that the page shows on the way is English, nor wider than a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.web.languages import LANGUAGES, catalogue
from tests import ARTEFACTS
from tests.support.annotate import cards, root
from tests.support.axe import serious, too_small
from tests.support.browser import context_of, needs_chromium
from tests.support.e2e import CHEETAH, Visit
from tests.support.languages import english

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium

KINDS = ("annotate.", "grade.", "script.", "sentence.", "label.")
WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
# What is shown and heard, but for what people wrote and what passages say, which have their own direction.
SHOWN = """(root) => {
  const shown = root.cloneNode(true);
  shown.querySelectorAll('[dir="auto"]:not(.ca-grade *)').forEach((each) => each.remove());
  const hints = ["aria-label", "title", "alt", "placeholder", "data-head", "data-judged"];
  const heard = [...shown.querySelectorAll("*")].flatMap((each) => hints.map((name) => each.getAttribute(name)));
  const texts = document.createTreeWalker(shown, NodeFilter.SHOW_TEXT);
  const seen = [];
  while (texts.nextNode()) seen.push(texts.currentNode.data);
  return [...seen, ...heard].filter(Boolean).join("\\n");
}"""


@contextmanager
def person(browser, site: str, name: str, locale: str, texts: dict) -> Iterator[Visit]:
    with context_of(browser, site, viewport=WIDE, locale=locale) as made:
        visit = Visit(made.new_page())
        visit.page.goto(f"{site}#annotate")
        visit.page.get_by_label(texts["annotate.your_name"]).fill(name)
        visit.page.get_by_role("button", name=texts["annotate.begin"]).click()
        visit.page.get_by_role("heading", name=texts["annotate.what_to_judge"]).wait_for()
        yield visit
        assert not [each for each in visit.complaints if "Failed to load resource" not in each]  # what is refused


@pytest.mark.slow
@pytest.mark.parametrize(("locale", "code"), [("de-AT", "de"), ("ar-EG", "ar")])
def test_nothing_of_judging_settling_and_comparing_is_english(browser, site, locale, code):
    texts = catalogue(code)

    def said(key: str, **values: object) -> re.Pattern[str]:
        """A text, whatever its values; between those of what is written from the right stand marks."""
        pieces = re.split(r"\{(\w+)\}", texts[f"annotate.{key}"])
        given = [str(values.get(each, "")) if at % 2 else each for at, each in enumerate(pieces)]
        return re.compile("^" + ".*?".join(map(re.escape, given)) + "$")

    def button(visit: Visit, key: str, **values: object):
        return root(visit.page).get_by_role("button", name=said(key, **values))

    def look(visit: Visit, state: str) -> None:
        page = visit.page
        shown = root(page).evaluate(SHOWN)
        assert not (found := english(shown, code, KINDS)), (state, found)
        assert "annotate." not in shown and "{" not in shown and "undefined" not in shown, (state, shown)
        assert not (wrong := serious(page) + too_small(page)), (state, wrong)
        page.screenshot(path=ARTEFACTS / f"annotate-{code}-{state}.png", full_page=True)
        page.set_viewport_size(PHONE)
        wide = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        page.screenshot(path=ARTEFACTS / f"annotate-{code}-{state}-phone.png", full_page=True)
        page.set_viewport_size(WIDE)
        assert wide[0] <= wide[1], f"{state} is wider than a phone"

    name = f"tiere-{code}"
    with person(browser, site, "ann", locale, texts) as ann, person(browser, site, "bob", locale, texts) as bob:
        page = ann.page
        assert page.locator("html").get_attribute("dir") == LANGUAGES[code].direction
        look(ann, "begin")
        button(ann, "projects").click()
        fold = page.locator("#ca-root summary", has_text=texts["annotate.new_project"])
        fold.evaluate("summary => { summary.parentElement.open = true; }")
        box = root(page).get_by_label(texts["annotate.name"], exact=True)
        box.fill("a b")
        page.get_by_text(texts["annotate.grades_passage"], exact=True).click()
        button(ann, "make").click()
        page.locator(".ca-wrong-field").wait_for()
        look(ann, "making")
        box.fill(name)
        root(page).get_by_label(texts["annotate.judges"]).fill("2")
        button(ann, "make").click()
        root(page).get_by_label(texts["annotate.question"], exact=True).fill("How fast can this animal run?")
        root(page).get_by_label(texts["annotate.photo_field"]).set_input_files(CHEETAH)
        button(ann, "add_item").click()
        root(page).get_by_role("link", name="How fast can this animal run?").wait_for()
        root(page).get_by_label(texts["annotate.best"]).fill("2")
        button(ann, "look_for").click()
        page.get_by_text(texts["annotate.pool_done"].partition("{")[0].strip()).wait_for()
        look(ann, "project")

        button(ann, "judge").first.click()
        for visit, keys in ((ann, "1"), (bob, "3")):
            if visit is bob:
                visit.page.reload()
            button(visit, "judge_named", name=name).click()
            visit.page.locator(".ca-card.ca-current").wait_for()
            visit.page.locator(".ca-layer img").evaluate("image => image.decode()")
            if visit is ann:
                labels = page.locator(".ca-card").first.locator(".ca-grade > span").all_inner_texts()
                assert labels == [texts[f"grade.{each}"] for each in ("answers", "subject", "wrong_subject", "unclear")]
                page.keyboard.press("m")
                look(ann, "marking")
                # The arrow towards the right goes on in this passage, whichever way the page is written.
                page.keyboard.press("ArrowRight")
                assert page.locator("mark.ca-choosing").evaluate("mark => mark.previousSibling.data.length") > 0
                page.keyboard.press("Escape")
                page.keyboard.press("?")
                look(ann, "keys")
                page.keyboard.press("s")
                look(ann, "aside")
                page.keyboard.press("Escape")
            for _ in visit.page.locator(".ca-card").all():
                visit.page.keyboard.press(keys)
            visit.page.locator(".ca-saved", has_text=re.compile(f"^{texts['annotate.saved']}$")).wait_for()
        assert texts["grade.answers"] in cards(page)
        button(ann, "what_judged").click()
        page.locator(".ca-back li").first.wait_for()
        first = page.locator(".ca-card").first
        first.get_by_role("button", name=texts["annotate.said_before"]).click()
        first.get_by_role("table").wait_for()
        look(ann, "judged")
        button(ann, "next_item").click()
        page.get_by_text(texts["annotate.nothing_left"]).wait_for()
        look(ann, "end")

        button(ann, "projects").click()
        look(ann, "projects")
        button(ann, "open_named", name=name).click()
        dispute = page.locator(".ca-dispute").first
        dispute.get_by_role("button", name=texts["grade.answers"], exact=True).click()
        dispute.locator(".ca-settled", has_text=texts["grade.answers"]).wait_for()
        page.locator("#ca-root summary", has_text=texts["annotate.compare"]).click()
        root(page).get_by_role("region", name=texts["annotate.measures"]).wait_for()
        button(ann, "delete_project").click()
        button(ann, "delete_it").wait_for()
        page.locator("#ca-root summary", has_text=texts["annotate.settled"]).first.click()
        page.locator("details details summary").first.wait_for()
        look(ann, "settling")
        root(page).get_by_role("link", name="How fast can this animal run?").click()
        root(page).get_by_role("heading", name=texts["annotate.known"]).wait_for()
        button(ann, "remove_item").click()
        look(ann, "item")
        button(ann, "people").click()
        root(page).get_by_role("table").wait_for()
        look(ann, "people")
        bob.page.goto(f"{site}#annotate/projects/{name}")
        bob.page.goto(f"{site}#annotate/judge/nothing-of-the-kind")
        bob.page.locator("#ca-root [role=alert]").wait_for()
        look(bob, "refused")
