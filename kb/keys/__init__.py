"""The keys with which programs ask: made, listed, revoked, known again. Beside the catalogue in the same database.

Knows nothing of requests, or of what is asked.
"""
