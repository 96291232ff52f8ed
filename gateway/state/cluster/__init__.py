"""A pair's store: the lease that makes one node active, and sealed copies of all that its successor needs."""
