"""gatewayctl: asks a running gateway, checks a configuration."""
