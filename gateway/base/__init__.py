"""What every package may use: clock, tokens, JSON, rates."""
