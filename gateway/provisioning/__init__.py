"""Provisioning: files that lead phones here and turn on their encryption, given to proven devices alone."""
