"""From the caller's INVITE to the callee's answer."""
