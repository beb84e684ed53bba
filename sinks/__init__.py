"""Delivering: channels, claims, and the trace writer."""
