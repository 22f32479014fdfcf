"""Formulas as a line of text, or nothing at all where that could be another formula."""

from __future__ import annotations

from collections import Counter

import pytest

from kb.sources.dump_counts import template, told
from kb.sources.formulas import MAX_SOURCE, chemistry_text, formula_text
from kb.sources.wikitext import read_article
from tests.support.waiting import without_blow_up


@pytest.mark.parametrize(
    ("tex", "said"),
    [
        ("5", "5"),
        (r"E = mc^2", "E = mc²"),
        (r"c=299\,792\,458\ \mathrm{m/s}", "c = 299792458 m/s"),
        (r"1{,}234{,}567.5 > 1,234", "1,234,567.5 > 1,234"),
        (r"{\displaystyle x_{n+1} \leq \beta_i y_{10}}", "x_(n+1) ≤ β_i y₁₀"),
        (r"10^{-9}, x^n, e^{i\pi}, x^{2^3}, 90^\circ, f'", "10⁻⁹, xⁿ, e^(iπ), x^(2³), 90°, f′"),
        (r"-5 + x = -y - 2", "−5 + x = −y − 2"),
        # What stands above and below a line stays together.
        (r"\frac{a+b}{2} = \tfrac12 mv^2", "(a + b)/2 = (1/2)mv²"),
        (r"\frac{1}{2\pi}\frac{\frac{a}{b}}{x_i}", "(1/(2π))((a/b)/(x_i))"),
        (r"\left(\frac{a}{b}\right)^n + \frac{dy}{dx}", "(a/b)ⁿ + dy/dx"),
        (r"{a+b \over 2c} = {1\over2}x", "(a + b)/(2c) = (1/2)x"),
        (r"n \over k!", "n/k!"),
        (r"E[X] = a\text{cov}(X), A_\parallel", "E[X] = a cov(X), A_∥"),
        (r"{n \over e}\R \pmod{5}, x_1,\dotsc,x_n\ ", "(n/e)ℝ (mod 5), x₁, …, x_n"),
        (r"\sqrt{2}x + \sqrt{x^2+1}", "√2 x + √(x² + 1)"),
        (r"\sin^2 x + \log_2 n, \lim_{x \to 0} f(x)", "sin² x + log₂ n, lim_(x→0) f(x)"),
        (r"\sum_{i=1}^n i \in \mathbb{N}", "∑_(i=1)ⁿ i ∈ ℕ"),
        (r"v_\text{max} t \text{ if } \operatorname{Var} X &lt; \hat x", "v_max t if Var X < x̂"),
        (r"{}^{14}\mathrm{C}, \mathrm{CO_2}, \{1, 2\}, 10\%", "¹⁴C, CO₂, {1, 2}, 10%"),
        ("", ""),
    ],
)
def test_what_can_be_told_in_a_line(tex, said):
    assert formula_text(tex) == said


@pytest.mark.parametrize(
    "tex",
    [r"\begin{matrix}a&b\end{matrix}", r"\over b", r"a \over", r"\binom{n}{k}", r"\sqrt[n]{x}", r"\overline{AB}",
     r"\unknown", "E[X E[Y]]", "{", "}", "^", "x^", r"\frac", r"\frac{a}", "a & b", "{" * 99 + "x" + "}" * 99,
     "x" * (MAX_SOURCE + 1), "\1"],
)  # fmt: skip
def test_what_cannot_be_told_is_not(tex):
    assert formula_text(tex) is None


def test_chemistry():
    sources = "2H2 + O2 -> 2H2O", "SO4^2-", "CO3^{2-}", "A <=> B", "x ->[h] y", "^14C", ""
    assert list(map(chemistry_text, sources)) == ["2H2 + O2 → 2H2O", "SO4²⁻", "CO3²⁻", "A ⇌ B", None, None, None]


def test_formulas_in_sentences():
    text = (
        "It is <math>x^2 = 5</math> here; {{nowrap|1=<math>a=b</math>}}, <ce>H2O</ce> and {{tmath|y_1}}.\n\n"
        "It is big. It is <math>\\begin{matrix}a\\end{matrix}</math> there. It is old (<math>\\binom ab</math>; so).\n"
        ":<math>\\binom ab</math>\n:<math>a < b</math>\n{{NumBlk|:|<math>c</math>|1}}\nThe <math>x and\n\nmore."
    )
    article = read_article(text)
    assert article.sections[0].text.split("\n") == [
        "It is x² = 5 here; a = b, H2O and y₁.", "It is big. It is old (so).", "a < b", "c", "more.",
    ]  # fmt: skip
    assert article.unknown == {"<math>": 4}  # one of them has no end


def test_formulas_in_cells_headings_and_facts():
    box = "{{Infobox x|a=<math>b^2</math>|c=<math>\\x</math>}}"
    article = read_article(f"{box}\n== <math>\\x</math> <math>y_1</math> ==\nSo.")
    assert [(s.path, s.text) for s in article.sections] == [(("y₁",), "So."), (("Facts",), "a: b²")]
    table = read_article("So.\n{|\n! A !! B\n|-\n| 1 || <math>2 \\le x</math>\n|-\n| 3 || <math>\\x</math>\n|}")
    assert table.sections[1].text == "A: 1; B: 2 ≤ x\nA: 3"
    assert table.unknown == {"<math>": 1}


def test_the_record_tells_formulas_beside_templates():
    assert next(told(Counter({template("<math>"): 3}))).endswith("says, so that they are left out: <math> 3.")


@pytest.mark.parametrize("unit", ["^", "_", "{", "\\frac", "x²", "\\sqrt", "- ", "\\text{", "(", "\\,"])
def test_time_grows_with_the_length_only(unit):
    with without_blow_up():
        for _ in range(50):
            formula_text(unit * (MAX_SOURCE // len(unit)))
            formula_text("\\frac{" + unit * (300 // len(unit)) + "+}{2}")
        read_article(f"<math>{unit}</math>" * 2000 + "<math>" * 5000)
