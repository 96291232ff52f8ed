"""Succession: the next process is loaded while this one serves, and starts at the moment that this one has stopped."""
