"""Answers that a language model writes: loaded here or asked over HTTP, its prompts, and how a turn is put to it."""
