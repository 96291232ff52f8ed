"""Limits of calls: each user's calls counted by number, hour and destination, against toll fraud."""
