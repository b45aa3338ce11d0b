"""What one tile or one block of pixels needs: NumPy and dataclasses, neither labels nor dask."""
