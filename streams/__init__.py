"""Deciding: intake and settle."""
