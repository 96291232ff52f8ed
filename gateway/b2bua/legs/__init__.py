"""The two ends of a call or subscription."""
