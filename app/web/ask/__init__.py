"""The Ask page: what stands on it, what happens there, and what it shows of an answer and its evidence."""
