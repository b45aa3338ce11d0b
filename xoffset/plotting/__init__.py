"""Pictures that a paper can print; needs the `plot` extra. No window, no display, no global state of matplotlib.

Each kind is a function here and a method `.offset.plot.KIND()` of the product that it is of. All of them take

- `ax`: the panel of a figure of your own to draw into, of which nothing else is touched; None makes a new figure, one
  column of a journal (8.5 cm) wide.
- `vmin`, `vmax`: ends of the colours, or of the axis where there are none. By default the
  colours end at the fastest that moves together, a connected region of 0.2 % of the map and of 9 nodes at least, and
  not at a share of the values: a front is never cut off, wrong matches alone and in small clumps are. What lies beyond
  shows as pointed ends of the colour bar and in a note below the map.
- `cmap`: name of colours of cmcrameri or matplotlib, or a Colormap. By default perceptually even ones that colour-blind
  eyes tell apart: pale for slow and dark for fast, white at zero for what has a sign (with + and - on the map, for grey
  print), and colours that end as they begin for what goes round.
- `title`: a heading instead of what is drawn and its dates.
- `save`: file to write, .png, .pdf, .svg, .jpg, .tif or .webp. It is there whole or not at all; a picture of the same
  name is replaced.

and return the figure, whose first panel is `figure.axes[0]`; with `ax` that is the figure of the panel, and `save`
writes all of it. A notebook shows the figure that a cell ends with. Coordinates are those of the grid, in metres or
kilometres ("local" without a CRS); hatched grey is where nothing is known. Of grids larger than 1500 nodes along a side
every second node is drawn, or every third and so on, which a note says.
"""

from xoffset.plotting.animations import animation
from xoffset.plotting.classes import flags
from xoffset.plotting.deformation import strain, trajectories
from xoffset.plotting.files import comparison_map, map_of, save_maps, velocity_map
from xoffset.plotting.maps import direction, displacement, log_speed, velocity
from xoffset.plotting.networks import chord, network, valid
from xoffset.plotting.quality import correction, losses, stable
from xoffset.plotting.sections import profile
from xoffset.plotting.series import series
from xoffset.plotting.tuning import tuning
from xoffset.plotting.variables import closure, residual, sigma, variable

__all__ = [
    "animation",
    "chord",
    "closure",
    "comparison_map",
    "correction",
    "direction",
    "displacement",
    "flags",
    "log_speed",
    "losses",
    "map_of",
    "network",
    "profile",
    "residual",
    "save_maps",
    "series",
    "sigma",
    "stable",
    "strain",
    "trajectories",
    "tuning",
    "valid",
    "variable",
    "velocity",
    "velocity_map",
]
