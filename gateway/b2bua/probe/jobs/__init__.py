"""Probes as jobs: orders and their bounds, and those of providers that are made from time to time."""
