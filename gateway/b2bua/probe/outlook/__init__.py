"""Outlooks: the calls of a domain's phones as they will be, out of a probe of its provider."""
