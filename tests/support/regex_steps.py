"""Counts what a regular expression does, character by character, where Python's own engine tells nothing but time.

An interpreter of what `re` makes of a pattern: backtracking as in `re`, without its shortcuts, so that the number of
steps is the same on every machine. For patterns over text alone: no groups referred to, no flags but IGNORECASE.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from re import _constants as c  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]

Then = Callable[[int], bool]  # the rest of the pattern: whether it matches from here
Node = Callable[[int, Then], bool]


class Steps:
    """`count` of steps so far; patterns are compiled once."""

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self.count = 0
        self.text = ""
        self.fold = bool(pattern.flags & re.IGNORECASE)
        self.whole = self._sequence(_parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE))

    def search_all(self, text: str) -> int:
        """The steps of finding all matches, as finditer does."""
        self.text, self.count, at = text, 0, 0
        while at <= len(text):
            self.count += 1
            self.end = at
            at = max(at + 1, self.end) if self.whole(at, self._ends) else at + 1
        return self.count

    def _ends(self, at: int) -> bool:
        self.end = at
        return True

    def _sequence(self, parsed) -> Node:
        nodes = [self._node(op, value) for op, value in parsed]

        def run(at: int, then: Then, first: int = 0) -> bool:
            if first == len(nodes):
                return then(at)
            return nodes[first](at, lambda after: run(after, then, first + 1))

        return nodes[0] if len(nodes) == 1 else run

    def _node(self, op, value) -> Node:
        if op in (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN):
            one = self._one(op, value)
            return lambda at, then: self._is(one, at) and then(at + 1)
        if op is c.BRANCH:
            ways = [self._sequence(each) for each in value[1]]
            return lambda at, then: any(way(at, then) for way in ways)
        if op is c.SUBPATTERN:
            return self._sequence(value[-1])
        if op is c.ATOMIC_GROUP:
            return self._atomic(self._sequence(value))
        if op in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT):
            repeat = self._repeat(value[0], value[1], value[2], op is c.MIN_REPEAT)
            return self._atomic(repeat) if op is c.POSSESSIVE_REPEAT else repeat
        if op in (c.ASSERT, c.ASSERT_NOT):
            direction, parsed = value
            inner, wanted = self._sequence(parsed), op is c.ASSERT
            back = parsed.getwidth()[0] if direction < 0 else 0
            return lambda at, then: (at >= back and inner(at - back, lambda _: True)) is wanted and then(at)
        if op is c.AT:
            where = self._where(value)
            return lambda at, then: where(at) and then(at)
        raise NotImplementedError(op)

    def _one(self, op, value) -> Callable[[str], bool]:
        """A test of one character, by `re` itself, each character once."""
        known: dict[str, bool] = {}
        if op is c.LITERAL:
            source = re.escape(chr(value))
        elif op is c.NOT_LITERAL:
            source = f"[^{re.escape(chr(value))}]"
        elif op is c.ANY:
            source = "."
        else:
            source = self._set(value)
        alone = re.compile(source, re.IGNORECASE if self.fold else 0)

        def test(character: str) -> bool:
            if character not in known:
                known[character] = alone.match(character) is not None
            return known[character]

        return test

    def _set(self, items) -> str:
        classes = {
            c.CATEGORY_DIGIT: r"\d", c.CATEGORY_NOT_DIGIT: r"\D", c.CATEGORY_SPACE: r"\s",
            c.CATEGORY_NOT_SPACE: r"\S", c.CATEGORY_WORD: r"\w", c.CATEGORY_NOT_WORD: r"\W",
        }  # fmt: skip
        said = ""
        for op, value in items:
            if op is c.NEGATE:
                said += "^"
            elif op is c.LITERAL:
                said += re.escape(chr(value))
            elif op is c.RANGE:
                said += f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
            else:
                said += classes[value]
        return f"[{said}]"

    def _is(self, test: Callable[[str], bool], at: int) -> bool:
        self.count += 1
        return at < len(self.text) and test(self.text[at])

    def _atomic(self, inner: Node) -> Node:
        def run(at: int, then: Then) -> bool:
            ended: list[int] = []
            return inner(at, lambda after: not ended.append(after)) and then(ended[0])

        return run

    def _repeat(self, least: int, most: int, parsed, lazy: bool) -> Node:
        op, value = parsed[0]
        if len(parsed) == 1 and op in (c.LITERAL, c.NOT_LITERAL, c.ANY, c.IN) and not lazy:
            one = self._one(op, value)

            def characters(at: int, then: Then) -> bool:
                end = at
                while end - at < most and self._is(one, end):
                    end += 1
                while end - at >= least:
                    self.count += 1
                    if then(end):
                        return True
                    end -= 1
                return False

            return characters
        inner = self._sequence(parsed)

        def group(at: int, then: Then, done: int = 0) -> bool:
            self.count += 1

            def again() -> bool:
                return done < most and inner(at, lambda to: (to > at or done < least) and group(to, then, done + 1))

            if done < least:
                return again()
            return (then(at) or again()) if lazy else (again() or then(at))

        return group

    def _where(self, value) -> Callable[[int], bool]:
        def boundary(at: int) -> bool:
            text = self.text
            before, after = (0 <= i < len(text) and (text[i].isalnum() or text[i] == "_") for i in (at - 1, at))
            return before != after

        return {
            c.AT_BOUNDARY: boundary,
            c.AT_NON_BOUNDARY: lambda at: not boundary(at),
            c.AT_BEGINNING: lambda at: at == 0,
            c.AT_BEGINNING_STRING: lambda at: at == 0,
            c.AT_END: lambda at: at == len(self.text) or (at == len(self.text) - 1 and self.text[at] == "\n"),
            c.AT_END_STRING: lambda at: at == len(self.text),
        }[value]
