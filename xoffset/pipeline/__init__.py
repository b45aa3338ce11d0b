"""Runs as a whole, and what they need beforehand."""
