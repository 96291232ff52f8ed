"""Log and metrics; secrets are taken out here."""
