"""Photos, questions and passages to sets of vectors: what an encoder can do, which there are, and their models.

Knows nothing of indexes or of SQL.
"""
