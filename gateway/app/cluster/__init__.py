"""One of several nodes, of which one is active: the node that waits, its turn, and its end when its time is over."""
