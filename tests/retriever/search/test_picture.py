"""The picture of an explanation: where its colours are, what it leaves out, and that no text breaks it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.images import load_image
from common.passage import Passage
from common.problems import Problem
from retriever.encoders.base import PassageToken
from retriever.search.drawing import text as writing
from retriever.search.drawing.parts import HEAT, KIND_COLOURS, MARGIN, MARKS, PAPER, WIDTH, ramp
from retriever.search.drawing.photo import PHOTO_SIDE, heat_over
from retriever.search.drawing.picture import check_writable, draw_explanation, save_picture
from retriever.search.drawing.text import INK
from retriever.search.explain import explain, explain_passage
from retriever.search.explanation import Explanation
from tests.retriever.search.test_explain import of_wholes, query_of

CHEETAH = Path(importlib.util.find_spec("gradio").origin).parent / "media_assets" / "images" / "cheetah1.jpg"
WHOLE = (0.0, 0.0, 1.0, 1.0)
STRONGEST = tuple(int(band) for band in MARKS[-1])
SENTENCE = "alpha beta gamma delta"


def made(
    text: str = SENTENCE,
    winner: int = 0,
    title: str = "Title",
    question: str = "what",
    seen: int | None = None,
    patches: tuple[int, int] = (0, 0),
    hot: int = 0,
) -> Explanation:
    """Tokens are the text's words, as far as `seen` characters. The question's word matches word `winner`; so does
    the patch number `hot`, best of all."""
    tokens = [PassageToken(word.group(), *word.span()) for word in re.finditer(r"\w+", text[:seen])]
    tokens = tokens or [PassageToken("[CLS]", 0, 0)]
    vectors = np.eye(len(tokens), dtype=np.float32)
    count = patches[0] * patches[1]
    rows = [(vectors[winner] * (1.0 if i == hot else 0.2)).tolist() for i in range(count)]
    weights = [1 / (1 + count)] * (1 + count)
    query = query_of([vectors[winner].tolist()], [], rows, weights, ["what"], patches)
    return explain(
        query, vectors, tokens, question=question, passage_id="x:1#0", title=title, text=text, photo=count > 0
    )


def array(image: Image.Image) -> np.ndarray:
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def coloured(image: Image.Image, colour: tuple[int, ...]) -> np.ndarray:
    return (array(image) == colour).all(axis=-1)


def lab(colours: np.ndarray) -> np.ndarray:
    """CIE L*a*b* (D65) of sRGB colours: a space in which distances are about as large as they look."""
    share = np.asarray(colours, float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.moveaxis(np.cbrt(linear @ np.transpose(to_xyz) / [0.9505, 1.0, 1.089]), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


# --- the map


def test_the_map_is_on_the_hot_patch_and_nowhere_else():
    photo = Image.new("RGB", (160, 120), (120, 120, 120))
    shares = np.zeros((3, 4), np.float32)
    shares[1, 2] = 1
    changed = np.abs(array(heat_over(photo, shares, WHOLE)) - 120).max(axis=-1)
    assert changed[60, 100] > 60  # the middle of the patch in row 1, column 2
    assert changed[:, :30].max() == 0 and changed[:15].max() <= 3  # a soft edge may reach a little further
    assert changed.argmax() == pytest.approx(60 * 160 + 100, abs=12 * 160)


@pytest.mark.parametrize("grey", [20, 90, 150, 235])
def test_hotter_looks_further_from_the_photo_in_even_steps(grey):
    photo = Image.new("RGB", (180, 20), (grey, grey, grey))
    heat = array(heat_over(photo, np.linspace(0, 1, 9, dtype=np.float32)[None], WHOLE))[10, 10::20]
    steps = np.diff(np.linalg.norm(lab(heat) - lab(np.full(3, grey)), axis=1))
    assert steps.min() > 2 and steps.max() < 4 * steps.min()


def test_what_the_model_did_not_see_is_washed_out_and_has_no_heat():
    photo = Image.new("RGB", (300, 100), (40, 90, 20))
    area = (1 / 3, 0.0, 2 / 3, 1.0)
    cold, hot = (array(heat_over(photo, np.full((2, 2), level, np.float32), area)) for level in (0, 1))
    outside = np.ones((100, 300), bool)
    outside[:, 100:200] = False
    assert (cold[outside] == hot[outside]).all() and cold[outside].min() > 190
    assert np.ptp(cold[outside], axis=-1).max() < 6  # no colour left
    inside = (slice(5, 95), slice(105, 195))
    assert cold[inside].max() < 100 and (hot[inside][..., 0] - cold[inside][..., 0] > 60).all()
    assert (hot[50, 100] == INK).all() and (hot[50, 199] == INK).all()


def test_a_map_of_the_whole_photo_has_no_frame():
    photo = Image.new("RGB", (40, 40), (90, 90, 90))
    assert (array(heat_over(photo, np.zeros((2, 2), np.float32), WHOLE)) == 90).all()


@pytest.mark.parametrize("area", [(0.4995, 0, 0.5005, 1), (0, 0.9999, 1, 1), (-1, -1, 9, 9), (0.5, 0.5, 0.5, 0.5)])
def test_odd_areas_are_drawn(area):
    assert heat_over(Image.new("RGB", (50, 30)), np.ones((16, 16), np.float32), area).size == (50, 30)


@pytest.mark.parametrize("colours", [HEAT, MARKS])
def test_colours_darken_evenly(colours):
    steps = -np.diff(lab(ramp(np.linspace(0, 1, 40), colours))[:, 0])
    assert steps.min() > 0 and steps.max() < 3 * steps.min()


# --- the page


def test_the_word_that_won_is_marked_where_it_stands():
    first, last = (coloured(draw_explanation(made(winner=winner), None), STRONGEST) for winner in (0, 3))
    marks = [np.argwhere(one & ~other) for one, other in ((first, last), (last, first))]
    assert all(len(mark) > 200 for mark in marks)
    (top, left), (_, right) = marks[0].min(axis=0), marks[0].max(axis=0)
    assert top > first.shape[0] // 2 and left < 60 and 30 < right - left < 90
    assert marks[1][:, 1].min() > right + 50  # two words lie between


def test_a_mark_says_by_its_line_what_matched():
    text = np.argwhere(coloured(draw_explanation(made(), None), KIND_COLOURS["text"]))
    mixed = draw_explanation(made(patches=(1, 1)), Image.new("RGB", (60, 60), "white"))
    patch = np.argwhere(coloured(mixed, KIND_COLOURS["patch"]))
    bottom = mixed.height - 60
    assert text[:, 0].max() > text[:, 0].min() + 100  # the line lies far below the bars
    assert len(patch[patch[:, 0] > bottom]) > 30


def test_the_map_of_the_page_moves_with_the_patch():
    photo = Image.new("RGB", (300, 200), (128, 128, 128))
    left, right = (array(draw_explanation(made(patches=(1, 4), hot=hot), photo)) for hot in (0, 3))
    where = np.argwhere(np.abs(left - right).max(axis=-1) > 30)
    assert where[:, 1].min() < 100 and 500 < where[:, 1].max() < 600
    middle = where[(where[:, 1] > 250) & (where[:, 1] < 350)]
    assert not len(middle)


def test_without_a_photo_there_is_no_map():
    page = draw_explanation(made(), None)
    photo = draw_explanation(made(patches=(2, 2)), Image.new("RGB", (200, 200), "blue"))
    assert page.width == photo.width == WIDTH and page.height < photo.height - 300


@pytest.mark.parametrize("photo", [None, Image.new("RGB", (200, 100), (10, 200, 30))])
def test_a_model_whose_vectors_stand_for_no_words_marks_none(photo):
    page = draw_explanation(of_wholes(photo is not None), photo)
    assert page.width == WIDTH and coloured(page, KIND_COLOURS["latent"]).sum() > 5000  # the bar: all of the score
    assert not any(coloured(page, colour).any() for kind, colour in KIND_COLOURS.items() if kind != "latent")
    assert not coloured(page, STRONGEST).any()
    assert (coloured(page, (10, 200, 30)).sum() > 10_000) == (photo is not None)
    assert np.argwhere(coloured(page, INK))[:, 0].max() > page.height // 2  # the passage itself


def test_a_model_without_patches_shows_the_plain_photo():
    page = draw_explanation(made(), Image.new("RGB", (200, 200), (10, 200, 30)))
    assert coloured(page, (10, 200, 30)).sum() == PHOTO_SIDE**2


def test_a_text_from_right_to_left_begins_at_the_right():
    first, last = (coloured(draw_explanation(made("אבגד הוזח טיכל", winner=i), None), STRONGEST) for i in (0, 2))
    marks = [np.argwhere(one & ~other)[:, 1] for one, other in ((first, last), (last, first))]
    assert marks[0].max() > WIDTH - MARGIN - 5 and marks[1].max() < marks[0].min() - 20


def test_names_on_the_photo_do_not_cover_each_other():
    def names(*places: tuple[int, int]) -> int:
        """Pixels of the names on a white photo when the patches at these places match a word each."""
        words = ("alpha", "gamma")
        vectors, patches = np.eye(2, dtype=np.float32), np.zeros((32, 32, 2))
        for word, place in enumerate(places):
            patches[place] = vectors[word]
        query = query_of([], [], patches.reshape(-1, 2).tolist(), [1 / 1024] * 1024, [], (32, 32))
        tokens = [PassageToken(word, 6 * i, 6 * i + 5) for i, word in enumerate(words)]
        about = {"question": "what", "passage_id": "x:1#0", "title": "Title", "photo": True}
        explained = explain(query, vectors, tokens, text=" ".join(words), **about)
        page = draw_explanation(explained, Image.new("RGB", (100, 100), "white"))
        return coloured(page.crop((36, 180, 36 + PHOTO_SIDE, 730)), INK).sum()

    one, apart, near = names((4, 4)), names((4, 4), (20, 20)), names((4, 4), (4, 5))
    assert one > 300 and apart > 1.8 * one and near < 1.2 * one  # where there is no room, one is left out


@pytest.mark.parametrize("text", ["word " * 400, "word-" * 400, "«(word.w" * 300], ids=["words", "hyphens", "signs"])
def test_nothing_is_drawn_over_the_margin(text):
    page = array(draw_explanation(made(text, patches=(2, 2)), Image.new("RGB", (90, 30), "black")))
    for edge in (page[: MARGIN - 5], page[-MARGIN + 8 :], page[:, :30], page[:, -30:]):
        assert (edge == PAPER).all()


def test_what_is_wider_than_a_line_is_broken():
    text = "word-" * 400
    page = coloured(draw_explanation(made(text, winner=399), None), STRONGEST)
    assert page[-100:].sum() > 200  # the last word's mark, in the last line


def test_many_fill_ups_do_not_dwarf_the_words():
    tokens = ["[CLS]", "what", *["[MASK]"] * 20]
    query = query_of([[0.5]] + [[1]] * 21, [], [], [1 / 22] * 22, tokens, (0, 0))
    about = {"question": "what", "passage_id": "x:1#0", "title": "Title", "photo": False}
    explained = explain(query, np.ones((1, 1), np.float32), [PassageToken("a", 0, 1)], text="a", **about)
    bars = coloured(draw_explanation(explained, None), KIND_COLOURS["text"])[:, 200:500].sum(axis=1)
    # Below the bar of the whole score: half a bar for the start, a whole one for the word, none for the fill-ups.
    assert sorted(set(bars[150:-60]) - {0}) == pytest.approx([75, 150], abs=3)


def test_what_the_model_did_not_read_is_not_shown():
    text = "alpha beta gamma "
    texts = (text + "delta. ", text + "omega! " * 900)
    one, other = (draw_explanation(made(text=each, seen=len(text)), None) for each in texts)
    assert (array(one) == array(other)).all()
    assert one.height > draw_explanation(made(text=text), None).height  # it says that there is more


def test_closing_signs_are_shown():
    plain, closed = (draw_explanation(made(text=text, seen=10), None) for text in ("alpha beta", "alpha beta?!"))
    assert plain.size == closed.size and (array(plain) != array(closed)).any()


def test_control_characters_are_left_out():
    tidy = draw_explanation(made(title="a b", question="c d"), None)
    untidy = draw_explanation(made(title="a\x07\u202e\x1b b\n", question="\x00c\u2066\td\ud800"), None)
    assert (array(tidy) == array(untidy)).all()


ODD = {
    "emoji": "🦁 lion 🦁🦁",
    "arabic": "مرحبا بالعالم 123 (abc)",
    "hebrew": "שלום, עולם",
    "chinese": "漢字 かな 漢",
    "combining": "e\u0301\u0301\u0301 a\u0308" + "o\u0336" * 300,
    "invisible": "\u200b \u200c \u00ad \u2060",
    "surrogate": "a\ud800 b",
    "control": "\x00\x01 \x1b[31m \x07",
    "one long word": "x" * 10_000,
    "many words": "word " * 2_000,
    "signs": "." * 10_000 + " a",
    "wide": "\ufdfd" * 80 + " \U0001242b" * 30,
    "empty": "",
}


@pytest.mark.parametrize("name", ODD)
def test_no_text_breaks_the_picture(name):
    text = ODD[name]
    page = draw_explanation(made(text=text, title=text, question=text, patches=(2, 2)), Image.new("RGB", (20, 30)))
    assert page.width == WIDTH and page.height < 4500
    assert (array(page) != PAPER).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (1200, 100), (100, 1200)])
def test_photos_of_any_shape_are_shown(size):
    page = draw_explanation(made(patches=(16, 16)), Image.new("RGB", size, "green"))
    assert page.width == WIDTH and page.height < 1500


def test_a_score_of_nothing_or_less_is_drawn():
    base = made()
    for sign in (0.0, -1.0):
        query = query_of([[sign, sign, sign, sign]], [], [], [1.0], ["what"], (0, 0))
        tokens = [PassageToken(token.piece, token.start, token.end) for token in base.tokens]
        worse = explain(
            query,
            np.eye(4, dtype=np.float32),
            tokens,
            question="what",
            passage_id="x:1#0",
            title="Title",
            text=SENTENCE,
            photo=False,
        )
        page = draw_explanation(worse, None)
        top = page.height - 80  # the passage's line; the legend is above it
        assert worse.score == sign and not coloured(page, STRONGEST)[top:].any()


# --- fonts


@pytest.fixture
def no_fonts(monkeypatch):
    """As on a machine where no font is installed."""
    monkeypatch.setattr(writing, "_FONTS", (("no such font.ttf", "no such font.ttf"),))
    forget()
    yield
    forget()


def forget() -> None:
    writing._fonts.cache_clear()
    writing._set.cache_clear()


def test_without_fonts_letters_are_simplified(no_fonts):
    accents, plain = (draw_explanation(made(title=title), None) for title in ("Été – Zürich × ½", "Ete - Zurich x 1/2"))
    assert (array(accents) == array(plain)).all()


@pytest.mark.parametrize("name", ODD)
def test_without_fonts_no_text_breaks_the_picture_either(no_fonts, name):
    assert draw_explanation(made(text=ODD[name], title=ODD[name]), None).width == WIDTH


# --- the file


def test_the_picture_is_written_as_png(tmp_path):
    path = tmp_path / "why.png"
    save_picture(made(), None, path)
    with Image.open(path) as image:
        assert image.format == "PNG" and (array(image) == array(draw_explanation(made(), None))).all()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("folder.png", "is a folder"),
        ("missing/why.png", "There is no folder"),
        ("why.jpg", "ends in .png"),
        ("why", "ends in .png"),
        ("file.txt/why.png", "There is no folder"),
        ("x" * 300 + ".png", "cannot be written"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, name, said):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file.txt").write_text("x")
    for attempt in (lambda path: save_picture(made(), None, path), check_writable):
        with pytest.raises(Problem, match=said) as problem:
            attempt(tmp_path / name)
        assert str(problem.value).endswith(".") and "\n" not in str(problem.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.txt", "folder.png"]


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(Problem, match=r"cannot be written: No space left on device\.$"):
        save_picture(made(), None, tmp_path / "why.png")


# --- with the real encoder


def test_a_photo_a_question_and_a_passage_become_a_picture(mini, tmp_path):
    photo = load_image(CHEETAH)
    text = "A large spotted cat of the plains of Africa; no animal on land runs faster. " * 60
    explained = explain_passage(mini, "How fast does this animal run?", photo, Passage("animals:7#0", "Cheetah", text))
    save_picture(explained, photo, tmp_path / "why.png")
    with Image.open(tmp_path / "why.png") as page:
        assert page.width == WIDTH and 900 < page.height < 2500
        assert coloured(page, STRONGEST).sum() > 100
    down, across = explained.grid
    hottest = np.unravel_index(explained.patches().argmax(), (down, across))
    shown = draw_explanation(explained, photo)
    side = PHOTO_SIDE
    patch = array(shown.crop((36, 186, 36 + side, 186 + side)).resize((across, down), Image.Resampling.BOX))
    redness = patch[..., 0] - patch[..., 2]
    assert redness[hottest] > np.median(redness) + 20


def test_of_a_page_of_many_patches_only_those_are_drawn_that_matched():
    def page(count: int) -> Image.Image:
        tokens = [PassageToken(f"row 1, column {number}", 0, 0) for number in range(count)]
        vectors = np.eye(count, dtype=np.float32)
        query = query_of([vectors[count // 2].tolist()], [], [], [1.0], ["what"], (0, 0))
        how = {"question": "what", "passage_id": "x:1#0", "title": "Page", "text": "", "photo": False}
        return draw_explanation(explain(query, vectors, tokens, **how), None)

    few, many = page(8), page(800)
    assert many.height <= few.height and coloured(many, STRONGEST).any()
