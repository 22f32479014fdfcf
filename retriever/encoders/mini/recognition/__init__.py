"""What the profile `mini` recognises: tables of what an image classifier sees, and what is read from its answer."""
