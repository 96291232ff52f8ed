"""Deviations: calls that are unlike those of the same user or domain in the last 28 days. Reported, never acted on."""
