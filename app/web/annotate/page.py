"""The Annotate tab: a place that its script fills (static/annotate/). Knows nothing of what stands there."""

from __future__ import annotations

import gradio as gr

from app.web.components import html, label


def build_annotate() -> None:
    with gr.Tab(label("tab_annotate"), elem_id="tab-annotate"):
        html('<div id="ca-root"></div>', elem_id="ca-page")
