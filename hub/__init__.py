"""Fetching published files: models and data sets from a Hub, what lies in Python wheels, and keeping them on disk.

Knows nothing of what is in them.
"""
