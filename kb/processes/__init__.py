"""What several processes of the program know of one another, in the database that they share: which there are, what
each is at, and what all keep.

Knows nothing of documents, questions or pages.
"""
