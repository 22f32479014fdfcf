"""Training by recipes (trainer.py and what it uses), and of the profile mini (mini/)."""
