"""How certain displacements are: calibrate(), closure(), stable_statistics(), area_mean() and compare()."""
