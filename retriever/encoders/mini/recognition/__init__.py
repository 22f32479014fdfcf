"""What the profile `mini` knows at sight: tables of what an image classifier sees, and what is read from its answer."""
