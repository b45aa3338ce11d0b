"""Ground motion from time series of optical images, as labelled arrays."""
