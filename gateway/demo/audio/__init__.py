"""The sound of the demonstration: sent, heard, judged."""
