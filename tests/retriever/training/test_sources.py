"""Training data: what is read of M2KR and of JSONL, in which order it is drawn, and what is wrong with it."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from common.images import load_image
from common.problems import Problem
from retriever.training.batches import Batches, Drawing, image_file, image_of, in_order, keys_of
from retriever.training.features import plain_photo
from retriever.training.models import begin
from retriever.training.order import Order
from retriever.training.recipe import M2KR, DataSet, Distil, HeldOut, Model, Negatives, Recipe, Train
from retriever.training.sources import check_sets, limited, open_set
from tests.fakes.hub_server import HubServer
from tests.support.checkpoints import write_checkpoint
from tests.support.m2kr import question, write_photos, write_task

PAIRS = [
    {"question": "what is this", "image": "red.png", "positives": ["a"], "negatives": ["b"], "instruction": "find"},
    {"question": "the cat", "positives": ["b", "c"], "scores": [2.0, 1.5]},
    {"question": "is this", "image": "blue.png", "positives": ["c"], "negatives": ["a", "b"], "scores": [3, 1, 0.5]},
]
PASSAGES = [{"id": "a", "text": "one cat"}, {"id": "b", "text": "a pie", "title": "Pie"}, {"id": "c", "text": "sky"}]


def jsonl(path: Path, rows: list) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def own(tmp_path: Path) -> DataSet:
    write_photos(tmp_path, "red.png", "blue.png")
    listed = jsonl(tmp_path / "passages.jsonl", PASSAGES)
    return DataSet(jsonl=str(jsonl(tmp_path / "pairs.jsonl", PAIRS)), passages=str(listed))


def m2kr_task(root: Path, split: str = "train", **columns) -> M2KR:
    rows = [
        question("q0", "what is this", "red.png", ["p0"], instruction="find:") | {"pos_item_contents": ["red apple"]},
        question("q1", None, "blue.png", ["p3"], instruction="look for:") | {"pos_item_contents": ["blue SKY"]},
        question("q2", "the pie", None, [], instruction="find:") | {"pos_item_contents": []},
    ]
    write_task(root / "m2kr", "EVQA", rows, split=split, shards=2)
    write_photos(root / "images" / "EVQA", "red.png", "blue.png")
    return M2KR(str(root / "m2kr"), str(root / "images"))


class TestJSONL:
    def test_passages_by_their_ids(self, own, tmp_path):
        found = open_set(own, None, tmp_path / "cache")
        rows = [found.rows[number] for number in range(len(found.rows))]
        assert [row["texts"] for row in rows] == [["one cat"], ["Pie: a pie", "sky"], ["sky"]]
        assert rows[2]["negative_texts"] == ["one cat", "Pie: a pie"] and rows[2]["scores"] == [3, 1, 0.5]
        assert len(found.passages) == 3 and load_image(image_of(found, rows[0])).getpixel((0, 0)) == (255, 0, 0)

    def test_passages_as_texts(self, tmp_path):
        rows = [{"question": "x", "positives": ["one"]}, {"question": "y", "positives": ["two"], "negatives": ["one"]}]
        found = open_set(DataSet(jsonl=str(jsonl(tmp_path / "own.jsonl", rows))), None, tmp_path / "cache")
        assert found.passages is None and found.rows[1]["negative_texts"] == ["one"]

    @pytest.mark.parametrize(
        ("row", "said"),
        [
            ("no json", "Line 1 of"),
            ([1], "is no JSON object"),
            ({"question": 3, "positives": ["a"]}, "`question` is no text in line 1"),
            ({"positives": ["a"]}, "neither a question nor an image"),
            ({"question": "x", "positives": "a"}, "`positives` is no list of texts"),
            ({"question": "x", "positives": ["z"]}, "The passage 'z' in line 1"),
            ({"question": "x", "positives": ["a"], "scores": [1, 2]}, "`scores` in line 1"),
            ({"question": "x", "positives": ["a"], "scores": [float("nan")]}, "`scores` in line 1"),
            ({"question": "x", "positives": ["a"], "scores": [1e308]}, "are too large; divide them all"),
            ({"question": "x", "positives": ["a"], "scores": [10**400]}, "are too large; divide them all"),
            ({"question": "x", "positives": ["a"], "scores": [float("-inf")]}, "are too large; divide them all"),
            ({"question": "x", "positives": []}, "No question of"),
            ({"question": "\ud800", "positives": ["a"]}, "is no Unicode"),
        ],
    )
    def test_a_row_that_is_wrong_is_named(self, own, tmp_path, row, said):
        Path(own.jsonl).write_text(f"{row if isinstance(row, str) else json.dumps(row)}\n")
        with pytest.raises(Problem, match=".+") as problem:
            open_set(own, None, tmp_path / "cache")
        assert said in str(problem.value)
        assert not list((tmp_path / "cache").rglob(".writing-*"))

    def test_one_passage_only(self, tmp_path):
        rows = [{"question": "x", "positives": ["one"]}, {"question": "y", "positives": ["one"]}]
        with pytest.raises(Problem, match="one passage only"):
            open_set(DataSet(jsonl=str(jsonl(tmp_path / "own.jsonl", rows))), None, tmp_path / "cache")
        rows, listed = [{"question": each, "positives": ["a"]} for each in "xy"], tmp_path / "passages.jsonl"
        own = DataSet(jsonl=str(jsonl(tmp_path / "own.jsonl", rows)), passages=str(jsonl(listed, PASSAGES[:1])))
        with pytest.raises(Problem, match=r"one passage only in .*passages\.jsonl; nothing .* Add others\."):
            open_set(own, None, tmp_path / "cache")

    def test_an_id_is_that_of_one_passage(self, own, tmp_path):
        jsonl(Path(own.passages), [*PASSAGES, PASSAGES[0]])  # the same again says nothing else
        assert len(open_set(own, None, tmp_path / "cache").passages) == 4
        for other in ({"text": "no cat"}, {"title": "Cat"}, {"image": "red.png"}):
            jsonl(Path(own.passages), [*PASSAGES, PASSAGES[0] | other])
            with pytest.raises(Problem, match=r"^The id 'a' in line 4 of .*passages\.jsonl is that of another passage"):
                open_set(own, None, tmp_path / "cache")

    def test_a_mark_of_the_order_of_bytes_at_the_beginning(self, own, tmp_path):
        for file in (own.jsonl, own.passages):
            Path(file).write_text(Path(file).read_text(), encoding="utf-8-sig")
        assert len(open_set(own, None, tmp_path / "cache").rows) == 3

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(Problem, match=r"none\.jsonl cannot be read"):
            open_set(DataSet(jsonl=str(tmp_path / "none.jsonl")), None, tmp_path / "cache")


class TestM2KR:
    def test_the_published_layout(self, tmp_path):
        found = open_set(DataSet(task="EVQA"), m2kr_task(tmp_path), tmp_path / "cache")
        assert len(found.rows) == 2 and found.dropped == 1 and len(found.passages) == 6
        assert found.instructions == ("find:", "look for:")
        assert found.rows[1]["texts"] == ["blue SKY"] and found.rows[1]["ids"] == ["p3"]
        assert load_image(image_of(found, found.rows[1])).getpixel((0, 0)) == (0, 0, 255)

    def test_images_in_the_parquet(self, tmp_path):
        m2kr = m2kr_task(tmp_path)
        data = io.BytesIO()
        Image.new("RGB", (8, 8), (0, 255, 0)).save(data, "PNG")
        for path in (tmp_path / "m2kr" / "EVQA_data").iterdir():
            table = pq.read_table(path)
            images = [{"bytes": data.getvalue(), "path": None}] * len(table)
            pq.write_table(table.append_column("image", pa.array(images)), path)
        found = open_set(DataSet(task="EVQA"), m2kr, tmp_path / "cache")
        assert load_image(image_of(found, found.rows[0])).getpixel((0, 0)) == (0, 255, 0)

    def test_what_is_missing_is_said_with_its_key(self, tmp_path):
        m2kr = m2kr_task(tmp_path)
        with pytest.raises(Problem, match=r"m2kr\.folder is .* holds no folder WIT_data"):
            open_set(DataSet(task="WIT"), m2kr, tmp_path / "cache")
        with pytest.raises(Problem, match="There is no split valid"):
            open_set(DataSet(task="EVQA", split="valid"), m2kr, tmp_path / "cache")

    def test_it_is_read_again_when_the_files_change(self, tmp_path):
        m2kr = m2kr_task(tmp_path)
        first = open_set(DataSet(task="EVQA"), m2kr, tmp_path / "cache")
        before = sorted(path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.arrow"))
        assert open_set(DataSet(task="EVQA"), m2kr, tmp_path / "cache").key == first.key
        assert sorted(path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*.arrow")) == before
        path = next((tmp_path / "m2kr" / "EVQA_data").iterdir())
        table = pq.read_table(path).to_pylist()
        table[0]["question"] = "another"
        pq.write_table(pa.Table.from_pylist(table, pq.read_schema(path)), path)
        assert open_set(DataSet(task="EVQA"), m2kr, tmp_path / "cache").key != first.key
        os.utime(path, ns=(1, 1))  # touched, and the same within
        assert open_set(DataSet(task="EVQA"), m2kr, tmp_path / "cache").key != first.key

    def test_a_data_set_on_the_hub_of_which_the_task_is_fetched_once(self, tmp_path, monkeypatch):
        m2kr = m2kr_task(tmp_path)
        m2kr_task(tmp_path, split="valid")
        write_task(tmp_path / "m2kr", "WIT", [question("q", None, "red.png", ["p0"])], split="train")
        remote, told = M2KR("owner/m2kr", m2kr.images), []
        with HubServer(datasets={"owner/m2kr": tmp_path / "m2kr"}) as hub:
            monkeypatch.setenv("HF_ENDPOINT", hub.url)
            monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
            fetch = partial(open_set, DataSet(task="EVQA"), remote, tmp_path / "cache")
            found = fetch(progress=lambda *each: told.append(each))
            rows = [found.rows[number] for number in range(len(found.rows))]
        assert told[-1][0] == told[-1][1] > 0
        names = {f"{path.parent.name}/{path.name.split('-')[0]}" for path in (tmp_path / "cache").rglob("*.parquet")}
        assert names == {"EVQA_data/train", "EVQA_passages/train_passages"}
        here = open_set(DataSet(task="EVQA"), m2kr, tmp_path / "other")
        assert rows == [here.rows[number] for number in range(len(here.rows))] and here.key == found.key
        assert load_image(image_of(found, rows[1])).getpixel((0, 0)) == (0, 0, 255)
        assert fetch().key == found.key  # without the Hub
        monkeypatch.setattr("hub.client._sleep", lambda seconds: None)
        with pytest.raises(Problem, match="There is no folder owner/m2kr, and as a Hub data set it cannot be had"):
            open_set(HeldOut(task="EVQA"), remote, tmp_path / "cache")
        with pytest.raises(Problem, match=r"There is no folder nowhere; give m2kr\.folder the folder that holds EVQA"):
            open_set(DataSet(task="EVQA"), M2KR("nowhere"), tmp_path / "cache")

    def test_a_path_out_of_the_folder_is_no_image(self, own, tmp_path):
        found = open_set(own, None, tmp_path / "cache")
        for path in ("../red.png", "/etc/passwd", "a/../../red.png", "\0", f"{tmp_path}-other/red.png", "..", "."):
            with pytest.raises(Problem, match="lies outside"):
                image_of(found, {"bytes": None, "image": path})

    def test_a_path_that_leads_into_the_folder_is_one(self, own, tmp_path, monkeypatch):
        found = open_set(own, None, tmp_path / "cache")
        names = (f"../{tmp_path.name}/red.png", str(tmp_path / "red.png"), "a/../red.png", "./red.png")
        monkeypatch.chdir(tmp_path.parent)
        for folder in (tmp_path, Path(tmp_path.name), tmp_path / "." / "x" / ".."):
            for name in names:
                assert image_file(name, (folder,)).samefile(tmp_path / "red.png")
        assert image_of(found, {"bytes": None, "image": names[0]}).name == "red.png"
        with pytest.raises(Problem, match="there is no image 'none.png' in"):
            image_file("none.png", (tmp_path,))


class TestCheckSets:
    def checked(self, folder: Path, *sets: list, batch: int = 2, **said) -> str:
        """What is said of the rows of those sets, "" where they can be learned from."""
        data = tuple(DataSet(jsonl=str(jsonl(folder / f"{number}.jsonl", rows))) for number, rows in enumerate(sets))
        recipe = Recipe("one", Model("some/model"), {"mapping": 1e-3}, Train(1, batch), data, **said)
        try:
            check_sets(recipe, [open_set(each, None, folder / "cache") for each in data])
        except Problem as problem:
            return str(problem)
        return ""

    def asked(self, *positives: str, **more) -> list[dict]:
        return [{"question": "x", "positives": list(each), "negatives": ["n"]} | more for each in positives]

    def test_a_batch_is_not_larger_than_the_data(self, tmp_path):
        rows = self.asked("a", "b")
        assert "train.batch is 4, and the data hold 2 questions; make it 2 or less." in self.checked(
            tmp_path, rows, batch=4
        )
        assert not self.checked(tmp_path, rows)

    def test_one_question_needs_negatives(self, tmp_path):
        assert "The data hold one question, and without negatives nothing" in self.checked(tmp_path, self.asked("a"))
        mined = {"negatives": Negatives(mined=1)}
        assert "hold one question; make it 1." in self.checked(tmp_path, self.asked("a"), **mined)
        assert not self.checked(tmp_path, self.asked("a"), batch=1, **mined)

    def test_of_the_same_positives_everywhere_nothing_is_learned_without_negatives(self, tmp_path):
        said = "All questions of the data have the same positives"
        assert said in self.checked(tmp_path, self.asked("a", "a", "a"))
        assert said in self.checked(tmp_path, self.asked("ab", "ba"))
        assert said in self.checked(tmp_path, self.asked("a", "a"), self.asked("a"))
        assert not self.checked(tmp_path, self.asked("a", "a"), self.asked("b"))
        assert not self.checked(tmp_path, self.asked("a", "a", "b"))
        assert not self.checked(tmp_path, self.asked("a", "a"), negatives=Negatives(mined=1))
        assert not self.checked(tmp_path, self.asked("a", "a"), negatives=Negatives(sampled=1))

    def test_there_are_scores_to_learn_from(self, tmp_path):
        said = {"negatives": Negatives(mined=1), "distil": Distil(1.0)}
        without, scored = self.asked("a", "b"), self.asked("c", scores=[2.0, 1.0])
        assert "no question of the data has negatives with scores" in self.checked(tmp_path, without, **said)
        alone = [{"question": "x", "positives": ["c"], "scores": [2.0]}]
        assert "no question of the data has negatives" in self.checked(tmp_path, without + alone, **said)
        assert not self.checked(tmp_path, without, scored, **said)


class TestLimited:
    @pytest.fixture
    def found(self, tmp_path):
        rows = [{"question": str(number), "positives": [f"text {number}"]} for number in range(50)]
        return open_set(DataSet(jsonl=str(jsonl(tmp_path / "many.jsonl", rows))), None, tmp_path / "cache")

    def asked(self, found) -> list[str]:
        return [found.rows[number]["question"] for number in range(len(found.rows))]

    def test_fewer_questions_are_among_more_of_them(self, found):
        ten, thirty = (self.asked(limited(found, count, 0)) for count in (10, 30))
        assert len(set(ten)) == 10 and len(set(thirty)) == 30 and set(ten) < set(thirty)
        assert ten != self.asked(found)[:10] and set(ten) != set(self.asked(limited(found, 10, 1)))
        assert limited(found, 10, 0).key == found.key

    def test_all_where_there_are_no_more(self, found):
        assert all(self.asked(limited(found, count, 0)) == self.asked(found) for count in (0, 50, 60))

    def test_it_goes_to_other_processes(self, found):
        part = limited(found, 10, 0)
        assert self.asked(pickle.loads(pickle.dumps(part))) == self.asked(part)


class TestOrder:
    def test_a_pass_draws_each_question_as_often_as_its_share_says(self):
        order = Order([10, 4, 6], [1.0, 2.0, 0.5], seed=3)
        assert len(order) == 10 + 8 + 3
        one = Counter(order.place(index) for index in range(len(order)))
        other = Counter(order.place(index) for index in range(len(order), 2 * len(order)))
        assert {row for (number, row) in one if number == 0} == set(range(10))
        assert all(one[1, row] == 2 for row in range(4))
        assert {row for (number, row) in [*one, *other] if number == 2} == set(range(6))

    def test_it_is_shuffled_by_the_seed_and_the_pass(self):
        order = Order([50], [1.0], seed=3)
        passes = [[order.place(index)[1] for index in range(n * 50, n * 50 + 50)] for n in range(2)]
        assert sorted(passes[0]) == sorted(passes[1]) == list(range(50)) and passes[0] != passes[1]
        assert [Order([50], [1.0], seed=3).place(index)[1] for index in range(50)] == passes[0]
        assert [Order([50], [1.0], seed=4).place(index)[1] for index in range(50)] != passes[0]

    def test_a_later_attempt_is_another_question(self):
        order = Order([50], [1.0], seed=3)
        drawn = [order.place(7, attempt) for attempt in range(40)]
        assert len(set(drawn)) > 15 and drawn == [order.place(7, attempt) for attempt in range(40)]


@pytest.fixture(scope="module")
def processor(tmp_path_factory):
    folder = write_checkpoint(tmp_path_factory.mktemp("model") / "one")
    return begin(Model(start=str(folder), query_tokens=8, document_tokens=8), 0, folder, lambda *_: None)[1]


class TestBatches:
    def made(self, own, tmp_path, processor, negatives=None, rank=0, processes=1) -> Batches:
        sets = [open_set(own, None, tmp_path / "cache")]
        drawing = Drawing(sets, Order([len(sets[0].rows)], [1.0], 0), negatives or Negatives(), plain_photo)
        return Batches(drawing, processor, 2, rank, processes)

    def test_a_batch_is_a_function_of_its_number(self, own, tmp_path, processor):
        batches = self.made(own, tmp_path, processor, Negatives(sampled=1, mined=1))
        ones = [batches[number] for number in range(4)]
        others = list(in_order(self.made(own, tmp_path, processor, Negatives(1, 1)), range(4), workers=0))
        later = list(in_order(self.made(own, tmp_path, processor, Negatives(1, 1)), range(2, 4), workers=1))
        for one, other in [*zip(ones, others, strict=True), *zip(ones[2:], later, strict=True)]:
            assert one.keys == other.keys and one.wanted == other.wanted
            np.testing.assert_array_equal(one.photos.pixels, other.photos.pixels)
            for name in one.queries:
                np.testing.assert_array_equal(one.queries[name], other.queries[name])
            np.testing.assert_array_equal(one.teacher, other.teacher)
        assert ones[0].photos.pixels.shape == (2, 3, 32, 32) and len(ones[0].keys) == 2 * 3

    def test_processes_share_a_batch_out(self, own, tmp_path, processor):
        whole = self.made(own, tmp_path, processor)[1]
        parts = [self.made(own, tmp_path, processor, rank=rank, processes=2)[1] for rank in range(2)]
        assert parts[0].keys + parts[1].keys == whole.keys
        ids = np.concatenate([part.queries["input_ids"] for part in parts])
        np.testing.assert_array_equal(ids, whole.queries["input_ids"])

    def test_mined_negatives_and_their_scores_come_first(self, own, tmp_path, processor):
        batches = self.made(own, tmp_path, processor, Negatives(sampled=1, mined=2))
        texts = {"a": "one cat", "b": "Pie: a pie", "c": "sky"}
        text = {keys_of(own.name, each, texts[each]): each for each in texts}
        seen = set()
        for number in range(6):
            batch = batches[number]
            for place in range(2):
                group = [text[keys] for keys in batch.keys[place * 4 : place * 4 + 4]]
                if batch.teacher[place].isfinite().sum() == 3:
                    assert group[0] == "c" and set(group[1:3]) == {"a", "b"}
                    scores = dict(zip(group[:3], batch.teacher[place, :3].tolist(), strict=True))
                    assert scores == {"c": 3, "a": 1, "b": 0.5} and batch.teacher[place, 3].isnan()
                    seen.add(tuple(group[1:3]))
        assert seen == {("a", "b"), ("b", "a")}

    def test_those_judged_nearest_to_right_are_drawn_first(self, own, tmp_path, processor):
        texts = {name: f"{name} cat" for name in "abcde"}
        rows = [{"question": "x", "positives": [texts["a"]], "negatives": [texts[each] for each in "bcde"]}]
        rows[0]["gains"] = [0, 1, 0, 1]
        jsonl(tmp_path / "judged.jsonl", rows)
        found = open_set(DataSet(jsonl=str(tmp_path / "judged.jsonl")), None, tmp_path / "cache")
        drawing = Drawing([found], Order([1], [1.0], 0), Negatives(mined=3), None)
        drawn = [[text[0] for text, _ in drawing.example(index)[0].documents] for index in range(40)]
        assert {tuple(each[:3]) for each in drawn} == {("a", "c", "e"), ("a", "e", "c")}
        assert {each[3] for each in drawn} == {"b", "d"}

    @pytest.mark.parametrize("gains", [[1], [1, "a"], [1, -1], 3])
    def test_gains_that_are_none_are_refused(self, tmp_path, gains):
        row = {"question": "x", "positives": ["a"], "negatives": ["b", "c"], "gains": gains}
        jsonl(tmp_path / "judged.jsonl", [row])
        with pytest.raises(Problem, match="`gains` in line 1 of .* must be 2 whole numbers from 0 to 100"):
            open_set(DataSet(jsonl=str(tmp_path / "judged.jsonl")), None, tmp_path / "cache")

    def test_one_of_the_instructions_is_drawn(self, own, tmp_path, processor):
        own = DataSet(**{**vars(own), "instructions": ("cat", "what")})
        drawing = Drawing([open_set(own, None, tmp_path / "cache")], Order([3], [1.0], 0), Negatives(), None)
        assert {drawing.example(index)[0].instruction for index in range(20)} == {"cat", "what"}

    @pytest.mark.parametrize("broken", ["missing", "damaged"])
    def test_images_that_cannot_be_used_are_skipped_and_counted(self, own, tmp_path, processor, broken):
        place = Path(own.jsonl).parent / "red.png"
        place.unlink() if broken == "missing" else place.write_bytes(place.read_bytes()[:40])
        batches = self.made(own, tmp_path, processor)
        assert sum(batches[number].skipped for number in range(3)) > 0
        red = set(keys_of(own.name, "a", "one cat"))  # only the question about the red image wants it
        assert all(red.isdisjoint(wanted) for number in range(3) for wanted in batches[number].wanted)

    def test_no_image_at_all_is_a_sentence(self, own, tmp_path, processor):
        rows = [{"question": "x", "image": "none.png", "positives": [each]} for each in "ab"]
        jsonl(Path(own.jsonl), rows)
        batches = self.made(own, tmp_path, processor)
        for workers in (0, 1):
            with pytest.raises(Problem, match=r"^2 questions in a row.*there is no image 'none\.png'.*images\.$"):
                next(in_order(batches, range(2), workers))

    def test_a_table_goes_to_another_process(self, own, tmp_path, processor):
        batches = self.made(own, tmp_path, processor)
        batches[0]
        assert pickle.loads(pickle.dumps(batches))[1].keys == batches[1].keys
