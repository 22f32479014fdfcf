"""The page in other languages: the browser's, or a chosen one, from the right where it is written so; the answer read
aloud."""

from __future__ import annotations

import re

import pytest

from app.web import languages
from app.web.languages import LANGUAGES, catalogue, number, spoken
from tests import ARTEFACTS
from tests.support.axe import serious, too_small
from tests.support.browser import context_of, needs_chromium
from tests.support.e2e import Visit
from tests.support.languages import english

pytest.importorskip("playwright.sync_api")

pytestmark = needs_chromium

KINDS = ("label.", "still.", "script.", "answer.", "evidence.", "notice.")
FORM = ("label.", "still.", "script.", "source.", "corpora.", "sentence.")

# Says what was read instead of reading it, and that it has ended when it is told to.
SPEECH = """
window.spoken = [];
window.SpeechSynthesisUtterance = function (text) { this.text = text; };
Object.defineProperty(window, "speechSynthesis", { value: {
  speak: (said) => { window.spoken.push([said.text, said.lang]); window.ends = () => said.onend(); },
  cancel: () => window.spoken.push("stop"),
} });
"""


def arrived(page, address: str) -> Visit:
    visit = Visit(page)
    with page.expect_response("**/run/predict"):
        page.goto(address)
    page.locator(".cs-empty").wait_for()
    visit.until(lambda: page.locator("html").get_attribute("dir"))
    return visit


def test_the_browser_counts_as_the_program_does(browser, site):
    with context_of(browser, site, viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        for code in LANGUAGES:
            forms = page.evaluate(
                "(code) => Array.from({ length: 1300 }, (_, n) => new Intl.PluralRules(code).select(n))", code
            )
            assert forms == [languages._form(code, count) for count in range(1300)], code


@pytest.mark.parametrize(("locale", "code"), [pytest.param("de-AT", "de", marks=pytest.mark.slow), ("ar-EG", "ar")])
def test_nothing_of_the_page_is_english_where_the_browser_wants_another(browser, site, locale, code):
    texts = catalogue(code)
    with context_of(browser, site, viewport={"width": 1280, "height": 900}, locale=locale) as context:
        visit = arrived(context.new_page(), site)
        page = visit.page
        visit.until(lambda: page.locator("html").get_attribute("lang") == code)
        assert page.locator("html").get_attribute("dir") == LANGUAGES[code].direction
        assert page.locator(".cs-language select").input_value() == code
        visit.until(lambda: texts["still.empty"] in page.locator(".cs-empty").inner_text())
        assert texts["label.question"] in page.locator("#cs-question").inner_text()
        assert page.locator("#cs-question textarea").get_attribute("placeholder") == texts["label.ask_about_it"]
        assert page.locator("#tab-corpora-button").inner_text() == texts["label.tab_corpora"]
        first = page.locator("#cs-main").inner_text()
        names = [each.get_attribute("aria-label") for each in page.locator("#cs-photo button").all()]
        assert {texts[f"script.{name}_photo"] for name in ("upload", "take", "paste")} <= set(names), names
        assert page.locator("footer .show-api").inner_text().strip() == texts["script.use_by_api"]
        for value, places in ((0, 0), (12_345, 0), (-0.8, 2), (12_345.678, 1)):
            with spoken(LANGUAGES[code]):
                assert page.evaluate("([value, places]) => citesight.number(value, places)", [value, places]) == number(
                    value, places
                )
        page.locator("#cs-ask").click()
        assert page.locator("#cs-problem [role=alert]").inner_text() == texts["notice.photo_first"]
        page.locator("#cs-try-cheetah").click()
        assert "104 km/h" in visit.answered()
        assert page.locator(".cs-said").get_attribute("lang") == "en"
        sides = page.locator(".cs-title").evaluate_all("all => all.map((each) => getComputedStyle(each).textAlign)")
        assert set(sides) == {"right" if code == "ar" else "left"}  # whatever language the titles are in
        left, right = (page.locator(f"#cs-{side}").bounding_box()["x"] for side in ("left", "right"))
        assert (left > right) is (code == "ar")
        hints = page.locator("#cs-main").evaluate(
            """(main) => Array.from(main.querySelectorAll("[aria-label], [title], img[alt]"))
                .flatMap((each) => ["aria-label", "title", "alt"].map((name) => each.getAttribute(name))).join("\\n")"""
        )
        for said in (first, page.locator("#cs-main").inner_text(), hints):
            assert not english(said, code, KINDS), english(said, code, KINDS)
        assert not serious(page) + too_small(page)
        assert not visit.complaints


def test_another_language_can_be_chosen_and_is_kept_and_an_unknown_one_is_english(browser, site):
    with context_of(browser, site, viewport={"width": 1280, "height": 900}, locale="nl-NL") as context:
        visit = arrived(context.new_page(), site)
        page = visit.page
        visit.until(lambda: page.locator("html").get_attribute("lang") == "en")
        with page.expect_navigation():
            page.locator(".cs-language select").select_option("fr")
        page.get_by_role("button", name="Demander", exact=True).wait_for()
        with page.expect_response("**/run/predict"):
            page.reload()
        page.get_by_role("button", name="Demander", exact=True).wait_for()
        visit.until(lambda: page.locator("html").get_attribute("lang") == "fr")
        page.locator("#cs-try-lion").click()
        visit.answered()
        # Another test may have asked the same here before.
        page.locator(".cs-timing", has_text=re.compile("Répondu en|Déjà connu")).wait_for()


def test_the_answer_is_read_aloud_without_its_marks_until_it_is_stopped_or_another_is_asked(browser, site):
    with context_of(browser, site, viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.add_init_script(SPEECH)
        visit = arrived(page, site)
        page.locator("#cs-try-cheetah").click()
        visit.answered()
        aloud = page.locator(".cs-aloud")
        aloud.click()
        assert aloud.inner_text() == "Stop reading" and aloud.get_attribute("aria-pressed") == "true"
        text, language = page.evaluate("window.spoken.at(-1)")
        assert "104 km/h" in text and "[" not in text and not re.search(r"\b1\b", text) and language == "en"
        page.evaluate("window.ends()")
        assert aloud.inner_text() == "Read aloud"
        aloud.click()
        aloud.click()
        assert page.evaluate("window.spoken.at(-1)") == "stop" and aloud.inner_text() == "Read aloud"
        aloud.click()
        page.get_by_label("Question").fill("Where does it live?")
        page.get_by_role("button", name="Ask", exact=True).click()
        visit.until(lambda: page.evaluate("window.spoken.at(-1)") == "stop")


def test_there_is_no_button_to_read_aloud_where_the_browser_cannot(browser, site):
    with context_of(browser, site, viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.add_init_script("delete window.SpeechSynthesisUtterance;")
        visit = arrived(page, site)
        page.locator("#cs-try-cheetah").click()
        visit.answered()
        page.locator(".cs-foot").wait_for()
        assert page.locator(".cs-aloud").count() == 0


@pytest.mark.parametrize(("locale", "code"), [pytest.param("de-AT", "de", marks=pytest.mark.slow), ("ar-EG", "ar")])
def test_nothing_of_the_form_for_a_new_corpus_is_english(browser, site, locale, code):
    texts = catalogue(code)
    with context_of(browser, site, viewport={"width": 1280, "height": 900}, locale=locale) as context:
        visit = arrived(context.new_page(), site)
        page = visit.page
        page.locator("#tab-corpora-button").click()
        page.locator("#cc-add > button").click()
        box, told = page.locator("#cc-files [data-testid='upload-text']"), ("drop_files", "or", "choose_files")
        visit.until(lambda: box.inner_text().split() == " ".join(texts[f"script.{each}"] for each in told).split())
        kind = page.locator("#cc-kind input")
        visit.until(lambda: kind.input_value() == texts["source.upload"])
        kind.click()
        options = page.locator("ul").get_by_role("option")
        visit.until(lambda: options.count() > 5)
        said = [each.strip().removeprefix("✓").strip() for each in options.all_inner_texts()]
        assert set(said) <= {text for key, text in texts.items() if key.startswith("source.")}
        for each in said:
            kind.click()
            options.filter(has_text=each).first.click()
            visit.until(lambda each=each: kind.input_value() == each)
            if each == texts["source.folder_kind"]:
                page.locator("#cc-what").get_by_text(texts["source.folder_help"]).wait_for()
                page.locator("#cc-start").click()
                told = texts["corpora.fill_in"].format(field=texts["source.folder"])
                page.locator("#cc-unbegun [role=alert]", has_text=told).wait_for()
                page.screenshot(path=ARTEFACTS / f"corpora-form-{code}.png", full_page=True)
            shown = page.locator("#cc-add").evaluate(
                """(form) => [form.innerText, ...Array.from(form.querySelectorAll("[placeholder]"), (each) =>
                    each.placeholder)].join("\\n")"""
            )
            assert not english(shown, code, FORM), (each, english(shown, code, FORM))
        assert not visit.complaints
