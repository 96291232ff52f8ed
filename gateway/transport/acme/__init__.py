"""Certificates by ACME (RFC 8555): orders, answers to the authority's questions, renewal in time."""
