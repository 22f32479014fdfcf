"""Where documents come from, a module a source. The fixed collections by name: a new one is a module with a `SOURCE`
and a line here; the others are in registry.py."""

from kb.records import Source
from kb.sources import wikipedia_vital

SOURCES: dict[str, Source] = {source.name: source for source in (wikipedia_vital.SOURCE,)}
