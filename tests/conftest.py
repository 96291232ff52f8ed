"""What holds for every test."""

import hypothesis

# A run on a slow, shared machine must not fail for its speed, and the same commit must give the same result twice.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, database=None, print_blob=True)
hypothesis.settings.load_profile("repeatable")
