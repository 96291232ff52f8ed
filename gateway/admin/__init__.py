"""The administration interface over HTTP: JSON, pages, /metrics."""
