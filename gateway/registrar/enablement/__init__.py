"""Enablement: phones are told to fetch their configuration, and a roll-out leads a domain's phones to TLS."""
