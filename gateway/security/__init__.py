"""Peers and passwords: access list, digest challenge, guesses stopped. Below it attacks, limits, alerts and posture."""
