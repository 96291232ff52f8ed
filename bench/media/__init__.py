"""What the benchmarks of media share: relays, packets and their load."""
