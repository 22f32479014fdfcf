"""Turning a photograph, a question and passages into sets of vectors, and finding the passages that match best."""
