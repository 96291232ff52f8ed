"""The journal of calls that are up: sealed records in one file, so that the next process can go on with these calls."""
