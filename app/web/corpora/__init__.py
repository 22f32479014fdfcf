"""The Corpora page: what is there to be asked about, read in and taken away."""
