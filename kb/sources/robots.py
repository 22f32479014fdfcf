"""What a site's robots.txt lets this program read, as RFC 9309 has it: the longest rule that fits decides.

Protego reads the rules, in time linear in them. Knows nothing of the network.
"""

from __future__ import annotations

from protego import Protego


class Robots:
    """The rules of one site for the program `name`, or those for all (`*`) where it has none of its own."""

    def __init__(self, text: str, name: str) -> None:
        self._rules, self._name = Protego.parse(text), name

    def allows(self, path: str) -> bool:
        """Whether a page may be read; `path` with its query, as in the address."""
        return self._rules.can_fetch(f"http://site{path}", self._name)

    @property
    def delay(self) -> float:
        """Seconds between two requests that the site asks for."""
        return self._rules.crawl_delay(self._name) or 0.0
