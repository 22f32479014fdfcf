"""Corpora in JSON lines and CSV: what is right comes through, what is wrong is named with file and line."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.problems import Problem
from kb.records import DocumentRecord, GivenPicture, Item, Section, Skipped, clean_text
from kb.sources import csv_file, jsonl, lines, okvqa
from kb.sources.encodings import spoilt
from kb.sources.rows import safe_key
from tests import ROOT
from tests.support.waiting import without_blow_up

OFTEN = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def given_by(module, path: Path, content: bytes | str | None = None, **named) -> list[DocumentRecord | Skipped]:
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(module.source(path, "mine", **named).read(path.parent)[1])


def refused(module, path: Path, content: bytes | str | None = None) -> str:
    with pytest.raises(Problem) as refusal:
        given_by(module, path, content)
    sentence = str(refusal.value)
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 500
    return sentence


def skipped(found) -> dict[str, str]:
    assert all(each.why.endswith(".") and "\n" not in each.why for each in found if isinstance(each, Skipped))
    return {each.where: each.why for each in found if isinstance(each, Skipped)}


def keys(found) -> list[str]:
    return [each.key for each in found if isinstance(each, DocumentRecord)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "corpus.jsonl"


def test_everything_that_a_json_line_can_say(path):
    row = {
        "id": 7, "title": " Zebra\t", "text": "Striped.\n\nLives in  herds.", "url": "https://example.org/zebra",
        "language": "de", "licence": "CC0", "topic": "Animals", "description": "an animal",
        "image": "zebra.png", "images": ["https://example.org/z.jpg", "more/z 2.png"],
    }  # fmt: skip
    source = jsonl.source(path, "mine", title="My corpus", licence="CC BY 4.0", language="en")
    path.write_text(json.dumps(row) + "\n\n" + json.dumps({"id": "b", "text": "Plain."}))
    assert (source.name, source.title, source.licence, source.language) == ("mine", "My corpus", "CC BY 4.0", "en")
    assert list(source.read(path.parent)[1]) == [
        DocumentRecord(
            "7", "Zebra", "https://example.org/zebra", "de", "CC0", (), "an animal", "Animals",
            (Section((), "Striped.\nLives in herds."),),
            (
                GivenPicture("zebra.png"),
                GivenPicture("https://example.org/z.jpg", url="https://example.org/z.jpg"),
                GivenPicture("more/z 2.png"),
            ),
        ),
        DocumentRecord("b", "", "", "en", "CC BY 4.0", (), sections=(Section((), "Plain."),)),
    ]  # fmt: skip


@pytest.mark.parametrize("escaped", [False, True])
def test_rows_that_were_spoilt_before_are_refused_one_by_one(path, tmp_path, escaped):
    said = ["Sound: Löwe, Bär.", "Löwe und Bär".encode().decode("cp1252"), "It’s".encode().decode("cp1252"), "Plain."]
    rows = [{"id": str(number), "text": text} for number, text in enumerate(said)]
    rows.append({"id": "4", "title": "Größe".encode().decode("cp1252"), "text": "A title."})
    found = given_by(jsonl, path, "\n".join(json.dumps(row, ensure_ascii=escaped) for row in rows))
    assert keys(found) == ["0", "3"]
    assert list(skipped(found)) == [f"corpus.jsonl, line {number}" for number in (2, 3, 5)]
    assert all("wrong encoding" in why for why in skipped(found).values())
    in_csv = "\n".join(["id;text", *(f"{number};{text}" for number, text in enumerate(said))])
    found = given_by(csv_file, tmp_path / "corpus.csv", in_csv)
    assert keys(found) == ["0", "3"] and list(skipped(found)) == ["corpus.csv, line 3", "corpus.csv, line 4"]


def test_what_is_wrong_in_json_lines_is_named_and_the_rest_is_given(path):
    good = '{"id": "%d", "text": "größer"}\n'.encode()
    bad = [
        (b"{broken}\n", "not JSON"),
        (b"[1, 2]\n", "not a JSON object"),
        (b'{"id": "x"}\n', "no text"),
        (b'{"id": "x", "text": " \\n "}\n', "no text"),
        (b'{"id": "x", "text": ["a"]}\n', "text is a list"),
        (b'{"id": "x", "text": 5}\n', "text is a number"),
        (b'{"id": {}, "text": "t"}\n', "id is an object"),
        (b'{"id": true, "text": "t"}\n', "id is true or false"),
        (b'{"id": "x", "text": "t", "language": "a sentence"}\n', "language"),
        (b'{"id": "x", "text": "t", "licence": "%s"}\n' % (b"l" * 65), "licence has more than 64"),
        (b'{"id": "x", "text": "caf\xe9"}\n', "not UTF-8"),
        (b'{"id": "x", "text": "nul \0"}\n', "NUL"),
        (b'{"id": "0", "text": "again"}\n', "id 0 came before"),
        (b"[" * 200_000 + b"\n", "not JSON"),
        (b"9" * 6000 + b"\n", "not JSON"),
    ]
    content = b"".join(good % n + line for n, (line, _) in enumerate(bad))
    found = given_by(jsonl, path, content)
    assert keys(found) == [str(n) for n in range(len(bad))]
    whys = skipped(found)
    assert list(whys) == [f"corpus.jsonl, line {2 * n + 2}" for n in range(len(bad))]
    for why, (_, expected) in zip(whys.values(), bad, strict=True):
        assert expected in why


def test_documents_without_id_have_a_key_of_what_they_say(path):
    rows = [{"text": "one"}, {"text": "two", "id": None}, {"text": "one", "id": " "}]
    found = given_by(jsonl, path, "\n".join(map(json.dumps, rows)))
    first, second = keys(found)
    assert first != second and first.startswith("sha256-") and "came before" in skipped(found)["corpus.jsonl, line 3"]
    assert keys(given_by(jsonl, path, json.dumps(rows[1]))) == [second]


def test_only_web_addresses_are_kept_and_text_in_escapes_is_cleaned(path):
    urls = ["javascript:alert(1)", "HTTPS://example.org/a", "https://e.org/ b", "file:///etc/passwd", "", 5]
    found = given_by(jsonl, path, "\n".join(json.dumps({"id": n, "text": "t", "url": u}) for n, u in enumerate(urls)))
    assert [each.url for each in found] == ["", "HTTPS://example.org/a", "", "", "", ""]
    odd = given_by(jsonl, path, r'{"id": "a\ud800 b", "title": "x\u0000y\udfff", "text": "p\ud83dq\u0000r"}')[0]
    assert odd.title == "xy" and odd.sections[0].text == "pqr" and odd.key.startswith("a__b~")
    odd.content_hash  # noqa: B018
    odd.key.encode()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_marked_encodings_are_understood(path, encoding):
    rows = [{"id": "ä", "text": "Zèbre 斑马 🦓 " * 9000}, {"id": "b", "text": "x"}]
    text = "\r\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    content = (b"\xff\xfe" if encoding == "utf-16-le" else b"") + text.encode(encoding)
    assert keys(given_by(jsonl, path, content)) == ["ä", "b"]
    broken = content + b"\xff" if encoding == "utf-8-sig" else content + b"\n\x00\x00\xd8\n\x00x"
    whys = list(skipped(given_by(jsonl, path, broken)).values())
    assert len(whys) == 1 + (encoding != "utf-8-sig") and all("not UTF-8" in why for why in whys)


def test_keys_are_kept_or_made_safe_and_stay_apart():
    assert safe_key("GS_full_12:a/b#c%20d") == "GS_full_12:a/b#c%20d"
    names = ["a b", "a_b", "a\tb", "a\u00a0b", "a\0b", "a" * 401, "a" * 402, "", "\udc80"]
    made = [safe_key(name) for name in names]
    assert len(set(made)) == len(names) and made == [safe_key(name) for name in names]
    assert all(key and len(key) <= 400 and key.isprintable() and not any(map(str.isspace, key)) for key in made)


def test_another_kind_of_file_is_refused_as_a_whole(path, tmp_path):
    assert "lacks the column text and has id, body" in refused(jsonl, path, '{"id": 1, "body": "x"}\n' * 3)
    assert "none of its first 1,000 lines" in refused(jsonl, path, "word\n" * 2000)
    for listed in ('[{"text": "a"}, {"text": "b"}]', '\n[\n  {"text": "a"}\n]\n'):
        assert "is a list of JSON and not JSON lines" in refused(jsonl, path, listed)
    assert "does not exist" in refused(jsonl, tmp_path / "none.jsonl")
    assert "is not a file" in refused(jsonl, tmp_path)
    assert "is not a file" in refused(jsonl, Path("/dev/zero"))
    for corpus in ("a:b", "", "a b", "../x", "x" * 65):
        with pytest.raises(Problem, match="corpus cannot be called"):
            jsonl.source(path, corpus)
    with pytest.raises(Problem, match="code of a language"):
        jsonl.source(path, "mine", language="in English")
    with pytest.raises(Problem, match="licence"):
        jsonl.source(path, "mine", licence="x" * 65)


def test_a_packed_file_is_read_and_a_bomb_or_a_damaged_one_is_not(path, monkeypatch):
    rows = "".join(json.dumps({"id": n, "text": f"text {n}"}) + "\n" for n in range(2000))
    packed = gzip.compress(rows.encode())
    assert len(keys(given_by(jsonl, path, packed))) == 2000
    assert "cannot be unpacked to its end" in refused(jsonl, path, packed[: len(packed) // 2])
    assert "cannot be unpacked" in refused(jsonl, path, packed[:-6] + b"xx" + packed[-4:])
    assert "cannot be unpacked" in refused(jsonl, path, packed[:100] + b"\xff" * 50 + packed[150:])
    monkeypatch.setattr(lines, "FREE", 1 << 17)
    monkeypatch.setattr(lines, "MOST_RATIO", 20)
    assert "unpacks to far more" in refused(jsonl, path, gzip.compress(b'{"id": 1, "text": "a"}\n' * 200_000))
    monkeypatch.setattr(lines, "MOST_UNPACKED", 1000)
    assert "unpacks to far more" in refused(jsonl, path, packed)


@pytest.mark.parametrize("kind", ["jsonl", "csv_file"])
def test_a_huge_line_is_skipped_without_being_held(tmp_path, kind):
    path = tmp_path / "corpus"
    before, after = ('{"text": "a"}\n', '\n{"text": "b"}\n') if kind == "jsonl" else ("id,text\n1,a\n", "\n2,b\n")
    with path.open("wb") as file:
        file.write(before.encode())
        for _ in range(200):
            file.write(b"x" * 1_000_000)
        file.write(after.encode())
    code = (
        "import sys; from pathlib import Path; from kb.sources import jsonl, csv_file\n"
        "def peak(): return int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
        "start = peak()\n"
        f"for each in {kind}.source(Path(sys.argv[1]), 'c').read(Path())[1]: print(each)\n"
        "print(peak() - start)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, timeout=600)
    first, huge, last, grown = done.stdout.splitlines()
    assert "'a'" in first and "'b'" in last and "more than 8,000,000 characters" in huge
    assert int(grown) < 60_000  # kilobytes


def test_csv_with_each_delimiter_quotes_and_line_ends_within(tmp_path):
    path = tmp_path / "c.csv"
    for delimiter in ",;\t":
        content = (
            "\ufeffID; Title ;TEXT;url;images\n"
            '1;"a;b ""c""";"line\r\none\n\ntwo";https://e.org/;x.png y.png\n'
            '2;;5" pipe;;\n'
        )
        found = given_by(csv_file, path, content.replace(";", delimiter))
        assert keys(found) == ["1", "2"]
        assert found[0].title == clean_text(f'a{delimiter}b "c"')
        assert found[0].sections[0].text == "line\none\ntwo"
        assert found[0].pictures == (GivenPicture("x.png"), GivenPicture("y.png"))
        assert found[1].sections[0].text == '5" pipe'


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
@pytest.mark.parametrize("delimiter", ["|", ";", ","])
def test_csv_as_spreadsheets_write_it(tmp_path, end, delimiter, monkeypatch):
    monkeypatch.setattr(lines, "SAMPLE", 9)  # a block ends within a line's end
    rows = [f"sep={delimiter}", "id;text;title".replace(";", delimiter), *(f"{n}{delimiter}t{delimiter}" for n in "ab")]
    found = given_by(csv_file, tmp_path / "c.csv", end.join(rows) + end)
    assert keys(found) == ["a", "b"] and [each.sections[0].text for each in found] == ["t", "t"]


def test_what_pandas_writes_for_no_value_is_none(tmp_path):
    rows = "id,text,title,url\n1,Nan is a town.,NaN,null\n2,NaN,x,\nNone,null and void,nan,<NA>\n"
    found = given_by(csv_file, tmp_path / "c.csv", rows)
    assert [each.title for each in found if isinstance(each, DocumentRecord)] == ["", ""]
    assert keys(found)[0] == "1" and keys(found)[1].startswith("sha256-")
    assert skipped(found) == {"c.csv, line 3": "It has no text."}


def test_what_is_wrong_in_csv_is_named_and_the_rest_is_given(tmp_path):
    path = tmp_path / "c.csv"
    content = 'id,text\n1,größer über\n2,bäö,c\n3\n\n4,\n5,"x"y\n6,caf'.encode() + b"\xe9\n7,n\0\n1,again\n"
    content += b'8,"open\n9,z\n10,"two\nlines"\n11,"end\n12,last'
    found = given_by(csv_file, path, content)
    assert keys(found) == ["1", "9", "10", "12"]
    whys = skipped(found)
    expected = ["3 fields, and the header has 2", "1 fields", "no text", "not CSV", "not UTF-8", "NUL", "came before"]
    assert [where.rsplit(" ", 1)[1] for where in whys] == ["3", "4", "6", "7", "8", "9", "10", "11", "15"]
    for why, part in zip(whys.values(), expected, strict=False):
        assert part in why
    assert "quotation mark" in whys["c.csv, line 11"] and "quotation mark" in whys["c.csv, line 15"]


def test_csv_that_lacks_columns_names_them_and_what_is_there(tmp_path):
    path = tmp_path / "c.csv"
    said = refused(csv_file, path, "id;body;title\n1;b;c\n")
    assert "lacks the column text" in said and "id, body, title" in said
    assert "lacks the columns kid and text" in refused(okvqa, path, "a,b\n")
    assert "column text twice" in refused(csv_file, path, "text,text\n1,2\n")
    assert "has no header" in refused(csv_file, path, "")
    assert "has no header" in refused(csv_file, path, b"\0\0\0\n")
    assert "first line is too long" in refused(csv_file, path, "x" * 200_000)


def test_quotes_made_to_be_read_again_and_again_end(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_file, "_READ_AGAIN", 1_000_000)
    path = tmp_path / "c.csv"
    with without_blow_up():
        found = given_by(csv_file, path, "id,text\n" + 'a","b\n' * 60_000)
    assert not keys(found) and found


def test_okvqa_passages_keep_their_ids_and_texts(tmp_path):
    path = tmp_path / "okvqa_full_corpus.csv"
    source = okvqa.source(path, "okvqa")
    path.write_text('kid,text\n0,"A  passage, ""as it is"".\nIts second line."\n1,\n0,again\n', newline="")
    found = list(source.read(tmp_path)[1])
    assert found[0] == DocumentRecord("0", "", "", "en", "unknown", ('A  passage, "as it is".\nIts second line.',))
    assert skipped(found) == {
        "okvqa_full_corpus.csv, line 4": "It has no text.",
        "okvqa_full_corpus.csv, line 5": "The id 0 came before; the first of them is kept.",
    }


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40).filter(
    lambda word: word not in csv_file._NO_VALUE
)
said = st.tuples(words, words.filter(clean_text)).filter(lambda both: not spoilt("\n".join(both)))


@OFTEN
@given(rows=st.lists(said, max_size=12))
def test_json_lines_and_csv_come_back_as_they_were_written(tmp_path, rows):
    expected = [(clean_text(a), "\n".join(filter(None, map(clean_text, b.splitlines())))) for a, b in rows]
    objects = [{"id": n, "title": a, "text": b} for n, (a, b) in enumerate(rows)]
    lined = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in objects)
    table = io.StringIO(newline="")
    csv.writer(table).writerows([("id", "title", "text"), *(each.values() for each in objects)])
    for module, content in ((jsonl, lined), (csv_file, table.getvalue())):
        found = given_by(module, tmp_path / "c", content)
        assert keys(found) == [str(n) for n in range(len(rows))]
        assert [(each.title, each.sections[0].text) for each in found] == expected


tokens = st.sampled_from([b'"', b",", b";", b"\n", b"\r", b"\0", b"text", b"id", b"{", b"}", b":", b"[", b"\xff\xfe"])
contents = st.one_of(st.binary(max_size=300), st.lists(tokens, max_size=60).map(b"".join))
start = st.sampled_from([b"", b"id,text\n", b"kid;text\n", b'{"id": 1, "text": "x"}\n', b"\xff\xfe", b"\xef\xbb\xbf"])


@OFTEN
@given(start=start, rest=contents, packed=st.booleans())
def test_arbitrary_bytes_raise_nothing_but_a_catalogue_problem(tmp_path, start, rest, packed):
    path = tmp_path / "c"
    path.write_bytes(gzip.compress(start + rest) if packed else start + rest)
    for module in (jsonl, csv_file, okvqa):
        try:
            for each in module.source(path, "mine").read(tmp_path)[1]:
                assert isinstance(each, Item)
        except Problem:
            pass
