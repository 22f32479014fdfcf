"""What is wrong with a page for those who see it otherwise or have no mouse: what axe-core finds serious, and what is
too small to be pressed."""

from __future__ import annotations

from pathlib import Path

import pytest

_AXE = pytest.importorskip("axe_playwright_python")
_SCRIPT = (Path(_AXE.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
_PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
# What a page is looked at with, as options of a context. Light on a desk and dark on a phone stand for all four.
LOOKS = [
    pytest.param({"color_scheme": "light"}, id="light"),
    pytest.param({"color_scheme": "dark", **_PHONE}, id="dark-phone"),
    pytest.param({"color_scheme": "dark"}, id="dark", marks=pytest.mark.slow),
    pytest.param(_PHONE, id="phone", marks=pytest.mark.slow),
]
# Beside what it looks for by itself: the size of what is pressed, and names that hold what is to be read.
_RULES = '{"target-size": {"enabled": true}, "label-content-name-mismatch": {"enabled": true}}'
# What can be pressed and is less than 24 pixels wide or high; of a box with a label, the label can be pressed.
_SMALL = """() => Array.from(document.querySelectorAll(
        "a[href], button, input, textarea, summary, [role=option], [tabindex='0']"))
    .map((each) => each.matches("[type=checkbox], [type=radio]") ? each.closest("label") ?? each : each)
    .filter((each) => each.checkVisibility({ visibilityProperty: true }) && !each.closest("[aria-hidden=true]"))
    .map((each) => [each.getBoundingClientRect(), each.outerHTML.slice(0, 150)])
    .filter(([box]) => box.width > 0 && box.height > 0 && (box.width < 23.9 || box.height < 23.9))
    .map(([box, html]) => `${box.width.toFixed(1)} x ${box.height.toFixed(1)} ${html}`)"""


def serious(page) -> list[str]:
    """What axe-core finds serious or critical, and headings out of order; from the top, where a head that stays in
    sight lies over nothing that is to be pressed."""
    before = page.evaluate("() => { const y = scrollY; scrollTo({ top: 0, behavior: 'instant' }); return y; }")
    if not page.evaluate("'axe' in window"):
        page.evaluate(_SCRIPT)
    found = page.evaluate(f"axe.run(document, {{resultTypes: ['violations'], rules: {_RULES}}})")["violations"]
    page.evaluate("(y) => scrollTo({ top: y, behavior: 'instant' })", before)
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in found
        if rule["impact"] in ("serious", "critical") or rule["id"] == "heading-order"
        for node in rule["nodes"]
    ]


def too_small(page) -> list[str]:
    """What can be pressed and is too small for a finger."""
    return page.evaluate(_SMALL)
