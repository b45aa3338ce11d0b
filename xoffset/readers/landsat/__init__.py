"""Landsat scenes of all collections: metadata, bands by sensor, angles."""
