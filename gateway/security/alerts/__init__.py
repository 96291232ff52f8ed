"""Delivery of alerts: events to a webhook, by e-mail, to a syslog receiver and into the log."""
