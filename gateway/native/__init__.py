"""The hot path of media in C, beside its twin in Python (media/worker/streams); built where a compiler is."""
