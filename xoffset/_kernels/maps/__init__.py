"""Fields on a grid: neighbours, gradients, paths, profiles."""
