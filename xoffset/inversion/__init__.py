"""From pairs to motion through time: invert()."""
