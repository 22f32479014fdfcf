"""Annotation in the browser: what its script asks for (routes.py and the operations), who asks, and the tab.

The script draws the pages; the server gives values and takes what people say, each key at once. Knows nothing of
models, indexes or SQL.
"""
