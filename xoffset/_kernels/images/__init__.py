"""Filters, sums over windows, warping."""
