"""Bans over HTTP: seen, ordered, lifted and approved, by the API and on the page of security."""
