"""Experiments on real textures with known motion; each module has `run()`, which returns tables by name."""
