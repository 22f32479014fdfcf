"""The SQL catalogue: its tables, what reads and changes them, and which passages are indexed.

The only place that knows SQL. Knows nothing of where documents come from.
"""

from kb.catalogue.catalogue import Catalogue

__all__ = ["Catalogue"]
