"""People and programs that the administration interface knows: users, sessions, tokens, and the proof of each."""
