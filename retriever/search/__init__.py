"""From the hits of an index to what is shown: hits of several indexes as one list, and why a passage was found."""
