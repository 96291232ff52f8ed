"""Below everything: clock, tokens, JSON, rates."""
