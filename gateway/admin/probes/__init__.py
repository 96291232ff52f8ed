"""Dry runs over HTTP: ordered, and their results, by the API and on a page."""
