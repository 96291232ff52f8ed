"""The security parts, joined: limits and budgets of calls, and alerts with their receivers."""
