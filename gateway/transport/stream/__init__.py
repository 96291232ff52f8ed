"""Connections over TCP, with TLS or without."""
