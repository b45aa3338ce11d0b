"""Loops of corrections."""
