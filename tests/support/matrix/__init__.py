"""The security matrix on the wire: a real gateway process between scripted phones and providers of every kind."""
