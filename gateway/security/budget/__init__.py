"""Fallback budgets: how many calls of a domain may go on with less than TLS and SRTP, and how fast they do."""
