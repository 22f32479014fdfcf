"""Answers from passages: the answerer interface, the extractive answerer and the check of what an answer
says.

Knows neither the index, nor the catalogue, nor the pages.
"""
