"""Readers: images in, a stack (time, y, x) out, by rasters; saved products in, as they were, by results."""
