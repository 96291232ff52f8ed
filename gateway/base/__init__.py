"""Below everything: clock, tokens, JSON, rates, bounded HTTP."""
