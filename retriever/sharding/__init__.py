"""An index in several shards: its folder, what is published of it, and searching it in one process.

It knows `retriever.index`, of which each shard is one. It knows nothing of models, texts, images or SQL, nor of
machines: `retriever.cluster` builds and searches shards over several.
"""
