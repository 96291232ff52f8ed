"""Real SIP software as processes: phones, far ends, a provider, captures, and judges of what they did."""
