"""Security over HTTP: routes and pages of limits, budgets, alerts, deviations and the posture."""
