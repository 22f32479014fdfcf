"""Answers that people keep under a link: as texts, each with a photo or none, until a moment. No page."""
