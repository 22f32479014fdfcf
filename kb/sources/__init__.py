"""The sources that can be ingested, by name. A new one is a module with a `SOURCE` and a line here."""

from kb.records import Source
from kb.sources import wikipedia_vital

SOURCES: dict[str, Source] = {source.name: source for source in (wikipedia_vital.SOURCE,)}
