"""The Ask page: what it shows of a photo, a question, an answer and its evidence."""
