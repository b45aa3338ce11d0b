"""Numba kernels: arrays and scalars in, `out` last; they know no labels and build no graphs."""
