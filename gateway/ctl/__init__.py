"""gatewayctl: asks a running gateway, and checks a configuration."""
