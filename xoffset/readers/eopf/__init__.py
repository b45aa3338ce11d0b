"""Sentinel-2 products in the Zarr format of EOPF: stores, what their attributes say, and their layers."""
