"""The inner loops of searching, compiled: over the lists, over the codes, over the residuals.

Plain loops over arrays; they let go of the interpreter, so that threads share the work. `begins` and `ends` say which
of a segment's vectors belong to each passage looked at. Loops of a length that the compiler knows are many times
faster: `width` is a tuple by whose length it knows the number of a query's rows, ROWS, empty ones included. Nothing
here knows what the numbers mean to a person.
"""

from __future__ import annotations

import numpy as np

from retriever.index.compiled import compiled

WIDTHS = ((0, 0), (0, 0, 0, 0))  # of queries, each compiled by itself
_EACH = 16  # rows that an item of a width stands for
MOST_ROWS = _EACH * max(map(len, WIDTHS))


def width_for(rows: int) -> tuple[int, ...]:
    """The least width that has room for so many rows, at most MOST_ROWS."""
    return next(width for width in WIDTHS if rows_of(width) >= rows)


def rows_of(width: tuple[int, ...]) -> int:
    return _EACH * len(width)


@compiled(fastmath={"contract", "reassoc"})
def group_rows(units, weighted, count):  # pragma: no cover
    """Which of count groups each row belongs to, (n,) int64: rows of a group point nearly the same way.

    units (n, dim) float32 with unit rows, weighted the same with lengths that say how much each counts; n >= count.
    Groups start from rows far from one another and are settled by a round of k-means."""
    n, dim = units.shape
    middles = np.empty((count, dim), np.float32)
    nearest = np.full(n, -np.inf, np.float32)
    seed = 0
    for group in range(count):
        middles[group] = units[seed]
        for row in range(n):
            dot = np.float32(0)
            for d in range(dim):
                dot += units[row, d] * middles[group, d]
            nearest[row] = max(nearest[row], dot)
            if nearest[row] < nearest[seed]:
                seed = row
    groups = np.zeros(n, np.int64)
    for settling in range(2):
        if settling > 0:
            middles[:] = 0
            for row in range(n):
                for d in range(dim):
                    middles[groups[row], d] += weighted[row, d]
            for group in range(count):
                length = np.float32(0)
                for d in range(dim):
                    length += middles[group, d] * middles[group, d]
                middles[group] *= 1 / np.sqrt(length) if length > 0 else np.float32(0)
        for row in range(n):
            best = np.float32(-np.inf)
            for group in range(count):
                dot = np.float32(0)
                for d in range(dim):
                    dot += units[row, d] * middles[group, d]
                if dot > best:
                    best = dot
                    groups[row] = group
    return groups


@compiled()
def greatest_of_columns(table, best, lines, width):  # pragma: no cover
    """best (columns, count) float32: the greatest numbers of each of the first columns of the table (n, ROWS) float32,
    greatest first, of equal ones the first; lines (columns, count) int64: where they stand. n >= count."""
    rows = _EACH * len(width)
    columns, count = best.shape
    edge = np.full(rows, np.inf, np.float32)  # a number below it is not among the greatest
    edge[:columns] = -np.inf
    best[:] = -np.inf
    for line in range(len(table)):
        numbers = table[line]
        any_above = False
        for column in range(rows):
            any_above |= numbers[column] > edge[column]
        if any_above:  # of few lines
            for column in range(columns):
                number = numbers[column]
                if number > edge[column]:
                    place = count - 1
                    while place > 0 and best[column, place - 1] < number:
                        best[column, place], lines[column, place] = best[column, place - 1], lines[column, place - 1]
                        place -= 1
                    best[column, place], lines[column, place] = number, line
                    edge[column] = best[column, count - 1]


@compiled()
def shrink_table(table, small, width):  # pragma: no cover
    """small (n, ROWS) uint8: how far each number of the table (n, ROWS) float32 is above the lowest of its column, in
    units that make the widest column go from 0 to 255."""
    rows = _EACH * len(width)
    low, high = table[0].copy(), table[0].copy()
    for line in range(len(table)):
        numbers = table[line]
        for row in range(rows):
            low[row] = min(low[row], numbers[row])
            high[row] = max(high[row], numbers[row])
    widest = np.float32(0)
    for row in range(rows):
        widest = max(widest, high[row] - low[row])
    factor = np.float32(255) / widest if widest > 0 else np.float32(0)
    for line in range(len(table)):
        numbers, bytes_of = table[line], small[line]
        for row in range(rows):
            bytes_of[row] = np.uint8((numbers[row] - low[row]) * factor + np.float32(0.5))


@compiled()
def gain_from_lists(list_starts, list_rows, cells, gains, totals, last_row):  # pragma: no cover
    """Adds to totals (65536,) float32 what each passage gains from the centroids that the query's rows look into.

    cells (rows, probes) centroid numbers, gains (rows, probes) float32 with the greatest first: a passage gets a row's
    gain once, from the first list it is met in. last_row (65536,) int32 must hold numbers below zero."""
    for row in range(cells.shape[0]):
        for probe in range(cells.shape[1]):
            cell = cells[row, probe]
            if cell + 1 >= len(list_starts):
                continue  # a centroid younger than this segment
            gain = gains[row, probe]
            for place in range(list_starts[cell], list_starts[cell + 1]):
                passage = list_rows[place]
                if last_row[passage] != row:
                    last_row[passage] = row
                    totals[passage] += gain


@compiled()
def scan_codes(codes, begins, ends, table, scores, width):  # pragma: no cover
    """scores (passages,) int32: for each row of the query the best entry of the table among the passage's centroids,
    summed. table (centroids, ROWS) uint8. A code beyond the table, which only damage makes, reads its last entry."""
    rows = _EACH * len(width)
    last = len(table) - 1
    best = np.empty(rows, np.uint8)
    for passage in range(len(begins)):
        best[:] = 0
        end = ends[passage]
        # Four at a time, since what is written can be read again only a while later.
        for place in range(begins[passage], end, 4):
            one = table[min(codes[place], last)]
            two = table[min(codes[min(place + 1, end - 1)], last)]
            three = table[min(codes[min(place + 2, end - 1)], last)]
            four = table[min(codes[min(place + 3, end - 1)], last)]
            for row in range(rows):
                best[row] = max(max(best[row], one[row]), max(max(two[row], three[row]), four[row]))
        total = 0
        for row in range(rows):
            total += best[row]
        scores[passage] = total


@compiled()
def unpack_residuals(packed, scales, steps, words, begins, ends, filled, out, scale):  # pragma: no cover
    """out (n, bytes), of the type of words (1024,): what the packed codes of passages' vectors stand for, one passage
    after another from filled (passages,) on, by windows of a byte and the two lowest bits of the one before; scale
    (n,) float32: their steps."""
    for passage in range(len(begins)):
        to = filled[passage]
        for place in range(begins[passage], ends[passage]):
            scale[to] = steps[scales[place]]
            bytes_of, words_of = packed[place], out[to]
            words_of[0] = words[bytes_of[0]]
            for b in range(1, len(bytes_of)):
                words_of[b] = words[(bytes_of[b - 1] & 3) << 8 | bytes_of[b]]
            to += 1


@compiled()
def shrink_whole(whole, begins, ends, filled, out, scale):  # pragma: no cover
    """The same for vectors (n, dim) that are stored whole, float16 given as int16: out holds them divided by scale."""
    dim = out.shape[1]
    wide = np.empty(dim, np.float32)
    bits = wide.view(np.int32)
    for passage in range(len(begins)):
        to = filled[passage]
        for place in range(begins[passage], ends[passage]):
            largest = np.float32(0)
            halves, small = whole[place], out[to]
            for d in range(dim):
                half = np.int32(halves[d])
                # Exponent and fraction move to where float32 has them; the factor makes up for the other bias.
                bits[d] = ((half & 0x7FFF) << 13) | ((half & 0x8000) << 16)
                wide[d] *= np.float32(2.0**112)
                largest = max(largest, abs(wide[d]))
            inverse = np.float32(127) / largest if largest > 0 else np.float32(0)
            scale[to] = largest / np.float32(127)
            for d in range(dim):
                small[d] = np.int8(np.rint(wide[d] * inverse))
            to += 1


@compiled(fastmath={"contract", "reassoc", "nnan", "nsz"})
def best_of_dots(dots, scale, unit, table, codes, begins, ends, filled, scores, width):  # pragma: no cover
    """scores (passages,) float32: the sum over rows of the best table[code] + scale * unit * dots of the passage's
    vectors.

    dots (n, ROWS) int32, unit (ROWS,) float32; table (centroids, ROWS) float32. Where codes or the table
    end too early, by damage or since there is only one of each, their last entry counts."""
    rows = _EACH * len(width)
    last, last_code = len(table) - 1, len(codes) - 1
    best = np.empty(rows, np.float32)
    for passage in range(len(begins)):
        best[:] = -np.inf
        at = filled[passage]
        for place in range(begins[passage], ends[passage]):
            step, of_vector = scale[at], dots[at]
            entries = table[min(codes[min(place, last_code)], last)]
            for row in range(rows):
                value = entries[row] + step * (unit[row] * np.float32(of_vector[row]))
                best[row] = max(best[row], value)
            at += 1
        total = np.float32(0)
        for row in range(rows):
            total += best[row]
        scores[passage] = total
