"""Formulas of TeX and of chemistry as they are written in a line: E = mc², (a + b)/2, SO4²⁻.

Only what can be told so without a doubt is; of everything else it is said that it cannot. A library that makes text of
TeX leaves out what it does not know, or the brackets round a fraction, and so tells another formula. Knows nothing of
wikitext.
"""

from __future__ import annotations

import html
import re
import unicodedata

from kb.sources.exponents import lowered, raised

MAX_SOURCE = 400  # characters
MAX_TEXT = 150
_MAX_DEPTH = 12

_TOKEN = re.compile(r"\\[a-zA-Z]+\*?|\\.|\s+|.", re.DOTALL)
_BARE_TEXT = re.compile(r"\{([^{}\\$^_&~#]*)\}")
_SYMBOLS = {
    **{name: letter for name, letter in zip(
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi"
        " omega varepsilon vartheta varphi varrho".split(), "αβγδεζηθικλμνξπρστυφχψωεϑφϱ", strict=True)},
    **{name: letter for name, letter in zip(
        "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega".split(), "ΓΔΘΛΞΠΣΥΦΨΩ", strict=True)},
    "infty": "∞", "hbar": "ℏ", "ell": "ℓ", "partial": "∂", "nabla": "∇", "emptyset": "∅", "degree": "°", "circ": "°",
    "prime": "′", "ldots": "…", "dots": "…", "cdots": "⋯", "%": "%", "$": "$", "#": "#", "&": "&", "_": "_", "{": "{",
    "}": "}", "|": "‖", "langle": "⟨", "rangle": "⟩", "lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉",
    "lbrace": "{", "rbrace": "}", "vert": "|", "forall": "∀", "exists": "∃", "neg": "¬", "angle": "∠", "Re": "Re",
    "Im": "Im", "sum": "∑", "prod": "∏", "int": "∫", "oint": "∮", "dagger": "†", "ast": "*", "triangle": "△",
    "dotsc": "…", "dotsb": "⋯", "Box": "□", "bot": "⊥", "N": "ℕ", "Z": "ℤ", "R": "ℝ", "Q": "ℚ", "C": "ℂ",
    "euro": "€", "pounds": "£", "aleph": "ℵ",
}  # fmt: skip
_BETWEEN = {
    "times": "×", "cdot": "·", "pm": "±", "mp": "∓", "div": "÷", "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥",
    "leqslant": "≤", "geqslant": "≥", "ne": "≠", "neq": "≠", "approx": "≈", "sim": "∼", "thicksim": "∼", "simeq": "≃",
    "cong": "≅",
    "equiv": "≡", "propto": "∝", "to": "→", "rightarrow": "→", "leftarrow": "←", "longrightarrow": "→", "mapsto": "↦",
    "Rightarrow": "⇒", "Leftarrow": "⇐", "implies": "⇒", "iff": "⇔", "Leftrightarrow": "⇔", "leftrightarrow": "↔",
    "rightleftharpoons": "⇌", "in": "∈", "notin": "∉", "ni": "∋", "subset": "⊂", "subseteq": "⊆", "supset": "⊃",
    "supseteq": "⊇", "cup": "∪", "cap": "∩", "setminus": "∖", "land": "∧", "wedge": "∧", "lor": "∨", "vee": "∨",
    "ll": "≪", "gg": "≫", "mid": "|", "perp": "⊥", "parallel": "∥", "oplus": "⊕", "otimes": "⊗", "lt": "<", "gt": ">",
    "colon": ":", "star": "⋆",
}  # fmt: skip
_SIGNS = {"=": "=", "<": "<", ">": ">", "+": "+", "-": "−", "*": "*", "−": "−", "±": "±", "×": "×", "≈": "≈", "≤": "≤"}
_FUNCTIONS = frozenset(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp lim max min sup inf det dim gcd ker arg"
    " deg mod".split()
)
_FONTS = frozenset(
    "mathrm mathbf mathit mathsf mathtt mathcal mathscr boldsymbol bold mathord rm bf it cal".split()
)
_TEXTS = frozenset("text textrm textit textbf mbox hbox textsf mathrm".split())
_IGNORED = frozenset(
    "displaystyle textstyle scriptstyle limits nolimits left right big Big bigl bigr Bigl Bigr bigg Bigg".split()
)
_THIN = "\x01"  # a thin space, which is none between digits
_SPACES = frozenset("; : quad qquad thinspace enspace".split() + [" ", "\n"])
_ACCENTS = {"hat": "\u0302", "bar": "\u0304", "dot": "\u0307", "ddot": "\u0308", "tilde": "\u0303", "vec": "\u20d7"}
_DOUBLE = dict(zip("RNZQCPHF", "ℝℕℤℚℂℙℍ𝔽", strict=True))
_FRACTION = "\0"  # on both sides of one
_BRACKETS = re.compile(r"[\[\]{}] ?[\[\]{}]")  # would be taken for marks of wikitext
_GROUPED = re.compile(rf"(?<=\d){_THIN}(?=\d)")  # 299 792 458
_THOUSANDS = re.compile(r"(?<=\d), (?=\d{3}(?!\d))")
# The sign of what it stands before, at the beginning or behind another sign.
_OWN_SIGN = re.compile(r"(^\s*|[(\[{,=<>≤≥≈×·→] ?)\s*([-−+±]) (?=\S)")
_MARKS = "[′⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ₀-₉]*"
_FACTOR = re.compile(rf"(?:\d[\d.,]*|[d∂]?[^\W\d_]){_MARKS}!?")  # one thing, below a line or under a root
_PRODUCT = re.compile(r"[\w.,∂′]+!?")
_CHEMISTRY = re.compile(r"[A-Za-z0-9()\[\] .+=<>⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻-]{1,150}")
_CHARGE = re.compile(r"\^(?:\{(\d*[-+])\}|(\d*[-+]))")


class _Unknown(Exception):
    """It cannot be told in a line."""


def formula_text(tex: str) -> str | None:
    """The text of a formula of TeX; None where that might be another formula."""
    tex = html.unescape(tex).strip()
    tex += " " * tex.endswith("\\")  # the space of which was its own
    if not tex or len(tex) > MAX_SOURCE:
        return None if tex else ""
    try:
        said = " ".join(_Reader(tex).sequence("", 0).split())
    except _Unknown:
        return None
    return said if said and len(said) <= MAX_TEXT and not _BRACKETS.search(said) else None


def chemistry_text(source: str) -> str | None:
    """The same of <ce> and <chem>: numbers stay plain, as those of <sub> do, and charges are raised."""
    source = _CHARGE.sub(lambda match: raised(match[1] or match[2]), " ".join(html.unescape(source).split()))
    if not _CHEMISTRY.fullmatch(source) or ">[" in source:
        return None
    return source.replace("<=>", "⇌").replace("->", "→").replace("<-", "←")


class _Reader:
    def __init__(self, tex: str) -> None:
        self._tokens = _TOKEN.findall(tex)
        self._at = 0
        self._tex = tex
        self._place = 0

    def _next(self) -> str:
        if self._at == len(self._tokens):
            return ""
        token = self._tokens[self._at]
        self._at += 1
        self._place += len(token)
        return token

    def sequence(self, closing: str, depth: int) -> str:
        """What stands up to `closing`, which is taken too."""
        if depth > _MAX_DEPTH:
            raise _Unknown
        said: list[str] = []
        while token := self._next():
            if token == closing:
                return _put_together(said)
            if token == "\\over":
                above = self._grouped(_PRODUCT, _put_together(said))
                fraction = f"{_FRACTION}{above}/{self._grouped(_FACTOR, self.sequence(closing, depth + 1))}{_FRACTION}"
                return fraction if closing else _put_together([fraction])
            if token not in ("^", "_"):
                said.append(self._piece(token, depth))
                continue
            base = said.pop() if said else ""
            of_words = base.endswith(" ") or base in ("∑", "∏", "∫", "∮")  # what follows is no part of it
            said += [base.rstrip(), self._script(token, depth) + " " * of_words]
        if closing:
            raise _Unknown
        return _put_together(said)

    def _piece(self, token: str, depth: int) -> str:
        if token == "{" and self._tex.startswith(",}", self._place):  # a comma without a space after it
            comma = self._next()
            self._next()
            return comma
        if token == "{":
            return self.sequence("}", depth + 1)
        if token.isspace():
            return ""
        if token == "~":
            return " "
        if token in _SIGNS:
            return f" {_SIGNS[token]} "
        if token == ",":
            return ", "
        if token == "'":
            return "′"
        if token[0] != "\\":
            if token in "}&^_\"`@$\\%#" or token < " ":
                raise _Unknown
            return token
        return self._command(token[1:], depth)

    def _command(self, name: str, depth: int) -> str:
        if name in _SYMBOLS:
            return _SYMBOLS[name]
        if name in _BETWEEN:
            return f" {_BETWEEN[name]} "
        if name == ",":
            return _THIN
        if name in _SPACES:
            return " "
        if name == "!" or name in _IGNORED:
            if name in ("left", "right") and self._tex[self._place : self._place + 1] == ".":
                self._next()
            return ""
        if name in _FUNCTIONS:
            return f" {name} "
        if name in _TEXTS and (text := _BARE_TEXT.match(self._tex, self._place)):
            while self._place < text.end():
                self._next()
            return text[1] if name == "mathrm" or len(text[1]) == 1 else f" {text[1]}"
        if name == "operatorname":
            return f" {self._argument(depth)} "
        if name in _FONTS:
            return "" if name in ("rm", "bf", "it", "cal") else self._argument(depth)
        if name == "pmod":
            return f" (mod {self._argument(depth)})"
        if name == "mathbb":
            return _DOUBLE.get(self._argument(depth)) or _unknown()
        if name in ("frac", "tfrac", "dfrac"):
            return f"{_FRACTION}{self._grouped(_PRODUCT, self._argument(depth))}/{self._below(depth)}{_FRACTION}"
        if name == "sqrt" and self._tex[self._place : self._place + 1] != "[":
            return f"√{self._below(depth)}"
        if name in _ACCENTS and len(letter := self._argument(depth)) == 1:
            return unicodedata.normalize("NFC", letter + _ACCENTS[name])
        raise _Unknown

    def _argument(self, depth: int) -> str:
        while (token := self._next()).isspace():
            pass
        if not token or depth > _MAX_DEPTH:
            raise _Unknown
        return self._piece(token, depth + 1).replace(_FRACTION, "").strip()

    def _below(self, depth: int) -> str:
        return self._grouped(_FACTOR, self._argument(depth))

    def _grouped(self, plain: re.Pattern[str], said: str) -> str:
        said = said.replace(_FRACTION, "").strip()
        if not said:
            raise _Unknown
        return said if plain.fullmatch(said) else f"({said})"

    def _script(self, mark: str, depth: int) -> str:
        said = "".join(self._argument(depth).split())
        if mark == "_":
            if said.isdecimal():
                return lowered(said)
            return f"_{said}" if said.isalnum() or len(said) == 1 else f"_({said})"
        if said in ("°", "′", "*", "†"):
            return said
        high = raised(said.replace("−", "-"))
        return f"^({said})" if len(said) > 1 and high == f"^{said}" else high


def _unknown() -> str:
    raise _Unknown


def _put_together(pieces: list[str]) -> str:
    """One text of them: fractions in brackets where something stands right beside, indexes and roots apart from it."""
    pieces = [piece for piece in pieces if piece]
    said = "".join(
        piece + " " * (piece[0] in "_^√" and piece[-1].isalnum() and following[:1].isalnum())
        for piece, following in zip(pieces, [*pieces, ""][1:], strict=True)
    )
    parts = said.split(_FRACTION)  # what stands before one, a fraction, what stands behind it, and so on
    for place in range(1, len(parts), 2):
        first, last = place == 1, place == len(parts) - 2
        before, after = parts[place - 1][-1:] or "/" * (not first), parts[place + 1][:1] or "/" * (not last)
        if not (_stands_alone(before, "([") and _stands_alone(after, ")],.;:")):
            parts[place] = f"({parts[place]})"
    said = _THOUSANDS.sub(",", _GROUPED.sub("", "".join(parts))).replace(_THIN, " ")
    return _OWN_SIGN.sub(r"\1\2", said)


def _stands_alone(beside: str, marks: str) -> bool:
    return not beside or beside.isspace() or beside == _THIN or beside in marks
