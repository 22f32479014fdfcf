"""The catalogue of evidence: sources become documents and passages in an SQL database.

Knows nothing of models, vectors, answers or pages.
"""
