"""Protection that a call needs, gets and may claim: pure functions, and the memory of peers."""
