"""How the page learns how far everything is: one timer, which asks for all that can be under way and then stops.

Knows nothing of what is under way, or of how it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Watched:
    """A part of the page that shows how far something is. look(what the inputs hold): what the outputs show now, and
    whether anything is under way, so that looking again makes sense."""

    look: Callable[..., tuple[tuple[Any, ...], bool]]
    inputs: Sequence[gr.components.Component]
    outputs: Sequence[gr.components.Component]


def looking(timer: gr.Timer, parts: Sequence[Watched]) -> dict[str, Any]:
    """The event that brings all parts up to date, and has the timer ask again as long as anything is under way."""

    def look(*held: Any) -> tuple[Any, ...]:
        shown: list[Any] = []
        busy = False
        for part in parts:
            mine, held = held[: len(part.inputs)], held[len(part.inputs) :]
            now, at_work = part.look(*mine)
            shown += now
            busy = busy or at_work
        return *shown, gr.Timer(active=busy)

    return {
        "fn": look,
        "inputs": [each for part in parts for each in part.inputs],
        "outputs": [*(each for part in parts for each in part.outputs), timer],
        "queue": False,
        "show_progress": "hidden",
        "api_visibility": "private",
    }
