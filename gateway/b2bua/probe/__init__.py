"""Dry runs: a provider, phone or domain looked at by the means of calls, and the verdict that a call would get."""
