"""What is wrong with a copy of M2KR or its images is one sentence that says what, and where it was looked for."""

from __future__ import annotations

import random
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.problems import Problem
from retriever.evaluation.m2kr import evaluate, layout
from retriever.evaluation.m2kr.evaluate import check
from retriever.evaluation.m2kr.locating import locate
from retriever.evaluation.m2kr.report import as_markdown
from tests.support.m2kr import (
    ANSWERED,
    PASSAGE,
    PASSAGES,
    WordEncoder,
    question,
    write_photos,
    write_shards,
    write_task,
)

QUESTIONS = [
    question("q1", "wall", "inat/red.png", ["p2"], ["brick"]),
    question("q2", "pie", None, ["p5"], ["apple"]),
]
DATA_FILE = "EVQA_data/test-00000-of-00001.parquet"
PASSAGES_FILE = "EVQA_passages/test_passages-00000-of-00001.parquet"


@pytest.fixture
def data(tmp_path):
    return write_task(tmp_path / "data", "EVQA", QUESTIONS)


@pytest.fixture
def images(tmp_path):
    return write_photos(tmp_path / "images", "inat/red.png")


def refused(data, images, dataset="EVQA", split="test", **options) -> str:
    with pytest.raises(Problem) as refusal:
        check(dataset, split, data, images, **options)
    sentence = str(refusal.value)
    assert sentence.endswith(".") and "\n" not in sentence and "Traceback" not in sentence
    return sentence


def test_a_data_set_as_it_should_be_is_let_through(data, images):
    checked = check("EVQA", "test", data, images)
    assert [q.id for q in checked.questions] == ["q1", "q2"] and list(checked.numbers) == list(PASSAGES)
    assert checked.questions[0].answers == ("brick",) and checked.questions[1].image is None


def test_an_unknown_task_a_training_set_and_a_training_split(data, images):
    said = refused(data, images, "VQAv2")
    assert "no task 'VQAv2'" in said and "E-VQA" in said and "OK-VQA" in said
    assert "training split only" in refused(data, images, "CC3M")
    assert "test or valid, not on 'train'" in refused(data, images, split="train")


def test_a_missing_folder_names_what_was_looked_for(tmp_path, data, images):
    assert f"no folder {tmp_path / 'nowhere'}" in refused(tmp_path / "nowhere", images)
    assert f"{data} holds no folder OKVQA_passages" in refused(data, images, "OK-VQA")


def test_a_missing_split_names_those_that_are_there(data, images):
    said = refused(data, images, split="valid")
    assert "no split valid_passages" in said and "EVQA_passages" in said and "test_passages" in said
    write_shards(data / "EVQA_passages", "valid_passages", [], pa.schema(PASSAGE))
    assert "no split valid in" in refused(data, images, split="valid")


def test_a_missing_shard_is_named(tmp_path, images):
    data = write_task(tmp_path / "data", "EVQA", QUESTIONS, shards=2)
    (data / "EVQA_passages" / "test_passages-00001-of-00002.parquet").unlink()
    assert "test_passages-00001-of-00002.parquet is missing" in refused(data, images)


def test_shards_of_two_editions_are_not_mixed(tmp_path, images):
    data = write_task(tmp_path / "data", "EVQA", QUESTIONS, shards=2)
    write_task(data, "EVQA", QUESTIONS)
    said = refused(data, images)
    assert "of 1 and of 2" in said and "editions" in said


@pytest.mark.parametrize("file", [DATA_FILE, PASSAGES_FILE])
@pytest.mark.parametrize("column", ["question_id", "question", "instruction", "img_path", "pos_item_ids", "answers"])
def test_a_missing_column_is_named(data, images, file, column):
    if file == PASSAGES_FILE:
        column = {"question_id": "passage_id"}.get(column, "passage_content")
    table = pq.read_table(data / file)
    pq.write_table(table.drop_columns([column]), data / file)
    assert f"{data / file} has no column {column}" in refused(data, images)


def test_answers_are_only_asked_of_question_answering_tasks(tmp_path, images):
    rows = [{name: value for name, value in row.items() if name not in ("answers", "gold_answer")} for row in QUESTIONS]
    data = write_task(tmp_path / "data", "OVEN", rows)
    assert check("OVEN", "test", data, images).questions[0].answers == ()


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        ("question_id", [1, 2], "int64 and not texts"),
        ("question", [1.5, None], "double and not texts"),
        ("pos_item_ids", ["p2", "p5"], "string and not lists of texts"),
        ("answers", [[1], [2]], "list<element: int64> and not lists of texts"),
    ],
)
def test_a_column_of_another_type_is_named(data, images, column, values, kind):
    table = pq.read_table(data / DATA_FILE)
    table = table.set_column(table.schema.get_field_index(column), column, pa.array(values))
    pq.write_table(table, data / DATA_FILE)
    said = refused(data, images)
    assert f"column {column} of {data / DATA_FILE} holds {kind}" in said


def test_columns_that_are_null_throughout_are_taken_as_such(tmp_path):
    data = write_task(tmp_path / "data", "EVQA", QUESTIONS)
    table = pq.read_table(data / DATA_FILE)
    for column in ("question", "img_path", "answers"):
        table = table.set_column(table.schema.get_field_index(column), column, pa.nulls(2))
    pq.write_table(table, data / DATA_FILE)
    questions = check("EVQA", "test", data, None).questions
    assert [(q.text, q.image, q.answers) for q in questions] == [("", None, ())] * 2


def test_large_strings_and_null_lists_are_read(tmp_path):
    data = write_task(tmp_path / "data", "EVQA", [question("q", "pie", None, None, [None, "apple"])])
    table = pq.read_table(data / DATA_FILE)
    field = table.schema.get_field_index("question")
    pq.write_table(table.set_column(field, "question", table["question"].cast(pa.large_string())), data / DATA_FILE)
    (asked,) = check("EVQA", "test", data, None).questions
    assert (asked.text, asked.positives, asked.answers) == ("pie", (), ("apple",))


def test_an_empty_split_is_refused(tmp_path, images):
    data = write_task(tmp_path / "data", "EVQA", QUESTIONS, {})
    assert "no passages in" in refused(data, images)
    data = write_task(tmp_path / "other", "EVQA", QUESTIONS)
    write_shards(data / "EVQA_data", "test", [], pa.schema(ANSWERED))
    assert "no questions in" in refused(data, images)


def test_more_rows_than_can_be_held_are_refused(data, images, monkeypatch):
    monkeypatch.setattr(layout, "MOST_QUESTIONS", 1)
    assert "2 questions" in refused(data, images)
    monkeypatch.undo()
    monkeypatch.setattr(layout, "MOST_PASSAGES", 5)
    assert "6 passages" in refused(data, images)


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path, images, monkeypatch):
    data = write_task(tmp_path / "data", "EVQA", QUESTIONS, {"p2": "wall " * 1_000_000, "p5": "apple pie"})
    assert (data / PASSAGES_FILE).stat().st_size < 1 << 20 and check("EVQA", "test", data, images)
    monkeypatch.setattr(layout, "MOST_BYTES", 1 << 20)
    assert f"{data / PASSAGES_FILE} unpacks to 4 MB" in refused(data, images)


@pytest.mark.parametrize("again", ["next", "later", "other shard"])
def test_of_passages_with_the_same_id_the_first_counts(tmp_path, images, again):
    pairs = list(PASSAGES.items())
    plain = evaluate(
        WordEncoder(), "EVQA", "test", write_task(tmp_path / "a", "EVQA", QUESTIONS), images, tmp_path / "plain"
    )
    pairs.insert({"next": 1, "later": 5, "other shard": 6}[again], ("p0", "another text"))
    data = write_task(tmp_path / "b", "EVQA", QUESTIONS, pairs, shards=2)
    report = evaluate(WordEncoder(), "EVQA", "test", data, images, tmp_path / "work")
    assert report.counts["passages"] == len(PASSAGES) == plain.counts["passages"]
    assert report.counts["passages whose id stands more than once"] == 1
    assert report.counts["vectors"] == plain.counts["vectors"]
    assert report.recall == plain.recall and report.pseudo_recall == plain.pseudo_recall
    assert "more than once: 1; only the first" in as_markdown(report, "words")


@pytest.mark.parametrize("id", [None, ""])
def test_a_row_without_id_is_refused(tmp_path, images, id):
    data = write_task(tmp_path / "data", "EVQA", QUESTIONS, [*PASSAGES.items(), (id, "text")])
    assert "has no passage_id" in refused(data, images)
    data = write_task(tmp_path / "other", "EVQA", [*QUESTIONS, question(id, "pie", None, ["p5"], [])])
    assert "has no question_id" in refused(data, images)


def test_positives_that_are_not_there_are_counted_and_never_found(tmp_path, images):
    rows = [*QUESTIONS, question("q3", "sky", None, ["gone", "p3"], []), question("q4", "pie", None, ["lost"], [])]
    data = write_task(tmp_path / "data", "EVQA", rows)
    report = evaluate(WordEncoder(), "EVQA", "test", data, images, tmp_path / "work")
    # q1, q2 and q3 have a positive that is found first; that of q4 is not among the passages.
    assert report.recall[1] == report.recall[500] == 3 / 4
    assert report.counts["questions with positives that are not among the passages"] == 2
    assert "not among the passages: 2; those are never found." in as_markdown(report, "words")


def test_questions_and_passages_that_do_not_belong_together_are_refused(tmp_path, images):
    data = write_task(tmp_path / "data", "EVQA", [question("q1", "sky", None, ["x1", "x2"], [])])
    said = refused(data, images)
    assert "None of the questions' positives, such as 'x1'" in said and "EVQA_passages" in said


# -- damaged files


@pytest.mark.parametrize("file", [DATA_FILE, PASSAGES_FILE])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda raw: raw[: len(raw) // 2],
        lambda raw: b"",
        lambda raw: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        lambda raw: raw[:-8] + b"\xff\xff\xff\x7fPAR1",
        lambda raw: b"PAR1" + b"\xff" * (len(raw) - 500) + raw[-496:],
    ],
)
def test_a_damaged_file_is_named(data, images, file, spoil):
    path = data / file
    path.write_bytes(spoil(path.read_bytes()))
    said = refused(data, images)
    assert str(path) in said and re.search("not a whole parquet file|damaged", said) and "fetch it again" in said


def test_a_file_that_may_not_be_read_or_is_a_folder_is_named(data, images):
    (data / PASSAGES_FILE).unlink()
    (data / PASSAGES_FILE).mkdir()
    assert str(data / PASSAGES_FILE) in refused(data, images)


def test_text_that_is_not_utf8_is_damage(tmp_path, images, data):
    offsets, raw = pa.py_buffer(bytes([0, 0, 0, 0, 2, 0, 0, 0])), pa.py_buffer(b"\xff\xfe")
    broken = pa.StringArray.from_buffers(1, offsets, raw)
    table = pa.table({"passage_id": pa.array(["p0"]), "passage_content": broken})
    pq.write_table(table, data / PASSAGES_FILE)
    assert "is damaged" in refused(data, images)


def test_a_checksum_that_does_not_fit_is_damage(data, images):
    path = data / PASSAGES_FILE
    pq.write_table(pq.read_table(path), path, compression="none", write_page_checksum=True, use_dictionary=False)
    raw = path.read_bytes()
    at = raw.index(b"green pear")
    path.write_bytes(raw[:at] + b"G" + raw[at + 1 :])
    assert f"{path} is damaged" in refused(data, images)


def test_files_with_flipped_bits_are_read_or_refused(data, images):
    rng = random.Random(5)
    outcomes = set()
    for file in (DATA_FILE, PASSAGES_FILE):
        raw = (data / file).read_bytes()
        for _ in range(60):
            spoilt = bytearray(raw)
            for _ in range(rng.randrange(1, 4)):
                spoilt[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
            (data / file).write_bytes(spoilt)
            try:
                check("EVQA", "test", data, images)
                outcomes.add("read")
            except Problem:
                outcomes.add("refused")
        (data / file).write_bytes(raw)
    assert outcomes == {"read", "refused"}


def test_what_the_data_say_cannot_steer_the_terminal(tmp_path, images):
    id = "\x1b[2J" + "x" * 500
    data = write_task(tmp_path / "data", "EVQA", [question(id, "pie", None, ["gone\n"], [])])
    said = refused(data, images)
    assert "\x1b" not in said and "\n" not in said and len(said) < 500


# -- images


def test_images_that_questions_name_must_be_given(data):
    said = refused(data, None)
    assert "1 of the 2 questions" in said and "'inat/red.png'" in said and "--images" in said


def test_a_folder_of_images_that_is_not_there_is_named(tmp_path, data):
    assert f"no folder {tmp_path / 'photos'}" in refused(data, tmp_path / "photos")


def test_missing_images_are_counted_before_anything_is_read_or_encoded(tmp_path, images):
    rows = [question(f"q{n}", "wall", f"inat/green-{n}.png", ["p2"], []) for n in range(12)]
    data = write_task(tmp_path / "data", "EVQA", [*QUESTIONS, *rows])
    write_photos(images, *(f"inat/green-{n}.png" for n in range(3)))
    said = refused(data, images)
    assert "9 of the 13 images" in said and "'inat/green-3.png' of question 'q3'" in said
    assert f"looked for in {images} and in {images / 'EVQA'}" in said
    (images / "inat" / "green-3.png").mkdir()  # a folder is not an image
    assert "9 of the 13 images" in refused(data, images)


def test_images_are_found_in_the_tasks_own_folder_too(tmp_path, data):
    images = write_photos(tmp_path / "images", "EVQA/inat/red.png")
    assert check("EVQA", "test", data, images).photos[0].path == images / "EVQA" / "inat" / "red.png"


@pytest.mark.parametrize("path", ["../secret.png", "inat/../../secret.png", "/etc/passwd", "..", "."])
def test_a_path_that_climbs_out_is_refused(tmp_path, images, path):
    write_photos(tmp_path, "red.png")
    data = write_task(tmp_path / "data", "EVQA", [question("q", "wall", path, ["p2"], [])])
    assert f"{path!r} of question 'q' would lie outside" in refused(data, images)


def test_a_name_that_no_file_can_have_is_missing(tmp_path, images):
    data = write_task(tmp_path / "data", "EVQA", [question("q", "wall", "a\x00b" + "c" * 300, ["p2"], [])])
    assert "1 of the 1 images" in refused(data, images)


def test_an_image_reached_by_a_link_is_used(tmp_path, data):
    images = tmp_path / "images"
    images.mkdir()
    (images / "inat").symlink_to(write_photos(tmp_path / "elsewhere", "red.png"))
    assert check("EVQA", "test", data, images).photos[0].size > 0


def test_an_image_that_cannot_be_decoded_names_question_and_file_and_loses_nothing(tmp_path):
    rows = [question(f"q{n}", "wall", f"red-{n}.png", ["p2"], []) for n in range(12)]
    data = write_task(tmp_path / "data", "EVQA", rows)
    images = write_photos(tmp_path / "images", *(f"red-{n}.png" for n in range(12)))
    whole = (images / "red-9.png").read_bytes()
    (images / "red-9.png").write_bytes(whole[:50])  # its header is sound
    encoder = WordEncoder()
    with pytest.raises(Problem, match=r"image 'red-9\.png' of question 'q9' cannot be used: the photo is damaged"):
        evaluate(encoder, "EVQA", "test", data, images, tmp_path / "work")
    (images / "red-9.png").write_bytes(whole)
    report = evaluate(encoder, "EVQA", "test", data, images, tmp_path / "work")
    assert encoder.batches == [8, 4] and report.recall[1] == 1  # the first eight were not asked again


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda raw: b"", "the photo is empty"),
        (lambda raw: b"<html>404 not found</html>", "this is not a photo"),
        (lambda raw: raw[:20], "the photo is damaged"),
        (lambda raw: raw[:16] + b"\0\0\x75\x30" * 2 + raw[24:], "the photo has too many pixels"),
        (lambda raw: raw[:16] + b"\0\0\0\x30" * 2 + raw[24:], "the photo is damaged"),  # its checksum is off
    ],
)
def test_what_is_no_image_is_found_before_anything_is_encoded(data, images, spoil, said):
    path = images / "inat" / "red.png"
    path.write_bytes(spoil(path.read_bytes()))
    assert f"The image 'inat/red.png' of question 'q1' cannot be used: {said}" in refused(data, images)


# -- where the data come from


def test_a_name_that_is_neither_folder_nor_hub_id_is_refused(tmp_path):
    for name in ("nowhere", "/no/where", "a/b/c", "../up"):
        with pytest.raises(Problem, match=re.escape(f"no folder {name}")):
            locate(name, "EVQA", "test", tmp_path, "--data", print)


def test_a_hub_that_does_not_answer_is_one_sentence_that_names_the_folder_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("hub.client._sleep", lambda seconds: None)
    with pytest.raises(Problem, match="no folder owner/data, and as a Hub data set it cannot be had: .*"):
        locate("owner/data", "EVQA", "test", tmp_path, "--data", print)
