"""How much of web pages is read, on a page whose reading is known."""

from __future__ import annotations

import gzip
import json

from benchmarks.texts import measure_html
from tests.kb.sources.test_html_text import AFTER, BEFORE, page

ROWS = "<tr><td>Everest</td><td>8849 m</td></tr><tr><td>Lhotse</td><td>8516 m</td></tr>"
TABLE = f"<tr><th>Name</th><th>Height</th></tr>{ROWS}"


def test_the_heads_of_a_table_count_once_for_what_is_missed(tmp_path):
    (tmp_path / "a.html.gz").write_bytes(gzip.compress(page(f"<p>The list is not long.</p><table>{TABLE}</table>")))
    told = f"{BEFORE}\nThe list is not long.\nName Height\nEverest 8849 m\nLhotse 8516 m\n{AFTER}\nIt is not there."
    (tmp_path / "truth.json").write_text(json.dumps({"a": told}))
    ours = measure_html(tmp_path)[0]
    assert (ours.sentences, ours.missed) == (7, 1)
    assert ours.too_much == 3  # "Table", and the two heads once more
