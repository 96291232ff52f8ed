"""Enablement over HTTP: orders to phones, and roll-outs with their course."""
