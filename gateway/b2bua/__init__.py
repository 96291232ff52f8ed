"""The back-to-back user agent: calls of two legs, and what passes between the legs."""
