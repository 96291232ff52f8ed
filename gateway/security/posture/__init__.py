"""The posture of this place: checks by evidence, their score, the report with its schema and signature."""
