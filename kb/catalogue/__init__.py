"""The SQL catalogue: its tables, what reads and changes them, and which passages are indexed.

Only here, and where documents are written (kb/ingest.py), is SQL known. Knows nothing of where documents come from.
"""

from kb.catalogue.catalogue import Catalogue

__all__ = ["Catalogue"]
