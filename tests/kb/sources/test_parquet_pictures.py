"""Images beside the passages of M2KR: by their paths below a folder, or as bytes in the rows."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from common.problems import Problem
from kb.illustrated import MOST_TOLD
from kb.ingest import ingest
from kb.pictures import Pictures
from kb.records import DocumentRecord
from kb.sources import m2kr
from kb.sources.registry import Asked, source_for
from tests.kb.test_pictures import RED, drawn
from tests.support.m2kr import PASSAGE, TEXT, write_photos, write_shards

STRUCTURE = pa.struct({"bytes": pa.binary(), "path": TEXT})


def write(base: Path, rows: list[tuple[str, object]], column: str, kind: pa.DataType) -> Path:
    found = [
        {"language": "en", "passage_id": id, "passage_content": f"About {id}.", column: image} for id, image in rows
    ]
    write_shards(base / "WIT_passages", "test_passages", found, pa.schema(PASSAGE | {column: kind}))
    return base


def read(base: Path, images: Path | None = None) -> dict[str, DocumentRecord]:
    source = m2kr.source(base, "wit", "WIT", images=images)
    return {each.key: each for each in source.read(base)[1]}


def test_paths_below_a_folder(tmp_path):
    write_photos(tmp_path / "images", "wit/red.png")
    rows = [("a", "wit/red.png"), ("b", None), ("c", "gone.png"), ("d", "../red.png"), ("e", " "), ("f", "x" * 9000)]
    write(tmp_path, rows, "img_path", TEXT)
    found = read(tmp_path, tmp_path / "images")
    assert found["a"].pictures[0].read() == (tmp_path / "images/wit/red.png").read_bytes()
    assert [len(each.pictures) for each in found.values()] == [1, 0, 1, 1, 0, 1]
    for key in "cdf":
        with pytest.raises(Problem):
            found[key].pictures[0].read()
    assert not any(each.pictures for each in read(tmp_path).values())


@pytest.mark.parametrize("kind", [STRUCTURE, pa.binary(), pa.large_binary()], ids=["structure", "bytes", "large"])
def test_bytes_in_the_rows_stand_beside_and_what_is_broken_is_told(tmp_path, catalogue, kind):
    given = [RED, b"broken", None, drawn("blue", kind="GIF", save_all=True), drawn("green", (1, 1))]
    held = [{"bytes": each, "path": "a.png"} if kind is STRUCTURE else each for each in given]
    write(tmp_path, list(zip("abcde", held, strict=True)), "image", kind)
    pictures = Pictures(tmp_path / "pictures")
    report = ingest(catalogue, m2kr.source(tmp_path, "wit", "WIT"), tmp_path, pictures=pictures)
    assert (report.added, report.skipped, report.noted) == (5, 0, 1)
    beside = [len(catalogue.passages_of(f"wit:{key}")[0].pictures) for key in "abcde"]
    assert beside == [1, 0, 0, 1, 1]
    [note] = catalogue.runs("wit")[0]["notes"]
    assert note["where"] == "b" and note["said"].startswith("Its picture cannot be taken: ")


def test_many_that_are_missing_are_counted_in_one_note(tmp_path, catalogue):
    write(tmp_path, [(f"p{n}", f"{n}.png") for n in range(MOST_TOLD + 20)], "img_path", TEXT)
    (tmp_path / "images").mkdir()
    source = m2kr.source(tmp_path, "wit", "WIT", images=tmp_path / "images")
    report = ingest(catalogue, source, tmp_path, pictures=Pictures(tmp_path / "pictures"))
    assert (report.added, report.noted) == (MOST_TOLD + 20, MOST_TOLD + 1)
    assert catalogue.runs("wit")[0]["notes"][-1]["said"] == "Those of 20 more documents cannot be taken."


def test_a_folder_that_is_not_there_or_of_no_use(tmp_path):
    write(tmp_path, [("a", None)], "caption", TEXT)
    with pytest.raises(Problem, match="There is no folder"):
        read(tmp_path, tmp_path / "none")
    with pytest.raises(Problem, match="have no column img_path: leave --images out"):
        read(tmp_path, tmp_path)
    asked = Asked("m2kr", {"what": "WIT", "data": str(tmp_path), "images": str(tmp_path)})
    with pytest.raises(Problem, match="leave --images out"):
        source_for(asked).read(tmp_path)
