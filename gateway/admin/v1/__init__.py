"""The API under /api/v1: routes, their parameters and answers, errors, events as they happen."""
