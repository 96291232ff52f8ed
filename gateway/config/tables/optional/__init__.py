"""Tables that may be absent: all of them together, and [cluster]."""
