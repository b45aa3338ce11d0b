"""What products tell of pixels, laid on the pixels of a grid: footprints as polygons, directions at nodes, orbits."""
