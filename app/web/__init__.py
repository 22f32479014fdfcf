"""The page and what stands between it and the world: the only place that knows Gradio and HTTP.

Knows nothing of how models, indexes or the catalogue work.
"""
