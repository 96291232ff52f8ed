"""NG commands, taken and answered."""
