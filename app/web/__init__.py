"""The page and what stands between it and the world: the only place that knows Gradio and HTTP.

Knows of models, passages and the catalogue only what the service says of them.
"""
