"""Annotation: projects, items and pooled candidates that several people judge, their judgments and what follows.

Tables beside the catalogue's, operations as functions over a Database. Knows nothing of models, pages or how passages
and answers were found.
"""
