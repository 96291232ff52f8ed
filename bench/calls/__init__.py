"""What bench/signalling.py stands on: programs under test, sipp on both their sides, and what a run cost."""
