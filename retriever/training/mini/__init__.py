"""Training of the profile mini on the CPU: without one photograph (train.py), then with some (finetune.py).

Knows nothing of recipes.
"""
