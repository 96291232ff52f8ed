"""What the gateway says of itself: log, metrics."""
