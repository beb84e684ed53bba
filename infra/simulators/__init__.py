"""The providers' side of every channel, on loopback."""
