"""The administration interface: JSON over HTTP, /metrics, and a page for people."""
