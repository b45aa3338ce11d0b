"""From images to shifts: correlate(), extend() and estimate()."""
