"""Real SIP software as processes: phones, far ends, a provider, captures, and judges of all of it."""
