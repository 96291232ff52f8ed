"""The state of the gateway: facts, one sentence, and all that needs a look, in order of harm."""
