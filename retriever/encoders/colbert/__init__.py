"""Text ColBERT checkpoints, as PyLate and as ColBERT's authors lay them out."""
