"""Reading the text that a photo shows: what was read (photo_text.py) and what reads it (rapid.py)."""
