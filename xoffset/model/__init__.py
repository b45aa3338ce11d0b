"""Names, dims, units and dates of every product: checks at the door, constructors at the exit."""

from xoffset.model.dates import as_instant
from xoffset.model.flags import FLAGS
from xoffset.model.grids import spatial_ref
from xoffset.model.products import shifts, stack

__all__ = ["FLAGS", "as_instant", "shifts", "spatial_ref", "stack"]
