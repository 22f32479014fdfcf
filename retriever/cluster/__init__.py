"""Work over several machines with Ray: connecting to them, and building an index in shards there.

It knows encoders, passages and `retriever.sharding`; it knows nothing of SQL, of corpora, or of who is told how far the
work is. Ray is imported only by what is called here.
"""
