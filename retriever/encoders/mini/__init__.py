"""The embedded encoder, whose mapping networks were trained by this project, and what it recognises."""
