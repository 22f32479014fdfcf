"""Where documents come from: a module for each kind of source, which registry.py collects, and what they share."""
