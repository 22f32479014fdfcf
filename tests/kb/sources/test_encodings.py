from __future__ import annotations

import pytest

from common.problems import Problem
from kb.sources.encodings import Encoding, decoded, encoding_of, guess_told

RUSSIAN = "Лев живёт в саваннах Африки и охотится ночью, чаще всего стаями."
GERMAN = "Der Löwe lebt in Savannen; er jagt nachts, meist in Rudeln – „König der Tiere“ heißt er für viele."
POLISH = "Lew żyje na sawannach Afryki; poluje nocą, najczęściej w grupie, i śpi prawie cały dzień."
GREEK = "Το λιοντάρι ζει στις σαβάνες της Αφρικής και κυνηγά τη νύχτα."
JAPANESE = "ライオンはアフリカのサバンナに住み、夜に群れで狩りをする大きな猫である。"
CHINESE = "狮子生活在非洲的稀树草原上，夜间成群捕猎，是一种大型的猫科动物。"
KOREAN = "사자는 아프리카의 사바나에 살며 밤에 무리를 지어 사냥하는 큰 고양이과 동물이다."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (RUSSIAN, "cp1251"), (RUSSIAN, "koi8_r"), (GERMAN, "cp1252"), (POLISH, "cp1250"), (GREEK, "cp1253"),
        (JAPANESE, "cp932"), (JAPANESE, "euc_jp"), (CHINESE, "gb18030"), (KOREAN, "cp949"),
    ],
)  # fmt: skip
def test_what_its_letters_say_is_told_as_a_guess(text, encoding):
    said, found = decoded((text + "\n").encode(encoding) * 3)
    assert said == (text + "\n") * 3 and found.guessed
    assert "which is a guess" in guess_told(found)


@pytest.mark.parametrize("text", [RUSSIAN, GERMAN, JAPANESE, CHINESE + "\n", "plain\n", ""])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_is_no_guess(text, encoding):
    said, found = decoded(text.encode(encoding))
    assert said == text and guess_told(found) == ""


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [GERMAN, RUSSIAN, CHINESE + "\n" + CHINESE])
def test_utf_16_without_a_mark(text, encoding):
    assert decoded(text.encode(encoding)) == (text, Encoding(encoding))


def test_a_beginning_may_end_within_a_character():
    for cut in range(1, 4):
        assert encoding_of((RUSSIAN + "🦁").encode()[:-cut]).name == "utf-8"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"nul \0 in it, and \0 again", "NUL"),
        ((GERMAN + "x").encode() + b"\xe9", "UTF-8 but for byte"),
        ("Die Brücke über den Fluß ist schön.\n".encode() + "Der König kam.".encode("cp1252"), "UTF-8 but for byte"),
        ("Ein schöner Tag mit ü".encode()[:-1] + b" und mehr", "UTF-8 but for byte"),
        (GERMAN.encode().decode("cp1252").encode(), "wrong encoding and saved so"),
        ("It’s – “so”".encode().decode("cp1252", "replace").replace("\ufffd", "").encode(), "wrong encoding"),
        (GERMAN.encode("cp1252").decode("utf-8", "replace").encode(), "letters are lost"),
        ("München ist schön.".encode().decode("cp1252").encode(), "wrong encoding"),
        ("a 5 € coin".encode().decode("cp1252").encode(), "wrong encoding"),
        ("SÃ£o Paulo é a maior cidade.".encode(), r"\(Ã£ where another letter is meant\)"),
        ("BrÃ¼cke – heute".encode(), "wrong encoding"),
        ("MÃ¼nchen\nKöln, Düsseldorf und Würzburg".encode(), "wrong encoding"),
        ("Москва".encode().decode("cp1252", "ignore").encode(), "wrong encoding"),
        ("æ—¥æœ¬".encode(), "wrong encoding"),
        (RUSSIAN.encode().decode("cp1251", "replace").encode(), "wrong encoding"),
        *((text.encode().decode("latin-1").encode(), "wrong encoding") for text in (GREEK, JAPANESE, CHINESE, KOREAN)),
        (bytes(range(1, 256)) * 40, "encoding is not known"),
    ],
)
def test_what_is_spoilt_is_refused(data, says):
    with pytest.raises(Problem, match=says):
        decoded(data)


@pytest.mark.parametrize(
    "text",
    ["»Ä«", "Ä« heißt es", "NÃO", "In a long text one Ã© is an accident. " + "Words. " * 100, "5 Â", "Å–Ö",
     "»Fuß« »Gruß« »Spaß« »Maß«", "AÇÃO É AÇÃO, NÃO Â", "Das »Ä«, das »Å« und größere Übel – überall", "naïve Ång",
     "29–30 October\x96. Summarized in", "平成 ™— 年 › 月 ™œ 日", RUSSIAN, GERMAN, POLISH, GREEK, KOREAN],
)  # fmt: skip
def test_what_only_looks_spoilt_is_taken(text):
    assert decoded(text.encode())[0] == text


@pytest.mark.parametrize(
    ("text", "encoding", "declared"),
    [("朱镕基", "gbk", "gb2312"), ("朱镕基", "gb18030", "gbk"), ("똠방각하", "cp949", "euc-kr"),
     ("嘅咗", "big5hkscs", "big5")],
)  # fmt: skip
def test_an_encoding_is_read_as_the_larger_one_that_it_is_part_of(text, encoding, declared):
    assert decoded(text.encode(encoding), [declared])[0] == text


@pytest.mark.parametrize(
    ("text", "encoding"), [(JAPANESE, "iso2022_jp"), (JAPANESE + " 가", "iso2022_jp_2"), (KOREAN, "iso2022_kr")]
)
def test_encodings_that_say_themselves_where_letters_begin(text, encoding):
    data = (text + " abc\n").encode(encoding)
    said, found = decoded(data * 2 if encoding != "iso2022_kr" else data)
    assert said.startswith(text + " abc\n") and not found.guessed
    assert encoding_of(data[:40]) == found


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(GREEK, "cp1253"), (RUSSIAN, "koi8_r"), (RUSSIAN, "cp1251"), (POLISH + " Wełna leży tam.", "cp1250"),
     (POLISH + " Wełna leży tam, mąż też.", "iso8859_2"), ("הנהר זורם דרך העיר העתיקה.", "cp1255"),
     ("يجري النهر عبر المدينة القديمة.", "cp1256")],
)  # fmt: skip
def test_what_cannot_be_of_western_europe_is_guessed_though_it_says_so(text, encoding):
    said, found = decoded((text + "\n").encode(encoding) * 3, ["iso-8859-1"])
    assert said == (text + "\n") * 3 and found.guessed


@pytest.mark.parametrize("text", [GERMAN, "ÄÖÜ: l¿été, d¿un, où, à", "ÇÃÕ É AÇÃO", "Ýmir, Þór og Óðinn bjó þar, á æð"])
def test_what_may_be_of_western_europe_is_if_it_says_so(text):
    assert decoded(text.encode("cp1252"), ["iso-8859-1"]) == (text, Encoding("cp1252"))


@pytest.mark.parametrize("declared", ["utf-8", "iso-8859-1"])
def test_what_shifts_is_read_so_whatever_it_declares(declared):
    assert decoded(JAPANESE.encode("iso2022_jp"), [declared])[0] == JAPANESE
    assert decoded(("<p>" + CHINESE).encode("hz"), [declared]) == ("<p>" + CHINESE, Encoding("hz", guessed=True))
    assert decoded(b"~{abcd~} ~{x~} a~{b}", [declared])[0] == "~{abcd~} ~{x~} a~{b}"


def test_escapes_of_a_terminal_are_no_encoding():
    assert decoded("\x1b[31mgrün\x1b[0m".encode())[1] == Encoding("utf-8")


def test_what_is_declared_goes_before_a_guess_and_after_a_mark():
    assert decoded(RUSSIAN.encode("koi8_r"), ["koi8-r"]) == (RUSSIAN, Encoding("koi8-r"))
    assert decoded(b"\xef\xbb\xbf" + RUSSIAN.encode(), ["koi8-r"])[0] == RUSSIAN
    # What is said to be UTF-8 and is not.
    assert decoded((GERMAN * 3).encode("cp1252"), ["utf-8"], strict=False)[0] == GERMAN * 3
    assert decoded(b"\x80 5, \x93so\x94", ["iso-8859-1"])[0] == "€ 5, “so”"


@pytest.mark.parametrize("declared", ["iso-8859-1", "windows-1251", "koi8-r", "shift_jis", "gbk"])
def test_what_is_utf_8_is_read_so_whatever_it_declares(declared):
    assert decoded(GERMAN.encode(), [declared]) == (GERMAN, Encoding("utf-8"))
    assert decoded((JAPANESE * 2).encode()[:-1], [declared, "utf-8"], strict=False)[1] == Encoding("utf-8")


def test_a_letter_tells_utf_8_from_what_has_a_letter_in_each_byte():
    assert decoded("A café.".encode(), ["iso-8859-1"])[0] == "A café."
    assert decoded("联通".encode("gbk"), ["gbk"])[0] == "联通"  # which keeps the rules of UTF-8
    assert decoded(RUSSIAN.encode("koi8_r") + "é".encode(), ["koi8-r"])[1] == Encoding("koi8-r")
