"""Connections: TCP, and what TLS runs on."""
