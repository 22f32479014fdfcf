"""The SQL catalogue: its tables, what reads and changes them, and which passages are indexed.

Only here is SQL known. Knows nothing of where documents come from.
"""

from kb.catalogue.catalogue import Catalogue

__all__ = ["Catalogue"]
