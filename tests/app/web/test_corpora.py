"""The Corpora page without a browser: its HTML, its handlers, and what of it can be reached over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import gradio as gr
import httpx
import pytest
from gradio_client import Client

from app.service.corpus_state import CorpusState
from app.service.ingestions import Ingestions
from app.service.results import IndexStatus
from app.settings import load_settings
from app.web.corpora import corpora_html as html
from app.web.corpora import form, reading_html
from app.web.corpora.form import UPLOAD
from app.web.corpora.page import MAX_COMMAND, PASSAGES, PER_PAGE, Corpora, Reading
from app.web.corpora.reading_html import Leaf
from app.web.page import build_page, launch
from common.passage import Passage
from kb import ingest as ingestion
from kb.catalogue import Catalogue
from kb.records import Document, DocumentRecord, Note, Section, Skipped, TextHit
from kb.sources.registry import KINDS
from tests.app.service.test_ingestions import write
from tests.fakes.small_encoder import SmallEncoder
from tests.support.databases import sqlite
from tests.support.kb import record, source
from tests.support.page import HOSTILE, Birds, Seen, assert_harmless, call, handlers, queued
from tests.support.pdf import pdf
from tests.support.ports import free_port
from tests.support.service import services
from tests.support.waiting import wait_for

NOW = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
FOLDER, TABLE = KINDS["folder"].label, KINDS["jsonl"].label
FETCHED = next(kind.name for kind in KINDS.values() if kind.fixed is not None)
RUNNING = CorpusState(
    "birds", "Birds", "CC0", "en", "", 1500, 3000, 2_500_000, "running", 1500, 10_000, 0.15, 120.0, 70.8,
    NOW.isoformat(), here=True, can_repeat=True, origin="folder /home/me/birds",
)  # fmt: skip


def text(markup: str) -> str:
    return " ".join(Seen(markup.replace("<", " <").replace(" </time> .", "</time>.")).text.split())


def buttons(markup: str) -> dict[str, dict]:
    return {each["data-do"]: each for each in Seen(markup).named("button")}


class TestHtml:
    def test_hostile_texts_stay_text_everywhere(self) -> None:
        bad = replace(
            RUNNING, name=HOSTILE, title=HOSTILE, licence=HOSTILE, language=HOSTILE, error=HOSTILE, origin=HOSTILE,
            skipped=3, skips=(Skipped(HOSTILE, HOSTILE),), noted=3, notes=(Note(HOSTILE, HOSTILE),), started=HOSTILE,
            index=IndexStatus("indexing", 1, 2, HOSTILE),
        )  # fmt: skip
        passage = Passage(
            id=HOSTILE,
            document_id=HOSTILE,
            corpus=HOSTILE,
            title=HOSTILE,
            text=HOSTILE,
            url=HOSTILE,
            language=HOSTILE,
            licence=HOSTILE,
            position=0,
            section=HOSTILE,
        )
        document = Document(HOSTILE, HOSTILE, HOSTILE, "javascript:alert(1)", HOSTILE, HOSTILE, HOSTILE, HOSTILE, "")
        given = DocumentRecord(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, (), sections=(Section((), HOSTILE),))
        states = ("waiting", "starting", "running", "pausing", "paused", "finished", "failed", "interrupted", "none",
                  "deleting", "comparing", HOSTILE)  # fmt: skip
        everything = [
            *(html.corpora([replace(bad, state=each)], True, NOW) for each in states),
            html.corpora([replace(bad, index=IndexStatus("failed", 0, 0, HOSTILE), usual=True)], True, NOW),
            html.preview([given, Skipped(HOSTILE, HOSTILE), Note(HOSTILE, HOSTILE)]),
            reading_html.documents([document], Leaf(HOSTILE, True, True, HOSTILE)),
            reading_html.hits([TextHit(passage, 1.0)], HOSTILE, Leaf(HOSTILE, True, True, HOSTILE)),
            reading_html.document(document, [passage], {HOSTILE: [(passage, 0.9)] * 9}, True),
            html.told(HOSTILE),
        ]
        for markup in everything:
            assert_harmless(markup)
            assert "<script>window.pwned=1</script>" in Seen(markup).text

    def test_a_run_under_way_is_told_with_its_progress(self) -> None:
        markup = html.corpora([RUNNING], True, NOW)
        said = text(markup)
        assert "1,500 documents 3,000 passages 2.5 MB CC0 en" in said
        assert "Being ingested 1,500 of 10,000 documents, 120 a second, about 71 seconds left." in said
        assert "From folder /home/me/birds" in said
        (bar,) = [each for each in Seen(markup).named("div") if each.get("role") == "progressbar"]
        assert bar["aria-valuenow"] == "15"
        assert set(buttons(markup)) == {"browse", "pause", "delete"}
        assert "not started from this page" in text(html.corpora([replace(RUNNING, here=False)], True, NOW))

    @pytest.mark.parametrize(
        ("state", "offered"),
        [
            ("waiting", {"browse", "pause", "delete"}), ("starting", {"browse", "pause", "delete"}),
            ("pausing", {"browse", "delete"}), ("paused", {"browse", "resume", "delete"}),
            ("failed", {"browse", "resume", "delete"}), ("interrupted", {"browse", "resume", "delete"}),
            ("finished", {"browse", "resume", "delete"}), ("deleting", {"browse"}), ("none", {"browse", "delete"}),
        ],
    )  # fmt: skip
    def test_what_can_be_done(self, state: str, offered: set[str]) -> None:
        assert set(buttons(html.corpora([replace(RUNNING, state=state)], True, NOW))) == offered
        assert set(buttons(html.corpora([replace(RUNNING, state=state)], False, NOW))) == {"browse"}
        assert "resume" not in buttons(html.corpora([replace(RUNNING, state=state, can_repeat=False)], True, NOW))

    def test_deleting_asks_first(self) -> None:
        asked = buttons(html.corpora([replace(RUNNING, usual=True)], True, NOW))["delete"]["data-sure"]
        assert asked.startswith("Delete 1,500 documents and the index for good? It is the corpus that is asked")

    def test_ends_are_told(self) -> None:
        ago = (NOW - timedelta(minutes=5)).isoformat()
        done = replace(RUNNING, state="finished", finished=ago)
        assert "Texts complete Last run 5 min ago" in text(html.corpora([done], True, NOW))
        failed = replace(done, state="failed", error="The disk is full.")
        assert "Failed Last run 5 min ago" in text(html.corpora([failed], True, NOW))
        assert "The disk is full." in text(html.corpora([failed], True, NOW))
        stale = replace(RUNNING, state="interrupted", stale=True, started=ago)
        assert "has ended without a word" in text(html.corpora([stale], True, NOW))
        newer = replace(done, newer=7)
        assert "A version cut anew has 7 documents" in text(html.corpora([newer], True, NOW))
        skipped = replace(done, skipped=12, skips=(Skipped("a.txt", "It is empty."),))
        told = text(html.corpora([skipped], True, NOW))
        assert "12 things could not be taken a.txt It is empty. and 11 more" in told and "note" not in told
        noted = replace(done, noted=1, notes=(Note("b.txt", "It was read as koi8-r, which is a guess."),))
        told = text(html.corpora([noted], True, NOW))
        assert "1 note on what was taken b.txt It was read as koi8-r" in told and "could not" not in told

    @pytest.mark.parametrize(
        ("state", "word"),
        [*((each, "Texts complete") for each in ("starting", "indexing", "failed")), ("ready", "Complete")],
    )
    def test_a_corpus_is_complete_when_its_index_is(self, state: str, word: str) -> None:
        told = IndexStatus(state, 5_240, 10_033, "Indexing passages: 5,240 of 10,033.")
        card = replace(RUNNING, state="finished", finished=NOW.isoformat(), index=told)
        assert f" {word} Last run just now" in text(html.corpora([card], True, NOW))

    def test_a_corpus_of_which_nothing_could_be_taken_is_not_complete(self) -> None:
        bare = replace(
            RUNNING, state="finished", documents=0, passages=0, finished=NOW.isoformat(), skipped=1,
            skips=(Skipped("bad.pdf", "It is damaged."),),
        )  # fmt: skip
        markup = html.corpora([bare], True, NOW)
        assert "Complete" not in markup and "Nothing could be taken Last run just now" in text(markup)
        assert "bad.pdf It is damaged." in text(markup)
        assert [each for each in Seen(markup).named("details") if "open" in each]
        empty = text(html.corpora([replace(bare, skipped=0, skips=())], True, NOW))
        assert "Complete" not in empty and "Empty Last run" in empty

    def test_no_corpus(self) -> None:
        assert "Add one below" in html.corpora([], True) and "Add one below" not in html.corpora([], False)
        assert "can allow changing them" in html.corpora([RUNNING], False)

    @pytest.mark.parametrize(
        ("seconds", "said"),
        [(5, "just now"), (61, "1 min ago"), (7300, "2 h ago"), (90 * 3600, "on 20 November 2026"), (-50, "just now")],
    )
    def test_moments(self, seconds: int, said: str) -> None:
        assert Seen(html.moment((NOW - timedelta(seconds=seconds)).isoformat(), NOW)).text == said

    def test_sizes(self) -> None:
        assert [html.size(n) for n in (0, 999, 1000, 2_500_000, 3e9)] == [
            "0 bytes", "999 bytes", "1.0\u00a0kB", "2.5\u00a0MB", "3.0\u00a0GB",
        ]  # fmt: skip

    def test_a_document_with_its_passages_and_twins(self) -> None:
        document = Document("b:one", "b", "Heron", "https://example.org/h", "en", "CC0", "a bird", "", "")
        passages = [
            Passage(
                id="b:one#0",
                document_id="b:one",
                corpus="b",
                title="Heron",
                text="It wades.",
                url="",
                language="en",
                licence="CC0",
                position=0,
                section="Life › Food",
                tokens=4,
            ),
            Passage(
                id="b:one#1",
                document_id="b:one",
                corpus="b",
                title="Heron",
                text="It flies.",
                url="",
                language="en",
                licence="CC0",
                position=1,
            ),
        ]
        twin = Passage(
            id="c:two#5",
            document_id="c:two",
            corpus="c",
            title="Stork",
            text="It wades.",
            url="",
            language="en",
            licence="CC0",
            position=5,
        )
        markup = reading_html.document(document, passages, {"b:one#0": [(twin, 0.93)]}, True)
        said = text(markup)
        assert "Life › Food It wades. Said elsewhere too Stork 93% the same, in c b:one#0 4 tokens CC0" in said
        assert "It flies. b:one#1 CC0" in said and "1 token" not in said
        (link,) = Seen(markup).named("a")
        assert link["href"] == "https://example.org/h"
        assert [each.get("data-document") for each in Seen(markup).named("button")] == [None, "c:two", "b:one"]
        for url in ("javascript:alert(1)", "file:///etc/passwd", ""):
            assert not Seen(reading_html.document(replace(document, url=url), passages, {}, False)).named("a")


@pytest.fixture
def ingestions(tmp_path: Path) -> Iterator[Ingestions]:
    with managed(tmp_path / "data") as made:
        yield made


@contextmanager
def managed(folder: Path, **settings) -> Iterator[Ingestions]:
    """Ingestions over a catalogue with 50 documents, of the corpus made-up."""
    folder.mkdir()
    catalogue = Catalogue(sqlite(folder / "catalogue.sqlite"))
    ingestion.ingest(catalogue, source([record(number) for number in range(50)]), Path("unused"))
    with services(folder, catalogue) as build:
        made = Ingestions(build(SmallEncoder(), **settings))
        yield made
        made.close()


@pytest.fixture
def page(ingestions: Ingestions) -> Corpora:
    return Corpora(lambda: ingestions)


def skipped(value: object) -> bool:
    return isinstance(value, dict) and value.get("__type__") == "update" and len(value) == 1


def filled(
    what: str = "", data: str = "", corpus: str = "", licence: str = "", language: str = "", **ticked: bool
) -> list[str | bool]:
    """What stands in the form's boxes, in their order; `what` also in that of a file of questions."""
    typed = {"what": what, "questions": what, "data": data, "corpus": corpus, "licence": licence, "language": language}
    return [(typed | ticked).get(field.name, "") for field in form.boxes()]


def pressed(page: Corpora, reading: Reading, **command: str) -> tuple[str, str, Reading]:
    """(problem, pages, where) after a button."""
    problem, *_, pages, where = page.command(json.dumps(command), reading)
    return problem, "" if skipped(pages) else pages, reading if skipped(where) else where


def titles(markup: str) -> list[str]:
    return re.findall(r'cc-open"[^>]*><b dir="auto">(.*?)</b>', markup)


class TestHandlers:
    def test_while_the_program_starts(self) -> None:
        page = Corpora(lambda: None)
        (listed, choices, known), busy = page.look(())
        assert "Starting" in listed and busy and skipped(choices) and known == ()
        assert "still starting" in page.search("made-up", "")[0]
        assert "still starting" in page.command('{"do": "delete", "corpus": "made-up"}', Reading())[0]
        assert "still starting" in page.start(None, FOLDER, None, *filled("/tmp", corpus="x"))[0]
        assert "still starting" in page.preview(None, FOLDER, None, *filled("/tmp", corpus="x"))[0]

    def test_a_list_is_only_offered_anew_when_it_has_changed(self, page: Corpora) -> None:
        (listed, choices, known), busy = page.look(())
        assert "50 documents" in text(listed) and not busy
        assert choices.choices == [("Made up", "made-up")] and known == (("Made up", "made-up"),)
        assert skipped(page.look(known)[0][1])

    def test_a_broken_catalogue_is_a_sentence(self, page: Corpora, ingestions: Ingestions, monkeypatch) -> None:
        def broken():
            raise RuntimeError("/secret/place")

        monkeypatch.setattr(ingestions.catalogue, "stats", broken)
        (listed, *_), busy = page.look(())
        assert 'role="alert"' in listed and "secret" not in listed and not busy

    def test_paging_through_documents(self, page: Corpora) -> None:
        problem, pages, where = page.search("made-up", "")
        seen = titles(pages)
        assert problem == "" and len(seen) == PER_PAGE and "Documents 1 to 20" in pages
        for heading in ("Documents 21 to 40", "Documents 41 to 50"):
            assert "before" in buttons(pages) or where.before == ()
            _, pages, where = pressed(page, where, do="after", last=buttons(pages)["after"]["data-last"])
            assert heading in pages
            seen += titles(pages)
        assert seen == [f"Document {number}" for number in range(50)] and "after" not in buttons(pages)
        _, pages, where = pressed(page, where, do="before")
        assert "Documents 21 to 40" in pages
        _, pages, where = pressed(page, where, do="before")
        _, pages, where = pressed(page, where, do="before")  # pressed twice on a slow line
        assert "Documents 1 to 20" in pages and titles(pages) == seen[:PER_PAGE]

    def test_searching_and_opening(self, page: Corpora) -> None:
        _, pages, where = page.search("made-up", "  apples  ")
        assert "Passages 1 to 20, best first" in pages and "<mark>apples</mark>" in pages
        _, pages, where = pressed(page, where, do="after")
        assert "Passages 21 to 40" in pages
        _, opened, where = pressed(page, where, do="open", document="made-up:doc_7")
        assert "number7 speaks of apples" in opened and "made-up:doc_7#0" in opened
        assert "https://example.org/7" in opened
        _, pages, where = pressed(page, where, do="back")
        assert "Passages 21 to 40" in pages
        assert "No passage has any" in page.search("made-up", "zebras")[1]
        assert "no documents here" in page.search("nothing", "")[1]
        assert "Choose a corpus" in page.search(None, None)[0]

    def test_a_long_document_is_shown_in_parts(self, page: Corpora, ingestions: Ingestions) -> None:
        long = record(99, *(f"Part {number}." for number in range(PASSAGES + 20)))
        ingestion.ingest(ingestions.catalogue, source([long]), Path("unused"))
        _, pages, where = pressed(page, Reading("made-up"), do="open", document="made-up:doc_99")
        assert pages.count("cc-passage") - 1 == PASSAGES and "more" in buttons(pages)
        _, pages, where = pressed(page, where, do="more", document="made-up:doc_99")
        assert pages.count('"cc-passage"') == PASSAGES + 20 and "more" not in buttons(pages)

    def test_pages_of_pdfs_that_are_uploaded(self, page: Corpora, ingestions: Ingestions, tmp_path: Path) -> None:
        (tmp_path / "scan.pdf").write_bytes(pdf("A cherry is red."))
        (tmp_path / "one.jsonl").write_text('{"text": "A swan is white."}')
        for corpus, name in (("scans", "scan.pdf"), ("rows", "one.jsonl")):
            given = (UPLOAD, [str(tmp_path / name)], *filled(corpus=corpus, pages=True))
            assert page.preview(None, *given)[0] == page.start(None, *given)[0] == ""
            wait_for(lambda: not any(each.busy for each in ingestions.states()))
        [passage] = ingestions.catalogue.passages_of("scans:scan.pdf")
        assert passage.section == "page 1" and [each.caption for each in passage.pictures] == ["Page 1"]
        assert ingestions.catalogue.count("rows") == 1

    def test_browsing_from_a_card_chooses_the_corpus(self, page: Corpora) -> None:
        _, listed, _, chosen, words, pages, where = page.command(
            '{"do": "browse", "corpus": "made-up"}', Reading("other", "words", open="x:y")
        )
        assert skipped(listed) and chosen.value == "made-up" and words == "" and "Documents 1 to 20" in pages
        assert where == Reading("made-up")

    @pytest.mark.parametrize(
        "written",
        ["", "x", "[]", "5", "null", '{"do": 5}', '{"do": "reboot"}', '{"do": "open"}', "{" * 9000, "[" * 9000,
         '{"do": "open", "document": "made-up:nothing"}', '{"do": "delete", "corpus": "../.."}',
         '{"do": "pause", "corpus": ["made-up"]}', '{"do": "resume"}', '{"do": "more"}'],
    )  # fmt: skip
    def test_commands_that_make_no_sense(self, page: Corpora, ingestions: Ingestions, written: str) -> None:
        problem, *others = page.command(written, Reading())
        assert 'role="alert"' in problem and "unforeseen" not in problem
        assert [each.name for each in ingestions.states()] == ["made-up"]

    def test_start_pause_and_delete(self, page: Corpora, ingestions: Ingestions, tmp_path: Path) -> None:
        folder = write(tmp_path / "notes", one="A cherry is red.", two="A swan is white.")
        problem, found = page.preview(None, FOLDER, None, *filled(f" {folder} "))
        assert problem == "" and "A cherry is red." in found
        typed = filled(str(folder), "", "notes", "mine", "en")
        problem, listed, timer, files, said, found = page.start(None, FOLDER, None, *typed)
        assert problem == found == "" and timer.active is True and files is None and "close this page" in said
        assert "notes" in listed
        wait_for(lambda: not any(each.busy for each in ingestions.states()))
        assert page.look(())[0][1].choices == [("Made up", "made-up"), ("notes", "notes")]
        problem, listed, timer, *_ = page.command('{"do": "delete", "corpus": "notes"}', Reading())
        assert problem == ""
        wait_for(lambda: len(ingestions.states()) == 1)
        assert "Nothing is being ingested" in page.command('{"do": "pause", "corpus": "made-up"}', Reading())[0]

    def test_uploading(self, page: Corpora, ingestions: Ingestions, tmp_path: Path) -> None:
        folder = write(tmp_path / "notes", one="A cherry is red.")
        files = [str(folder / "one.txt")]
        assert "A cherry" in page.preview(None, UPLOAD, files, *filled())[1]
        (folder / "one.jpg").write_bytes(b"of which the preview counts what there is")
        assert "With 1 picture." in page.preview(None, UPLOAD, [*files, str(folder / "one.jpg")], *filled())[1]
        assert page.start(None, UPLOAD, files, *filled(corpus="mine"))[0] == ""
        wait_for(lambda: not any(each.busy for each in ingestions.states()))
        assert [each.documents for each in ingestions.states()] == [50, 1]
        assert "Choose files" in page.start(None, UPLOAD, None, *filled(corpus="more"))[0]
        (odd := tmp_path / "<b>tool.exe").write_bytes(b"MZ")
        problem, *_, said, _ = page.start(None, UPLOAD, [*files, str(odd)], *filled(corpus="some"))
        assert problem == "" and "Left out" in said and "<bdi>&lt;b&gt;tool.exe</bdi>" in said

    def test_files_of_which_none_can_be_taken(self, page: Corpora, ingestions: Ingestions, tmp_path: Path) -> None:
        folder = write(tmp_path / "bad", empty="")
        (folder / "bad.pdf").write_bytes(b"%PDF-1.4 no")
        page.start(None, FOLDER, None, *filled(str(folder), corpus="bad"))
        wait_for(lambda: not any(each.busy for each in ingestions.states()))
        card = text(page.look(())[0][0].partition('data-corpus="bad"')[2].partition("</article>")[0])
        assert "0 passages" in card and "Nothing could be taken" in card and "Complete" not in card
        assert "bad.pdf" in card and "empty.txt" in card

    @pytest.mark.parametrize(
        ("kind", "what", "name", "told"),
        [
            ("nonsense", "x", "y", "Choose where"), (FOLDER, "", "y", "Fill in the field “Folder”"),
            (FOLDER, "/tmp", " ", "Give the corpus a name"), (UPLOAD, "", "", "Give the corpus a name"),
            (FOLDER, "/tmp\0x", "y", "alert"), (FOLDER, "/nowhere", "y", "does not exist"),
            (TABLE, "/tmp", "y", "is not a file"), (FOLDER, "/tmp", "a/b", "cannot be called"),
        ],
    )  # fmt: skip
    def test_forms_that_cannot_be_begun(
        self, page: Corpora, ingestions: Ingestions, kind: str, what: str, name: str, told: str
    ) -> None:
        problem, *_ = page.start(None, kind, None, *filled(what, corpus=name))
        if told != "is not a file":
            assert told in problem and len(ingestions.states()) == 1
        assert "unforeseen" not in problem

    @pytest.mark.parametrize("name", ["../x", "My Notes!", "🦢", "<b>x</b>", "x" * 300, "made-up", FETCHED])
    def test_a_preview_refuses_the_names_that_a_start_refuses(
        self, page: Corpora, ingestions: Ingestions, tmp_path: Path, name: str
    ) -> None:
        folder = write(tmp_path / "notes", one="A cherry is red.")
        for given in ((FOLDER, None, *filled(str(folder), corpus=name)),
                      (UPLOAD, [str(folder / "one.txt")], *filled(corpus=name))):  # fmt: skip
            looked, found = page.preview(None, *given)
            begun, *_ = page.start(None, *given)
            said = Seen(looked).text
            assert said == Seen(begun).text and found == ""
            why = {"made-up": "from elsewhere", FETCHED: "the name of a collection"}.get(name, "cannot be called")
            assert why in said
            assert not Seen(begun).named("button") and not Seen(looked).named("button")  # trying again would not help
        assert [each.name for each in ingestions.states()] == ["made-up"]

    def test_a_corpus_can_be_looked_at_under_the_name_that_it_has(
        self, page: Corpora, ingestions: Ingestions, tmp_path: Path
    ) -> None:
        folder = write(tmp_path / "notes", one="A cherry is red.")
        uploaded = [str(folder / "one.txt")]
        page.start(None, FOLDER, None, *filled(str(folder), corpus="notes"))
        page.start(None, UPLOAD, uploaded, *filled(corpus="preview"))
        wait_for(lambda: not any(each.busy for each in ingestions.states()))
        for kind, files, typed in ((FOLDER, None, filled(str(folder), corpus="notes")), (UPLOAD, uploaded, filled()),
                                   (UPLOAD, uploaded, filled(corpus="preview"))):  # fmt: skip
            problem, found = page.preview(None, kind, files, *typed)
            assert problem == "" and "A cherry is red." in found

    def test_no_name_is_cut(self) -> None:
        typed = [box for box in form.chosen(UPLOAD)[1:-2] if isinstance(box, gr.Textbox)]
        assert typed and all(box.max_length >= 1_000 for box in typed)

    def test_a_box_that_is_ticked_is_asked_for(self) -> None:
        names = [field.name for field in form.boxes()]
        for ticked in (True, False):
            typed = [{"what": "d", "corpus": "c", "pages": ticked}.get(name, "") for name in names]
            more = {"pages": "yes"} if ticked else {}
            assert form.asked(FOLDER, typed).values == {"what": "d", "corpus": "c"} | more

    def test_every_kind_shows_its_fields(self) -> None:
        for kind in KINDS.values():
            column, *boxes, look, found = form.chosen(kind.label)
            shown = {field.name for field, box in zip(form.boxes(), boxes, strict=True) if box.visible}
            assert column.visible is False and look.visible == (kind.preview is not None) and found == ""
            assert shown == {field.name for field in kind.fields if field.on_page}
        column, *boxes, look, _ = form.chosen("nonsense")
        assert column.visible is True and look.visible is True
        common = ("pages", "corpus", "licence", "language")
        assert [box.visible for box in boxes] == [field.name in common for field in form.boxes()]

    def test_what_the_form_asks_for(self) -> None:
        def asked(kind: str, what: str = "", data: str = "", name: str = "n", licence: str = "l", language: str = "de"):
            return form.asked(KINDS[kind].label, filled(what, data, name, licence, language))

        about = {"corpus": "n", "licence": "l", "language": "de"}
        assert asked("folder", " /x ", data="D").values == {"what": "/x", **about}
        for table in ("csv", "jsonl"):
            assert [asked(table, what).kind for what in ("a.csv", "a.CSV.gz", "a.tsv", "a.jsonl", "a")] == [
                "csv", "csv", "csv", "jsonl", "jsonl",
            ]  # fmt: skip
        assert asked("wikipedia-vital", "x").values == {}
        assert asked("google-search", "q.txt").values == {"questions": "q.txt"}
        assert asked("m2kr", "EVQA", "D").values == {"what": "EVQA", "data": "D", "corpus": "n"}
        assert asked("okvqa-google").values == {"corpus": "n"}


@contextmanager
def served(ingestions: Ingestions) -> Iterator[str]:
    birds = Birds()
    birds.settings = ingestions.settings
    page = build_page(birds, lambda: ingestions)
    port = free_port()
    yield launch(page, load_settings(host="127.0.0.1", port=port))
    page.close(verbose=False)


def previewing(address: str) -> int:
    """The handler that previews, which comes after the one that says so."""
    return handlers(address)["cc-look", "click"][0] + 1


class TestOverHttp:
    def test_only_ask_is_offered(self, ingestions: Ingestions) -> None:
        with served(ingestions) as address:
            api = Client(address, verbose=False).view_api(return_format="dict")
            assert list(api["named_endpoints"]) == ["/ask"] and not api["unnamed_endpoints"]
            assert ("cc-start", "click") in handlers(address)
            number = handlers(address)["cc-command", "change"][0]
            reply = call(address, number, '{"do": "delete", "corpus": "made-up"}', None)
            assert reply.status == 200 and "alert" not in str(reply.said[0])
            wait_for(lambda: ingestions.states() == [])
            # An address in the place of a file is not fetched.
            given = [{"path": "http://127.0.0.1:1/a.txt", "meta": {"_type": "gradio.FileData"}}]
            begun = call(address, handlers(address)["cc-start", "click"][0], UPLOAD, given, *filled(corpus="n"))
            assert "addresses are not fetched" in begun.text and ingestions.states() == []
            given = [{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}]
            call(address, handlers(address)["cc-start", "click"][0], UPLOAD, given, *filled(corpus="n"))
            assert ingestions.states() == [] and not (ingestions.settings.data_dir / "uploads").exists()

    def test_strangers_can_look_and_change_nothing(self, tmp_path: Path) -> None:
        secret = write(tmp_path / "secret", one="The password is mellon.")
        with managed(tmp_path / "shut", host="0.0.0.0") as shut, served(shut) as address:
            there = handlers(address)
            assert not {"cc-start", "cc-look", "cc-files", "cc-kind"} & {name for name, _ in there}
            command = there["cc-command", "change"][0]
            for do in ("delete", "resume", "pause"):
                reply = call(address, command, json.dumps({"do": do, "corpus": "made-up"}), None)
                assert "cannot be changed on this page" in reply.said[0]
            browsed = call(address, command, '{"do": "browse", "corpus": "made-up"}', None)
            assert "Documents 1 to 20" in browsed.text
            # Whatever else there is, with what the form would have sent.
            sent = [FOLDER, None, *filled(str(secret), corpus="stolen")]
            config = httpx.get(f"{address}config").json()
            for number in range(len(config["dependencies"]) + 5):
                assert "mellon" not in call(address, number, *sent).text
            assert [each.name for each in shut.states()] == ["made-up"] and shut.states()[0].documents == 50

    @pytest.mark.parametrize("name", ["evil.example:7860", "127.0.0.1.evil.example", "", "[::1].evil", "a@localhost"])
    def test_a_name_that_leads_here_from_elsewhere(self, ingestions: Ingestions, tmp_path: Path, name: str) -> None:
        """A web page can have its own name lead to 127.0.0.1 and is then of the same origin to a browser."""
        folder = write(tmp_path / "secret", one="The password is mellon.")
        sent = [FOLDER, None, *filled(str(folder), corpus="stolen")]
        with served(ingestions) as address:
            command, start = (
                handlers(address)[each][0] for each in (("cc-command", "change"), ("cc-start", "click"))
            )
            for asked in (
                call(address, command, '{"do": "delete", "corpus": "made-up"}', None, host=name),
                call(address, start, *sent, host=name),
            ):
                assert asked.status == 403 and "not served under this name" in asked.text
            told = queued(address, previewing(address), *sent, session="evil", host=name)
            assert "not served under this name" in told
            assert [each.name for each in ingestions.states()] == ["made-up"]
            assert "mellon" in queued(address, previewing(address), *sent, session="own", host="localhost:7860")

    def test_a_name_that_is_allowed_may_look_and_not_change(
        self, ingestions: Ingestions, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CITESIGHT_ALLOWED_HOSTS", "photos.example")
        with served(ingestions) as address:
            command, name = handlers(address)["cc-command", "change"][0], "photos.example:7860"
            reply = call(address, command, '{"do": "delete", "corpus": "made-up"}', None, host=name)
            assert "cannot be changed on this page" in reply.text
            reply = call(address, command, '{"do": "browse", "corpus": "made-up"}', None, host=name)
            assert "Documents 1 to 20" in reply.text
            assert [each.name for each in ingestions.states()] == ["made-up"]

    def test_addresses_are_not_fetched_after_a_start_that_was_refused(self, ingestions: Ingestions) -> None:
        """Told to leave the files as they are, Gradio makes a new component of them for that session."""
        with served(ingestions) as address:
            start = handlers(address)["cc-start", "click"][0]
            assert "Give the corpus a name" in call(address, start, UPLOAD, [], *filled()).text
            given = [{"path": "http://127.0.0.1:1/a.txt", "meta": {"_type": "gradio.FileData"}}]
            assert "addresses are not fetched" in call(address, start, UPLOAD, given, *filled(corpus="n")).text

    def test_a_page_that_is_older_than_its_server_can_read(self, ingestions: Ingestions) -> None:
        with served(ingestions) as address:
            show = handlers(address)["cc-show", "click"][0]
            assert "Documents 1 to 20" in call(address, show, "made-up", "", session="old").said[1]
            assert "no documents here" in call(address, show, "gone", "", session="older").said[1]
            for name in (["made-up"], 5, "n" * 201):
                assert "cannot be read" in call(address, show, name, "", session="odd").text

    def test_commands_are_bounded(self, ingestions: Ingestions) -> None:
        with served(ingestions) as address:
            number = handlers(address)["cc-command", "change"][0]
            reply = call(address, number, '{"do": "browse", "corpus": "%s"}' % ("x" * MAX_COMMAND), None)
            assert "cannot be read" in reply.text and reply.status == 200
