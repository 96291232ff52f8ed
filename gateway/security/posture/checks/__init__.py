"""The checks of the posture, a family in each file: pure functions over the facts."""
