"""Media: the seam to a relay, its NG client, the pool of relay nodes, and our own relay worker."""
