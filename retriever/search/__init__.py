"""From the hits of an index to what is shown: rankings as one, and why a passage was found."""
