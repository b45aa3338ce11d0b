"""How certain displacements are: calibrate() and closure()."""
