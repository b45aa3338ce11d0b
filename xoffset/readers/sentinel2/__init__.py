"""Sentinel-2 products in the SAFE format: their files, what their metadata say, and their layers beside the pixels."""
