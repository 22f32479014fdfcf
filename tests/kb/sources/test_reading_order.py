"""In which order blocks of a page are read; blocks are named, and stand at left, top, width and height on a page."""

from __future__ import annotations

from kb.sources.pdf.reading_order import Block, in_reading_order


def order(*places: tuple[str, int, int, int, int], vertical: bool = False) -> str:
    """Lines are 10 high."""
    blocks = {}
    for name, left, top, width, height in places:
        lines = (width / 10,) * (height // 10)
        blocks[Block(left, 1000 - top - height, left + width, 1000 - top, lines)] = name
    return " ".join(blocks[block] for block in in_reading_order(list(blocks), vertical))


def test_columns_are_read_one_after_the_other():
    left = [("a", 50, 100, 200, 100), ("b", 50, 220, 200, 100)]
    right = [("c", 300, 100, 200, 150), ("d", 300, 260, 200, 60)]
    assert order(*right, *left) == "a b c d"
    paragraphs_that_end_together = [("a", 50, 100, 200, 100), ("b", 50, 230, 200, 90)]
    assert order(("c", 300, 100, 200, 100), ("d", 300, 230, 200, 90), *paragraphs_that_end_together) == "a b c d"


def test_what_goes_across_the_page_parts_columns():
    assert order(
        ("foot", 50, 600, 450, 10), ("b", 300, 100, 200, 100), ("a", 50, 100, 200, 100), ("title", 50, 50, 450, 20),
        ("across", 50, 300, 450, 50), ("d", 300, 400, 200, 100), ("c", 50, 400, 200, 100),
    ) == "title a b across c d foot"  # fmt: skip


def test_a_column_that_goes_on_alone_belongs_to_it():
    assert order(("c", 300, 100, 200, 100), ("a", 50, 100, 200, 100), ("b", 50, 220, 200, 100)) == "a b c"


def test_three_columns():
    columns = [("a", 50, 100, 150, 90), ("b", 250, 100, 150, 90), ("c", 450, 100, 150, 90)]
    assert order(*reversed(columns)) == "a b c"


def test_tables_are_read_row_by_row():
    cells = [(f"{row}{column}", 50 + 200 * column, 100 + 20 * row, 40, 10) for row in range(6) for column in range(3)]
    assert order(*reversed(cells)) == " ".join(name for name, *_ in cells)
    # Numbers of lines beside prose are no column.
    lines = [(f"line{n}", 100, 100 + 20 * n, 400, 10) for n in range(5)]
    numbers = [(f"{n}", 50, 100 + 20 * n, 10, 10) for n in range(5)]
    assert order(*lines, *numbers) == "0 line0 1 line1 2 line2 3 line3 4 line4"


def test_vertical_writing_goes_to_the_left():
    assert order(("b", 300, 100, 100, 300), ("a", 450, 100, 100, 300), ("c", 450, 500, 100, 300), vertical=True) == (
        "a b c"
    )


def test_no_blocks_and_too_many():
    assert order() == ""
    many = [Block(n % 50, n, n % 50 + 0.5, n + 0.5, (9.0,)) for n in range(3000)]
    assert in_reading_order(many) == sorted(many, key=lambda block: -block.bottom)
