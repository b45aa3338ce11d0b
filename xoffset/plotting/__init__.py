"""Maps of products as PNG files; needs the `plot` extra. No window, no display, no global state of matplotlib."""

from xoffset.plotting.maps import comparison_map, map_of, save_maps, velocity_map

__all__ = ["comparison_map", "map_of", "save_maps", "velocity_map"]
