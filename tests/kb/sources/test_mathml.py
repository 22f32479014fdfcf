"""Formulas of MathML are read as a line of text."""

from __future__ import annotations

import pytest
from lxml.html import fragment_fromstring

from kb.sources.mathml import formula
from tests.kb.sources.test_html_text import lines


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<mn>3</mn>", "3"),
        ("<mrow><mn>3</mn><mo>.</mo><mn>5</mn></mrow>", "3.5"),
        ("<msup><mn>10</mn><mrow><mo>&#x2212;</mo><mn>9</mn></mrow></msup>", "10⁻⁹"),
        ("<mi>E</mi><mo>=</mo><mi>m</mi><mo>&#x2062;</mo><msup><mi>c</mi><mn>2</mn></msup>", "E = mc²"),
        ("<mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mn>2</mn></mfrac>", "(a + b)/2"),
        ("<mo>-</mo><mn>5</mn><mo>-</mo><mn>2</mn>", "-5 - 2"),
        ("<msqrt><mn>2</mn></msqrt><mo>,</mo><mroot><mi>x</mi><mn>3</mn></mroot>", "√2, ³√x"),
        ("<msub><mi>v</mi><mtext>max</mtext></msub><msub><mi>H</mi><mn>2</mn></msub>", "v_maxH2"),
        ("<msub><mn>101</mn><mn>2</mn></msub><msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>", "101₂x_i²"),
        ("<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover><mi>i</mi>",
         "∑_(i = 1)ⁿi"),
        ("<mover><mi>x</mi><mo>¯</mo></mover>", "x\u0304"),
        ("<semantics><mn>7</mn><annotation>seven</annotation></semantics>", "7"),
        ("<mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr><mtr><mtd><mn>3</mn></mtd></mtr></mtable>",
         "[1, 2; 3]"),
        ("<mfenced><mi>a</mi><mi>b</mi></mfenced>", "(a, b)"),
        ("<mrow>" * 2000 + "<mn>4</mn>", ""),  # deeper than is parsed here
        ("", "alt"),
    ],
)  # fmt: skip
def test_formulas(markup, text):
    assert formula(fragment_fromstring(f"<math alttext='alt'>{markup}</math>")) == (text or "alt")


def test_numbers_of_formulas_stay_in_their_sentence():
    number = "<math alttext='{x}'><semantics><mn>3</mn><annotation encoding='application/x-tex'>{3}</annotation></math>"
    assert lines(f"<p>The lake is {number} km long.</p>") == ["The lake is 3 km long."]
    hidden = f"<span class='mwe-math-mathml-inline' style='display: none;'>{number}</span><img aria-hidden=true>"
    assert lines(f"<p>The lake is {hidden} km long, and it is deep.</p>") == ["The lake is 3 km long, and it is deep."]
