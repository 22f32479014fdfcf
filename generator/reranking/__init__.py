"""Passages put in order anew by a vision-language model, and what a photo shows chosen by one."""
