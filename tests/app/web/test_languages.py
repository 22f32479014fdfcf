"""The languages of the page: all texts in all of them, which one a request is answered in, and that nothing else is
told than what has been translated."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from app.service import corpus_files
from app.service.results import left_out_of_search
from app.web import languages, notices
from app.web.ask import answer_html, evidence_html, heat_maps
from app.web.corpora import corpora_html, form
from app.web.error_sentences import sentence_for
from app.web.languages import LANGUAGES, catalogue, counted, in_words, number, percent, say, spoken, wanted
from app.web.languages import PLACE as PLACES
from common.images import ACCEPTED, load_image
from common.problems import BadRequest, Problem
from generator.answers import Answer
from generator.extractive import templates
from generator.grounding import language as grounding
from kb.sources.registry import KINDS
from retriever.encoders.registry import PROFILES
from tests import ROOT
from tests.support.page import passage, result

WEB = ROOT / "app" / "web"
OTHERS = [code for code in LANGUAGES if code != "en"]
PLACE = re.compile(r"\{(\w+)\}")
FORMS = {"en": {"one", "other"}, "de": {"one", "other"}, "fr": {"one", "other"}, "es": {"one", "other"},
         "zh-CN": {"other"}, "ar": {"one", "two", "few", "many", "other"}}  # fmt: skip


def places(text: str | dict[str, str]) -> set[str]:
    return set(PLACE.findall(text if isinstance(text, str) else text["other"]))


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_text_is_there_in_every_language_with_the_same_values_and_without_markup(code):
    english, texts = catalogue("en"), catalogue(code)
    assert set(texts) == set(english)
    for key, text in texts.items():
        assert places(text) == places(english[key]), key
        assert isinstance(text, dict) == isinstance(english[key], dict), key
        if isinstance(text, dict):
            assert set(text) in (FORMS[code], {"other"}), key
        for each in [text] if isinstance(text, str) else text.values():
            assert each and not re.search(r'[<>&"]', each), key  # it goes into HTML as it is
            assert each.count("{") == each.count("}") == len(PLACE.findall(each)), key


@pytest.mark.parametrize("code", OTHERS)
def test_hardly_a_text_is_the_english_one(code):
    same = {key for key, text in catalogue(code).items() if text == catalogue("en")[key]}
    ours = {key for key in same if re.search(r"[a-z]", PLACE.sub("", str(catalogue(code)[key])))}
    # Such as "Photo" and "Passage".
    assert all(len(re.findall(r"[a-z]+", PLACE.sub("", str(catalogue(code)[key])))) <= 6 for key in ours), ours
    assert len(ours) <= 45, ours


def used() -> set[str]:
    """The keys that the page's Python and scripts name."""
    found = set()
    for file in WEB.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and re.fullmatch(r"[a-z]+\.\w+", str(node.value)):
                found.add(node.value)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("label", "still") and node.args:
                prefix = node.func.id
                found |= {
                    f"{prefix}.{each.value}"
                    for each in ast.walk(node.args[0])
                    if isinstance(each, ast.Constant) and not each.value.endswith(".")
                }
    for file in (WEB / "static").rglob("*.js"):
        found |= set(re.findall(r'"((?:script|still|annotate)\.\w+)"', file.read_text(encoding="utf-8")))
    return found


def test_every_text_that_is_named_is_there_and_every_text_is_named():
    prefixes = {key.partition(".")[0] for key in catalogue("en")}
    named = {key for key in used() if key.partition(".")[0] in prefixes and not key.endswith((".md", ".json", ".html"))}
    assert named <= set(catalogue("en"))
    made = {"script.too_large", "script.too_large_file", "script.not_stored", "script.not_stored_file",
            "answer.unsupported_alone", "answer.unchecked_alone", "evidence.quoted_mark", "evidence.word_mark",
            "still.recognises_mini", "script.photo_there"}  # fmt: skip
    rest = {key for key in catalogue("en") if key not in named | made}
    looked_up = {"sentence", "step", "page", "grade", "source", "place", "percent", "comma", "stop", "between", "last"}
    assert {key.partition(".")[0] for key in rest} <= looked_up, rest


@pytest.mark.parametrize(
    ("accepted", "code"),
    [
        ("de-DE,de;q=0.9,en;q=0.8", "de"), ("pt-BR,fr;q=0.7,en;q=0.3", "fr"), ("zh-TW,zh;q=0.9", "zh-CN"),
        ("ar-EG", "ar"), ("ES", "es"), ("en;q=0.2,es;q=0.9", "es"), ("de;q=0,fr", "fr"),
        ("", "en"), ("nl", "en"), ("*", "en"), (";;;q=,,x;q=9,\x00", "en"), ("de;q=many", "en"), ("a" * 9000, "en"),
        ("nl," * 500 + "de", "en"),
    ],
)  # fmt: skip
def test_a_request_is_answered_in_the_language_its_browser_prefers_and_in_english_for_nonsense(accepted, code):
    assert wanted({"accept-language": accepted}).code == code


@pytest.mark.parametrize(
    ("cookie", "code"),
    [("citesight-language=fr", "fr"), ("a=b; citesight-language=zh-CN", "zh-CN"), ("citesight-language=xx", "de"),
     ("citesight-language=../../secret", "de"), ("nonsense\x00;=", "de")],
)  # fmt: skip
def test_what_a_person_chose_goes_before_what_the_browser_prefers(cookie, code):
    assert wanted({"cookie": cookie, "accept-language": "de"}).code == code


def test_a_language_lasts_for_its_block():
    with spoken(LANGUAGES["de"]):
        assert say("answer.heading") == "Antwort"
    assert say("answer.heading") == "Answer"


def test_numbers_and_counts_are_written_as_the_language_does():
    written = {}
    for code, language in LANGUAGES.items():
        with spoken(language):
            written[code] = (number(10033), number(0.55, 1), percent(0.97))
    assert written["en"] == ("10,033", "0.6" if f"{0.55:.1f}" == "0.6" else f"{0.55:.1f}", "97%")
    assert written["de"][0] == "10.033" and "," in written["de"][1] and written["de"][2] == "97\u00a0%"
    assert written["fr"][0] == "10\u202f033"
    for code in ("de", "fr", "es"):  # a number and its sign stay on one line
        assert written[code][2] == "97\u00a0%"
        assert not [key for key, text in catalogue(code).items() if " %" in str(text)]
    assert not [key for key, text in catalogue("fr").items() if re.search(" [;:!?»]|« ", str(text))]
    with spoken(LANGUAGES["ar"]):
        forms = [counted("answer.earlier", count) for count in (1, 2, 3, 11, 100)]
    assert len({re.sub(r"\d+", "", form) for form in forms}) == 5
    with spoken(LANGUAGES["fr"]):
        assert counted("evidence.more", 0) == "0 autre passage"


SAID = [
    "The evidence I found does not say: the nearest passage is about Lion [1], but it does not say how fast.",
    "The evidence I found does not say: the nearest passages are about Lion [1] and Cat [2], but they do not say who.",
    "The evidence I found does not say: the passages found are only loosely related to the question.",
    "The evidence I found does not say: no passage was found.",
    "I do not recognise what the photo shows; the nearest guesses are Lion [1], Cat [2] and Dog [3].",
    "I do not recognise what the photo shows; the nearest guess is Lion [1].",
    "I do not recognise persons; name the person in the question.",
    "The evidence I found does not say: no passage was found. The question seems to be in another language than the "
    "passages, which are in English: ask in English.",
    "likely Lion (97 %)",
    "Lion, by what the question says",
    "Indexing passages: 1,000 of 10,033, 50 a second, about 3 minutes left; questions are answered from the part that "
    "is done.",
    "Starting; questions are answered in a moment.",
    "You have asked 20 questions within a minute, as many as one person may; ask again in 7 seconds.",
    "4 questions of yours are being answered or wait, as many as one person may ask at once; ask again when one of "
    "them is done.",
]


@pytest.mark.parametrize("code", OTHERS)
@pytest.mark.parametrize("sentence", SAID)
def test_what_the_service_says_in_english_is_said_in_the_language(code, sentence):
    with spoken(LANGUAGES[code]):
        said = in_words(sentence)
    assert said != sentence and "{" not in said
    titles = re.findall(r"\b(?:Lion|Cat|Dog)\b|\[\d\]|[\d,]*\d", sentence)
    assert all(title in said for title in titles)
    english = re.findall(r"\b(?:the|is|are|does|not|question|evidence|passages?|about|left)\b", said)
    assert not english or code in ("fr",) and set(english) <= {"question", "passages", "passage"}, said


@pytest.mark.parametrize("code", OTHERS)
def test_languages_and_lists_are_said_in_the_language_within_sentences(code):
    with spoken(LANGUAGES[code]):
        for name in grounding._CODES.values():
            said = in_words(
                f"Nothing. The question seems to be in another language than the passages, which are in {name}: ask in "
                f"{name}."
            )
            assert not re.search(rf"\b{name}\b", said) and said.count(in_words(name)) == 2
        with pytest.raises(BadRequest) as refused:
            corpus_files.plain_name("a.exe")
        said = in_words(str(refused.value))
        assert in_words(corpus_files.left_out([Path("a.exe")])[0].why).partition(".txt")[2] == said.partition(".txt")[2]
        said += in_words(f"This is not a photo; save it as one of {ACCEPTED} and try again.")
    assert not re.search(r"\b(?:and|pictures|kind|save)\b", said), said
    last = {"de": "AVIF und HEIC", "fr": "AVIF et HEIC", "es": "AVIF y HEIC", "zh-CN": "AVIF和HEIC", "ar": "AVIF وHEIC"}
    assert said.count(last[code]) == 2 and (", " in said) is (code in ("de", "fr", "es"))


def test_shares_within_sentences_are_written_as_the_language_does():
    with spoken(LANGUAGES["fr"]):
        assert in_words("likely Lion (97 %)") == "probablement Lion (97\u00a0%)"
        assert in_words(left_out_of_search(0.25)).startswith("25\u00a0% des passages")
        assert in_words(left_out_of_search(0.001)).startswith("Moins de 1\u00a0% des passages")
    with spoken(LANGUAGES["zh-CN"]):
        assert "97%" in in_words("likely Lion (97 %)")


@pytest.mark.parametrize("code", LANGUAGES)
def test_nothing_that_is_read_names_a_setting(code):
    assert not [key for key, text in catalogue(code).items() if "CITESIGHT_" in str(text)]


def test_sizes_are_said_with_the_units_of_the_language():
    said = {}
    for code in ("en", "fr", "ar"):
        with spoken(LANGUAGES[code]):
            said[code] = [corpora_html.size(octets).replace("\u00a0", " ") for octets in (1, 238, 4_900_000)]
    assert said["en"] == ["1 byte", "238 bytes", "4.9 MB"] and said["fr"] == ["1 octet", "238 octets", "4,9 Mo"]
    assert said["ar"] == ["1 بايت", "238 بايت", "4.9 م.ب"]  # Latin letters would turn the number round


def test_all_that_an_answer_says_in_place_of_quotes_is_known():
    sentences = [f"{templates.NOT_SAID}{templates.ABOUT_ONE}X [1],{templates.BUT_ONE}{wanted}." for wanted in
                 templates.WANTED.values()]  # fmt: skip
    with spoken(LANGUAGES["de"]):
        for sentence in sentences:
            assert "X [1]" in in_words(sentence)
            assert not any(word in in_words(sentence) for word in templates.WANTED.values()), sentence


def test_what_nobody_has_translated_stays_as_it_is_and_long_texts_are_not_looked_at():
    with spoken(LANGUAGES["de"]):
        assert in_words("A sentence of a server far away.") == "A sentence of a server far away."
        assert in_words(long := "likely " + "x" * 5000 + " (1 %)") == long


def test_where_a_heat_map_lies_and_what_was_not_searched_is_said_in_the_language():
    import numpy as np

    for row in range(3):
        for column in range(3):
            spot = np.zeros((3, 3))
            spot[row, column] = 1
            band = np.zeros((3, 3))
            band[row], band[:, column] = 1, 0
            for shares in (spot, band, band.T, np.ones((3, 3))):
                where = heat_maps.where(shares)
                with spoken(LANGUAGES["es"]):
                    assert not where or not re.search(r"\b(the|of|mostly|over)\b", in_words(where)), where
    with spoken(LANGUAGES["es"]):
        assert in_words(left_out_of_search(0.25)).startswith("No se pudo")


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4", b"<svg xmlns=", b"nonsense", b"\xff\xd8\xff\xe0broken"])
def test_a_photo_that_is_none_is_refused_in_the_language(tmp_path, data):
    (tmp_path / "photo").write_bytes(data)
    with pytest.raises(Problem) as refused:
        load_image(tmp_path / "photo")
    with spoken(LANGUAGES["fr"]):
        assert sentence_for(refused.value) != str(refused.value)


def test_answers_and_evidence_are_shown_in_the_language_and_their_texts_stay():
    english = re.compile(r"\b(?:the|of|Answer|Evidence|cited|score|Retry|passages|Save|source)\b")
    silent = result("The evidence I found does not say: no passage was found.", False)
    with spoken(LANGUAGES["ar"]):
        shown = answer_html.final_answer(result(indexed=3, total=10), key="k")
        none = answer_html.final_answer(silent)
        cards = evidence_html.evidence("r", (passage(1, was=3),), "How tall?", (), 1, True, {})
        broken = answer_html.broken_off(answer_html.working(say("notice.looking")))
        status = notices.error(sentence_for(Problem("Type a question about the photo.")), "#cs-ask")
    own = re.sub(r"<[^>]*>", " ", f"{shown}{none}{broken}{status}")
    own = own.replace("It stands up to 100 cm tall.", "").replace("How tall is this heron?", "")
    assert not english.search(own.replace("none gives a height", "")), own
    assert "Herons eat fish and frogs." in cards and "Grey heron" in cards and "الأدلة" in cards
    assert 'lang="en"' in shown or "lang=" not in shown


def test_the_corpora_are_shown_in_the_language():
    from datetime import UTC, datetime

    from app.service.corpus_state import CorpusState
    from app.service.job_states import IngestionState

    then = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    states = [
        CorpusState("birds", "Birds", documents=1200, passages=3, text_bytes=2_500_000, state=state, seen=3, total=7,
                    started=then.isoformat(), finished=then.isoformat(), skipped=2, usual=True, can_repeat=True)
        for state in IngestionState
    ]  # fmt: skip
    english = re.compile(r"\b(?:the|of|documents?|passages?|Delete|Browse|Pause|Resume|Last|asked|ingested)\b")
    with spoken(LANGUAGES["de"]):
        page = corpora_html.corpora(states, True, datetime(2026, 3, 2, tzinfo=UTC))
    shown = re.sub(r'\b(?:class|data-\w+)="[^"]*"|</?\w+', " ", re.sub('data-sure="([^"]*)"', r"\1", page))
    assert not english.search(shown), english.search(shown)
    assert "1.200 Dokumente und den Index endgültig löschen?" in page
    assert "2,5\u00a0MB" in page and "am 2026-01-02" in page


def test_the_language_of_an_answer_is_that_of_its_evidence_for_who_hears_it():
    german = result("104 km/h [1]", passages=(passage(1, language="de"), passage(2)))
    assert ' lang="de"' in answer_html.final_answer(german)
    hostile = result("104 km/h [1]", passages=(passage(1, language='x" onclick="'), passage(2)))
    assert "lang=" not in answer_html.final_answer(hostile)
    silent = Answer("I do not recognise persons; name the person in the question.", (), False, "no")
    with spoken(LANGUAGES["de"]):
        page = answer_html.final_answer(result(answer=silent))
    assert 'lang="de"' in page and "Personen werden nicht erkannt" in page


@pytest.mark.parametrize("code", OTHERS)
def test_the_form_of_a_new_corpus_is_in_the_language(code):
    """Whatever a kind of source says of itself; data sets and codes of languages are called as they are."""
    fields = [field for kind in KINDS.values() for field in kind.fields if field.on_page]
    said = {text for field in fields for text in (field.label, field.help, field.example) if text}
    assert {missing for field in fields if (missing := field.missing)} == {"Give the corpus a name"}
    with spoken(LANGUAGES[code]):
        assert {text for text in said if form.translated(text) == text} <= {"Licence"}
        assert {value for shown, value in form.choices() if shown == value} == set()
        for name in ("Choose where the corpus comes from.", "Give the corpus a name first."):
            assert in_words(name) != name
        with pytest.raises(BadRequest) as refused:
            form.asked("A folder on the machine that runs this page", [None] * len(form.boxes()))
        assert form.translated("Folder") in str(refused.value) and "Fill in" not in str(refused.value)


UNTAKEN = [
    "It has no text.", "It is larger than 50 MB.", "It is damaged (BadZipFile).", "It is damaged or not a PDF.",
    "It is protected by a password; save it without one.",
    "notes.csv lacks the columns text and title; the columns in its first line are a, b.",
    "Its encoding is not known; save it as UTF-8.", "The id x came before; the first of them is kept.",
    "There is a corpus called birds already, from elsewhere; choose another name.",
    "These are 300 files and 200 can be uploaded at a time.", "Choose files to upload first.",
    "Ingesting birds stopped because of OSError (no room); start again to go on from there.",
]  # fmt: skip


@pytest.mark.parametrize("sentence", UNTAKEN)
def test_why_something_cannot_be_taken_is_said_in_the_language(sentence):
    english = re.compile(r"\b(?:the|its?|is|are|has|line|lines|columns|file|files|to|in)\b", re.IGNORECASE)
    with spoken(LANGUAGES["ar"]):
        said = in_words(sentence)
    assert said != sentence and not english.search(said), said


def test_where_something_is_is_said_in_the_language_and_is_no_sentence():
    with spoken(LANGUAGES["de"]):
        for said, place in {"a.csv, line 3": "a.csv, Zeile 3", "a.csv, lines 3 to 5": "a.csv, Zeilen 3 bis 5",
                            "the folder /data/notes": "dem Ordner /data/notes"}.items():  # fmt: skip
            assert in_words(said, PLACES) == place and in_words(said) == said


def test_what_a_profile_recognises_can_be_said():
    for profile in PROFILES.values():
        assert not profile.recognises or "data-say" in languages.still_sentence(profile.recognises)


def test_the_files_are_the_languages():
    files = {file.stem for file in Path(WEB, "texts").glob("*.json")}
    assert files == set(LANGUAGES)
    for file in Path(WEB, "texts").glob("*.json"):
        pairs = json.loads(file.read_text(encoding="utf-8"), object_pairs_hook=list)
        assert len({key for key, _ in pairs}) == len(pairs), file  # no key twice
