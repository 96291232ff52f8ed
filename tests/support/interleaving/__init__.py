"""A call played by chances, and an oracle that reads its bytes."""
