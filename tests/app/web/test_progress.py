"""The one timer that asks how far everything is."""

from __future__ import annotations

import gradio as gr
import pytest

from app.web.progress import Watched, looking


@pytest.mark.parametrize("busy", [(False, False), (True, False), (False, True), (True, True)])
def test_it_goes_on_as_long_as_anything_is_under_way(busy: tuple[bool, bool]) -> None:
    with gr.Blocks():
        timer, *boxes = gr.Timer(), *(gr.Textbox() for _ in range(5))
        first = Watched(lambda one: ((f"{one} is half done",), busy[0]), boxes[:1], boxes[1:2])
        second = Watched(lambda one, two: ((one, two), busy[1]), boxes[1:3], boxes[3:])
        event = looking(timer, [first, second])
    assert event["inputs"] == boxes[:3] and event["outputs"] == [boxes[1], *boxes[3:], timer]
    *told, asks = event["fn"]("a", "b", "c")
    assert told == ["a is half done", "b", "c"] and asks.active is any(busy)
