"""The back-to-back user agent: calls and subscriptions of two legs."""
