"""How an answer is tied to its evidence: its markers, and what of it the passages bear out.

Knows nothing of who wrote the answer.
"""
