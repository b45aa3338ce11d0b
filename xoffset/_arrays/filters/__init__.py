"""Pre-filters of images."""
