"""How alike two readings of a PDF are; figures by hand."""

from __future__ import annotations

import pytest

from benchmarks.texts import measure_pdf
from common.problems import Problem
from tests.support.pdf import pdf


def test_words_and_pairs_that_two_readers_of_pdfs_have_in_common(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf("One two three"))
    (tmp_path / "a.txt").write_text("one three-\nfold, two")
    (tmp_path / "b.pdf").write_bytes(b"no PDF")
    (tmp_path / "b.txt").write_text("東京 tower")
    first, second, whole = measure_pdf(tmp_path)
    # one, two of one, threefold, two; no pair; and then 東, 京, tower of nothing.
    assert (first.words, first.missed, first.too_much, first.in_common) == (3, 1, 1, 0.6667)
    assert first.pairs_in_common == 0 and first.refused == ""
    assert (second.words, second.missed, second.in_common) == (3, 3, 0) and "not a PDF" in second.refused
    assert (whole.text, whole.words, whole.missed, whole.in_common) == ("all", 6, 4, round(4 / 9, 4))


def test_a_folder_that_holds_none(tmp_path):
    with pytest.raises(Problem, match="holds no NAME.txt"):
        measure_pdf(tmp_path)
