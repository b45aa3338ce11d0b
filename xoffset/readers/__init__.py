"""Readers: images in, a stack (time, y, x) out, by rasters; shifts of tables, by tables; saved products, by results."""
