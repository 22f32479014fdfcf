"""The embedded answerer: it quotes the sentence of a passage that answers, by the kind of the question.

Knows nothing of models that speak.
"""
