"""Matchers, and what they share: images, search, pyramid, significance."""
