"""What a page hides by its own rules, and what it strikes out, is not said."""

from __future__ import annotations

import pytest
from lxml.html import document_fromstring

from kb.sources.file_text import parse
from kb.sources.html_hidden import drop_unsaid


def said(style: str, body: str) -> str:
    tree = document_fromstring(f"<html><head>{style}</head><body><p>{'Seen words. ' * 9}</p>{body}</body></html>")
    drop_unsaid(tree)
    return " ".join(tree.text_content().split()).replace("Seen words. " * 9, "").replace("Seen words.", "").strip()


@pytest.mark.parametrize(
    ("rules", "body", "left"),
    [
        (".x{display:none}", "<p class='a x'>No</p><p>Yes</p>", "Yes"),
        ("#x , p.y { color: red; visibility : hidden !important }", "<p id=x>No</p><p class=y>No</p><b class=y>Yes</b>",
         "Yes"),
        ("/* .x{display:none} */ .y{}", "<p class=x>Yes</p>", "Yes"),
        ("@media print{.x{display:none}} @import 'a'; .z{display:none}", "<p class=x>Yes</p><p class=z>No</p>", "Yes"),
        (".a .x, .x:hover, .x > b, .x + p{display:none}", "<p class=x>Yes</p>", "Yes"),
        (".x{display:none} .x.y{display:block}", "<p class='x y'>Yes</p><p class=x>No</p>", "Yes"),
        (".x{display:none} .y{display:block}", "<p class='x y'>Yes</p>", "Yes"),
        (".y{display:block} .x{display:none}", "<p class='x y'>No</p>", ""),
        (".x{display:none!important} .x{display:block}", "<p class=x>No</p>", ""),
        (".x{display:none}", "<p class=x style='display: block'>Yes</p>", "Yes"),
        (".x{display:none", "<p class=x>Yes</p>", "Yes"),
        ("body.x, .x{display:none}", "<p class=x>No</p>", ""),
    ],
)  # fmt: skip
def test_rules_of_the_page_s_own_style(rules, body, left):
    assert said(f"<style>{rules}</style>", body) == left


def test_style_that_is_for_others_hides_nothing():
    body = "<p class=x>Yes</p>"
    assert said("<style media=print>.x{display:none}</style>", body) == "Yes"
    assert said("", f"<noscript><style>.x{{display:none}}</style></noscript>{body}") == "Yes"
    # What would hide most of a page is hidden until a script shows it.
    assert said("<style>.x{display:none}</style>", f"<div class=x>{'Yes. ' * 99}</div>").count("Yes.") == 99


def test_what_is_struck_out_is_not_said():
    body = "<p>Now <ins>40</ins> not <del>50</del><s>60</s><strike>70</strike>"
    assert said("", f"{body}<b style='text-decoration: line-through red'>8</b></p>") == "Now 40 not"
    assert parse("md", b"It costs <s>$50</s> ~~$45~~ $40.\n\n<p>It is <del>old</del> new.</p>\n").sections[0].text == (
        "It costs $40.\nIt is new."
    )
